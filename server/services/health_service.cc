#include "server/services/health_service.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/observability/text.h"
#include "server/services/status.h"

namespace bitstage::server {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

namespace {

HealthCheckResponse::ServingStatus StatusOf(std::optional<Health> health) {
  if (!health) return HealthCheckResponse::SERVICE_UNKNOWN;
  return *health == Health::kServing ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
}

}  // namespace

// One stream. Writes one status at a time; of those that arrive meanwhile only the newest is worth sending.
class HealthService::Watcher final : public grpc::ServerWriteReactor<HealthCheckResponse> {
 public:
  Watcher(HealthService& service, const std::string& name) : service_(service) {
    token_ = service_.board_.Subscribe(name, [this](std::optional<Health> health) {
      const MutexLock lock(mutex_);
      next_ = StatusOf(health);
      Advance();
    });
  }

  void End(grpc::Status status) {
    const MutexLock lock(mutex_);
    if (!end_) end_ = std::move(status);
    Advance();
  }

  void OnWriteDone(bool ok) override {
    const MutexLock lock(mutex_);
    writing_ = false;
    if (!ok && !end_) end_ = grpc::Status::CANCELLED;
    Advance();
  }
  void OnCancel() override { End(grpc::Status::CANCELLED); }
  void OnDone() override {
    service_.board_.Unsubscribe(token_);
    service_.Forget(this);
    delete this;
  }

 private:
  void Advance() BITSTAGE_REQUIRES(mutex_) {
    if (writing_ || finished_) return;
    if (end_) {
      finished_ = true;
      Finish(*end_);
    } else if (next_) {
      writing_ = true;
      response_.set_status(*std::exchange(next_, std::nullopt));
      StartWrite(&response_);
    }
  }

  HealthService& service_;
  HealthBoard::Token token_ = 0;
  Mutex mutex_;
  std::optional<HealthCheckResponse::ServingStatus> next_ BITSTAGE_GUARDED_BY(mutex_);
  std::optional<grpc::Status> end_ BITSTAGE_GUARDED_BY(mutex_);
  bool writing_ BITSTAGE_GUARDED_BY(mutex_) = false;
  bool finished_ BITSTAGE_GUARDED_BY(mutex_) = false;
  HealthCheckResponse response_;  // of the write under way
};

grpc::ServerUnaryReactor* HealthService::Check(grpc::CallbackServerContext* context, const HealthCheckRequest* request,
                                               HealthCheckResponse* response) {
  const std::optional<Health> health = board_.Get(request->service());
  response->set_status(StatusOf(health));
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(health ? grpc::Status::OK
                         : ToGrpcStatus(absl::NotFoundError(
                               absl::StrCat("no service or model has the name ", Quoted(request->service())))));
  return reactor;
}

grpc::ServerWriteReactor<HealthCheckResponse>* HealthService::Watch(grpc::CallbackServerContext*,
                                                                    const HealthCheckRequest* request) {
  auto* watcher = new Watcher(*this, request->service());  // deletes itself when the stream is done
  bool ended = false;
  {
    const MutexLock lock(mutex_);
    ended = ended_;
    watchers_.insert(watcher);
  }
  if (ended) watcher->End(ToGrpcStatus(absl::UnavailableError("the server is shutting down")));
  return watcher;
}

void HealthService::EndWatches() {
  const MutexLock lock(mutex_);
  ended_ = true;
  for (Watcher* watcher : watchers_) watcher->End(ToGrpcStatus(absl::UnavailableError("the server is shutting down")));
}

void HealthService::Forget(Watcher* watcher) {
  const MutexLock lock(mutex_);
  watchers_.erase(watcher);
}

}  // namespace bitstage::server
