#include "server/repository/version_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>

#include <string>

namespace bitstage::server {
namespace {

constexpr auto kLoading = VersionState::kLoading;
constexpr auto kReady = VersionState::kReady;
constexpr auto kFailed = VersionState::kFailed;

VersionAction Load(int64_t version) { return {VersionAction::Kind::kLoad, version}; }
VersionAction Unload(int64_t version) { return {VersionAction::Kind::kUnload, version}; }

struct Case {
  std::string story;
  ModelSnapshot model;
  std::vector<VersionAction> actions;
};

void PrintTo(const Case& snapshot, std::ostream* out) { *out << snapshot.story; }

class LatestVersionPolicyTest : public testing::TestWithParam<Case> {};

TEST_P(LatestVersionPolicyTest, SaysWhatToDoNext) {
  EXPECT_THAT(LatestVersionPolicy(GetParam().model), testing::ElementsAreArray(GetParam().actions)) << GetParam().story;
}

INSTANTIATE_TEST_SUITE_P(
    Snapshots, LatestVersionPolicyTest,
    testing::Values(
        Case{"no version anywhere: nothing to do", {{}, {}}, {}},
        Case{"a new model: its highest version is loaded, not the others", {{1, 10, 2}, {}}, {Load(10)}},
        Case{"the highest is loading: wait", {{1, 2}, {{2, kLoading}}}, {}},
        Case{"the highest serves: nothing to do", {{1, 2}, {{2, kReady}}}, {}},
        Case{"a newer version came: the old one serves on while the new one loads", {{1, 2}, {{1, kReady}}}, {Load(2)}},
        Case{"the newer one still loads: the old one stays", {{1, 2}, {{1, kReady}, {2, kLoading}}}, {}},
        Case{"the newer one is ready: the old one goes", {{1, 2}, {{1, kReady}, {2, kReady}}}, {Unload(1)}},
        Case{"the newer one failed: the old one stays, and nothing is tried twice",
             {{1, 2}, {{1, kReady}, {2, kFailed}}},
             {}},
        Case{"the only version failed: no older one takes its place by itself", {{1, 2}, {{2, kFailed}}}, {}},
        Case{"the version that serves was taken from disk, an older one is left: load that, then drop this",
             {{1}, {{2, kReady}}},
             {Load(1)}},
        Case{"and once the older one is ready: this one goes", {{1}, {{1, kReady}, {2, kReady}}}, {Unload(2)}},
        Case{"the model is gone from disk: everything that serves goes",
             {{}, {{1, kReady}, {2, kReady}}},
             {Unload(1), Unload(2)}},
        Case{"gone from disk while loading: the load is let end", {{}, {{1, kLoading}}}, {}},
        Case{"something newer came while another loads: one load at a time", {{1, 2, 3}, {{2, kLoading}}}, {}}));

}  // namespace
}  // namespace bitstage::server
