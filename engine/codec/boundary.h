// FrameBoundary: what both ends of a pipeline stream know about the value that crosses it, compiled for speed: shape,
// grid, identity and static Huffman tables, all from the model file.
//
//   BITSTAGE_ASSIGN_OR_RETURN(const FrameBoundary boundary, FrameBoundary::Create(name, {14, 14, 64}, grid, tables));
//
// Immutable; any number of threads may encode and decode by one boundary.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/codec/cell_kernels.h"
#include "engine/codec/tables.h"
#include "engine/tensor/boundary_tables.h"
#include "engine/tensor/grid.h"
#include "engine/tensor/shape.h"

namespace bitstage {

class FrameBoundary {
 public:
  // image_shape: of one image in code layout, H x W x C or K (then every entry is a channel). tables: as the model file
  // holds them; empty ones where it has none. INVALID_ARGUMENT for a shape, grid or table that is not valid, naming it.
  static absl::StatusOr<FrameBoundary> Create(absl::string_view name, const Shape& image_shape, const Grid& grid,
                                              const BoundaryTables& tables);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const Shape& image_shape() const { return image_shape_; }
  [[nodiscard]] const Grid& grid() const { return grid_; }
  [[nodiscard]] uint64_t identity() const { return identity_; }
  [[nodiscard]] int64_t channels() const { return image_shape_[image_shape_.rank() - 1]; }
  [[nodiscard]] int64_t height() const { return image_shape_.rank() == 3 ? image_shape_[0] : 1; }
  [[nodiscard]] int64_t width() const { return image_shape_.rank() == 3 ? image_shape_[1] : 1; }
  [[nodiscard]] int64_t image_elements() const { return image_shape_.elements(); }
  // Bits of one pixel's symbols, stored.
  [[nodiscard]] int64_t pixel_bits() const { return pixel_bits_; }

  // Never kPreferred.
  [[nodiscard]] FrameCoding preferred() const { return preferred_; }
  // Empty where the model file has none.
  [[nodiscard]] const codec::CompiledTables& plain() const { return plain_; }
  [[nodiscard]] const codec::CompiledTables& contexts() const { return contexts_; }

  // Inline tables: channels of the same bits and shift share one. More than kMaxForms: none.
  static constexpr int kMaxForms = 8;
  [[nodiscard]] int forms() const { return forms_; }
  // The cells' bits of each form's table.
  [[nodiscard]] int FormBits(int form, bool pairs) const { return (pairs ? 2 : 1) * form_bits_[form]; }
  [[nodiscard]] int FormShift(int form) const { return form_shift_[form]; }
  // Everything but the tables themselves (encode, decode, lengths, longest). Requires at most kMaxForms forms.
  [[nodiscard]] codec::CellTables InlineTables(bool pairs) const;
  // 2 · bits <= 8 in every channel.
  [[nodiscard]] bool CanPair() const { return widest_ <= 4; }

 private:
  FrameBoundary() = default;

  std::string name_;
  Shape image_shape_;
  Grid grid_;
  uint64_t identity_ = 0;
  int64_t pixel_bits_ = 0;
  FrameCoding preferred_ = FrameCoding::kInline;
  codec::CompiledTables plain_;
  codec::CompiledTables contexts_;
  int forms_ = 0;
  int widest_ = 0;
  int form_bits_[kMaxForms] = {};
  int form_shift_[kMaxForms] = {};
  std::vector<uint8_t> bits_of_, shift_of_, off_mask_, form_of_;  // one a channel
};

}  // namespace bitstage
