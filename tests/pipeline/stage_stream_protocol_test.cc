// The receiving end of a stage stream under a caller that is not ours.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>

#include "engine/codec/frame.h"
#include "engine/format/model_file.h"
#include "proto/stage.grpc.pb.h"
#include "server/pipeline/stage_boundary.h"
#include "tests/pipeline/stage_servers.h"

namespace bitstage::server {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class StageStreamProtocol : public StageServers {
 protected:
  using Stream = grpc::ClientReaderWriter<v1::StageRequest, v1::StageResponse>;

  void SetUp() override {
    last_ = std::make_unique<ServerProcess>(Stage(2, 1), std::vector<std::string>{"--stage"});
    last_->WaitFor(true);
    stub_ = v1::StageService::NewStub(last_->channel());
    const absl::StatusOr<Model> model = ReadModelFile(Stage(2, 1) + "/net/1/model.bitstage");
    ASSERT_TRUE(model.ok()) << model.status();
    boundary_ = *InputBoundary(*model);
    identity_ = IdentityOf("net", *model->stage, 1, *boundary_);
  }

  v1::StageResponse Ask(Stream& stream, const v1::StageRequest& request) {
    v1::StageResponse response;
    EXPECT_TRUE(stream.Write(request));
    EXPECT_TRUE(stream.Read(&response));
    return response;
  }
  v1::StageRequest Hello() {
    v1::StageRequest request;
    *request.mutable_hello() = identity_;
    return request;
  }
  v1::StageRequest Frame(uint64_t id, int64_t batch) {
    v1::StageRequest request;
    request.mutable_infer()->set_id(id);
    const std::vector<uint8_t> codes(static_cast<size_t>(batch * boundary_->image_elements()), 0);
    request.mutable_infer()->set_frame(*EncodeFrame(*boundary_, batch, codes));
    return request;
  }

  std::unique_ptr<ServerProcess> last_;
  std::unique_ptr<v1::StageService::Stub> stub_;
  std::optional<FrameBoundary> boundary_;
  v1::StageIdentity identity_;
};

TEST_F(StageStreamProtocol, ADamagedFrameIsDataLossAndTheNextOneIsServed) {
  grpc::ClientContext context;
  const auto stream = stub_->Run(&context);
  EXPECT_EQ(Ask(*stream, Hello()).welcome().outputs_size(), 1);
  const v1::StageResult before = Ask(*stream, Frame(1, 2)).result();
  EXPECT_EQ(before.code(), grpc::StatusCode::OK) << before.message();
  v1::StageRequest damaged = Frame(2, 2);
  damaged.mutable_infer()->mutable_frame()->back() ^= 1;
  const v1::StageResult refused = Ask(*stream, damaged).result();
  EXPECT_EQ(refused.id(), 2u);
  EXPECT_EQ(refused.code(), grpc::StatusCode::DATA_LOSS) << refused.message();
  v1::StageRequest cut = Frame(3, 2);
  cut.mutable_infer()->mutable_frame()->resize(10);
  EXPECT_EQ(Ask(*stream, cut).result().code(), grpc::StatusCode::DATA_LOSS);
  EXPECT_EQ(Ask(*stream, Frame(4, 9)).result().code(), grpc::StatusCode::INVALID_ARGUMENT) << "a batch above the most";
  const v1::StageResult after = Ask(*stream, Frame(5, 2)).result();
  EXPECT_EQ(after.outputs(0), before.outputs(0));
  context.TryCancel();
}

TEST_F(StageStreamProtocol, TheFirstMessageIsAHelloAndOnlyThat) {
  for (const bool twice : {false, true}) {
    grpc::ClientContext context;
    const auto stream = stub_->Run(&context);
    if (twice) Ask(*stream, Hello());
    stream->Write(twice ? Hello() : Frame(1, 1));
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  }
}

TEST_F(StageStreamProtocol, AnotherIdentityIsRefused) {
  v1::StageRequest hello = Hello();
  hello.mutable_hello()->set_boundary_identity(1);
  grpc::ClientContext context;
  const auto stream = stub_->Run(&context);
  stream->Write(hello);
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), AllOf(HasSubstr("0000000000000001"), HasSubstr("the stage before expects")));

  hello.mutable_hello()->set_model("other");
  grpc::ClientContext other_context;
  const auto other = stub_->Run(&other_context);
  other->Write(hello);
  EXPECT_EQ(other->Finish().error_code(), grpc::StatusCode::NOT_FOUND);
}

}  // namespace
}  // namespace bitstage::server
