// Connection: the calls a client makes, with errors in words a person can act on.
//
// Thread-safe: calls may be made from many threads.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/inference.grpc.pb.h"

namespace bitstage::client {

class Connection {
 public:
  // Nothing is sent yet: a server that is not there shows at the first call.
  Connection(std::string address, std::chrono::milliseconds timeout);

  [[nodiscard]] const std::string& address() const { return address_; }

  absl::StatusOr<inference::ServerMetadataResponse> ServerMetadata() const;
  absl::StatusOr<bool> ServerReady() const;
  absl::StatusOr<inference::RepositoryIndexResponse> RepositoryIndex() const;
  absl::StatusOr<inference::ModelMetadataResponse> ModelMetadata(const std::string& model) const;
  absl::StatusOr<inference::ModelInferResponse> Infer(const inference::ModelInferRequest& request) const;

  // `wanted` if it is not empty, else the one model that is ready; an error that lists the choice otherwise.
  absl::StatusOr<std::string> ResolveModel(const std::string& wanted) const;

 private:
  template <typename Request, typename Response>
  using Method = grpc::Status (inference::GRPCInferenceService::Stub::*)(grpc::ClientContext*, const Request&,
                                                                         Response*);
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(const char* name, Method<Request, Response> method, const Request& request) const;

  std::string address_;
  std::chrono::milliseconds timeout_;
  std::unique_ptr<inference::GRPCInferenceService::Stub> stub_;
};

}  // namespace bitstage::client
