// The blocking that the vector tiers of sgemm share; included by one source file a tier.
//
// A panel of B, kDepth x kColumns, is copied to the stack and stays in L1 while kRowBlock rows of A, copied too (their
// stride in memory may map all rows to one cache set), pass over it. C is read and written once for each kDepth steps
// of k, which continues every element's chain of fma where it stopped.
//
// Micro is a type of the including file's unnamed namespace, so that code compiled with that file's flags stays in it:
//   static constexpr int64_t kRows, kColumns;
//   // rows <= kRows, columns <= kColumns; b has kColumns readable columns in every row.
//   static void Run(rows, columns, k, a, lda, b, ldb, c, ldc);
#pragma once

#include <cstdint>
#include <cstring>

namespace bitstage::kernels {

template <typename Micro>
void BlockedSgemm(int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b, int64_t ldb, float* c,
                  int64_t ldc) {
  constexpr int64_t kDepth = 256;
  constexpr int64_t kRowBlock = 8 * Micro::kRows;
  constexpr int64_t kStrideA = kDepth + 16;
  alignas(64) float block_a[kRowBlock * kStrideA];
  alignas(64) float panel_b[kDepth * Micro::kColumns];

  for (int64_t p = 0; p < k; p += kDepth) {
    const int64_t depth = k - p < kDepth ? k - p : kDepth;
    for (int64_t i = 0; i < m; i += kRowBlock) {
      const int64_t block = m - i < kRowBlock ? m - i : kRowBlock;
      for (int64_t r = 0; r < block; ++r) {
        std::memcpy(block_a + r * kStrideA, a + (i + r) * lda + p, static_cast<size_t>(depth) * sizeof(float));
      }
      for (int64_t j = 0; j < n; j += Micro::kColumns) {
        const int64_t columns = n - j < Micro::kColumns ? n - j : Micro::kColumns;
        const float* panel = b + p * ldb + j;
        int64_t panel_stride = ldb;
        // A whole panel that is used once is read where it lies.
        if (columns < Micro::kColumns) {
          for (int64_t q = 0; q < depth; ++q) {
            float* row = panel_b + q * Micro::kColumns;
            std::memset(row, 0, Micro::kColumns * sizeof(float));
            std::memcpy(row, panel + q * ldb, static_cast<size_t>(columns) * sizeof(float));
          }
        } else if (block > Micro::kRows) {
          for (int64_t q = 0; q < depth; ++q) {
            std::memcpy(panel_b + q * Micro::kColumns, panel + q * ldb, Micro::kColumns * sizeof(float));
          }
        }
        if (columns < Micro::kColumns || block > Micro::kRows) {
          panel = panel_b;
          panel_stride = Micro::kColumns;
        }
        for (int64_t r = 0; r < block; r += Micro::kRows) {
          const int64_t rows = block - r < Micro::kRows ? block - r : Micro::kRows;
          Micro::Run(rows, columns, depth, block_a + r * kStrideA, kStrideA, panel, panel_stride, c + (i + r) * ldc + j,
                     ldc);
        }
      }
    }
  }
}

}  // namespace bitstage::kernels
