// Boundaries and codes for the frame tests.
#pragma once

#include <cmath>
#include <random>
#include <vector>

#include "engine/codec/boundary.h"
#include "engine/codec/table_fitting.h"

namespace bitstage {

struct Sample {
  Grid grid;
  Shape shape;  // of one image, code layout
  int64_t batch = 1;
};

// Codes on the grid with many zeros, as behind a ReLU.
inline std::vector<uint8_t> SkewedCodes(const Sample& sample, uint32_t seed, double scale = 0.25) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(0, scale);
  const int64_t channels = sample.shape[sample.shape.rank() - 1];
  std::vector<uint8_t> codes(static_cast<size_t>(sample.batch * sample.shape.elements()));
  for (size_t i = 0; i < codes.size(); ++i) {
    const int64_t c = static_cast<int64_t>(i) % channels;
    const int top = sample.grid.MaxSymbol(c);
    const double x = std::max(0.0, normal(random)) * top;
    codes[i] = static_cast<uint8_t>(std::min(top, static_cast<int>(std::lround(x))) << sample.grid.ShiftOf(c));
  }
  return codes;
}

inline FrameBoundary BoundaryOf(const Sample& sample, const BoundaryTables& tables = {}) {
  return *FrameBoundary::Create("layer3.relu", sample.shape, sample.grid, tables);
}

// Tables of both kinds that the sample's grid allows, made from codes of that seed.
inline BoundaryTables CalibratedTables(const Sample& sample, bool pairs, uint32_t seed) {
  const std::vector<uint8_t> codes = SkewedCodes(sample, seed);
  CellCounts counts(sample.grid, sample.shape, pairs);
  counts.Add(sample.batch, codes);
  BoundaryTables tables;
  tables.plain = counts.Fit({});
  tables.preferred = FrameCoding::kPlain;
  if (sample.grid.bits.size() == 1 && sample.grid.shift.size() == 1) {
    CellCounts in_context(sample.grid, sample.shape, tables.plain);
    in_context.Add(sample.batch, codes);
    tables.contexts = in_context.Fit({.max_tables = 16});
  }
  return tables;
}

// DQA's two widths on one scale: 5 bits, and 3 bits shifted by 2.
inline Sample DqaSample() {
  Sample sample;
  sample.shape = {7, 5, 6};
  sample.grid.bits = {5, 3, 3, 5, 3, 3};
  sample.grid.shift = {0, 2, 2, 0, 2, 2};
  return sample;
}

inline Sample RandomSample(uint32_t seed) {
  std::mt19937 random(seed);
  Sample sample;
  const auto channels = static_cast<int64_t>(1 + random() % 9);
  sample.batch = static_cast<int64_t>(1 + random() % 3);
  sample.shape = random() % 4 == 0
                     ? Shape{channels}
                     : Shape{static_cast<int64_t>(1 + random() % 9), static_cast<int64_t>(1 + random() % 9), channels};
  const bool is_uniform = random() % 3 == 0;
  sample.grid.bits.clear();
  sample.grid.shift.clear();
  for (int64_t c = 0; c < (is_uniform ? 1 : channels); ++c) {
    const auto bits = static_cast<uint8_t>(1 + random() % 8);
    sample.grid.bits.push_back(bits);
    sample.grid.shift.push_back(static_cast<uint8_t>(random() % (9u - bits)));
  }
  return sample;
}

}  // namespace bitstage
