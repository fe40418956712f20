// Seeded values with the shapes that activations and weights have.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

namespace bitstage {

inline std::vector<float> Gaussian(size_t count, uint32_t seed, double scale = 1.0) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal(0.0, scale);
  std::vector<float> values(count);
  for (float& x : values) x = static_cast<float>(normal(generator));
  return values;
}

// max(0, x) of the above: about half of the values are 0.
inline std::vector<float> AfterRelu(size_t count, uint32_t seed, double scale = 1.0) {
  std::vector<float> values = Gaussian(count, seed, scale);
  for (float& x : values) x = x < 0 ? 0 : x;
  return values;
}

}  // namespace bitstage
