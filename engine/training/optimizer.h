// Optimizer: Adam (Kingma and Ba 2015, arXiv 1412.6980, algorithm 1) or SGD with momentum, over plain arrays.
//
// Element by element in a fixed order: the same bits for every number of threads. Not thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/training/options.h"

namespace bitstage {

// What is updated, borrowed from its owner.
struct OptimizedArray {
  std::span<float> values;
  std::span<const float> gradients;  // empty: nothing to do this step
  double rate = 1;                   // times the learning rate
  bool decays = false;
};

class Optimizer {
 public:
  explicit Optimizer(const TrainingOptions& options) : options_(options) {}

  // step counts from 0. The arrays are the same ones at every call, in the same order.
  void Step(int64_t step, std::span<const OptimizedArray> arrays);

  // Two states an array (SGD leaves the second empty), to be saved and put back.
  [[nodiscard]] std::vector<std::vector<float>>& first() { return first_; }
  [[nodiscard]] std::vector<std::vector<float>>& second() { return second_; }

 private:
  TrainingOptions options_;
  std::vector<std::vector<float>> first_, second_;
};

}  // namespace bitstage
