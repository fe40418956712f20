#include "server/main/server.h"

#include <future>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/base/isa.h"
#include "engine/base/status_macros.h"
#include "engine/base/thread_pool.h"
#include "engine/codec/frame.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/grpcpp.h"
#include "prometheus/exposer.h"
#include "prometheus/registry.h"
#include "server/main/version.h"
#include "server/observability/metrics.h"
#include "server/observability/text.h"
#include "server/pipeline/keepalive.h"
#include "server/pipeline/stage_service.h"
#include "server/pipeline/topology.h"
#include "server/repository/model_repository.h"
#include "server/scheduling/scheduler.h"
#include "server/services/health_board.h"
#include "server/services/health_service.h"
#include "server/services/inference_service.h"
#include "spdlog/spdlog.h"

namespace bitstage::server {
namespace {

constexpr auto kAnswerTime = std::chrono::seconds(2);  // for answers to leave after everything was ended

int CountOrCpus(int64_t flag) { return flag > 0 ? static_cast<int>(flag) : AvailableCpus(); }

std::string HostAndPort(const std::string& host, int64_t port) {
  const bool bare_ipv6 = host.find(':') != std::string::npos && host[0] != '[';
  return bare_ipv6 ? absl::StrCat("[", host, "]:", port) : absl::StrCat(host, ":", port);
}

absl::StatusOr<std::unique_ptr<prometheus::Exposer>> StartExposer(const std::string& address,
                                                                  const std::shared_ptr<ServerMetrics>& metrics) {
  try {
    auto exposer = std::make_unique<prometheus::Exposer>(address);
    exposer->RegisterCollectable(metrics);
    return exposer;
  } catch (const std::exception& failure) {  // the one library here that throws
    return absl::UnavailableError(absl::StrCat("--metrics-port: cannot listen on ", address, ": ", failure.what()));
  }
}

}  // namespace

// In order of dependence: destroyed from the last to the first. The exposer goes last, it takes two seconds.
struct Server::Parts {
  std::unique_ptr<prometheus::Exposer> exposer;
  std::string repository_root;
  SteadyClock clock;
  std::shared_ptr<ServerMetrics> metrics;
  HealthBoard health;
  std::unique_ptr<ThreadPool> pool;
  std::unique_ptr<ModelRepository> repository;
  std::unique_ptr<Topology> topology;
  std::unique_ptr<StageService> stage_service;
  std::unique_ptr<Scheduler> scheduler;
  std::unique_ptr<InferenceService> inference;
  std::unique_ptr<HealthService> health_service;
  std::unique_ptr<grpc::Server> grpc;
  int grpc_port = 0;
  bool shut_down = false;

  Mutex readiness_mutex;
  bool loaded BITSTAGE_GUARDED_BY(readiness_mutex) = false;
  std::set<std::string> ready_models BITSTAGE_GUARDED_BY(readiness_mutex);

  void OnModelEvent(const ModelEvent& event);
  void OnNextStage(const std::string& model, const absl::Status& state);
  void UpdateReadiness(const std::string& model);
  void SetLoaded();
  void UpdateServer() BITSTAGE_REQUIRES(readiness_mutex);
};

void Server::Parts::OnModelEvent(const ModelEvent& event) {
  using Kind = ModelEvent::Kind;
  switch (event.kind) {
    case Kind::kLoading: spdlog::info("loading {} version {}", event.name, event.version); break;
    case Kind::kReady: {
      const ModelMemory& memory = event.model->memory();
      metrics->AddModel(event.name, event.version, memory);
      spdlog::info("serving {} version {}: weights {} bytes, arena {} bytes an image, file {} bytes", event.name,
                   event.version, memory.weight_bytes, memory.arena_bytes_per_image, memory.file_bytes);
      break;
    }
    case Kind::kFailed: spdlog::error("{}", SafeMessage(event.status.message())); break;
    case Kind::kUnloaded:
      topology->Remove(event.name, event.version);
      metrics->RemoveModel(event.name, event.version);
      spdlog::info("unloaded {} version {}", event.name, event.version);
      break;
  }
  UpdateReadiness(event.name);
}

void Server::Parts::OnNextStage(const std::string& model, const absl::Status& state) {
  if (state.ok()) {
    spdlog::info("{}: the next stage is there", model);
  } else {
    spdlog::warn("{}: {}", model, SafeMessage(state.message()));
    stage_service->EndStreams(model, SafeMessage(state.message()));
  }
  UpdateReadiness(model);
}

// A model is ready when it is loaded and all stages behind it can be reached; the server, when it has loaded what it
// found and a model is ready.
void Server::Parts::UpdateReadiness(const std::string& model) {
  const MutexLock lock(readiness_mutex);
  const bool ready = !repository->ReadyVersions(model).empty() && topology->IsComplete(model);
  health.Set(model, ready ? Health::kServing : Health::kNotServing);
  if (ready) {
    ready_models.insert(model);
  } else {
    ready_models.erase(model);
  }
  UpdateServer();
}

void Server::Parts::SetLoaded() {
  const MutexLock lock(readiness_mutex);
  loaded = true;
  UpdateServer();
}

void Server::Parts::UpdateServer() {
  const Health server = loaded && !ready_models.empty() ? Health::kServing : Health::kNotServing;
  health.Set(kInferenceServiceName, server);
  health.Set("", server);
}

Server::Server(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Server::~Server() { Shutdown(std::chrono::milliseconds(0)); }

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerFlags& flags) {
  BITSTAGE_ASSIGN_OR_RETURN(const Isa isa, ChooseIsa());
  const int workers = CountOrCpus(flags.workers);
  const int threads = CountOrCpus(flags.threads);
  spdlog::info("bitstage-server {}: {}, {} CPUs, {} workers, {} threads a request, models from {}", kVersion,
               std::string(Name(isa)), AvailableCpus(), workers, threads, flags.model_repository);

  auto parts = std::make_unique<Parts>();
  Parts* const p = parts.get();
  p->repository_root = flags.model_repository;
  p->metrics = std::make_shared<ServerMetrics>(std::make_shared<prometheus::Registry>(),
                                               BuildInfo{.version = kVersion, .isa = std::string(Name(isa))});
  p->pool = std::make_unique<ThreadPool>(threads);
  p->health.Set("", Health::kNotServing);
  p->health.Set(kInferenceServiceName, Health::kNotServing);
  p->repository = std::make_unique<ModelRepository>(
      flags.model_repository,
      [p, options = LoadOptions{.max_batch = flags.max_batch, .pool = p->pool.get()}](
          const std::string& path, const std::string& name,
          int64_t version) -> absl::StatusOr<std::shared_ptr<ServedModel>> {
        BITSTAGE_ASSIGN_OR_RETURN(std::shared_ptr<ServedModel> model, LoadServedModel(path, name, version, options));
        BITSTAGE_RETURN_IF_ERROR(p->topology->Admit(*model));
        return model;
      },
      AvailableCpus(), [p](const ModelEvent& event) { p->OnModelEvent(event); });
  const QueueLimits limits{.requests = flags.queue_size, .bytes = flags.queue_bytes};
  p->topology = std::make_unique<Topology>(
      Topology::Options{.next_stage = flags.next_stage,
                        .takes_frames = flags.stage,
                        .limits = limits,
                        .frame_coding = *ParseFrameCoding(flags.frame_coding)},
      p->clock, *p->metrics,
      [p](const std::string& model, const absl::Status& state) { p->OnNextStage(model, state); });
  p->scheduler =
      std::make_unique<Scheduler>(workers, limits, [p](absl::string_view lane, int64_t requests, int64_t bytes) {
        p->metrics->ForModel(lane).SetQueue(requests, bytes);
      });
  p->inference = std::make_unique<InferenceService>(
      ServiceContext{*p->repository, *p->topology, *p->scheduler, p->health, *p->metrics, p->clock, kVersion});
  p->health_service = std::make_unique<HealthService>(p->health);
  p->stage_service = std::make_unique<StageService>(
      StageContext{*p->repository, *p->topology, *p->scheduler, *p->metrics, p->clock, flags.max_message_bytes});

  const std::string metrics_address = HostAndPort(flags.host, flags.metrics_port);
  BITSTAGE_ASSIGN_OR_RETURN(p->exposer, StartExposer(metrics_address, p->metrics));

  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::EnableDefaultHealthCheckService(false);
  grpc::ServerBuilder builder;
  builder.AddListeningPort(HostAndPort(flags.host, flags.grpc_port), grpc::InsecureServerCredentials(), &p->grpc_port);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // a second server on the port is an error, not a rival
  builder.SetMaxReceiveMessageSize(static_cast<int>(flags.max_message_bytes));
  // gRPC unpacks a message whole before it counts its bytes: a megabyte of gzip would become a gigabyte of zeros.
  for (const grpc_compression_algorithm algorithm : {GRPC_COMPRESS_DEFLATE, GRPC_COMPRESS_GZIP}) {
    builder.SetCompressionAlgorithmSupportStatus(algorithm, false);
  }
  builder.RegisterService(p->inference.get());
  builder.RegisterService(p->health_service.get());
  if (flags.stage) {
    builder.RegisterService(p->stage_service.get());
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kLeastPingMilliseconds);
  }
  p->grpc = builder.BuildAndStart();
  if (p->grpc == nullptr || p->grpc_port == 0) {
    return absl::UnavailableError(
        absl::StrCat("--grpc-port: cannot listen on ", HostAndPort(flags.host, flags.grpc_port)));
  }
  std::unique_ptr<Server> server(new Server(std::move(parts)));
  spdlog::info("listening on {} (gRPC)", HostAndPort(flags.host, server->grpc_port()));
  spdlog::info("listening on {} (metrics)", HostAndPort(flags.host, server->metrics_port()));
  return server;
}

int Server::grpc_port() const { return parts_->grpc_port; }
int Server::metrics_port() const { return parts_->exposer->GetListeningPorts().front(); }

absl::Status Server::LoadModels() {
  BITSTAGE_ASSIGN_OR_RETURN(const std::vector<std::string> ignored, parts_->repository->Sync());
  for (const std::string& entry : ignored) spdlog::warn("model repository: {}", entry);
  const ModelRepository::Counts counts = parts_->repository->Count();
  if (counts.ready + counts.failed == 0) {
    return absl::NotFoundError(absl::StrCat("--model-repository: no model in ", parts_->repository_root,
                                            "; expected NAME/VERSION/model.bitstage in it"));
  }
  if (counts.ready == 0) {
    spdlog::error("not ready: none of the {} models serves", counts.failed);
    return absl::OkStatus();
  }
  parts_->SetLoaded();
  if (parts_->health.IsServing("")) {
    spdlog::info("ready: {} models serve, {} do not", counts.ready, counts.failed);
  } else {
    spdlog::info("not ready: {} models are loaded, {} are not; waiting for the next stage", counts.ready,
                 counts.failed);
  }
  return absl::OkStatus();
}

void Server::BeginDrain() { parts_->health.Drain(); }

void Server::Shutdown(std::chrono::milliseconds grace) {
  if (std::exchange(parts_->shut_down, true)) return;
  BeginDrain();
  parts_->health_service->EndWatches();
  parts_->stage_service->Drain();
  // Shutdown sends GOAWAY and waits for the calls; were its own deadline to come, clients would see CANCELLED, so the
  // calls are ended before, with UNAVAILABLE.
  const auto deadline = std::chrono::system_clock::now() + grace + kAnswerTime;
  const std::future<void> done = std::async(std::launch::async, [this, deadline] { parts_->grpc->Shutdown(deadline); });
  if (done.wait_for(grace) == std::future_status::timeout) parts_->scheduler->Abort();
  parts_->topology->Stop();
}

}  // namespace bitstage::server
