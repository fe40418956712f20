// One request that came over a stage stream. server/pipeline only.
#pragma once

#include <memory>

#include "server/pipeline/stage_server_stream.h"
#include "server/scheduling/work_queue.h"

namespace bitstage::server {

// Its frame decoded, its stage run, its codes passed on or its outputs answered. Owns itself: gone when it has
// answered.
class StageService::StageJob final : public Job {
 public:
  // `forward_id`: what the request is called at role->next; 0 for the last stage.
  StageJob(std::shared_ptr<Stream> stream, StageTarget target, v1::StageInfer infer,
           std::shared_ptr<RequestState> state, uint64_t forward_id);

  // Queues it; answers at once where `refusal` is not OK.
  void Start(const absl::Status& refusal);

  void Run() override;
  void Drop(const absl::Status& reason) override { Finish(reason); }

 private:
  absl::Status RunStage(SessionSlot& slot);
  void FillOutputs(const SessionSlot& slot);
  void Finish(const absl::Status& status);

  const std::shared_ptr<Stream> stream_;
  const StageTarget target_;
  const v1::StageInfer infer_;
  const uint64_t forward_id_;
  const StageContext& context_;
  const Clock::TimePoint arrival_;
  int64_t batch_ = 0;
  v1::StageResult result_;
};

}  // namespace bitstage::server
