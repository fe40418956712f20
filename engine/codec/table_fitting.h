// CellCounts: how often each cell occurs in each channel, or in each context; what static tables are made from.
//
//   CellCounts counts(grid, {32, 32, 16}, /*pairs=*/true);
//   counts.Add(batch, codes);
//   CodeTables tables = counts.Fit({.max_tables = 4, .max_length = 8});
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/tensor/boundary_tables.h"
#include "engine/tensor/grid.h"
#include "engine/tensor/shape.h"

namespace bitstage {

struct FitOptions {
  int max_tables = 8;   // more where channels differ in bits and shift: one for each such class
  int max_length = 11;  // raised to a cell's width where it is less
};

class CellCounts {
 public:
  // image_shape: of one image in code layout. Pairs need 2 · bits <= 8 in every channel.
  CellCounts(Grid grid, const Shape& image_shape, bool pairs);
  // Counts by context, for groups of channels that a Fit without contexts found. Needs the same bits and shift in all
  // channels.
  CellCounts(Grid grid, const Shape& image_shape, const CodeTables& plain);

  // batch images of codes that lie on the grid, in code layout.
  void Add(int64_t batch, std::span<const uint8_t> codes);

  // Tables of the least bits that were found for what was counted: channels (contexts) are put together by whose code
  // suits them, again and again until nothing moves. Every cell counts once more, so that it has a code.
  [[nodiscard]] CodeTables Fit(const FitOptions& options) const;
  // Bits an element on what was counted; payload alone. Requires tables of the same kind.
  [[nodiscard]] double BitsPerElement(const CodeTables& tables) const;

 private:
  // Rows of counts that may share a table: `cells` long each, row r at counts_[r · kMaxCells].
  struct Class {
    int width;
    std::vector<size_t> rows;
  };
  [[nodiscard]] std::vector<Class> Classes() const;

  Grid grid_;
  int64_t channels_, width_, height_;
  bool pairs_;
  std::vector<uint8_t> group_of_channel_;  // contexts only
  int contexts_ = 0;
  size_t stride_;                 // of a row
  std::vector<uint64_t> counts_;  // a row a channel, or a group's context
  int64_t elements_ = 0;
};

}  // namespace bitstage
