#include <immintrin.h>

#include <utility>

#include "engine/kernels/sgemm.h"
#include "engine/kernels/sgemm_blocked.h"

namespace bitstage::kernels {
namespace {

// 12 x 32: 24 accumulators, two vectors of B and a broadcast of A take 27 of the 32 registers.
struct Micro {
  static constexpr int64_t kRows = 12;
  static constexpr int64_t kColumns = 32;

  static void Run(int64_t rows, int64_t columns, int64_t k, const float* a, int64_t lda, const float* b, int64_t ldb,
                  float* c, int64_t ldc) {
    while (rows > 0) {
      const int64_t taken = rows >= 12 ? 12 : rows >= 8 ? 8 : rows >= 4 ? 4 : rows >= 2 ? 2 : 1;
      switch (taken) {
        case 12: Block(std::make_index_sequence<12>(), columns, k, a, lda, b, ldb, c, ldc); break;
        case 8: Block(std::make_index_sequence<8>(), columns, k, a, lda, b, ldb, c, ldc); break;
        case 4: Block(std::make_index_sequence<4>(), columns, k, a, lda, b, ldb, c, ldc); break;
        case 2: Block(std::make_index_sequence<2>(), columns, k, a, lda, b, ldb, c, ldc); break;
        default: Block(std::make_index_sequence<1>(), columns, k, a, lda, b, ldb, c, ldc); break;
      }
      rows -= taken;
      a += taken * lda;
      c += taken * ldc;
    }
  }

 private:
  // One bit for each of the first `count` lanes.
  static __mmask16 Mask(int64_t count) {
    if (count >= 16) return 0xffff;
    return count <= 0 ? __mmask16{0} : static_cast<__mmask16>((1u << count) - 1);
  }

  template <size_t... kRow>
  static void Block(std::index_sequence<kRow...>, int64_t columns, int64_t k, const float* a, int64_t lda,
                    const float* b, int64_t ldb, float* c, int64_t ldc) {
    const __mmask16 mask_low = Mask(columns);
    const __mmask16 mask_high = Mask(columns - 16);
    const auto row = [](size_t r) { return static_cast<int64_t>(r); };
    __m512 low[] = {_mm512_maskz_loadu_ps(mask_low, c + row(kRow) * ldc)...};
    __m512 high[] = {_mm512_maskz_loadu_ps(mask_high, c + row(kRow) * ldc + 16)...};
    for (int64_t p = 0; p < k; ++p, b += ldb, ++a) {
      const __m512 b_low = _mm512_loadu_ps(b);
      const __m512 b_high = _mm512_loadu_ps(b + 16);
      ((low[kRow] = _mm512_fmadd_ps(_mm512_set1_ps(a[row(kRow) * lda]), b_low, low[kRow]),
        high[kRow] = _mm512_fmadd_ps(_mm512_set1_ps(a[row(kRow) * lda]), b_high, high[kRow])),
       ...);
    }
    (_mm512_mask_storeu_ps(c + row(kRow) * ldc, mask_low, low[kRow]), ...);
    (_mm512_mask_storeu_ps(c + row(kRow) * ldc + 16, mask_high, high[kRow]), ...);
  }
};

}  // namespace

void SgemmAvx512(int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b, int64_t ldb, float* c,
                 int64_t ldc) {
  BlockedSgemm<Micro>(m, n, k, a, lda, b, ldb, c, ldc);
}

}  // namespace bitstage::kernels
