// Isa: the instruction-set tiers the engine has kernels for, and the choice among them at run time.
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

// The best supported tier, or the one that the environment variable BITSTAGE_ISA names.
// INVALID_ARGUMENT for a name that is unknown or a tier this CPU lacks, listing those it has. Read once a call.
absl::StatusOr<Isa> ChooseIsa();

}  // namespace bitstage
