#include <cmath>

#include "engine/kernels/sgemm.h"

namespace bitstage::kernels {

void SgemmReference(int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b, int64_t ldb, float* c,
                    int64_t ldc) {
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t p = 0; p < k; ++p) {
      for (int64_t j = 0; j < n; ++j) c[i * ldc + j] = std::fma(a[i * lda + p], b[p * ldb + j], c[i * ldc + j]);
    }
  }
}

}  // namespace bitstage::kernels
