// Isa: the instruction-set tiers the engine has code for, and the choice among them at run time.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace bitstage {

// In rising order of preference.
enum class Isa : uint8_t { kReference, kAvx2, kAvx512Vnni, kAmx };

absl::string_view Name(Isa isa);  // "reference", "avx2", "avx512_vnni", "amx"

// Every tier that this CPU (and operating system) can run, rising; never empty. The first call asks Linux for the use
// of AMX tiles by this process, where the CPU has them; refused, the tier is absent.
const std::vector<Isa>& SupportedIsas();

// True if this CPU can permute, shift and compress bytes, transpose and count bits in 512-bit registers (AVX-512 VBMI,
// VBMI2, VPOPCNTDQ, CD, GFNI, BMI; Intel since Ice Lake, AMD since Zen 4): some CPUs of the AVX-512 tiers cannot, and
// code that needs it falls back to AVX2 there.
bool HasAvx512Vbmi();

// The best supported tier, or the one that the environment variable BITSTAGE_ISA names.
// INVALID_ARGUMENT for a name that is unknown or a tier this CPU lacks, listing those it has. Read once a call.
absl::StatusOr<Isa> ChooseIsa();

// For tests alone: from now on `isa`, which must be above all supported tiers, counts as supported, because something
// in this process emulates what the CPU lacks. Not while another thread may ask for the tiers.
void CountAsSupported(Isa isa);

}  // namespace bitstage
