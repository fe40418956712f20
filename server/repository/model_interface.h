// ModelInterface: what a client may send to a model and what comes back. Plain data, so that requests can be checked
// (and the checks fuzzed) without a model.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/runtime/executable.h"
#include "engine/tensor/preprocessing.h"

namespace bitstage::server {

struct ModelInterface {
  std::string name;
  std::string version;  // in decimal
  std::vector<TensorSpec> inputs;
  std::vector<TensorSpec> outputs;
  std::optional<Preprocessing> preprocessing;  // absent: images are refused
  std::vector<std::string> labels;             // by output index; may be empty
  int64_t max_batch = 1;

  // True where JPEG, PNG and pixels may take the place of this input's tensor.
  [[nodiscard]] bool TakesImages(size_t input) const {
    const TensorSpec& spec = inputs[input];
    return preprocessing && spec.type == DataType::kFloat32 &&
           spec.shape == Shape{preprocessing->channels(), preprocessing->height, preprocessing->width};
  }
};

}  // namespace bitstage::server
