#include "engine/kernels/peak.h"

#include <algorithm>
#include <chrono>

#if defined(__x86_64__)
#include "engine/kernels/avx2/avx2.h"
#include "engine/kernels/avx512_vnni/avx512_vnni.h"
#endif

namespace bitstage::kernels {
namespace {

PeakLoop LoopOf(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::kAvx2) return avx2::DotProducts;
  if (isa == Isa::kAvx512Vnni) return avx512_vnni::DotProducts;
#else
  (void)isa;
#endif
  return nullptr;
}

}  // namespace

double MeasurePeak(Isa isa) {
  const PeakLoop loop = LoopOf(isa);
  if (loop == nullptr) return 0;
  constexpr int64_t kRounds = 20'000;
  double best = 0;
  for (int repeat = 0; repeat < 40; ++repeat) {
    const auto start = std::chrono::steady_clock::now();
    const int64_t macs = loop(kRounds);
    const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - start;
    best = std::max(best, static_cast<double>(macs) / taken.count());
  }
  return best;
}

}  // namespace bitstage::kernels
