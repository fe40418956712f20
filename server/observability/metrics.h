// ServerMetrics: every metric family of the server, declared in one constructor (docs/serving.md lists them).
//
//   auto registry = std::make_shared<prometheus::Registry>();
//   auto metrics = std::make_shared<ServerMetrics>(registry, {.version = "0.1.0", .isa = "avx2"});
//   metrics->AddModel("resnet", 1, memory);
//   metrics->ForModel("resnet").Observe(Phase::kCompute, duration);
//   exposer.RegisterCollectable(metrics);
//
// Label values are bounded: models come from AddModel alone, a name that nobody added is counted as "unknown".
// Thread-safe. What ForModel and ForStage return is valid as long as the ServerMetrics.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "engine/base/mutex.h"
#include "prometheus/collectable.h"
#include "prometheus/counter.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"

namespace bitstage::server {

// What a request spends its time on, in the order it happens; kTotal is from arrival to answer.
enum class Phase : uint8_t { kQueue, kDecode, kCompute, kEncode, kTotal };
inline constexpr std::array<Phase, 5> kPhases = {Phase::kQueue, Phase::kDecode, Phase::kCompute, Phase::kEncode,
                                                 Phase::kTotal};
absl::string_view Name(Phase phase);

// What crossing a stage boundary takes: a sender encodes, a receiver decodes, and the sender's wire time is what is
// left of the wait for the answer without the time that the next stage reports.
enum class StagePhase : uint8_t { kEncode, kWire, kDecode };
inline constexpr std::array<StagePhase, 3> kStagePhases = {StagePhase::kEncode, StagePhase::kWire, StagePhase::kDecode};
absl::string_view Name(StagePhase phase);

// How activation frames are coded, by the names of engine/codec.
inline constexpr std::array<absl::string_view, 5> kFrameCodings = {"stored", "plain", "inline", "contexts", "split"};

enum class Direction : uint8_t { kSent, kReceived };
inline constexpr std::array<Direction, 2> kDirections = {Direction::kSent, Direction::kReceived};
absl::string_view Name(Direction direction);

struct BuildInfo {
  std::string version;
  std::string isa;
};

struct ModelMemory {
  uint64_t weight_bytes = 0;
  uint64_t arena_bytes_per_image = 0;
  uint64_t scratch_bytes = 0;  // of a session: of all its threads, and a staged image
  uint64_t file_bytes = 0;
};

// The time series of one model.
class ModelMetrics {
 public:
  void Observe(Phase phase, std::chrono::nanoseconds duration) {
    phases_[static_cast<size_t>(phase)]->Observe(std::chrono::duration<double>(duration).count());
  }
  void CountImages(int64_t images) { images_->Increment(static_cast<double>(images)); }
  void SetQueue(int64_t requests, int64_t bytes) {
    queue_requests_->Set(static_cast<double>(requests));
    queue_bytes_->Set(static_cast<double>(bytes));
  }

 private:
  friend class ServerMetrics;
  std::array<prometheus::Histogram*, kPhases.size()> phases_{};
  prometheus::Counter* images_ = nullptr;
  prometheus::Gauge* queue_requests_ = nullptr;
  prometheus::Gauge* queue_bytes_ = nullptr;
};

// The time series of one model that is a stage of a pipeline.
class StageMetrics {
 public:
  void Observe(StagePhase phase, std::chrono::nanoseconds duration) {
    phases_[static_cast<size_t>(phase)]->Observe(std::chrono::duration<double>(duration).count());
  }
  // An activation frame, coded in one of kFrameCodings (others are not counted by coding), of so many bytes, headers
  // and checksum included, for so many codes.
  void CountFrame(Direction direction, absl::string_view coding, int64_t bytes, int64_t elements) {
    for (size_t i = 0; i < kFrameCodings.size(); ++i) {
      if (kFrameCodings[i] == coding) frames_[static_cast<size_t>(direction)][i]->Increment();
    }
    bytes_[static_cast<size_t>(direction)]->Increment(static_cast<double>(bytes));
    elements_[static_cast<size_t>(direction)]->Increment(static_cast<double>(elements));
  }

 private:
  friend class ServerMetrics;
  std::array<prometheus::Histogram*, kStagePhases.size()> phases_{};
  std::array<prometheus::Counter*, kDirections.size()> bytes_{};
  std::array<prometheus::Counter*, kDirections.size()> elements_{};
  std::array<std::array<prometheus::Counter*, kFrameCodings.size()>, kDirections.size()> frames_{};
};

class ServerMetrics : public prometheus::Collectable {
 public:
  ServerMetrics(std::shared_ptr<prometheus::Registry> registry, const BuildInfo& build);

  // A version of a model began to serve, or ceased to.
  void AddModel(const std::string& name, int64_t version, const ModelMemory& memory);
  void RemoveModel(const std::string& name, int64_t version);

  // The series of a model that was added; those of "unknown" for any other name.
  ModelMetrics& ForModel(absl::string_view name);

  // The series of a model that is a stage. They begin with the first call, so that others have none.
  StageMetrics& ForStage(const std::string& name);

  // A request was answered. `method` and `code` (a gRPC code's name) are from fixed sets.
  void CountRequest(absl::string_view model, absl::string_view method, absl::string_view code);

  // Inference requests that arrived and are not answered yet.
  void RequestStarted() { in_flight_->Increment(); }
  void RequestEnded() { in_flight_->Decrement(); }

  // Reads the process's own figures, then collects the registry.
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  ModelMetrics MakeModelMetrics(const std::string& name);

  std::shared_ptr<prometheus::Registry> registry_;
  prometheus::Family<prometheus::Histogram>& duration_;
  prometheus::Family<prometheus::Counter>& requests_;
  prometheus::Family<prometheus::Counter>& images_;
  prometheus::Family<prometheus::Gauge>& queue_requests_;
  prometheus::Family<prometheus::Gauge>& queue_bytes_;
  prometheus::Family<prometheus::Gauge>& weight_bytes_;
  prometheus::Family<prometheus::Gauge>& arena_bytes_;
  prometheus::Family<prometheus::Gauge>& scratch_bytes_;
  prometheus::Family<prometheus::Gauge>& file_bytes_;
  prometheus::Family<prometheus::Counter>& stage_bytes_;
  prometheus::Family<prometheus::Counter>& stage_elements_;
  prometheus::Family<prometheus::Counter>& stage_frames_;
  prometheus::Family<prometheus::Histogram>& stage_duration_;
  prometheus::Gauge* in_flight_;
  prometheus::Gauge* resident_bytes_;
  mutable Mutex collect_mutex_;
  prometheus::Counter* cpu_seconds_ BITSTAGE_GUARDED_BY(collect_mutex_);
  Mutex mutex_;
  std::map<std::string, std::unique_ptr<ModelMetrics>, std::less<>> models_ BITSTAGE_GUARDED_BY(mutex_);
  std::map<std::string, std::unique_ptr<StageMetrics>, std::less<>> stages_ BITSTAGE_GUARDED_BY(mutex_);
  ModelMetrics unknown_;
};

}  // namespace bitstage::server
