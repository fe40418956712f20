// Which coding a boundary's frames take: the one with the least time in the codec and on the link together.
#pragma once

#include "engine/codec/cell_kernels.h"
#include "engine/tensor/boundary_tables.h"

namespace bitstage {

// Contexts cost more time than they save on faster links.
inline constexpr double kMaxLinkForContexts = 1000;  // Mbit/s

// Of one element: bits on the wire, nanoseconds to encode and to decode it. 0 bits: there is no such coding.
struct CodingMeasure {
  double bits = 0;
  double nanoseconds = 0;
};
struct CodingMeasures {
  CodingMeasure stored;
  CodingMeasure plain;
  CodingMeasure contexts;
};

// Sets the nanoseconds to what `kernels` were measured to take on one core (docs/benchmarks.md, "The activation
// codec"), for plain tables of pairs or single symbols, cells of `cell_bits`. A table and no trial run: the same
// calibration gives the same model file, however busy the machine.
void SetCosts(const codec::CellKernels& kernels, bool pairs, int cell_bits, CodingMeasures& measures);

FrameCoding ChooseCoding(const CodingMeasures& measures, double link_mbps);

}  // namespace bitstage
