#include "server/pipeline/pending_requests.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"

namespace bitstage::server {

void PendingRequests::Open() {
  const MutexLock lock(mutex_);
  closed_ = absl::OkStatus();
}

void PendingRequests::Close(const absl::Status& reason) {
  std::map<uint64_t, Request> ended;
  {
    const MutexLock lock(mutex_);
    closed_ = reason;
    bytes_ = 0;
    ended.swap(requests_);
  }
  for (auto& [id, request] : ended) request.done(reason);
}

absl::Status PendingRequests::Add(uint64_t id, int64_t bytes, std::shared_ptr<RequestState> state, Done done) {
  const MutexLock lock(mutex_);
  BITSTAGE_RETURN_IF_ERROR(closed_);
  BITSTAGE_RETURN_IF_ERROR(state->Check());
  if (static_cast<int64_t>(requests_.size()) >= limits_.requests || bytes_ > limits_.bytes - bytes) {
    return absl::ResourceExhaustedError(absl::StrCat(
        requests_.size(), " requests of ", bytes_, " bytes wait for the next stage, at most ", limits_.requests,
        " requests and ", limits_.bytes, " bytes may; this request has ", bytes, " bytes"));
  }
  bytes_ += bytes;
  requests_.emplace(id, Request{bytes, std::move(state), std::move(done)});
  return absl::OkStatus();
}

PendingRequests::Request PendingRequests::Take(uint64_t id) {
  const MutexLock lock(mutex_);
  const auto found = requests_.find(id);
  if (found == requests_.end()) return {};
  Request request = std::move(found->second);
  bytes_ -= request.bytes;
  requests_.erase(found);
  return request;
}

bool PendingRequests::Finish(uint64_t id, absl::StatusOr<StageAnswer> answer) {
  const Request request = Take(id);
  if (!request.done) return false;
  request.done(std::move(answer));
  return true;
}

bool PendingRequests::Cancel(uint64_t id) {
  const Request request = Take(id);
  if (!request.done) return false;
  absl::Status reason = request.state->Check();
  request.done(reason.ok() ? absl::CancelledError("the request was cancelled") : std::move(reason));
  return true;
}

bool PendingRequests::Contains(uint64_t id) const {
  const MutexLock lock(mutex_);
  return requests_.contains(id);
}

}  // namespace bitstage::server
