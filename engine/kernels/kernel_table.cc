#include "engine/kernels/kernel_table.h"

#include "engine/kernels/reference/reference.h"
#include "engine/kernels/sgemm.h"

#if defined(__x86_64__)
#include <algorithm>
#include <array>

#include "engine/kernels/amx/amx.h"
#include "engine/kernels/avx2/avx2.h"
#include "engine/kernels/avx512_vnni/avx512_vnni.h"
#endif

namespace bitstage::kernels {
namespace {

constexpr const ConvKernel* kReferenceConvs[] = {&reference::kConv};
constexpr KernelTable kReferenceTable = {
    Isa::kReference,        kReferenceConvs, reference::Add,      reference::MaxPool,
    reference::AveragePool, reference::Mean, reference::Quantize, SgemmReference,
};

#if defined(__x86_64__)
constexpr const ConvKernel* kAvx2Convs[] = {
    // clang-format off
    &avx2::kDepthwise,
    &avx2::kDepthwiseBytes,
    &avx2::kGemv,
    &avx2::kWinograd,
    &avx2::kWinogradWords,
    &avx2::kPairs,
    &avx2::kWords,
    &avx2::kDirectBytes,
    &avx2::kDirectWords,
    &reference::kConv,
    // clang-format on
};
constexpr KernelTable kAvx2Table = {
    Isa::kAvx2, kAvx2Convs, avx2::Add, avx2::MaxPool, avx2::AveragePool, avx2::Mean, avx2::Quantize, SgemmAvx2,
};

constexpr const ConvKernel* kAvx512VnniConvs[] = {
    &avx512_vnni::kDepthwise,       &avx512_vnni::kPatch,          &avx512_vnni::kGemv,   &avx512_vnni::kWinograd,
    &avx512_vnni::kWinogradStrided, &avx512_vnni::kWinogradNarrow, &avx512_vnni::kDirect, &reference::kConv,
};
constexpr KernelTable kAvx512VnniTable = {
    Isa::kAvx512Vnni,         kAvx512VnniConvs,  avx512_vnni::Add,      avx512_vnni::MaxPool,
    avx512_vnni::AveragePool, avx512_vnni::Mean, avx512_vnni::Quantize, SgemmAvx512,
};

// Tiles help convolutions alone, and not all of them.
constexpr auto kAmxConvs = [] {
  std::array<const ConvKernel*, 1 + std::size(kAvx512VnniConvs)> convs = {&amx::kDirect};
  std::copy(std::begin(kAvx512VnniConvs), std::end(kAvx512VnniConvs), convs.begin() + 1);
  return convs;
}();
constexpr KernelTable kAmxTable = {
    Isa::kAmx,
    kAmxConvs,
    avx512_vnni::Add,
    avx512_vnni::MaxPool,
    avx512_vnni::AveragePool,
    avx512_vnni::Mean,
    avx512_vnni::Quantize,
    SgemmAvx512,
};
#endif

}  // namespace

const ConvKernel& KernelTable::ChooseConv(const ConvShape& shape, int max_code, int max_weight) const {
  const ConvKernel* best = nullptr;
  double least = 0;
  for (const ConvKernel* kernel : convs) {
    if (!kernel->supports(shape, max_code, max_weight)) continue;
    const double cycles = kernel->cycles(shape, max_code, max_weight);
    if (best == nullptr || cycles < least) {
      best = kernel;
      least = cycles;
    }
  }
  return *best;
}

const KernelTable& TableFor(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::kAvx2) return kAvx2Table;
  if (isa == Isa::kAvx512Vnni) return kAvx512VnniTable;
  if (isa == Isa::kAmx) return kAmxTable;
#else
  (void)isa;
#endif
  return kReferenceTable;
}

}  // namespace bitstage::kernels
