// Topology: what this process is within its pipelines. For every model that is a stage, by which boundary frames come
// in and by which link they go on; for every model, what clients are offered.
//
// Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "engine/base/mutex.h"
#include "server/pipeline/stage_link.h"
#include "server/repository/served_model.h"

namespace bitstage::server {

// A version of a model that is one stage of several.
struct StageRole {
  StageInfo info;
  std::optional<FrameBoundary> input;  // not of the first stage
  std::shared_ptr<StageLink> next;     // not of the last stage
  StageMetrics* metrics = nullptr;
};

// What a client may ask of a model.
struct Offer {
  std::shared_ptr<ServedModel> model;
  std::shared_ptr<const ModelInterface> interface;  // of a first stage: with the outputs and labels of the last
  std::shared_ptr<StageLink> next;                  // null: the model answers by itself
};

class Topology {
 public:
  struct Options {
    std::string next_stage;                              // HOST:PORT, or empty
    bool takes_frames = false;                           // stages other than the first may be served
    QueueLimits limits;                                  // of each link
    FrameCoding frame_coding = FrameCoding::kPreferred;  // of what is sent
  };
  // Told as StageLink::Observer, with the model's name.
  using Observer = std::function<void(const std::string& model, const absl::Status& state)>;

  // `clock` and `metrics` outlive it.
  Topology(Options options, const Clock& clock, ServerMetrics& metrics, Observer observer)
      : options_(std::move(options)), clock_(clock), metrics_(metrics), observer_(std::move(observer)) {}
  ~Topology() { Stop(); }

  // Before `model` serves: finds its boundaries and begins to connect to the next stage.
  // FAILED_PRECONDITION where it is a stage that this process was not started for.
  absl::Status Admit(const ServedModel& model);
  void Remove(const std::string& name, int64_t version);

  // Null for a whole model.
  std::shared_ptr<const StageRole> RoleOf(const ServedModel& model) const;

  // NOT_FOUND for a stage other than the first; as StageLink::End for a first stage.
  absl::StatusOr<Offer> OfferOf(std::shared_ptr<ServedModel> model) const;

  // False while a stage of this name cannot reach the next.
  [[nodiscard]] bool IsComplete(const std::string& name) const;

  // Stops every link. Not from a callback.
  void Stop();

 private:
  using Key = std::pair<std::string, std::string>;  // name and version

  const Options options_;
  const Clock& clock_;
  ServerMetrics& metrics_;
  const Observer observer_;
  mutable Mutex mutex_;
  std::map<Key, std::shared_ptr<const StageRole>> roles_ BITSTAGE_GUARDED_BY(mutex_);
};

}  // namespace bitstage::server
