#include "engine/codec/boundary.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/codec/frame_format.h"

namespace bitstage {
namespace {

// FNV-1a, 64 bits.
class Fnv {
 public:
  void Add(uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) hash_ = (hash_ ^ (value >> (8 * i) & 0xff)) * 0x100000001b3u;
  }
  template <typename Range>
  void AddAll(const Range& values, int bytes) {
    Add(static_cast<uint64_t>(std::size(values)), 4);
    for (const auto value : values) Add(static_cast<uint64_t>(value), bytes);
  }
  void AddTables(const CodeTables& tables) {
    Add(tables.pairs ? 1 : 0, 1);
    Add(tables.lengths.size(), 4);
    for (const std::vector<uint8_t>& lengths : tables.lengths) AddAll(lengths, 1);
    AddAll(tables.group_of_channel, 1);
    AddAll(tables.of_context, 1);
  }
  [[nodiscard]] uint64_t hash() const { return hash_; }

 private:
  uint64_t hash_ = 0xcbf29ce484222325u;
};

uint64_t IdentityOf(absl::string_view name, const Shape& shape, const Grid& grid, const BoundaryTables& tables) {
  Fnv fnv;
  fnv.Add(name.size(), 4);
  for (const char c : name) fnv.Add(static_cast<uint8_t>(c), 1);
  fnv.Add(static_cast<uint64_t>(shape.rank()), 4);
  for (const int64_t extent : shape) fnv.Add(static_cast<uint64_t>(extent), 8);
  fnv.Add(static_cast<uint64_t>(grid.zero_point), 4);
  fnv.Add(grid.step.size(), 4);
  for (const float step : grid.step) fnv.Add(std::bit_cast<uint32_t>(step), 4);
  fnv.AddAll(grid.bits, 1);
  fnv.AddAll(grid.shift, 1);
  fnv.AddTables(tables.plain);
  fnv.AddTables(tables.contexts);
  return fnv.hash();
}

}  // namespace

absl::StatusOr<FrameBoundary> FrameBoundary::Create(absl::string_view name, const Shape& image_shape, const Grid& grid,
                                                    const BoundaryTables& tables) {
  const auto refuse = [&](const auto&... parts) {
    return absl::InvalidArgumentError(absl::StrCat("boundary '", name, "': ", parts...));
  };
  if (image_shape.rank() != 1 && image_shape.rank() != 3) {
    return refuse("shape ", image_shape.ToString(), " of an image in code layout has rank ", image_shape.rank(),
                  ", expected 1 or 3");
  }
  for (const int64_t extent : image_shape) {
    if (extent < 1 || extent > std::numeric_limits<int32_t>::max()) {
      return refuse("shape ", image_shape.ToString(), " has an extent of ", extent);
    }
  }
  const std::optional<int64_t> elements = image_shape.CheckedElements();
  if (!elements || *elements > frame::kMaxElements) {
    return refuse("shape ", image_shape.ToString(), " has more than ", frame::kMaxElements, " elements");
  }
  FrameBoundary boundary;
  boundary.name_ = std::string(name);
  boundary.image_shape_ = image_shape;
  boundary.grid_ = grid;
  const int64_t channels = boundary.channels();
  if (const absl::Status status = Validate(grid, channels); !status.ok()) return refuse(status.message());
  for (const CodeTables* one : {&tables.plain, &tables.contexts}) {
    if (one->empty()) continue;
    const absl::string_view what = one == &tables.plain ? "plain" : "contexts";
    if ((one == &tables.contexts) == one->of_context.empty()) return refuse(what, ": tables of the other kind");
    if (const absl::Status status = Validate(*one, grid, channels); !status.ok()) {
      return refuse(what, ": ", status.message());
    }
  }
  boundary.identity_ = IdentityOf(name, image_shape, grid, tables);
  boundary.preferred_ = tables.preferred;
  if (!tables.plain.empty()) boundary.plain_ = codec::CompiledTables(tables.plain, grid, channels);
  if (!tables.contexts.empty()) boundary.contexts_ = codec::CompiledTables(tables.contexts, grid, channels);

  for (int64_t c = 0; c < channels; ++c) {
    const int bits = grid.BitsOf(c);
    const int shift = grid.ShiftOf(c);
    boundary.pixel_bits_ += bits;
    boundary.widest_ = std::max(boundary.widest_, bits);
    boundary.bits_of_.push_back(static_cast<uint8_t>(bits));
    boundary.shift_of_.push_back(static_cast<uint8_t>(shift));
    boundary.off_mask_.push_back(static_cast<uint8_t>(~(((1 << bits) - 1) << shift)));
    int form = 0;
    const int known = std::min(boundary.forms_, kMaxForms);
    while (form < known && (boundary.form_bits_[form] != bits || boundary.form_shift_[form] != shift)) ++form;
    if (form == boundary.forms_ && form < kMaxForms) {
      boundary.form_bits_[form] = bits;
      boundary.form_shift_[form] = shift;
    }
    if (form == known) boundary.forms_ = known + 1;
    boundary.form_of_.push_back(static_cast<uint8_t>(form));
  }
  return boundary;
}

codec::CellTables FrameBoundary::InlineTables(bool pairs) const {
  return {.channels = channels(),
          .pairs = pairs,
          .uniform = forms_ == 1,
          .tables = forms_,
          .longest = 0,
          .index_bits = 0,
          .stride_bits = (pairs ? 2 : 1) * widest_,
          .bits_of = bits_of_.data(),
          .shift_of = shift_of_.data(),
          .off_mask = off_mask_.data(),
          .group_of = form_of_.data(),
          .encode = nullptr,
          .decode = nullptr,
          .lengths = nullptr,
          .of_context = nullptr,
          .contexts = 0};
}

}  // namespace bitstage
