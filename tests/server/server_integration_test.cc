// The whole server, over a socket.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <opencv2/imgcodecs.hpp>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/server/running_server.h"

namespace bitstage::server {
namespace {

using inference::ModelInferRequest;
using inference::ModelInferResponse;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A picture of one colour, its pixels as in TinyFloatRequest.
std::string Png(int width, int height) {
  std::vector<uint8_t> bytes;
  cv::imencode(".png", cv::Mat(height, width, CV_8UC3, cv::Scalar(3, 2, 1)), bytes);  // OpenCV: blue first
  return std::string(bytes.begin(), bytes.end());
}

class ServerTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    running_ = new RunningServer(ServerFlags{.max_batch = 4, .max_message_bytes = 100'000});
    EXPECT_FALSE(running_->Ready()) << "live, but nothing is loaded";
    ASSERT_TRUE(running_->server().LoadModels().ok());
    EXPECT_TRUE(running_->Ready()) << "one model failed, another serves";
  }
  static void TearDownTestSuite() { delete running_; }

  // Whatever happened before, a good request gets the same bits.
  void TearDown() override {
    ModelInferResponse response;
    const grpc::Status status = running_->Infer(TinyFloatRequest(), &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_THAT(Floats(response.raw_output_contents(0)), ElementsAre(16, 32, 48));
  }

  static void ExpectScores(const ModelInferRequest& request, const std::vector<float>& scores) {
    ModelInferResponse response;
    const grpc::Status status = running_->Infer(request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(Floats(response.raw_output_contents(0)), scores);
  }
  static void ExpectRefused(const ModelInferRequest& request, grpc::StatusCode code, const std::string& text) {
    ModelInferResponse response;
    const grpc::Status status = running_->Infer(request, &response);
    EXPECT_EQ(status.error_code(), code) << status.error_message();
    EXPECT_THAT(status.error_message(), HasSubstr(text));
  }

  static RunningServer* running_;
};

RunningServer* ServerTest::running_ = nullptr;

TEST_F(ServerTest, AnswersRawWithTheVersionThatServesAndTheIdOfTheRequest) {
  ModelInferRequest request = TinyFloatRequest();
  request.set_id("\xc3\xbc-" + std::string(4096, 'i'));
  ModelInferResponse response;
  ASSERT_TRUE(running_->Infer(request, &response).ok());
  EXPECT_EQ(response.model_name(), "tiny");
  EXPECT_EQ(response.model_version(), "3");
  EXPECT_EQ(response.id(), request.id());
  ASSERT_EQ(response.outputs_size(), 2);
  EXPECT_EQ(response.outputs(0).name(), "scores");
  EXPECT_EQ(response.outputs(0).datatype(), "FP32");
  EXPECT_THAT(response.outputs(0).shape(), ElementsAre(1, 3));
  EXPECT_FALSE(response.outputs(0).has_contents());
  EXPECT_EQ(response.outputs(1).datatype(), "INT64");
  EXPECT_THAT(response.outputs(1).shape(), ElementsAre(1, 1));
  EXPECT_EQ(response.raw_output_contents(1), std::string("\x02\0\0\0\0\0\0\0", 8)) << "blue";
}

TEST_F(ServerTest, AnswersTheSameForEveryFormOfOnePicture) {
  const std::vector<float> scores = {16, 32, 48};
  std::string planes, pixels;
  for (const char value : {1, 2, 3}) planes.append(16, value);
  for (int i = 0; i < 5 * 9; ++i) pixels.append("\x01\x02\x03", 3);
  ExpectScores(TinyFloatRequest(), scores);
  ExpectScores(TinyRequest("UINT8", {1, 3, 4, 4}, planes), scores);
  ExpectScores(TinyRequest("UINT8", {1, 5, 9, 3}, pixels), scores);
  ExpectScores(TinyRequest("BYTES", {1}, BytesElement(Png(4, 4))), scores);
  ExpectScores(TinyRequest("BYTES", {1, 1}, BytesElement(Png(13, 6))), scores);
}

TEST_F(ServerTest, AnswersABatchImageByImage) {
  std::string planes;
  for (int image = 0; image < 4; ++image) {
    for (int color = 0; color < 3; ++color) planes.append(16, static_cast<char>(10 * image + color));
  }
  ExpectScores(TinyRequest("UINT8", {4, 3, 4, 4}, planes), {0, 16, 32, 160, 176, 192, 320, 336, 352, 480, 496, 512});
}

TEST_F(ServerTest, ClassifiesWithLabels) {
  ModelInferRequest request = TinyFloatRequest();
  auto& output = *request.add_outputs();
  output.set_name("scores");
  (*output.mutable_parameters())["classification"].set_int64_param(2);
  ModelInferResponse response;
  ASSERT_TRUE(running_->Infer(request, &response).ok());
  EXPECT_EQ(response.outputs(0).datatype(), "BYTES");
  EXPECT_THAT(response.outputs(0).shape(), ElementsAre(1, 2));
  EXPECT_EQ(response.raw_output_contents(0), BytesElement("48.000000:2:blue") + BytesElement("32.000000:1:green"));
}

TEST_F(ServerTest, RefusesUnknownModelsAndVersions) {
  ModelInferRequest request = TinyFloatRequest();
  request.set_model_name("huge");
  ExpectRefused(request, grpc::NOT_FOUND, "Request for unknown model: 'huge' is not found");
  request = TinyFloatRequest();
  request.set_model_name(std::string("tiny\0", 5));
  ExpectRefused(request, grpc::NOT_FOUND, "'tiny\\x00' is not found");
  request = TinyFloatRequest();
  request.set_model_version("4");
  ExpectRefused(request, grpc::NOT_FOUND, "Request for unknown model: 'tiny' version 4 is not found");
  request.set_model_version("3x");
  ExpectRefused(request, grpc::INVALID_ARGUMENT, "failed to get model version from specified version string '3x'");
}

TEST_F(ServerTest, SaysWhyAModelDoesNotServe) {
  ModelInferRequest request = TinyFloatRequest();
  request.set_model_name("broken");
  ExpectRefused(request, grpc::NOT_FOUND, "failed to load 'broken' version 1");
}

TEST_F(ServerTest, RefusesWhatIsNoImageAndSaysWhichOne) {
  const std::string png = Png(4, 4);
  ExpectRefused(TinyRequest("BYTES", {2}, BytesElement(png) + BytesElement("not an image")), grpc::INVALID_ARGUMENT,
                "image 1 of 2: ");
  ExpectRefused(TinyRequest("BYTES", {1}, BytesElement(png.substr(0, 40))), grpc::INVALID_ARGUMENT, "image 0 of 1: ");
  ExpectRefused(TinyRequest("BYTES", {1}, BytesElement("")), grpc::INVALID_ARGUMENT, "image 0 of 1: ");
}

TEST_F(ServerTest, RefusesAMessageAboveTheLimit) {
  ExpectRefused(TinyRequest("BYTES", {1}, std::string(200'000, 'x')), grpc::RESOURCE_EXHAUSTED, "");
}

TEST_F(ServerTest, AnErrorTextFitsAClientsHeaders) {
  ModelInferRequest request = TinyFloatRequest();
  request.set_model_name(std::string(50'000, '\n'));
  ExpectRefused(request, grpc::NOT_FOUND, "Request for unknown model: '\\x0a\\x0a");
}

TEST_F(ServerTest, AnExpiredDeadlineIsAnsweredAsSuch) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() - std::chrono::seconds(1));
  ModelInferResponse response;
  EXPECT_EQ(running_->inference().ModelInfer(&context, TinyFloatRequest(), &response).error_code(),
            grpc::DEADLINE_EXCEEDED);
}

TEST_F(ServerTest, SurvivesACancelStorm) {
  constexpr int kThreads = 4;
  constexpr int kCalls = 100;
  std::atomic<int> answered = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&] {
      for (int i = 0; i < kCalls; ++i) {
        grpc::ClientContext context;
        ModelInferResponse response;
        grpc::Status status;
        grpc::CompletionQueue queue;
        const auto call = running_->inference().AsyncModelInfer(&context, TinyFloatRequest(), &queue);
        call->Finish(&response, &status, nullptr);
        if (i % 2 == 0) context.TryCancel();
        void* tag = nullptr;
        bool ok = false;
        queue.Next(&tag, &ok);
        if (status.ok() || status.error_code() == grpc::CANCELLED) ++answered;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(answered, kThreads * kCalls);
}

TEST_F(ServerTest, DescribesItselfAndItsModels) {
  grpc::ClientContext first, second, third;
  inference::ServerMetadataResponse server;
  ASSERT_TRUE(running_->inference().ServerMetadata(&first, {}, &server).ok());
  EXPECT_EQ(server.name(), "bitstage");
  EXPECT_THAT(server.extensions(), testing::Contains("classification"));
  inference::ModelMetadataRequest request;
  request.set_name("tiny");
  inference::ModelMetadataResponse model;
  ASSERT_TRUE(running_->inference().ModelMetadata(&second, request, &model).ok());
  EXPECT_THAT(model.versions(), ElementsAre("3"));
  EXPECT_EQ(model.inputs(0).name(), "image");
  EXPECT_EQ(model.inputs(0).datatype(), "FP32");
  EXPECT_THAT(model.inputs(0).shape(), ElementsAre(-1, 3, 4, 4));
  EXPECT_EQ(model.outputs(1).datatype(), "INT64");
  request.set_name("huge");
  EXPECT_EQ(running_->inference().ModelMetadata(&third, request, &model).error_code(), grpc::NOT_FOUND);
}

TEST_F(ServerTest, ModelReadyIsFalseNotAnErrorForWhatDoesNotServe) {
  const auto ready = [&](const std::string& name, const std::string& version) {
    grpc::ClientContext context;
    inference::ModelReadyRequest request;
    request.set_name(name);
    request.set_version(version);
    inference::ModelReadyResponse response;
    EXPECT_TRUE(running_->inference().ModelReady(&context, request, &response).ok());
    return response.ready();
  };
  EXPECT_TRUE(ready("tiny", ""));
  EXPECT_TRUE(ready("tiny", "3"));
  EXPECT_FALSE(ready("tiny", "2"));
  EXPECT_FALSE(ready("broken", ""));
  EXPECT_FALSE(ready("huge", ""));
}

TEST_F(ServerTest, HealthKnowsTheServerTheServiceAndTheModelsAndNothingElse) {
  using grpc::health::v1::HealthCheckResponse;
  const auto check = [&](const std::string& service) -> std::string {
    grpc::ClientContext context;
    grpc::health::v1::HealthCheckRequest request;
    request.set_service(service);
    HealthCheckResponse response;
    const grpc::Status status = running_->health().Check(&context, request, &response);
    return status.ok() ? HealthCheckResponse::ServingStatus_Name(response.status())
                       : absl::StrCat("code ", status.error_code());
  };
  EXPECT_EQ(check(""), "SERVING");
  EXPECT_EQ(check("inference.GRPCInferenceService"), "SERVING");
  EXPECT_EQ(check("tiny"), "SERVING");
  EXPECT_EQ(check("broken"), "NOT_SERVING");
  EXPECT_EQ(check("huge"), absl::StrCat("code ", static_cast<int>(grpc::NOT_FOUND)));
}

TEST(ServerQueue, AFullQueueRefusesAtOnceAndSaysWhenToTryAgain) {
  RunningServer running(ServerFlags{.queue_bytes = 10});
  ASSERT_TRUE(running.server().LoadModels().ok());
  grpc::ClientContext context;
  ModelInferResponse response;
  const grpc::Status status = running.inference().ModelInfer(&context, TinyFloatRequest(), &response);
  EXPECT_EQ(status.error_code(), grpc::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr("the queue is full"));
  EXPECT_EQ(context.GetServerTrailingMetadata().count("grpc-retry-pushback-ms"), 1u);
}

TEST(ServerDrain, SaysNotReadyFirstServesOnAndEndsItsStreams) {
  using grpc::health::v1::HealthCheckResponse;
  RunningServer running;
  grpc::ClientContext known_context, unknown_context;
  grpc::health::v1::HealthCheckRequest known, unknown;
  unknown.set_service("huge");
  HealthCheckResponse status;
  const auto watch_unknown = running.health().Watch(&unknown_context, unknown);
  ASSERT_TRUE(watch_unknown->Read(&status));
  EXPECT_EQ(status.status(), HealthCheckResponse::SERVICE_UNKNOWN);
  const auto watch = running.health().Watch(&known_context, known);
  ASSERT_TRUE(watch->Read(&status));
  EXPECT_EQ(status.status(), HealthCheckResponse::NOT_SERVING) << "nothing is loaded";
  ASSERT_TRUE(running.server().LoadModels().ok());
  ASSERT_TRUE(watch->Read(&status));
  EXPECT_EQ(status.status(), HealthCheckResponse::SERVING);

  running.server().BeginDrain();
  ASSERT_TRUE(watch->Read(&status));
  EXPECT_EQ(status.status(), HealthCheckResponse::NOT_SERVING);
  EXPECT_FALSE(running.Ready());
  ModelInferResponse response;
  EXPECT_TRUE(running.Infer(TinyFloatRequest(), &response).ok()) << "requests are still served";

  const auto begin = std::chrono::steady_clock::now();
  running.server().Shutdown(std::chrono::seconds(60));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30)) << "nothing was left to wait for";
  EXPECT_FALSE(watch->Read(&status));
  EXPECT_EQ(watch->Finish().error_code(), grpc::UNAVAILABLE);
  EXPECT_EQ(watch_unknown->Finish().error_code(), grpc::UNAVAILABLE);
  EXPECT_EQ(running.Infer(TinyFloatRequest(), &response).error_code(), grpc::UNAVAILABLE);
}

TEST(ServerStart, ASecondServerOnThePortIsAnError) {
  RunningServer running;
  ServerFlags flags{.model_repository = "x", .host = "127.0.0.1", .grpc_port = running.server().grpc_port()};
  flags.metrics_port = 0;
  EXPECT_TRUE(absl::IsUnavailable(Server::Start(flags).status()));
}

TEST(ServerStart, ARepositoryWithoutModelsIsAnError) {
  RepositoryFolder empty;
  const auto server =
      Server::Start({.model_repository = empty.path(), .host = "127.0.0.1", .grpc_port = 0, .metrics_port = 0});
  ASSERT_TRUE(server.ok());
  const absl::Status status = (*server)->LoadModels();
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("no model in"));
}

}  // namespace
}  // namespace bitstage::server
