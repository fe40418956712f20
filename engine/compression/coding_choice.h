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

// Tables of a plain coding: of pairs or single symbols, cells of `cell_bits`, for groups of channels or one for all.
struct PlainForm {
  bool pairs;
  bool one_table;
  int cell_bits;
};

// Nanoseconds an element that `kernels` were measured to take on one core (docs/benchmarks.md, "The activation codec").
// A table and no trial run: the same calibration gives the same model file, however busy the machine.
double StoredCost(const codec::CellKernels& kernels);
double PlainCost(const codec::CellKernels& kernels, const PlainForm& form);
double ContextsCost(const codec::CellKernels& kernels, bool pairs);

// Nanoseconds of an element in the codec and on the link.
double TimeOnLink(const CodingMeasure& measure, double link_mbps);

FrameCoding ChooseCoding(const CodingMeasures& measures, double link_mbps);

}  // namespace bitstage
