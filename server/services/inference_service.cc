#include "server/services/inference_service.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "server/observability/text.h"
#include "server/services/infer_call.h"
#include "server/services/infer_request.h"
#include "server/services/status.h"

namespace bitstage::server {
namespace {

// Of the protocol, what is implemented; and one of our own: inputs take images (docs/serving.md).
constexpr const char* kExtensions[] = {"classification", "binary_tensor_data", "bitstage_images"};

void Describe(const TensorSpec& spec, inference::ModelMetadataResponse::TensorMetadata& metadata) {
  metadata.set_name(spec.name);
  const absl::string_view datatype = Name(spec.type);
  metadata.set_datatype(datatype.data(), datatype.size());
  metadata.add_shape(-1);
  for (const int64_t extent : spec.shape) metadata.add_shape(extent);
}

}  // namespace

grpc::ServerUnaryReactor* InferenceService::Answer(grpc::CallbackServerContext* call, absl::string_view method,
                                                   absl::string_view model, const absl::Status& status) {
  context_.metrics.CountRequest(model, method, absl::StatusCodeToString(status.code()));
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

absl::StatusOr<Offer> InferenceService::FindModel(const std::string& name, const std::string& version) const {
  BITSTAGE_ASSIGN_OR_RETURN(const std::optional<int64_t> number, RequestedVersion(version));
  BITSTAGE_ASSIGN_OR_RETURN(std::shared_ptr<ServedModel> model, context_.repository.Find(name, number));
  return context_.topology.OfferOf(std::move(model));
}

grpc::ServerUnaryReactor* InferenceService::ServerLive(grpc::CallbackServerContext* call,
                                                       const inference::ServerLiveRequest*,
                                                       inference::ServerLiveResponse* response) {
  response->set_live(true);
  return Answer(call, "ServerLive", "", absl::OkStatus());
}

grpc::ServerUnaryReactor* InferenceService::ServerReady(grpc::CallbackServerContext* call,
                                                        const inference::ServerReadyRequest*,
                                                        inference::ServerReadyResponse* response) {
  response->set_ready(context_.health.IsServing(""));
  return Answer(call, "ServerReady", "", absl::OkStatus());
}

grpc::ServerUnaryReactor* InferenceService::ModelReady(grpc::CallbackServerContext* call,
                                                       const inference::ModelReadyRequest* request,
                                                       inference::ModelReadyResponse* response) {
  const absl::StatusOr<Offer> model = FindModel(request->name(), request->version());
  response->set_ready(model.ok() && context_.health.IsServing(request->name()));
  // Clients expect false, not an error, for what does not exist.
  return Answer(call, "ModelReady", request->name(),
                absl::IsInvalidArgument(model.status()) ? model.status() : absl::OkStatus());
}

grpc::ServerUnaryReactor* InferenceService::ServerMetadata(grpc::CallbackServerContext* call,
                                                           const inference::ServerMetadataRequest*,
                                                           inference::ServerMetadataResponse* response) {
  response->set_name(kServerName);
  response->set_version(context_.version);
  for (const char* extension : kExtensions) response->add_extensions(extension);
  return Answer(call, "ServerMetadata", "", absl::OkStatus());
}

grpc::ServerUnaryReactor* InferenceService::ModelMetadata(grpc::CallbackServerContext* call,
                                                          const inference::ModelMetadataRequest* request,
                                                          inference::ModelMetadataResponse* response) {
  const absl::StatusOr<Offer> model = FindModel(request->name(), request->version());
  if (model.ok()) {
    const ModelInterface& interface = *model->interface;
    response->set_name(interface.name);
    response->set_platform(kServerName);
    for (const int64_t version : context_.repository.ReadyVersions(interface.name)) {
      response->add_versions(std::to_string(version));
    }
    for (const TensorSpec& input : interface.inputs) Describe(input, *response->add_inputs());
    for (const TensorSpec& output : interface.outputs) Describe(output, *response->add_outputs());
  }
  return Answer(call, "ModelMetadata", request->name(), model.status());
}

grpc::ServerUnaryReactor* InferenceService::RepositoryIndex(grpc::CallbackServerContext* call,
                                                            const inference::RepositoryIndexRequest* request,
                                                            inference::RepositoryIndexResponse* response) {
  if (!request->repository_name().empty()) {
    return Answer(call, "RepositoryIndex", "",
                  absl::NotFoundError(absl::StrCat("repository ", Quoted(request->repository_name()),
                                                   " is not found: the server has one, without a name")));
  }
  for (const ModelRepository::IndexEntry& entry : context_.repository.Index()) {
    if (request->ready() && entry.state != VersionState::kReady) continue;
    auto* model = response->add_models();
    model->set_name(entry.name);
    model->set_version(std::to_string(entry.version));
    model->set_state(entry.state == VersionState::kReady     ? "READY"
                     : entry.state == VersionState::kLoading ? "LOADING"
                                                             : "UNAVAILABLE");
    model->set_reason(SafeMessage(entry.status.message()));
  }
  return Answer(call, "RepositoryIndex", "", absl::OkStatus());
}

grpc::ServerUnaryReactor* InferenceService::ModelInfer(grpc::CallbackServerContext* call,
                                                       const inference::ModelInferRequest* message,
                                                       inference::ModelInferResponse* response) {
  const Clock::TimePoint arrival = context_.clock.Now();
  absl::StatusOr<Offer> model = FindModel(message->model_name(), message->model_version());
  absl::StatusOr<InferenceRequest> request =
      model.ok() ? ParseInferRequest(*message, *model->interface) : model.status();
  if (!request.ok()) return Answer(call, "ModelInfer", message->model_name(), request.status());
  context_.metrics.RequestStarted();
  auto* infer = new InferCall(call, *message, response, *std::move(request),
                              {*std::move(model), context_.metrics, context_.clock, arrival});
  // A call that is queued may be answered before Submit returns; one that is refused is still ours.
  if (const absl::Status refused = context_.scheduler.Submit(infer); !refused.ok()) infer->Drop(refused);
  return infer;
}

}  // namespace bitstage::server
