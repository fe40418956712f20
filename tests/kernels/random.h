// Random: numbers that follow from a seed, the same ones on every machine of one standard library.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

namespace bitstage::kernels {

class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}

  // Uniform over [low, high].
  int64_t Int(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(engine_); }
  float Float(float low, float high) { return std::uniform_real_distribution<float>(low, high)(engine_); }
  bool OneIn(int64_t n) { return Int(1, n) == 1; }
  template <typename T>
  T OneOf(const std::vector<T>& values) {
    return values[static_cast<size_t>(Int(0, static_cast<int64_t>(values.size()) - 1))];
  }

 private:
  std::mt19937 engine_;
};

}  // namespace bitstage::kernels
