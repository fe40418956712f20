// ModelRepository: the models of a folder and the state of each version.
//
//   ModelRepository repository(root, load, threads, [](const ModelEvent& event) { … });
//   BITSTAGE_RETURN_IF_ERROR(repository.Sync());
//   BITSTAGE_ASSIGN_OR_RETURN(std::shared_ptr<ServedModel> model, repository.Find("resnet", std::nullopt));
//
// Thread-safe, except that one Sync runs at a time. A model that fails to load keeps nobody else from serving.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/base/mutex.h"
#include "server/repository/served_model.h"
#include "server/repository/version_policy.h"

namespace bitstage::server {

struct ModelEvent {
  enum class Kind : uint8_t { kLoading, kReady, kFailed, kUnloaded };
  Kind kind = Kind::kLoading;
  std::string name;
  int64_t version = 0;
  std::shared_ptr<const ServedModel> model;  // kReady
  absl::Status status;                       // kFailed: why
};

class ModelRepository {
 public:
  using Loader = std::function<absl::StatusOr<std::shared_ptr<ServedModel>>(const std::string& path,
                                                                            const std::string& name, int64_t version)>;
  // After the change it tells of, one at a time a model, on a thread of Sync.
  using Observer = std::function<void(const ModelEvent&)>;

  // `load_threads` >= 1: how many models load at once.
  ModelRepository(std::string root, Loader loader, int load_threads, Observer observer)
      : root_(std::move(root)),
        loader_(std::move(loader)),
        load_threads_(load_threads),
        observer_(std::move(observer)) {}

  // Reads the folder and does what the version policy says, until it says nothing more. Versions that failed before are
  // tried again. Returns the folders that are no models, each with the reason; an error where the folder cannot be read
  // (then nothing changed).
  absl::StatusOr<std::vector<std::string>> Sync();

  // The version asked for, or the highest that serves.
  // NOT_FOUND for an unknown model or version and for one that failed to load (why); UNAVAILABLE for one that loads.
  absl::StatusOr<std::shared_ptr<ServedModel>> Find(absl::string_view name, std::optional<int64_t> version) const;

  // Those that serve, rising.
  std::vector<int64_t> ReadyVersions(absl::string_view name) const;

  // One version of one model.
  struct IndexEntry {
    std::string name;
    int64_t version = 0;
    VersionState state = VersionState::kLoading;
    absl::Status status;  // kFailed: why
  };
  // All versions that serve, load or failed to, by name and rising version.
  std::vector<IndexEntry> Index() const;

  struct Counts {
    int ready = 0;   // models with a version that serves
    int failed = 0;  // those without
  };
  Counts Count() const;

 private:
  struct Version {
    VersionState state = VersionState::kLoading;
    std::shared_ptr<ServedModel> model;  // kReady
    absl::Status status;                 // kFailed
  };
  struct Entry {
    std::vector<int64_t> on_disk;
    std::map<int64_t, Version> versions;
  };
  struct Load {
    std::string name;
    int64_t version = 0;
  };

  // Unloads what the policy lets go; the version it wants loaded, marked as such.
  std::optional<int64_t> ApplyPolicy(const std::string& name);
  void Run(const Load& load);

  const std::string root_;
  const Loader loader_;
  const int load_threads_;
  const Observer observer_;
  mutable Mutex mutex_;
  std::map<std::string, Entry, std::less<>> models_ BITSTAGE_GUARDED_BY(mutex_);
};

}  // namespace bitstage::server
