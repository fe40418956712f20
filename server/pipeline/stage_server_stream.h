// The receiving end of one stage stream. server/pipeline only.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "server/pipeline/stage_service.h"

namespace bitstage::server {

// What a stream's hello settled.
struct StageTarget {
  std::shared_ptr<ServedModel> model;
  std::shared_ptr<const StageRole> role;
  int64_t max_batch = 1;
};

// Alive from its making to OnDone, and longer where a job holds it.
class StageService::Stream final : public grpc::ServerBidiReactor<v1::StageRequest, v1::StageResponse>,
                                   public std::enable_shared_from_this<Stream> {
 public:
  explicit Stream(StageService& service) : service_(service) {}
  void Begin();

  // Ends the stream with `status` after the answers that are ready, and its requests without an answer.
  void End(const absl::Status& status);
  // No more requests; ends when those under way are answered.
  void Drain();

  // Of request `id`, exactly once. Nothing where the stream has ended.
  void Answer(v1::StageResult result);

  [[nodiscard]] std::string model_name() const;
  [[nodiscard]] const StageContext& context() const { return service_.context_; }

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override { End(absl::CancelledError("the stage before went away")); }
  void OnDone() override;

 private:
  struct Active {
    std::shared_ptr<RequestState> state;
    uint64_t forward_id = 0;  // at the stage's own link
  };

  void Hello(const v1::StageIdentity& expected);
  absl::StatusOr<StageTarget> Meet(const v1::StageIdentity& expected, v1::StageWelcome& welcome) const;
  void Infer(v1::StageInfer infer);
  void Cancel(uint64_t id);
  void CancelAll(const std::map<uint64_t, Active>& active) const;
  void Advance() BITSTAGE_REQUIRES(mutex_);

  StageService& service_;
  std::shared_ptr<Stream> self_;
  v1::StageRequest request_;           // of the read under way
  std::optional<StageTarget> target_;  // written once, by the hello, before any request
  mutable Mutex mutex_;
  std::string name_ BITSTAGE_GUARDED_BY(mutex_);
  std::map<uint64_t, Active> active_ BITSTAGE_GUARDED_BY(mutex_);
  std::deque<v1::StageResponse> queue_ BITSTAGE_GUARDED_BY(mutex_);
  bool writing_ BITSTAGE_GUARDED_BY(mutex_) = false;
  bool draining_ BITSTAGE_GUARDED_BY(mutex_) = false;
  std::optional<absl::Status> end_ BITSTAGE_GUARDED_BY(mutex_);
  bool finished_ BITSTAGE_GUARDED_BY(mutex_) = false;
  v1::StageResponse response_;  // of the write under way
};

}  // namespace bitstage::server
