// From a model's outputs to a ModelInferResponse.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "engine/tensor/tensor.h"
#include "proto/inference.pb.h"
#include "server/repository/model_interface.h"
#include "server/scheduling/inference.h"

namespace bitstage::server {

// The k highest of `values` as elements of a BYTES tensor, "value:index" or "value:index:label" where there is a label:
// highest first, the lower index first among equals, NaN last. Requires 1 <= k <= values.size().
void AppendClassification(std::span<const float> values, int64_t k, std::span<const std::string> labels,
                          std::string& raw);

// Fills all but the id. Outputs are raw, in the order of the request. `outputs`: all of the model's, [batch] + shape.
void FillInferResponse(const InferenceRequest& request, const ModelInterface& model,
                       std::span<const TensorView> outputs, inference::ModelInferResponse& response);

}  // namespace bitstage::server
