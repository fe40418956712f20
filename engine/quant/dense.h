// The little dense linear algebra that second-order rounding needs, on one thread.
//
// Results are the same bits on every CPU: every element is accumulated in a fixed order by separate multiplications and
// additions, whatever the width of the vectors.
#pragma once

#include <cstdint>
#include <vector>

namespace bitstage {

// C (m x n) += A (m x k) · B (k x n), or −= ; row-major with `…_stride` elements from row to row. C overlaps neither.
enum class Sign : int8_t { kPlus, kMinus };
void AddProduct(Sign sign, int64_t m, int64_t n, int64_t k, const float* a, int64_t a_stride, const float* b,
                int64_t b_stride, float* c, int64_t c_stride);
void AddProduct(Sign sign, int64_t m, int64_t n, int64_t k, const double* a, int64_t a_stride, const double* b,
                int64_t b_stride, double* c, int64_t c_stride);

// Overwrites the lower triangle of the symmetric n x n row-major `matrix` with L, matrix = L · Lᵀ; what is above the
// diagonal is left undefined. False where the matrix is not positive definite.
bool CholeskyInPlace(std::vector<double>& matrix, int64_t n);

}  // namespace bitstage
