#include "server/pipeline/stage_service.h"

#include <memory>
#include <vector>

#include "server/pipeline/stage_server_stream.h"

namespace bitstage::server {

grpc::ServerBidiReactor<v1::StageRequest, v1::StageResponse>* StageService::Run(grpc::CallbackServerContext*) {
  const auto stream = std::make_shared<Stream>(*this);
  stream->Begin();
  const MutexLock lock(mutex_);
  streams_.insert(stream.get());
  if (draining_) stream->Drain();
  return stream.get();
}

void StageService::EndStreams(const std::string& model, const std::string& reason) {
  std::vector<std::shared_ptr<Stream>> ended;
  {
    const MutexLock lock(mutex_);
    for (Stream* stream : streams_) {
      if (stream->model_name() == model) ended.push_back(stream->shared_from_this());
    }
  }
  for (const std::shared_ptr<Stream>& stream : ended) stream->End(absl::UnavailableError(reason));
}

void StageService::Drain() {
  const MutexLock lock(mutex_);
  draining_ = true;
  for (Stream* stream : streams_) stream->Drain();
}

void StageService::Forget(Stream* stream) {
  const MutexLock lock(mutex_);
  streams_.erase(stream);
}

}  // namespace bitstage::server
