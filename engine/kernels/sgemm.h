// Float matrix products, one function a tier; KernelTable::sgemm in kernel_table.h is their contract.
//
// Each element of C is c = fma(a[p], b[p], c) for p = 0, 1, … k−1, whatever the blocking: all tiers, and all ways of
// cutting m and n into pieces, give the same bits.
#pragma once

#include <cstdint>

namespace bitstage::kernels {

void SgemmReference(int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b, int64_t ldb, float* c,
                    int64_t ldc);

// Requires Isa::kAvx2.
void SgemmAvx2(int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b, int64_t ldb, float* c,
               int64_t ldc);

// Requires Isa::kAvx512Vnni (of which it uses AVX512F).
void SgemmAvx512(int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b, int64_t ldb, float* c,
                 int64_t ldc);

}  // namespace bitstage::kernels
