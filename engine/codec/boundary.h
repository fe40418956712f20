// FrameBoundary: what both ends of a pipeline stream know about the value that crosses it, compiled for speed: shape,
// grid, identity and static Huffman tables, all from the model file.
//
//   BITSTAGE_ASSIGN_OR_RETURN(const FrameBoundary boundary, FrameBoundary::Create(name, {14, 14, 64}, grid, tables));
//
// Immutable; any number of threads may encode and decode by one boundary.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/codec/huffman.h"
#include "engine/tensor/grid.h"
#include "engine/tensor/shape.h"

namespace bitstage {

// The table that each channel uses where there are `tables` of them (docs/frame-format.md), and each table's width.
struct TableAssignment {
  std::vector<uint16_t> of_channel;
  std::vector<int> width;  // of its widest channel: the table has 2^width symbols
};
// INVALID_ARGUMENT where tables is not in 1…channels.
absl::StatusOr<TableAssignment> AssignTables(const Grid& grid, int64_t channels, int64_t tables);
// How many different widths the grid's channels have.
int64_t WidthClasses(const Grid& grid, int64_t channels);

class FrameBoundary {
 public:
  // image_shape: of one image in code layout, H x W x C or K (then every entry is a channel). code_lengths: the static
  // tables, as many as the model file holds (BoundaryTables::code_lengths), or none.
  // INVALID_ARGUMENT for a shape, grid or table that is not valid, naming it.
  static absl::StatusOr<FrameBoundary> Create(absl::string_view name, const Shape& image_shape, const Grid& grid,
                                              std::span<const std::vector<uint8_t>> code_lengths);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const Shape& image_shape() const { return image_shape_; }
  [[nodiscard]] const Grid& grid() const { return grid_; }
  [[nodiscard]] uint64_t identity() const { return identity_; }
  [[nodiscard]] int64_t channels() const { return image_shape_[image_shape_.rank() - 1]; }
  [[nodiscard]] int64_t image_elements() const { return image_shape_.elements(); }

  // One set of tables in the form that coding needs.
  struct Tables {
    TableAssignment assignment;
    std::vector<std::vector<EncodeEntry>> encode;
    std::vector<DecodeTable> decode;
  };
  // Builds them. Requires as many valid lengths as the assignment has tables.
  static Tables Compile(TableAssignment assignment, std::span<const std::vector<uint8_t>> code_lengths);

  [[nodiscard]] bool HasStaticTables() const { return !static_tables_.assignment.of_channel.empty(); }
  [[nodiscard]] const Tables& static_tables() const { return static_tables_; }
  // One table for each width: what inline tables stand for, and how stored symbols are counted.
  [[nodiscard]] const TableAssignment& by_width() const { return by_width_; }

 private:
  FrameBoundary() = default;

  std::string name_;
  Shape image_shape_;
  Grid grid_;
  uint64_t identity_ = 0;
  Tables static_tables_;
  TableAssignment by_width_;
};

// How often each symbol of each channel occurs: what static tables are made from.
class SymbolCounts {
 public:
  SymbolCounts(Grid grid, int64_t channels);
  // Codes in code layout: channel innermost, any number of pixels. Codes beyond the grid count as its last symbol.
  void Add(std::span<const uint8_t> codes);

  // `tables` code lengths as FrameBoundary::Create takes them. INVALID_ARGUMENT as AssignTables.
  [[nodiscard]] absl::StatusOr<std::vector<std::vector<uint8_t>>> Tables(int64_t tables) const;
  // Bits a symbol, on what was counted, with tables made so.
  [[nodiscard]] absl::StatusOr<double> BitsPerSymbol(int64_t tables) const;
  // One table, one a width or one a channel: the fewest that come within 2 % of the least bits; one a channel only
  // while all tables together stay small enough for a core's caches.
  [[nodiscard]] int64_t BestTableCount() const;

 private:
  [[nodiscard]] std::vector<std::vector<uint64_t>> Merged(const TableAssignment& assignment) const;

  Grid grid_;
  int64_t channels_;
  std::vector<uint64_t> counts_;  // channels x 256
};

}  // namespace bitstage
