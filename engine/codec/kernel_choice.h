// Which set of kernels this process uses.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "engine/codec/cell_kernels.h"

namespace bitstage::codec {

// Every set that this CPU can run, rising in speed; the reference is the first.
const std::vector<const CellKernels*>& SupportedKernels();

// The fastest of the tier that BITSTAGE_ISA names, or of all; read once. INVALID_ARGUMENT as ChooseIsa.
absl::StatusOr<const CellKernels*> ChosenKernels();

}  // namespace bitstage::codec
