// A real server in this process, on ports that the system chose, with the tiny model in its repository.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "grpcpp/grpcpp.h"
#include "proto/health.grpc.pb.h"
#include "proto/inference.grpc.pb.h"
#include "server/main/server.h"
#include "tests/server/repository_folder.h"
#include "tests/server/request_samples.h"
#include "tests/server/tiny_model.h"

namespace bitstage::server {

class RunningServer {
 public:
  // Its repository holds "tiny" version 3 and "broken" version 1; nothing is loaded yet.
  explicit RunningServer(ServerFlags flags = {}) {
    const absl::Status written = WriteTinyModel((folder_ / "tiny/3/model.bitstage").string());
    EXPECT_TRUE(written.ok()) << written;
    folder_.Write("broken/1/model.bitstage", "this is no model");
    flags.model_repository = folder_.path();
    flags.host = "127.0.0.1";
    flags.grpc_port = 0;
    flags.metrics_port = 0;
    absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(flags);
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    const std::string address = "127.0.0.1:" + std::to_string(server_->grpc_port());
    const auto channel = grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
    inference_ = inference::GRPCInferenceService::NewStub(channel);
    health_ = grpc::health::v1::Health::NewStub(channel);
  }

  Server& server() { return *server_; }
  inference::GRPCInferenceService::Stub& inference() { return *inference_; }
  grpc::health::v1::Health::Stub& health() { return *health_; }

  grpc::Status Infer(const inference::ModelInferRequest& request, inference::ModelInferResponse* response) {
    grpc::ClientContext context;
    return inference_->ModelInfer(&context, request, response);
  }
  bool Ready() {
    grpc::ClientContext context;
    inference::ServerReadyResponse response;
    EXPECT_TRUE(inference_->ServerReady(&context, {}, &response).ok());
    return response.ready();
  }

 private:
  RepositoryFolder folder_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<inference::GRPCInferenceService::Stub> inference_;
  std::unique_ptr<grpc::health::v1::Health::Stub> health_;
};

inline inference::ModelInferRequest TinyRequest(const std::string& datatype, const std::vector<int64_t>& shape,
                                                std::string raw) {
  inference::ModelInferRequest request = RawRequest(datatype, shape, std::move(raw));
  request.set_model_name("tiny");
  return request;
}

// One image with the pixels 1 (red), 2 (green) and 3 (blue): scores 16, 32, 48.
inline inference::ModelInferRequest TinyFloatRequest() {
  std::string raw;
  for (const float value : {1.0f, 2.0f, 3.0f}) {
    for (int i = 0; i < 16; ++i) raw.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  return TinyRequest("FP32", {1, 3, 4, 4}, std::move(raw));
}

// The floats of a raw output.
inline std::vector<float> Floats(const std::string& raw) {
  std::vector<float> values(raw.size() / sizeof(float));
  std::memcpy(values.data(), raw.data(), raw.size());
  return values;
}

}  // namespace bitstage::server
