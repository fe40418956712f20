#include "engine/quant/hessian.h"

#include <algorithm>

#include "engine/quant/dense.h"

namespace bitstage {

Hessian::Hessian(int64_t size) : size_(size), sums_(static_cast<size_t>(size * size)) {}

void Hessian::Add(std::span<const float> rows) {
  constexpr int64_t kChunk = 256;
  constexpr int64_t kStrip = 256;
  const int64_t count = static_cast<int64_t>(rows.size()) / size_;
  std::vector<float> transposed(static_cast<size_t>(size_ * std::min(kChunk, count)));
  for (int64_t from = 0; from < count; from += kChunk) {
    const int64_t chunk = std::min(kChunk, count - from);
    const float* x = rows.data() + from * size_;
    for (int64_t r = 0; r < chunk; ++r) {
      for (int64_t i = 0; i < size_; ++i) transposed[static_cast<size_t>(i * chunk + r)] = x[r * size_ + i];
    }
    for (int64_t strip = 0; strip < size_; strip += kStrip) {
      AddProduct(Sign::kPlus, size_ - strip, std::min(kStrip, size_ - strip), chunk, transposed.data() + strip * chunk,
                 chunk, x + strip, size_, sums_.data() + strip * size_ + strip, size_);
    }
  }
  rows_ += count;
}

}  // namespace bitstage
