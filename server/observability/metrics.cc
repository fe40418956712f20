#include "server/observability/metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <utility>

namespace bitstage::server {
namespace {

constexpr char kUnknown[] = "unknown";

// Seconds: from the decoding of a thumbnail to a request that waited too long, three buckets a decade.
const prometheus::Histogram::BucketBoundaries kSeconds = {
    0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};

prometheus::Family<prometheus::Gauge>& Gauges(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
}

double ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  double size = 0;
  double resident = 0;
  statm >> size >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double CpuSeconds() {
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

prometheus::Labels VersionLabels(const std::string& name, int64_t version) {
  return {{"model", name}, {"version", std::to_string(version)}};
}

}  // namespace

absl::string_view Name(Phase phase) {
  switch (phase) {
    case Phase::kQueue: return "queue";
    case Phase::kDecode: return "decode";
    case Phase::kCompute: return "compute";
    case Phase::kEncode: return "encode";
    case Phase::kTotal: return "total";
  }
  return "?";
}

absl::string_view Name(StagePhase phase) {
  switch (phase) {
    case StagePhase::kEncode: return "encode";
    case StagePhase::kWire: return "wire";
    case StagePhase::kDecode: return "decode";
  }
  return "?";
}

absl::string_view Name(Direction direction) { return direction == Direction::kSent ? "sent" : "received"; }

ServerMetrics::ServerMetrics(std::shared_ptr<prometheus::Registry> registry, const BuildInfo& build)
    : registry_(std::move(registry)),
      duration_(prometheus::BuildHistogram()
                    .Name("bitstage_request_duration_seconds")
                    .Help("Time that answered inference requests spent in each phase, and in all (phase total)")
                    .Register(*registry_)),
      requests_(prometheus::BuildCounter()
                    .Name("bitstage_requests_total")
                    .Help("Requests answered, by model, method and gRPC status code")
                    .Register(*registry_)),
      images_(prometheus::BuildCounter()
                  .Name("bitstage_images_total")
                  .Help("Images inferred: the sum of the batches of the answered requests")
                  .Register(*registry_)),
      queue_requests_(Gauges(*registry_, "bitstage_queue_requests", "Requests that wait for a worker")),
      queue_bytes_(Gauges(*registry_, "bitstage_queue_bytes", "Bytes of the requests that wait for a worker")),
      weight_bytes_(Gauges(*registry_, "bitstage_model_weight_bytes", "Weights and tables of a model in memory")),
      arena_bytes_(
          Gauges(*registry_, "bitstage_model_arena_bytes", "Activations and outputs of one image in one session")),
      scratch_bytes_(Gauges(*registry_, "bitstage_model_scratch_bytes",
                            "Working memory of one session: its threads' and an image as floats")),
      file_bytes_(Gauges(*registry_, "bitstage_model_file_bytes", "Size of the model file")),
      stage_bytes_(prometheus::BuildCounter()
                       .Name("bitstage_stage_wire_bytes_total")
                       .Help("Bytes of the activation frames that crossed a stage boundary, by direction")
                       .Register(*registry_)),
      stage_elements_(prometheus::BuildCounter()
                          .Name("bitstage_stage_elements_total")
                          .Help("Activations in those frames: 8 * bytes / elements is bits per element")
                          .Register(*registry_)),
      stage_frames_(prometheus::BuildCounter()
                        .Name("bitstage_stage_frames_total")
                        .Help("Activation frames that crossed a stage boundary, by direction and coding")
                        .Register(*registry_)),
      stage_duration_(prometheus::BuildHistogram()
                          .Name("bitstage_stage_duration_seconds")
                          .Help("Time that crossing a stage boundary took: encode, wire (both ways) and decode")
                          .Register(*registry_)),
      in_flight_(&Gauges(*registry_, "bitstage_in_flight_requests",
                         "Inference requests that arrived and wait for their "
                         "answer")
                      .Add({})),
      resident_bytes_(&Gauges(*registry_, "process_resident_memory_bytes", "Resident memory size in bytes").Add({})),
      cpu_seconds_(&prometheus::BuildCounter()
                        .Name("process_cpu_seconds_total")
                        .Help("User and system CPU time spent in seconds")
                        .Register(*registry_)
                        .Add({})) {
  Gauges(*registry_, "bitstage_build_info", "1, labelled by what runs")
      .Add({{"version", build.version}, {"isa", build.isa}})
      .Set(1);
  unknown_ = MakeModelMetrics(kUnknown);
}

ModelMetrics ServerMetrics::MakeModelMetrics(const std::string& name) {
  ModelMetrics metrics;
  for (const Phase phase : kPhases) {
    metrics.phases_[static_cast<size_t>(phase)] =
        &duration_.Add({{"model", name}, {"phase", std::string(Name(phase))}}, kSeconds);
  }
  metrics.images_ = &images_.Add({{"model", name}});
  metrics.queue_requests_ = &queue_requests_.Add({{"model", name}});
  metrics.queue_bytes_ = &queue_bytes_.Add({{"model", name}});
  return metrics;
}

void ServerMetrics::AddModel(const std::string& name, int64_t version, const ModelMemory& memory) {
  const prometheus::Labels labels = VersionLabels(name, version);
  weight_bytes_.Add(labels).Set(static_cast<double>(memory.weight_bytes));
  arena_bytes_.Add(labels).Set(static_cast<double>(memory.arena_bytes_per_image));
  scratch_bytes_.Add(labels).Set(static_cast<double>(memory.scratch_bytes));
  file_bytes_.Add(labels).Set(static_cast<double>(memory.file_bytes));
  const MutexLock lock(mutex_);
  std::unique_ptr<ModelMetrics>& model = models_[name];
  if (model == nullptr) model = std::make_unique<ModelMetrics>(MakeModelMetrics(name));
}

// Counters and histograms of the name stay: they are history, and another version may still serve.
void ServerMetrics::RemoveModel(const std::string& name, int64_t version) {
  const prometheus::Labels labels = VersionLabels(name, version);
  for (auto* family : {&weight_bytes_, &arena_bytes_, &scratch_bytes_, &file_bytes_})
    family->Remove(&family->Add(labels));
}

ModelMetrics& ServerMetrics::ForModel(absl::string_view name) {
  const MutexLock lock(mutex_);
  const auto found = models_.find(name);
  return found == models_.end() ? unknown_ : *found->second;
}

StageMetrics& ServerMetrics::ForStage(const std::string& name) {
  const MutexLock lock(mutex_);
  std::unique_ptr<StageMetrics>& stage = stages_[name];
  if (stage != nullptr) return *stage;
  stage = std::make_unique<StageMetrics>();
  for (const StagePhase phase : kStagePhases) {
    stage->phases_[static_cast<size_t>(phase)] =
        &stage_duration_.Add({{"model", name}, {"phase", std::string(Name(phase))}}, kSeconds);
  }
  for (const Direction direction : kDirections) {
    const prometheus::Labels labels = {{"model", name}, {"direction", std::string(Name(direction))}};
    stage->bytes_[static_cast<size_t>(direction)] = &stage_bytes_.Add(labels);
    stage->elements_[static_cast<size_t>(direction)] = &stage_elements_.Add(labels);
    for (size_t i = 0; i < kFrameCodings.size(); ++i) {
      prometheus::Labels with_coding = labels;
      with_coding["coding"] = std::string(kFrameCodings[i]);
      stage->frames_[static_cast<size_t>(direction)][i] = &stage_frames_.Add(with_coding);
    }
  }
  return *stage;
}

void ServerMetrics::CountRequest(absl::string_view model, absl::string_view method, absl::string_view code) {
  bool known = model.empty();
  if (!known) {
    const MutexLock lock(mutex_);
    known = models_.find(model) != models_.end();
  }
  requests_
      .Add({{"model", known ? std::string(model) : kUnknown},
            {"method", std::string(method)},
            {"code", std::string(code)}})
      .Increment();
}

std::vector<prometheus::MetricFamily> ServerMetrics::Collect() const {
  const MutexLock lock(collect_mutex_);
  resident_bytes_->Set(ResidentBytes());
  const double spent = CpuSeconds() - cpu_seconds_->Value();
  if (spent > 0) cpu_seconds_->Increment(spent);
  return registry_->Collect();
}

}  // namespace bitstage::server
