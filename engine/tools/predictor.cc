#include "engine/tools/predictor.h"

#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/reference/float_executor.h"

namespace bitstage {

absl::StatusOr<Predictor> Predictor::Create(Model model, ThreadPool* pool) {
  if (model.graph.inputs.size() != 1) {
    return absl::UnimplementedError(absl::StrCat("the model has ", model.graph.inputs.size(), " inputs, expected 1"));
  }
  Predictor predictor(std::make_shared<const Model>(std::move(model)), pool);
  if (predictor.model().IsQuantized()) {
    BITSTAGE_ASSIGN_OR_RETURN(std::shared_ptr<const Executable> executable, Executable::Compile(predictor.model_, {}));
    predictor.session_.emplace(std::move(executable), kMaxBatch, pool);
  }
  return predictor;
}

absl::StatusOr<Tensor> Predictor::Run(const Tensor& images) {
  const std::vector<TensorView> inputs = {images.View()};
  if (!session_) {
    BITSTAGE_ASSIGN_OR_RETURN(std::vector<Tensor> outputs, FloatExecutor(model_->graph, pool_).Run(inputs));
    return std::move(outputs[0]);
  }
  BITSTAGE_RETURN_IF_ERROR(session_->Run(images.shape()[0], inputs, Cancellation::None()));
  const TensorView output = session_->Output(0);
  Tensor copy(output.type, output.shape);
  std::memcpy(copy.data(), output.data, output.bytes());
  return copy;
}

}  // namespace bitstage
