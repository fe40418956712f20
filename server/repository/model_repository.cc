#include "server/repository/model_repository.h"

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "server/observability/text.h"
#include "server/repository/repository_scan.h"

namespace bitstage::server {
namespace {

// The beginning that clients of the protocol look for.
std::string UnknownModel(absl::string_view name) { return absl::StrCat("Request for unknown model: ", Quoted(name)); }

}  // namespace

absl::StatusOr<std::vector<std::string>> ModelRepository::Sync() {
  BITSTAGE_ASSIGN_OR_RETURN(const RepositoryListing listing, ScanRepository(root_));
  std::set<std::string> names;
  {
    const MutexLock lock(mutex_);
    for (auto& [name, entry] : models_) {
      names.insert(name);
      entry.on_disk.clear();
      std::erase_if(entry.versions, [](const auto& version) { return version.second.state == VersionState::kFailed; });
    }
    for (const ModelOnDisk& model : listing.models) {
      names.insert(model.name);
      models_[model.name].on_disk = model.versions;
    }
  }
  std::vector<Load> loads;
  for (const std::string& name : names) {
    if (const std::optional<int64_t> version = ApplyPolicy(name)) loads.push_back({name, *version});
  }

  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i = next++; i < loads.size(); i = next++) Run(loads[i]);
  };
  std::vector<std::thread> threads;
  const size_t at_once = std::min(loads.size(), static_cast<size_t>(load_threads_));
  for (size_t i = 1; i < at_once; ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();

  const MutexLock lock(mutex_);
  for (const std::string& name : names) {
    const bool listed = std::any_of(listing.models.begin(), listing.models.end(),
                                    [&](const ModelOnDisk& model) { return model.name == name; });
    if (!listed && models_[name].versions.empty()) models_.erase(name);
  }
  return listing.ignored;
}

std::optional<int64_t> ModelRepository::ApplyPolicy(const std::string& name) {
  std::vector<int64_t> unloaded;
  std::optional<int64_t> load;
  {
    const MutexLock lock(mutex_);
    Entry& entry = models_[name];
    ModelSnapshot snapshot{entry.on_disk, {}};
    for (const auto& [version, status] : entry.versions) snapshot.taken_up[version] = status.state;
    for (const VersionAction& action : LatestVersionPolicy(snapshot)) {
      if (action.kind == VersionAction::Kind::kUnload) {
        entry.versions.erase(action.version);
        unloaded.push_back(action.version);
      } else {
        entry.versions[action.version] = Version{};
        load = action.version;
      }
    }
  }
  for (const int64_t version : unloaded) observer_({ModelEvent::Kind::kUnloaded, name, version, nullptr, {}});
  if (load) observer_({ModelEvent::Kind::kLoading, name, *load, nullptr, {}});
  return load;
}

void ModelRepository::Run(const Load& load) {
  const absl::StatusOr<std::string> path = ModelFilePath(root_, load.name, load.version);
  absl::StatusOr<std::shared_ptr<ServedModel>> model =
      path.ok() ? loader_(*path, load.name, load.version) : path.status();
  ModelEvent event{ModelEvent::Kind::kReady, load.name, load.version, nullptr, {}};
  {
    const MutexLock lock(mutex_);
    Version& version = models_[load.name].versions[load.version];
    if (model.ok()) {
      version = {VersionState::kReady, *model, {}};
      event.model = *std::move(model);
    } else {
      event.kind = ModelEvent::Kind::kFailed;
      event.status = absl::Status(model.status().code(), absl::StrCat("failed to load ", Quoted(load.name), " version ",
                                                                      load.version, ": ", model.status().message()));
      version = {VersionState::kFailed, nullptr, event.status};
    }
  }
  observer_(event);
  ApplyPolicy(load.name);
}

absl::StatusOr<std::shared_ptr<ServedModel>> ModelRepository::Find(absl::string_view name,
                                                                   std::optional<int64_t> wanted) const {
  const MutexLock lock(mutex_);
  const auto found = models_.find(name);
  if (found == models_.end()) return absl::NotFoundError(absl::StrCat(UnknownModel(name), " is not found"));
  const std::map<int64_t, Version>& versions = found->second.versions;
  for (auto version = versions.rbegin(); version != versions.rend(); ++version) {
    if (version->second.state == VersionState::kReady && (!wanted || *wanted == version->first)) {
      return version->second.model;
    }
  }
  // Nothing serves: say why, by the version that was meant.
  const auto meant = wanted ? versions.find(*wanted) : versions.empty() ? versions.end() : std::prev(versions.end());
  if (meant == versions.end()) {
    return absl::NotFoundError(wanted ? absl::StrCat(UnknownModel(name), " version ", *wanted, " is not found")
                                      : absl::StrCat(UnknownModel(name), " has no available versions"));
  }
  if (meant->second.state == VersionState::kLoading) {
    return absl::UnavailableError(
        absl::StrCat("model ", Quoted(name), " version ", meant->first, " is not at ready state: it is loading"));
  }
  return absl::NotFoundError(
      absl::StrCat(UnknownModel(name), " has no available versions: ", meant->second.status.message()));
}

std::vector<int64_t> ModelRepository::ReadyVersions(absl::string_view name) const {
  const MutexLock lock(mutex_);
  std::vector<int64_t> ready;
  const auto found = models_.find(name);
  if (found == models_.end()) return ready;
  for (const auto& [number, version] : found->second.versions) {
    if (version.state == VersionState::kReady) ready.push_back(number);
  }
  return ready;
}

std::vector<ModelRepository::IndexEntry> ModelRepository::Index() const {
  const MutexLock lock(mutex_);
  std::vector<IndexEntry> index;
  for (const auto& [name, entry] : models_) {
    for (const auto& [number, version] : entry.versions) index.push_back({name, number, version.state, version.status});
  }
  return index;
}

ModelRepository::Counts ModelRepository::Count() const {
  const MutexLock lock(mutex_);
  Counts counts;
  for (const auto& [name, entry] : models_) {
    const bool ready = std::any_of(entry.versions.begin(), entry.versions.end(),
                                   [](const auto& version) { return version.second.state == VersionState::kReady; });
    ++(ready ? counts.ready : counts.failed);
  }
  return counts;
}

}  // namespace bitstage::server
