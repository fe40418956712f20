// Isa: the instruction-set tiers the engine has code for, and the choice among them at run time.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace bitstage {

// In rising order of preference.
enum class Isa : uint8_t { kReference, kAvx2, kAvx512Vnni };

absl::string_view Name(Isa isa);  // "reference", "avx2", "avx512_vnni"

// Every tier that this CPU (and operating system) can run, rising; never empty.
const std::vector<Isa>& SupportedIsas();

// True if this CPU can permute, shift and compress bytes in 512-bit registers (AVX-512 VBMI, VBMI2, CD, BMI): some CPUs
// of the AVX-512 tiers cannot, and code that needs it falls back to AVX2 there.
bool HasAvx512Vbmi();

// The best supported tier, or the one that the environment variable BITSTAGE_ISA names.
// INVALID_ARGUMENT for a name that is unknown or a tier this CPU lacks, listing those it has. Read once a call.
absl::StatusOr<Isa> ChooseIsa();

}  // namespace bitstage
