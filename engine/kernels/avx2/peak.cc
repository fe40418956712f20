#include <cstdint>

#include "engine/kernels/avx2/avx2.h"

namespace bitstage::kernels::avx2 {

// vpmaddubsw and the 16-bit addition that goes with it: what codes and weights of few bits allow at best. Every product
// has a register of its own.
int64_t DotProducts(int64_t rounds) {
  for (int64_t i = 0; i < rounds; ++i) {
    __asm__ volatile(
        "vpmaddubsw %%ymm14, %%ymm15, %%ymm6\n vpaddw %%ymm6, %%ymm0, %%ymm0\n"
        "vpmaddubsw %%ymm14, %%ymm15, %%ymm7\n vpaddw %%ymm7, %%ymm1, %%ymm1\n"
        "vpmaddubsw %%ymm14, %%ymm15, %%ymm8\n vpaddw %%ymm8, %%ymm2, %%ymm2\n"
        "vpmaddubsw %%ymm14, %%ymm15, %%ymm9\n vpaddw %%ymm9, %%ymm3, %%ymm3\n"
        "vpmaddubsw %%ymm14, %%ymm15, %%ymm10\n vpaddw %%ymm10, %%ymm4, %%ymm4\n"
        "vpmaddubsw %%ymm14, %%ymm15, %%ymm11\n vpaddw %%ymm11, %%ymm5, %%ymm5\n"
        :
        :
        : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11");
  }
  return rounds * 6 * 32;
}

}  // namespace bitstage::kernels::avx2
