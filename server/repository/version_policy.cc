#include "server/repository/version_policy.h"

#include <algorithm>

namespace bitstage::server {

std::vector<VersionAction> LatestVersionPolicy(const ModelSnapshot& model) {
  using Kind = VersionAction::Kind;
  const auto latest = std::max_element(model.on_disk.begin(), model.on_disk.end());
  const bool gone = latest == model.on_disk.end();
  const auto latest_state = gone ? model.taken_up.end() : model.taken_up.find(*latest);
  const bool latest_ready = latest_state != model.taken_up.end() && latest_state->second == VersionState::kReady;

  std::vector<VersionAction> actions;
  bool loading = false;
  for (const auto& [version, state] : model.taken_up) {
    loading |= state == VersionState::kLoading;
    const bool superseded = gone || (latest_ready && version != *latest);
    if (state == VersionState::kReady && superseded) actions.push_back({Kind::kUnload, version});
  }
  if (!gone && !loading && latest_state == model.taken_up.end()) actions.push_back({Kind::kLoad, *latest});
  return actions;
}

}  // namespace bitstage::server
