#include "server/pipeline/stage_link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/codec/frame.h"
#include "server/pipeline/stage_boundary.h"
#include "tests/pipeline/fake_stage_stream.h"

namespace bitstage::server {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int64_t kElements = 12;

class StageLinkTest : public testing::Test {
 protected:
  StageLinkTest() { MakeLink(milliseconds(60'000)); }
  ~StageLinkTest() override { link_.reset(); }

  void MakeLink(milliseconds handshake_time) {
    link_.reset();
    StageLink::Options options{.address = "far:9001",
                               .next = Next(),
                               .interface = Front(),
                               .limits = {},
                               .least_delay = milliseconds(1),
                               .most_delay = milliseconds(2),
                               .handshake_time = handshake_time};
    link_ = std::make_unique<StageLink>(
        options, boundary_,
        [this](StageStream::Listener* listener) {
          auto stream = std::make_shared<FakeStageStream>(listener);
          streams_.Put(stream);
          return stream;
        },
        clock_, metrics_.ForStage("net"), [this](const absl::Status& state) { states_.Put(state); });
  }

  static FrameBoundary Boundary() { return *FrameBoundary::Create("relu", Shape{2, 3, 2}, Grid{.bits = {4}}, {}); }
  static ModelInterface Front() {
    return {.name = "net",
            .version = "1",
            .inputs = {{"image", DataType::kFloat32, Shape{3, 8, 8}}},
            .outputs = {{"relu", DataType::kUInt8, Shape{2, 3, 2}}},
            .preprocessing = std::nullopt,
            .labels = {},
            .max_batch = 8};
  }
  v1::StageIdentity Next() const { return IdentityOf("net", StageInfo{0, 2, "p"}, 1, boundary_); }

  // Two floats an image, labelled; four images at once.
  v1::StageResponse Welcome() const {
    v1::StageResponse response;
    v1::StageWelcome& welcome = *response.mutable_welcome();
    *welcome.mutable_identity() = Next();
    v1::StageTensor& output = *welcome.add_outputs();
    output.set_name("logits");
    output.set_datatype("FP32");
    output.add_shape(2);
    welcome.add_labels("cat");
    welcome.add_labels("dog");
    welcome.set_max_batch(4);
    welcome.set_max_message_bytes(1 << 20);
    return response;
  }
  // Stream number `index`, welcomed, and the link up.
  std::shared_ptr<FakeStageStream> Connect(size_t index = 0) {
    std::shared_ptr<FakeStageStream> stream = streams_.At(index);
    EXPECT_TRUE(stream->Written(0).has_hello());
    stream->Respond(Welcome());
    // The link's own thread says that it is up: a stream that ended before would never have been.
    if (index == 0) {
      EXPECT_TRUE(states_.At(0).ok());
    }
    return stream;
  }

  static v1::StageResponse Result(uint64_t id, const std::string& output, absl::StatusCode code = absl::StatusCode::kOk,
                                  const std::string& message = "") {
    v1::StageResponse response;
    response.mutable_result()->set_id(id);
    response.mutable_result()->set_code(static_cast<int>(code));
    response.mutable_result()->set_message(message);
    if (code == absl::StatusCode::kOk) response.mutable_result()->add_outputs(output);
    return response;
  }

  std::shared_ptr<RequestState> State(Clock::TimePoint deadline = Clock::TimePoint::max()) {
    return std::make_shared<RequestState>(clock_, deadline);
  }
  absl::Status Send(uint64_t id, Mailbox<absl::StatusOr<StageAnswer>>& ends) {
    return link_->Send(id, 1, codes_, State(), [&ends](absl::StatusOr<StageAnswer> end) { ends.Put(std::move(end)); });
  }

  const SteadyClock clock_;
  ServerMetrics metrics_{std::make_shared<prometheus::Registry>(), BuildInfo{}};
  const FrameBoundary boundary_ = Boundary();
  const std::vector<uint8_t> codes_ = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15};
  Mailbox<std::shared_ptr<FakeStageStream>> streams_;
  Mailbox<absl::Status> states_;
  std::unique_ptr<StageLink> link_;
};

TEST_F(StageLinkTest, RefusesAtOnceWhileNobodyIsThereAndNamesTheStageAndItsAddress) {
  Mailbox<absl::StatusOr<StageAnswer>> ends;
  const absl::Status refused = Send(link_->NewId(), ends);
  EXPECT_TRUE(absl::IsUnavailable(refused));
  EXPECT_EQ(refused.message(), "stage 1 at far:9001: not connected yet");
  EXPECT_EQ(link_->End().status(), refused);
}

TEST_F(StageLinkTest, SaysWhomItExpectsAndLearnsWhatComesOut) {
  const std::shared_ptr<FakeStageStream> stream = Connect();
  EXPECT_EQ(stream->Written(0).hello().pipeline_id(), "p");
  EXPECT_EQ(stream->Written(0).hello().stage(), 1u);
  EXPECT_EQ(stream->Written(0).hello().boundary_identity(), boundary_.identity());
  EXPECT_TRUE(states_.At(0).ok());
  const absl::StatusOr<std::shared_ptr<const PipelineEnd>> end = link_->End();
  ASSERT_TRUE(end.ok()) << end.status();
  const ModelInterface& interface = (*end)->interface;
  EXPECT_EQ(interface.inputs[0].name, "image");
  ASSERT_EQ(interface.outputs.size(), 1u);
  EXPECT_EQ(interface.outputs[0].name, "logits");
  EXPECT_EQ(interface.outputs[0].shape, Shape{2});
  EXPECT_EQ(interface.labels, (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(interface.max_batch, 4);
}

TEST_F(StageLinkTest, SendsFramesAndHandsEachAnswerToItsRequest) {
  const std::shared_ptr<FakeStageStream> stream = Connect();
  Mailbox<absl::StatusOr<StageAnswer>> first, second, third;
  const uint64_t ids[] = {link_->NewId(), link_->NewId(), link_->NewId()};
  ASSERT_TRUE(Send(ids[0], first).ok());
  ASSERT_TRUE(Send(ids[1], second).ok());
  ASSERT_TRUE(Send(ids[2], third).ok());
  const v1::StageInfer infer = stream->Written(2).infer();
  EXPECT_EQ(infer.id(), ids[1]);
  EXPECT_EQ(infer.remaining_us(), 0) << "no deadline";
  std::vector<uint8_t> decoded(kElements);
  ASSERT_TRUE(DecodeFrame(infer.frame(), boundary_, 1, std::span(decoded)).ok());
  EXPECT_EQ(decoded, codes_);

  stream->Respond(Result(ids[1], "12345678"));
  stream->Respond(Result(ids[0], "", absl::StatusCode::kDataLoss, "damaged"));
  stream->Respond(Result(ids[2], "123"));
  EXPECT_EQ(second.At(0)->outputs[0], "12345678");
  EXPECT_EQ(first.At(0).status(), absl::DataLossError("stage 1 at far:9001: damaged"));
  EXPECT_EQ(third.At(0).status().code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(third.At(0).status().message()), HasSubstr("3 bytes for output 'logits', expected 8"));
}

TEST_F(StageLinkTest, TheDeadlineTravelsAsWhatRemainsOfIt) {
  const std::shared_ptr<FakeStageStream> stream = Connect();
  const auto deadline = clock_.Now() + std::chrono::hours(1);
  ASSERT_TRUE(link_->Send(link_->NewId(), 1, codes_, State(deadline), [](const auto&) {}).ok());
  const int64_t remaining = stream->Written(1).infer().remaining_us();
  EXPECT_GT(remaining, 0);
  EXPECT_LE(remaining, 3'600'000'000);
}

TEST_F(StageLinkTest, ACancelEndsTheRequestHereAndThere) {
  const std::shared_ptr<FakeStageStream> stream = Connect();
  Mailbox<absl::StatusOr<StageAnswer>> ends;
  const uint64_t id = link_->NewId();
  ASSERT_TRUE(Send(id, ends).ok());
  link_->Cancel(id);
  EXPECT_TRUE(absl::IsCancelled(ends.At(0).status()));
  EXPECT_EQ(stream->Written(2).cancel().id(), id);
  stream->Respond(Result(id, "12345678"));  // it was under way

  Mailbox<absl::StatusOr<StageAnswer>> next;
  const uint64_t next_id = link_->NewId();
  ASSERT_TRUE(Send(next_id, next).ok());
  stream->Respond(Result(next_id, "abcdefgh"));
  EXPECT_EQ(next.At(0)->outputs[0], "abcdefgh");
}

TEST_F(StageLinkTest, TheEndOfTheStreamEndsEveryRequestAndTheNextStreamServesAgain) {
  const std::shared_ptr<FakeStageStream> stream = Connect();
  Mailbox<absl::StatusOr<StageAnswer>> first, second;
  ASSERT_TRUE(Send(link_->NewId(), first).ok());
  ASSERT_TRUE(Send(link_->NewId(), second).ok());
  stream->End(absl::UnknownError("connection reset"));
  for (auto* ends : {&first, &second}) {
    EXPECT_EQ(ends->At(0).status(), absl::UnavailableError("stage 1 at far:9001: connection reset"));
  }
  EXPECT_TRUE(absl::IsUnavailable(states_.At(1)));
  streams_.At(1)->End(absl::UnavailableError("connection refused"));
  EXPECT_EQ(states_.At(2).message(), "stage 1 at far:9001: connection refused");

  const std::shared_ptr<FakeStageStream> again = Connect(2);
  EXPECT_TRUE(states_.At(3).ok());
  Mailbox<absl::StatusOr<StageAnswer>> ends;
  const uint64_t id = link_->NewId();
  ASSERT_TRUE(Send(id, ends).ok());
  again->Respond(Result(id, "12345678"));
  EXPECT_TRUE(ends.At(0).ok());
}

TEST_F(StageLinkTest, AnotherStageThanExpectedIsNotTalkedTo) {
  v1::StageResponse wrong = Welcome();
  wrong.mutable_welcome()->mutable_identity()->set_pipeline_id("q");
  streams_.At(0)->Written(0);
  streams_.At(0)->Respond(wrong);
  const absl::Status state = states_.At(0);
  EXPECT_TRUE(absl::IsFailedPrecondition(state)) << state;
  EXPECT_THAT(std::string(state.message()),
              AllOf(HasSubstr("stage 1 at far:9001"), HasSubstr("pipeline 'p'"), HasSubstr("pipeline 'q'")));
  EXPECT_TRUE(absl::IsFailedPrecondition(link_->End().status()));
}

TEST_F(StageLinkTest, AWelcomeThatMakesNoSenseIsRefused) {
  v1::StageResponse wrong = Welcome();
  wrong.mutable_welcome()->mutable_outputs(0)->add_shape(int64_t{1} << 62);
  streams_.At(0)->Written(0);
  streams_.At(0)->Respond(wrong);
  EXPECT_THAT(std::string(states_.At(0).message()), HasSubstr("its output 'logits' is 'FP32' 2x4611686018427387904"));
}

TEST_F(StageLinkTest, AStageThatDoesNotAnswerTheHelloIsGivenUpOn) {
  MakeLink(milliseconds(5));
  EXPECT_EQ(states_.At(0), absl::UnavailableError("stage 1 at far:9001: it did not answer in time"));
}

TEST_F(StageLinkTest, StopEndsWhatIsUnderWayAndRefusesTheRest) {
  Connect();
  Mailbox<absl::StatusOr<StageAnswer>> ends;
  ASSERT_TRUE(Send(link_->NewId(), ends).ok());
  link_->Stop();
  EXPECT_EQ(ends.At(0).status(), absl::UnavailableError("stage 1 at far:9001: the server is shutting down"));
  EXPECT_TRUE(absl::IsUnavailable(Send(link_->NewId(), ends)));
}

TEST_F(StageLinkTest, AFrameThatTheNextStageWouldNotReadIsNotSent) {
  v1::StageResponse welcome = Welcome();
  welcome.mutable_welcome()->set_max_message_bytes(80);
  streams_.At(0)->Written(0);
  streams_.At(0)->Respond(welcome);
  Mailbox<absl::StatusOr<StageAnswer>> ends;
  const absl::Status refused = Send(link_->NewId(), ends);
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
}

TEST_F(StageLinkTest, CountsBitsPerElement) {
  const std::shared_ptr<FakeStageStream> stream = Connect();
  ASSERT_TRUE(link_->Send(link_->NewId(), 1, codes_, State(), [](const auto&) {}).ok());
  const size_t bytes = stream->Written(1).infer().frame().size();
  double counted_bytes = 0, counted_elements = 0;
  for (const prometheus::MetricFamily& family : metrics_.Collect()) {
    for (const prometheus::ClientMetric& metric : family.metric) {
      if (family.name == "bitstage_stage_wire_bytes_total") counted_bytes += metric.counter.value;
      if (family.name == "bitstage_stage_elements_total") counted_elements += metric.counter.value;
    }
  }
  EXPECT_EQ(counted_bytes, static_cast<double>(bytes));
  EXPECT_EQ(counted_elements, static_cast<double>(kElements));
}

}  // namespace
}  // namespace bitstage::server
