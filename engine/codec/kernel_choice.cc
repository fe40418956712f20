#include "engine/codec/kernel_choice.h"

#include <algorithm>

#include "engine/base/isa.h"
#include "engine/codec/portable/kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>

#include "engine/codec/avx2/kernels.h"
#include "engine/codec/avx512_vbmi/kernels.h"
#endif

namespace bitstage::codec {

const CellKernels& PortableKernels() {
  static constexpr CellKernels kKernels = {.name = "portable",
                                           .wants_encode_high = true,
                                           .off_grid = portable::OffGrid,
                                           .count = portable::Count,
                                           .encode_plain = portable::EncodePlain,
                                           .decode_plain = portable::DecodePlain,
                                           .encode_contexts = portable::EncodeContexts,
                                           .decode_contexts = portable::DecodeContexts};
  return kKernels;
}

#if defined(__x86_64__)
namespace avx512_vbmi {

const CellKernels& Fallback() { return PortableKernels(); }

}  // namespace avx512_vbmi
#endif

namespace {

#if defined(__x86_64__)
// The portable ones but for what AVX2 makes faster.
const CellKernels& Avx2Kernels() {
  static const CellKernels kKernels = [] {
    CellKernels kernels = PortableKernels();
    kernels.name = "avx2";
    kernels.decode_plain = avx2::DecodePlain;
    return kernels;
  }();
  return kKernels;
}

// BMI, BMI2 and LZCNT: each CPU with AVX2 that is known has them, but they are features of their own.
bool HasBitInstructions() {
  unsigned int eax = 0, ebx = 0, ecx = 0, edx = 0;
  constexpr unsigned int kLzcnt = 1u << 5;
  return __builtin_cpu_supports("bmi") != 0 && __builtin_cpu_supports("bmi2") != 0 &&
         __get_cpuid(0x80000001u, &eax, &ebx, &ecx, &edx) != 0 && (ecx & kLzcnt) != 0;
}

const CellKernels& Avx512VbmiKernels() {
  static const CellKernels kKernels = {.name = "avx512_vbmi",
                                       .wants_encode_high = false,
                                       .off_grid = avx512_vbmi::OffGrid,
                                       .count = avx512_vbmi::Count,
                                       .encode_plain = avx512_vbmi::EncodePlain,
                                       .decode_plain = avx512_vbmi::DecodePlain,
                                       .encode_contexts = avx512_vbmi::EncodeContexts,
                                       .decode_contexts = avx512_vbmi::DecodeContexts};
  return kKernels;
}
#endif

// Those of the tier; where a CPU of the tier lacks what they need, those of the tier below.
const CellKernels& KernelsFor(Isa isa) {
#if defined(__x86_64__)
  if (isa >= Isa::kAvx512Vnni && HasAvx512Vbmi()) return Avx512VbmiKernels();
  if (isa >= Isa::kAvx2 && HasBitInstructions()) return Avx2Kernels();
#endif
  return PortableKernels();
}

}  // namespace

const std::vector<const CellKernels*>& SupportedKernels() {
  static const auto& kernels = *new std::vector<const CellKernels*>([] {
    std::vector<const CellKernels*> all = {&ReferenceKernels()};
    for (const Isa isa : SupportedIsas()) {
      const CellKernels* const of_isa = &KernelsFor(isa);
      if (std::find(all.begin(), all.end(), of_isa) == all.end()) all.push_back(of_isa);
    }
    return all;
  }());
  return kernels;
}

absl::StatusOr<const CellKernels*> ChosenKernels() {
  static const auto& chosen = *new absl::StatusOr<const CellKernels*>([]() -> absl::StatusOr<const CellKernels*> {
    const absl::StatusOr<Isa> isa = ChooseIsa();
    if (!isa.ok()) return isa.status();
    return &KernelsFor(*isa);
  }());
  return chosen;
}

}  // namespace bitstage::codec
