// The version policy: which versions of a model to load and to unload. A pure function from what is to what to do next.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

namespace bitstage::server {

// Of a version that the repository has taken up.
enum class VersionState : uint8_t { kLoading, kReady, kFailed };

// One model at one moment.
struct ModelSnapshot {
  std::vector<int64_t> on_disk;  // in any order
  std::map<int64_t, VersionState> taken_up;
};

struct VersionAction {
  enum class Kind : uint8_t { kLoad, kUnload };
  Kind kind = Kind::kLoad;
  int64_t version = 0;

  friend bool operator==(const VersionAction&, const VersionAction&) = default;
};

// Serve the highest version on disk. The one that serves goes only when the next is ready, or when the model is gone
// from disk; a version that failed is not tried again until it is no longer taken up. At most one load at a time.
std::vector<VersionAction> LatestVersionPolicy(const ModelSnapshot& model);

}  // namespace bitstage::server
