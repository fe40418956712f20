// Which CellKernels run: the choice among instruction-set tiers.
#pragma once

#include "engine/base/isa.h"
#include "engine/codec/cell_kernels.h"

namespace bitstage::codec {

// The kernels of a tier that this CPU has (SupportedIsas). kReference: one cell at a time.
const CellKernels& KernelsFor(Isa isa);

// Those of ChooseIsa() when first called; of the best tier where BITSTAGE_ISA names none that this CPU has (whoever
// runs programs refuses that earlier).
const CellKernels& ChosenKernels();

}  // namespace bitstage::codec
