#include <immintrin.h>

#include <utility>

#include "engine/kernels/sgemm.h"
#include "engine/kernels/sgemm_blocked.h"

namespace bitstage::kernels {
namespace {

// 6 x 16: 12 accumulators, two vectors of B and a broadcast of A take 15 of the 16 registers.
struct Micro {
  static constexpr int64_t kRows = 6;
  static constexpr int64_t kColumns = 16;

  static void Run(int64_t rows, int64_t columns, int64_t k, const float* a, int64_t lda, const float* b, int64_t ldb,
                  float* c, int64_t ldc) {
    switch (rows) {
      case 1: return Block(std::make_index_sequence<1>(), columns, k, a, lda, b, ldb, c, ldc);
      case 2: return Block(std::make_index_sequence<2>(), columns, k, a, lda, b, ldb, c, ldc);
      case 3: return Block(std::make_index_sequence<3>(), columns, k, a, lda, b, ldb, c, ldc);
      case 4: return Block(std::make_index_sequence<4>(), columns, k, a, lda, b, ldb, c, ldc);
      case 5: return Block(std::make_index_sequence<5>(), columns, k, a, lda, b, ldb, c, ldc);
      default: return Block(std::make_index_sequence<6>(), columns, k, a, lda, b, ldb, c, ldc);
    }
  }

 private:
  // All ones in the first `count` lanes.
  static __m256i Mask(int64_t count) {
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), lanes);
  }

  template <size_t... kRow>
  static void Block(std::index_sequence<kRow...>, int64_t columns, int64_t k, const float* a, int64_t lda,
                    const float* b, int64_t ldb, float* c, int64_t ldc) {
    const __m256i mask_low = Mask(columns);
    const __m256i mask_high = Mask(columns - 8);
    const auto row = [](size_t r) { return static_cast<int64_t>(r); };
    __m256 low[] = {_mm256_maskload_ps(c + row(kRow) * ldc, mask_low)...};
    __m256 high[] = {_mm256_maskload_ps(c + row(kRow) * ldc + 8, mask_high)...};
    for (int64_t p = 0; p < k; ++p, b += ldb, ++a) {
      const __m256 b_low = _mm256_loadu_ps(b);
      const __m256 b_high = _mm256_loadu_ps(b + 8);
      ((low[kRow] = _mm256_fmadd_ps(_mm256_broadcast_ss(a + row(kRow) * lda), b_low, low[kRow]),
        high[kRow] = _mm256_fmadd_ps(_mm256_broadcast_ss(a + row(kRow) * lda), b_high, high[kRow])),
       ...);
    }
    (_mm256_maskstore_ps(c + row(kRow) * ldc, mask_low, low[kRow]), ...);
    (_mm256_maskstore_ps(c + row(kRow) * ldc + 8, mask_high, high[kRow]), ...);
  }
};

}  // namespace

void SgemmAvx2(int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b, int64_t ldb, float* c,
               int64_t ldc) {
  BlockedSgemm<Micro>(m, n, k, a, lda, b, ldb, c, ldc);
}

}  // namespace bitstage::kernels
