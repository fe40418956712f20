#include "engine/base/isa.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <string>

namespace bitstage {
namespace {

using ::testing::HasSubstr;

// Sets BITSTAGE_ISA for one scope.
class ForcedIsa {
 public:
  explicit ForcedIsa(const char* name) {
    if (const char* before = std::getenv(kVariable)) before_ = before;
    if (name != nullptr) {
      setenv(kVariable, name, 1);
    } else {
      unsetenv(kVariable);
    }
  }
  ~ForcedIsa() {
    if (before_) {
      setenv(kVariable, before_->c_str(), 1);
    } else {
      unsetenv(kVariable);
    }
  }
  ForcedIsa(const ForcedIsa&) = delete;
  ForcedIsa& operator=(const ForcedIsa&) = delete;

 private:
  static constexpr const char* kVariable = "BITSTAGE_ISA";
  std::optional<std::string> before_;
};

TEST(Isa, ReferenceIsAlwaysSupportedAndTiersRise) {
  const std::vector<Isa>& isas = SupportedIsas();
  ASSERT_FALSE(isas.empty());
  EXPECT_EQ(isas.front(), Isa::kReference);
  for (size_t i = 1; i < isas.size(); ++i) EXPECT_LT(isas[i - 1], isas[i]);
}

TEST(Isa, TheBestTierIsChosenByDefault) {
  for (const char* unset : {static_cast<const char*>(nullptr), ""}) {
    const ForcedIsa none(unset);
    const absl::StatusOr<Isa> chosen = ChooseIsa();
    ASSERT_TRUE(chosen.ok()) << chosen.status();
    EXPECT_EQ(*chosen, SupportedIsas().back());
  }
}

TEST(Isa, TheEnvironmentForcesAnySupportedTier) {
  for (const Isa isa : SupportedIsas()) {
    const ForcedIsa forced(std::string(Name(isa)).c_str());
    const absl::StatusOr<Isa> chosen = ChooseIsa();
    ASSERT_TRUE(chosen.ok()) << chosen.status();
    EXPECT_EQ(*chosen, isa);
  }
}

TEST(Isa, AnUnknownNameIsRefusedWithTheListOfTiers) {
  for (const char* name : {"sse9", "AVX2", " avx2", "avx512_vnni2"}) {
    const ForcedIsa forced(name);
    const absl::StatusOr<Isa> chosen = ChooseIsa();
    ASSERT_FALSE(chosen.ok());
    EXPECT_EQ(chosen.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(chosen.status().message()), HasSubstr(name));
    for (const Isa isa : SupportedIsas()) {
      EXPECT_THAT(std::string(chosen.status().message()), HasSubstr(std::string(Name(isa))));
    }
  }
}

TEST(Isa, ATierThisCpuLacksIsRefused) {
  for (const Isa isa : {Isa::kAvx2, Isa::kAvx512Vnni, Isa::kAmx}) {
    if (isa <= SupportedIsas().back()) continue;
    const ForcedIsa forced(std::string(Name(isa)).c_str());
    EXPECT_EQ(ChooseIsa().status().code(), absl::StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace bitstage
