// Pipelines of real servers over loopback: the same bits as one process, and nothing that hangs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/pipeline/stage_servers.h"

namespace bitstage::server {
namespace {

using inference::ModelInferRequest;
using inference::ModelInferResponse;
using ::testing::AllOf;
using ::testing::HasSubstr;

ModelInferRequest RandomRequest(std::mt19937& random, int64_t batch) {
  ModelInferRequest request;
  request.set_model_name("net");
  auto& input = *request.add_inputs();
  input.set_name("v0");
  input.set_datatype("FP32");
  for (const int64_t extent : {batch, int64_t{3}, int64_t{24}, int64_t{24}}) input.add_shape(extent);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::string& raw = *request.add_raw_input_contents();
  for (int64_t i = 0; i < batch * 3 * 24 * 24; ++i) {
    const float value = uniform(random);
    raw.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  return request;
}

grpc::Status Infer(const ServerProcess& server, const ModelInferRequest& request, ModelInferResponse* response,
                   std::chrono::milliseconds timeout = std::chrono::seconds(60)) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + timeout);
  return server.stub().ModelInfer(&context, request, response);
}

class StageProcesses : public StageServers {
 protected:
  static void ExpectSameAnswer(const ServerProcess& a, const ServerProcess& b, const ModelInferRequest& request) {
    ModelInferResponse from_a, from_b;
    const grpc::Status status_a = Infer(a, request, &from_a);
    const grpc::Status status_b = Infer(b, request, &from_b);
    ASSERT_TRUE(status_a.ok() && status_b.ok()) << status_a.error_message() << status_b.error_message();
    EXPECT_EQ(from_a.SerializeAsString(), from_b.SerializeAsString());
  }
  static void ExpectUnavailable(const ServerProcess& front, const std::string& text) {
    std::mt19937 random(1);
    ModelInferResponse response;
    const grpc::Status status = Infer(front, RandomRequest(random, 1), &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << status.error_message();
    EXPECT_THAT(status.error_message(), HasSubstr(text));
  }
};

TEST_F(StageProcesses, AnswerAsOneProcessDoesBitForBit) {
  const ServerProcess whole = Whole();
  const ServerProcess last = Last();
  const ServerProcess front = Front(last);
  whole.WaitFor(true);
  front.WaitFor(true);
  std::mt19937 random(5);
  int images = 0;
  for (int batch = 1; images < 100; batch = batch % 8 + 1, ++images) {
    ExpectSameAnswer(whole, front, RandomRequest(random, batch));
  }
  ModelInferRequest classes = RandomRequest(random, 2);
  auto& output = *classes.add_outputs();
  grpc::ClientContext context;
  inference::ModelMetadataRequest name;
  name.set_name("net");
  inference::ModelMetadataResponse metadata;
  ASSERT_TRUE(front.stub().ModelMetadata(&context, name, &metadata).ok());
  ASSERT_EQ(metadata.outputs_size(), 1);
  output.set_name(metadata.outputs(0).name());
  (*output.mutable_parameters())["classification"].set_int64_param(3);
  ExpectSameAnswer(whole, front, classes);

  const double bytes = front.Metric("bitstage_stage_wire_bytes_total{direction=\"sent\",model=\"net\"}");
  const double elements = front.Metric("bitstage_stage_elements_total{direction=\"sent\",model=\"net\"}");
  EXPECT_GT(elements, 0);
  EXPECT_EQ(bytes, last.Metric("bitstage_stage_wire_bytes_total{direction=\"received\",model=\"net\"}"));
  EXPECT_EQ(elements, last.Metric("bitstage_stage_elements_total{direction=\"received\",model=\"net\"}"));
  EXPECT_EQ(front.Metric("bitstage_stage_duration_seconds_count{model=\"net\",phase=\"wire\"}"), 101);
  EXPECT_LT(8 * bytes / elements, 5) << "4 bits, half of the channels 2 more: entropy-coded they must take less";
  std::printf("bits per element on the wire: %.3f (frames of %.0f bytes on average)\n", 8 * bytes / elements,
              bytes / 101);
}

TEST_F(StageProcesses, MetadataIsThatOfTheWholeModel) {
  const ServerProcess whole = Whole();
  const ServerProcess last = Last();
  const ServerProcess front = Front(last);
  whole.WaitFor(true);
  front.WaitFor(true);
  inference::ModelMetadataRequest request;
  request.set_name("net");
  std::string metadata[2];
  const ServerProcess* servers[] = {&whole, &front};
  for (int i = 0; i < 2; ++i) {
    grpc::ClientContext context;
    inference::ModelMetadataResponse response;
    ASSERT_TRUE(servers[i]->stub().ModelMetadata(&context, request, &response).ok());
    metadata[i] = response.ShortDebugString();
  }
  EXPECT_EQ(metadata[0], metadata[1]);
}

TEST_F(StageProcesses, LaterStagesAreNotOfferedToClients) {
  const ServerProcess last = Last();
  last.WaitFor(true);
  std::mt19937 random(1);
  ModelInferResponse response;
  const grpc::Status status = Infer(last, RandomRequest(random, 1), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(status.error_message(), HasSubstr("Request for unknown model: 'net' is not found: here is its stage 1"));
  grpc::ClientContext context;
  inference::ModelReadyRequest request;
  request.set_name("net");
  inference::ModelReadyResponse ready;
  EXPECT_TRUE(last.stub().ModelReady(&context, request, &ready).ok());
  EXPECT_FALSE(ready.ready());
}

TEST_F(StageProcesses, ANextStageThatDiesIsNamedAndServesAgainWhenItIsBack) {
  const ServerProcess whole = Whole();
  auto last = std::make_unique<ServerProcess>(Stage(2, 1), std::vector<std::string>{"--stage"});
  const ServerProcess front = Front(*last);
  whole.WaitFor(true);
  front.WaitFor(true);
  std::mt19937 random(9);
  ExpectSameAnswer(whole, front, RandomRequest(random, 2));
  const int port = last->port();
  last->Kill();
  front.WaitFor(false);
  EXPECT_FALSE(front.IsReady());
  ExpectUnavailable(front, absl::StrCat("stage 1 at 127.0.0.1:", port));
  last = std::make_unique<ServerProcess>(Stage(2, 1), std::vector<std::string>{"--stage"}, port);
  front.WaitFor(true);
  ExpectSameAnswer(whole, front, RandomRequest(random, 2));
}

TEST_F(StageProcesses, RequestsUnderWayEndWhenTheNextStageDies) {
  ServerProcess last = Last();
  const ServerProcess front = Front(last);
  front.WaitFor(true);
  last.Signal(SIGSTOP);
  std::mt19937 random(2);
  std::vector<std::thread> clients;
  std::vector<grpc::Status> ends(4);
  for (grpc::Status& end : ends) {
    clients.emplace_back([&front, &end, request = RandomRequest(random, 1)] {
      ModelInferResponse response;
      end = Infer(front, request, &response);
    });
  }
  while (front.Metric("bitstage_stage_elements_total{direction=\"sent\",model=\"net\"}") == 0 ||
         front.Metric("bitstage_in_flight_requests") < 4) {
  }
  last.Kill();
  for (std::thread& client : clients) client.join();
  for (const grpc::Status& end : ends) {
    EXPECT_EQ(end.error_code(), grpc::StatusCode::UNAVAILABLE) << end.error_message();
    EXPECT_THAT(end.error_message(), HasSubstr(absl::StrCat("stage 1 at ", last.address())));
  }
  EXPECT_EQ(front.Metric("bitstage_in_flight_requests"), 0);
}

TEST_F(StageProcesses, ADeadlineEndsARequestWhoseNextStageIsStuck) {
  const ServerProcess last = Last();
  const ServerProcess front = Front(last);
  front.WaitFor(true);
  last.Signal(SIGSTOP);
  std::mt19937 random(3);
  ModelInferResponse response;
  const grpc::Status status = Infer(front, RandomRequest(random, 1), &response, std::chrono::milliseconds(300));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  while (front.Metric("bitstage_in_flight_requests") > 0) {
  }
  last.Signal(SIGCONT);
  EXPECT_TRUE(Infer(front, RandomRequest(random, 1), &response).ok());
  while (last.Metric("bitstage_in_flight_requests") > 0) {
  }
}

// Clients that give up at every moment of a request's way, while the next stage comes and goes.
TEST_F(StageProcesses, SurviveClientsThatGiveUpAndANextStageThatComesAndGoes) {
  const ServerProcess whole = Whole();
  auto last = std::make_unique<ServerProcess>(Stage(2, 1), std::vector<std::string>{"--stage"});
  const ServerProcess front = Front(*last);
  whole.WaitFor(true);
  front.WaitFor(true);
  std::atomic<int> answered = 0;
  std::atomic<bool> over = false;
  std::vector<std::thread> clients;
  for (unsigned seed = 0; seed < 6; ++seed) {
    clients.emplace_back([&front, &answered, &over, seed] {
      std::mt19937 random(seed);
      const ModelInferRequest request = RandomRequest(random, 4);
      while (!over) {
        ModelInferResponse response;
        const grpc::Status status = Infer(front, request, &response, std::chrono::milliseconds(random() % 60));
        if (status.ok()) ++answered;
        EXPECT_TRUE(status.ok() || status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED ||
                    status.error_code() == grpc::StatusCode::UNAVAILABLE)
            << status.error_code() << " " << status.error_message();
      }
    });
  }
  const int port = last->port();
  for (int i = 0; i < 3; ++i) {
    for (const int before = answered; answered < before + 50;) std::this_thread::yield();
    last->Kill();
    last = std::make_unique<ServerProcess>(Stage(2, 1), std::vector<std::string>{"--stage"}, port);
    front.WaitFor(true);
  }
  over = true;
  for (std::thread& client : clients) client.join();
  while (front.Metric("bitstage_in_flight_requests") > 0 || last->Metric("bitstage_in_flight_requests") > 0) {
  }
  std::mt19937 random(1);
  ExpectSameAnswer(whole, front, RandomRequest(random, 2));
}

TEST_F(StageProcesses, AStageOfAnotherPartitionIsRefusedAndBothAreNamed) {
  const ServerProcess other(Stage(3, 2), {"--stage"});
  ServerProcess front = Front(other);
  front.WaitForLog("found stage 2 of model 'net'");
  EXPECT_FALSE(front.IsReady());
  std::mt19937 random(1);
  ModelInferResponse response;
  const grpc::Status status = Infer(front, RandomRequest(random, 1), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), AllOf(HasSubstr(absl::StrCat("stage 1 at ", other.address())),
                                            HasSubstr("expects stage 1"), HasSubstr("found stage 2")));
}

TEST_F(StageProcesses, AStageInTheMiddlePassesOnAnswersReadinessAndFailures) {
  const ServerProcess whole = Whole();
  ServerProcess last = Last(3);
  ServerProcess middle(Stage(3, 1), {"--stage", "--next-stage", last.address()});
  const ServerProcess front = Front(middle, 3);
  whole.WaitFor(true);
  front.WaitFor(true);
  std::mt19937 random(11);
  for (int i = 0; i < 20; ++i) ExpectSameAnswer(whole, front, RandomRequest(random, 1 + i % 8));
  const int port = last.port();
  last.Kill();
  front.WaitFor(false);
  EXPECT_FALSE(middle.IsReady());
  ExpectUnavailable(front, absl::StrCat("stage 2 at 127.0.0.1:", port));
  const ServerProcess again = Last(3, port);
  front.WaitFor(true);
  ExpectSameAnswer(whole, front, RandomRequest(random, 3));
}

TEST_F(StageProcesses, StopCleanlyWithAStreamOpen) {
  ServerProcess last = Last();
  ServerProcess front = Front(last);
  front.WaitFor(true);
  EXPECT_EQ(last.Terminate(), 0);
  front.WaitFor(false);
  EXPECT_EQ(front.Terminate(), 0);
}

TEST_F(StageProcesses, SayWhichFlagAStageNeeds) {
  for (const auto& [stage, text] : {std::pair<int, std::string>{0, "start the server with --next-stage HOST:PORT"},
                                    {1, "start the server with --stage"}}) {
    ServerProcess server(Stage(2, stage), {});
    server.WaitForLog(text);
    EXPECT_FALSE(server.IsReady());
  }
}

}  // namespace
}  // namespace bitstage::server
