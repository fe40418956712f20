// Hessian: H = Σ x xᵀ over the inputs x of a layer, the second derivative (halved) of its squared output error in each
// output channel's weights.
//
//   Hessian h(group_in * kernel_height * kernel_width);
//   h.Add(im2col patches of one image);
//
// x is a patch in the order of the weights of one output channel: I/groups x KH x KW. A grouped or depthwise layer has
// one small Hessian a group. Where activations are quantized, x is what the integer layer will see.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"

namespace bitstage {

class Hessian {
 public:
  explicit Hessian(int64_t size);
  // As if `rows` inputs had been added whose elements are not correlated.
  static Hessian Diagonal(std::span<const double> diagonal, int64_t rows);

  // Adds x xᵀ for every row x of a row-major rows x size matrix.
  void Add(std::span<const float> rows);
  // Adds what `other`, of the same size, has seen.
  void Add(const Hessian& other);

  [[nodiscard]] int64_t size() const { return size_; }
  [[nodiscard]] int64_t rows() const { return rows_; }
  [[nodiscard]] double At(int64_t i, int64_t j) const {
    return sums_[static_cast<size_t>(i >= j ? i * size_ + j : j * size_ + i)];
  }

 private:
  int64_t size_;
  int64_t rows_ = 0;
  std::vector<float> sums_;  // size x size; only the lower triangle is kept up
};

// The lower Cholesky factor (row-major, 0 above the diagonal) of H + λ I with rows and columns in `order` (empty: as
// they are). λ starts at `damping` of H's mean diagonal and is raised until there is a factor; without any input H is
// taken as I. INVALID_ARGUMENT where H is not finite.
absl::StatusOr<std::vector<double>> DampedFactor(const Hessian& hessian, double damping,
                                                 std::span<const int64_t> order = {});

}  // namespace bitstage
