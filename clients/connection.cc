#include "clients/connection.h"

#include <grpcpp/grpcpp.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/base/status_macros.h"

namespace bitstage::client {
namespace {

// Labels of a thousand classes a picture are small; a batch of feature maps is not.
constexpr int kMaxMessageBytes = 256 << 20;

absl::Status InWords(const std::string& address, std::chrono::milliseconds timeout, const grpc::Status& status) {
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  std::string advice;
  if (code == absl::StatusCode::kUnavailable) {
    advice = absl::StrCat("; is bitstage-server running at ", address, "? (--server HOST:PORT names another address)");
  } else if (code == absl::StatusCode::kDeadlineExceeded) {
    advice = absl::StrCat("; the limit was ", timeout.count(), " ms (--timeout-ms raises it)");
  } else if (code == absl::StatusCode::kResourceExhausted) {
    advice = "; the server is busy: send fewer requests at once, or try again";
  }
  return {code, absl::StrCat(status.error_message(), advice)};
}

}  // namespace

Connection::Connection(std::string address, std::chrono::milliseconds timeout)
    : address_(std::move(address)), timeout_(timeout) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  // A connection of its own, so that several Connections load a server as several clients do.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  stub_ = inference::GRPCInferenceService::NewStub(
      grpc::CreateCustomChannel(address_, grpc::InsecureChannelCredentials(), arguments));
}

template <typename Request, typename Response>
absl::StatusOr<Response> Connection::Call(const char* name, Method<Request, Response> method,
                                          const Request& request) const {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + timeout_);
  Response response;
  const grpc::Status status = ((*stub_).*method)(&context, request, &response);
  if (status.ok()) return response;
  absl::Status error = InWords(address_, timeout_, status);
  return absl::Status(error.code(), absl::StrCat(name, ": ", error.message()));
}

absl::StatusOr<inference::ServerMetadataResponse> Connection::ServerMetadata() const {
  return Call<inference::ServerMetadataRequest, inference::ServerMetadataResponse>(
      "ServerMetadata", &inference::GRPCInferenceService::Stub::ServerMetadata, {});
}

absl::StatusOr<bool> Connection::ServerReady() const {
  BITSTAGE_ASSIGN_OR_RETURN(const auto response,
                            (Call<inference::ServerReadyRequest, inference::ServerReadyResponse>(
                                "ServerReady", &inference::GRPCInferenceService::Stub::ServerReady, {})));
  return response.ready();
}

absl::StatusOr<inference::RepositoryIndexResponse> Connection::RepositoryIndex() const {
  return Call<inference::RepositoryIndexRequest, inference::RepositoryIndexResponse>(
      "RepositoryIndex", &inference::GRPCInferenceService::Stub::RepositoryIndex, {});
}

absl::StatusOr<inference::ModelMetadataResponse> Connection::ModelMetadata(const std::string& model) const {
  inference::ModelMetadataRequest request;
  request.set_name(model);
  return Call<inference::ModelMetadataRequest, inference::ModelMetadataResponse>(
      "ModelMetadata", &inference::GRPCInferenceService::Stub::ModelMetadata, request);
}

absl::StatusOr<inference::ModelInferResponse> Connection::Infer(const inference::ModelInferRequest& request) const {
  return Call<inference::ModelInferRequest, inference::ModelInferResponse>(
      "ModelInfer", &inference::GRPCInferenceService::Stub::ModelInfer, request);
}

absl::StatusOr<std::string> Connection::ResolveModel(const std::string& wanted) const {
  if (!wanted.empty()) return wanted;
  BITSTAGE_ASSIGN_OR_RETURN(const inference::RepositoryIndexResponse index, RepositoryIndex());
  std::vector<std::string> ready;
  for (const auto& model : index.models()) {
    if (model.state() == "READY" && (ready.empty() || ready.back() != model.name())) ready.push_back(model.name());
  }
  if (ready.size() == 1) return ready[0];
  if (ready.empty()) return absl::FailedPreconditionError(absl::StrCat("no model is ready at ", address_));
  return absl::InvalidArgumentError(
      absl::StrCat(ready.size(), " models are ready; choose one with --model: ", absl::StrJoin(ready, ", ")));
}

}  // namespace bitstage::client
