// The tier's peak: what the multiply-accumulates of its own dot-product instruction come to on one core, measured. A
// roofline for profiles; nothing is chosen by it.
#pragma once

#include <cstdint>

#include "engine/base/isa.h"

namespace bitstage::kernels {

// Billions of multiply-accumulates a second, over some milliseconds of a loop that touches no memory; 0 for a tier that
// has no such instruction. Requires a tier of SupportedIsas().
double MeasurePeak(Isa isa);

// One tier's loop: `rounds` rounds, returns their multiply-accumulates.
using PeakLoop = int64_t (*)(int64_t rounds);

}  // namespace bitstage::kernels
