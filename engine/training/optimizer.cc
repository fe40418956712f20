#include "engine/training/optimizer.h"

#include <cmath>

namespace bitstage {

void Optimizer::Step(int64_t step, std::span<const OptimizedArray> arrays) {
  constexpr float kBeta1 = 0.9f;
  constexpr float kBeta2 = 0.999f;
  constexpr float kEpsilon = 1e-8f;
  first_.resize(arrays.size());
  second_.resize(arrays.size());
  const double rate = LearningRate(options_, step);
  const double t = static_cast<double>(step) + 1;
  const double unbias1 = 1 / (1 - std::pow(static_cast<double>(kBeta1), t));
  const auto unbias2 = static_cast<float>(1 / (1 - std::pow(static_cast<double>(kBeta2), t)));
  for (size_t a = 0; a < arrays.size(); ++a) {
    const OptimizedArray& array = arrays[a];
    const size_t size = array.values.size();
    first_[a].resize(size);
    if (options_.optimizer == OptimizerKind::kAdam) second_[a].resize(size);
    if (array.gradients.empty()) continue;
    const double own_rate = rate * array.rate;
    const auto keep = static_cast<float>(array.decays ? 1 - own_rate * options_.weight_decay : 1);
    float* __restrict w = array.values.data();
    const float* __restrict g = array.gradients.data();
    float* __restrict m = first_[a].data();
    if (options_.optimizer == OptimizerKind::kSgd) {
      const auto momentum = static_cast<float>(options_.momentum);
      const auto by = static_cast<float>(own_rate);
      for (size_t i = 0; i < size; ++i) {
        m[i] = momentum * m[i] + g[i];
        w[i] = keep * w[i] - by * m[i];
      }
      continue;
    }
    float* __restrict v = second_[a].data();
    const auto by = static_cast<float>(own_rate * unbias1);
    for (size_t i = 0; i < size; ++i) {
      m[i] = kBeta1 * m[i] + (1 - kBeta1) * g[i];
      v[i] = kBeta2 * v[i] + (1 - kBeta2) * g[i] * g[i];
      w[i] = keep * w[i] - by * m[i] / (std::sqrt(v[i] * unbias2) + kEpsilon);
    }
  }
}

}  // namespace bitstage
