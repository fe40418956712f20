#include <deque>
#include <string>
#include <utility>

#include "engine/base/mutex.h"
#include "grpcpp/grpcpp.h"
#include "proto/stage.grpc.pb.h"
#include "server/pipeline/keepalive.h"
#include "server/pipeline/stage_stream.h"

namespace bitstage::server {
namespace {

using v1::StageRequest;
using v1::StageResponse;

std::shared_ptr<grpc::Channel> ConnectTo(const std::string& address) {
  grpc::ChannelArguments arguments;
  // A new connection each time: when to try again is the link's decision, not the channel's.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMilliseconds);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMilliseconds);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // The sizes of answers follow from the model and are checked against it.
  arguments.SetMaxReceiveMessageSize(-1);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

// Keeps itself alive from Start to OnDone. One read is always under way until the stream ends, which is what lets other
// threads write meanwhile.
class GrpcStageStream final : public StageStream,
                              public grpc::ClientBidiReactor<StageRequest, StageResponse>,
                              public std::enable_shared_from_this<GrpcStageStream> {
 public:
  GrpcStageStream(const std::string& address, Listener* listener)
      : stub_(v1::StageService::NewStub(ConnectTo(address))), listener_(listener) {}

  void Start() override {
    self_ = shared_from_this();
    stub_->async()->Run(&context_, this);
    StartRead(&response_);
    {
      const MutexLock lock(mutex_);
      started_ = true;
      WriteNext();
    }
    StartCall();
  }

  void Write(StageRequest request) override {
    const MutexLock lock(mutex_);
    if (ended_) return;
    queue_.push_back(std::move(request));
    if (started_) WriteNext();
  }

  void Cancel() override { context_.TryCancel(); }

  void OnReadDone(bool ok) override {
    if (!ok) {
      const MutexLock lock(mutex_);
      ended_ = true;
      queue_.clear();
      return;
    }
    listener_->OnResponse(std::move(response_));
    response_.Clear();
    StartRead(&response_);
  }

  void OnWriteDone(bool ok) override {
    const MutexLock lock(mutex_);
    writing_ = false;
    if (!ok) ended_ = true;
    WriteNext();
  }

  void OnDone(const grpc::Status& status) override {
    listener_->OnEnd(absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message()));
    const std::shared_ptr<GrpcStageStream> last = std::move(self_);
  }

 private:
  void WriteNext() BITSTAGE_REQUIRES(mutex_) {
    while (!writing_ && !ended_ && !queue_.empty()) {
      request_ = std::move(queue_.front());
      queue_.pop_front();
      if (!listener_->IsWanted(request_)) continue;
      writing_ = true;
      StartWrite(&request_);
    }
  }

  const std::unique_ptr<v1::StageService::Stub> stub_;
  Listener* const listener_;
  grpc::ClientContext context_;
  std::shared_ptr<GrpcStageStream> self_;
  StageResponse response_;  // of the read under way
  Mutex mutex_;
  std::deque<StageRequest> queue_ BITSTAGE_GUARDED_BY(mutex_);
  bool started_ BITSTAGE_GUARDED_BY(mutex_) = false;
  bool writing_ BITSTAGE_GUARDED_BY(mutex_) = false;
  bool ended_ BITSTAGE_GUARDED_BY(mutex_) = false;
  StageRequest request_;  // of the write under way
};

}  // namespace

StageStreamFactory GrpcStageStreams(const std::string& address) {
  return [address](StageStream::Listener* listener) { return std::make_shared<GrpcStageStream>(address, listener); };
}

}  // namespace bitstage::server
