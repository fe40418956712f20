// Predictor: runs any model on batches of images, a float one by the FloatExecutor, a low-bit one by the engine.
//
//   BITSTAGE_ASSIGN_OR_RETURN(Predictor predictor, Predictor::Create(std::move(model), &pool));
//   BITSTAGE_ASSIGN_OR_RETURN(const Tensor logits, predictor.Run(images));
//
// One thread at a time.
#pragma once

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "engine/base/thread_pool.h"
#include "engine/graph/model.h"
#include "engine/runtime/executable.h"
#include "engine/tensor/tensor.h"

namespace bitstage {

class Predictor {
 public:
  // Batches may have up to this many images.
  static constexpr int64_t kMaxBatch = 16;

  // pool may be null and must outlive the predictor. UNIMPLEMENTED for models without exactly one input.
  static absl::StatusOr<Predictor> Create(Model model, ThreadPool* pool);

  [[nodiscard]] const Model& model() const { return *model_; }

  // `images`: FP32 [n] + the input's shape. The first output, [n] + its shape.
  absl::StatusOr<Tensor> Run(const Tensor& images);

 private:
  Predictor(std::shared_ptr<const Model> model, ThreadPool* pool) : model_(std::move(model)), pool_(pool) {}

  std::shared_ptr<const Model> model_;
  ThreadPool* pool_;
  std::optional<Session> session_;
};

}  // namespace bitstage
