// inference.GRPCInferenceService: thin. It finds the model, has the request checked, and queues it.
#pragma once

#include <string>

#include "grpcpp/grpcpp.h"
#include "proto/inference.grpc.pb.h"
#include "server/observability/metrics.h"
#include "server/pipeline/topology.h"
#include "server/repository/model_repository.h"
#include "server/scheduling/clock.h"
#include "server/scheduling/scheduler.h"
#include "server/services/health_board.h"

namespace bitstage::server {

inline constexpr char kServerName[] = "bitstage";
inline constexpr char kInferenceServiceName[] = "inference.GRPCInferenceService";

// What the service works with; all of it outlives the service.
struct ServiceContext {
  const ModelRepository& repository;
  const Topology& topology;
  Scheduler& scheduler;
  const HealthBoard& health;
  ServerMetrics& metrics;
  const Clock& clock;
  std::string version;  // of the server
};

class InferenceService final : public inference::GRPCInferenceService::CallbackService {
 public:
  explicit InferenceService(ServiceContext context) : context_(std::move(context)) {}

  grpc::ServerUnaryReactor* ServerLive(grpc::CallbackServerContext* call, const inference::ServerLiveRequest* request,
                                       inference::ServerLiveResponse* response) override;
  grpc::ServerUnaryReactor* ServerReady(grpc::CallbackServerContext* call, const inference::ServerReadyRequest* request,
                                        inference::ServerReadyResponse* response) override;
  grpc::ServerUnaryReactor* ModelReady(grpc::CallbackServerContext* call, const inference::ModelReadyRequest* request,
                                       inference::ModelReadyResponse* response) override;
  grpc::ServerUnaryReactor* ServerMetadata(grpc::CallbackServerContext* call,
                                           const inference::ServerMetadataRequest* request,
                                           inference::ServerMetadataResponse* response) override;
  grpc::ServerUnaryReactor* ModelMetadata(grpc::CallbackServerContext* call,
                                          const inference::ModelMetadataRequest* request,
                                          inference::ModelMetadataResponse* response) override;
  grpc::ServerUnaryReactor* ModelInfer(grpc::CallbackServerContext* call, const inference::ModelInferRequest* request,
                                       inference::ModelInferResponse* response) override;
  grpc::ServerUnaryReactor* RepositoryIndex(grpc::CallbackServerContext* call,
                                            const inference::RepositoryIndexRequest* request,
                                            inference::RepositoryIndexResponse* response) override;

 private:
  // Counts and answers.
  grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* call, absl::string_view method, absl::string_view model,
                                   const absl::Status& status);
  absl::StatusOr<Offer> FindModel(const std::string& name, const std::string& version) const;

  const ServiceContext context_;
};

}  // namespace bitstage::server
