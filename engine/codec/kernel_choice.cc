#include "engine/codec/kernel_choice.h"

#if defined(__x86_64__)
#include "engine/codec/avx512_vbmi/kernels.h"
#endif

namespace bitstage::codec {

#if defined(__x86_64__)
namespace avx512_vbmi {

const CellKernels& Fallback() { return ReferenceKernels(); }

}  // namespace avx512_vbmi

namespace {

const CellKernels& Avx512VbmiKernels() {
  static const CellKernels kKernels = {.name = "avx512_vbmi",
                                       .off_grid = avx512_vbmi::OffGrid,
                                       .count = avx512_vbmi::Count,
                                       .encode_plain = avx512_vbmi::EncodePlain,
                                       .decode_plain = avx512_vbmi::DecodePlain,
                                       .encode_contexts = avx512_vbmi::Fallback().encode_contexts,
                                       .decode_contexts = avx512_vbmi::Fallback().decode_contexts};
  return kKernels;
}

}  // namespace
#endif

const CellKernels& KernelsFor(Isa isa) {
#if defined(__x86_64__)
  if (isa >= Isa::kAvx512Vnni && HasAvx512Vbmi()) return Avx512VbmiKernels();
#endif
  return ReferenceKernels();
}

const CellKernels& ChosenKernels() {
  static const CellKernels& kernels = KernelsFor(ChooseIsa().value_or(SupportedIsas().back()));
  return kernels;
}

}  // namespace bitstage::codec
