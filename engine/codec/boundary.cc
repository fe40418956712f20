#include "engine/codec/boundary.h"

#include <algorithm>
#include <bit>
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
  [[nodiscard]] uint64_t hash() const { return hash_; }

 private:
  uint64_t hash_ = 0xcbf29ce484222325u;
};

uint64_t IdentityOf(absl::string_view name, const Shape& shape, const Grid& grid,
                    std::span<const std::vector<uint8_t>> code_lengths) {
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
  fnv.Add(code_lengths.size(), 4);
  for (const std::vector<uint8_t>& lengths : code_lengths) fnv.AddAll(lengths, 1);
  return fnv.hash();
}

std::vector<int> Widths(const Grid& grid, int64_t channels) {
  std::vector<int> widths;
  for (int64_t c = 0; c < channels; ++c) widths.push_back(grid.BitsOf(c));
  std::sort(widths.begin(), widths.end());
  widths.erase(std::unique(widths.begin(), widths.end()), widths.end());
  return widths;
}

// Short enough for many tables to share a cache, long enough to cost under 1 % (the alphabet needs `width` itself).
int LengthLimit(int width) { return std::min(kMaxCodeLength, width + 4); }

}  // namespace

int64_t WidthClasses(const Grid& grid, int64_t channels) { return static_cast<int64_t>(Widths(grid, channels).size()); }

absl::StatusOr<TableAssignment> AssignTables(const Grid& grid, int64_t channels, int64_t tables) {
  if (tables < 1 || tables > channels || tables > 0xffff) {
    return absl::InvalidArgumentError(
        absl::StrCat(tables, " Huffman tables for ", channels, " channels, expected 1 to ", channels));
  }
  const std::vector<int> widths = Widths(grid, channels);
  TableAssignment assignment;
  assignment.width.resize(static_cast<size_t>(tables));
  for (int64_t c = 0; c < channels; ++c) {
    int64_t table = c * tables / channels;
    if (tables != channels && tables == static_cast<int64_t>(widths.size())) {
      table = std::lower_bound(widths.begin(), widths.end(), grid.BitsOf(c)) - widths.begin();
    }
    assignment.of_channel.push_back(static_cast<uint16_t>(table));
    int& width = assignment.width[static_cast<size_t>(table)];
    width = std::max(width, grid.BitsOf(c));
  }
  return assignment;
}

FrameBoundary::Tables FrameBoundary::Compile(TableAssignment assignment,
                                             std::span<const std::vector<uint8_t>> code_lengths) {
  Tables tables;
  tables.assignment = std::move(assignment);
  for (const std::vector<uint8_t>& lengths : code_lengths) {
    tables.encode.push_back(EncodeTable(lengths));
    tables.decode.push_back(MakeDecodeTable(lengths));
  }
  return tables;
}

absl::StatusOr<FrameBoundary> FrameBoundary::Create(absl::string_view name, const Shape& image_shape, const Grid& grid,
                                                    std::span<const std::vector<uint8_t>> code_lengths) {
  const auto refuse = [&](auto... parts) {
    return absl::InvalidArgumentError(absl::StrCat("boundary '", name, "': ", parts...));
  };
  const std::optional<int64_t> elements = image_shape.CheckedElements();
  if (image_shape.rank() < 1 || image_shape.rank() >= kMaxRank || !elements || *elements < 1 ||
      *elements > frame::kMaxElements) {
    return refuse("shape ", image_shape.ToString(), " does not fit in a frame");
  }
  FrameBoundary boundary;
  boundary.name_ = std::string(name);
  boundary.image_shape_ = image_shape;
  boundary.grid_ = grid;
  if (const absl::Status status = Validate(grid, boundary.channels()); !status.ok()) return refuse(status.message());
  boundary.identity_ = IdentityOf(name, image_shape, grid, code_lengths);
  BITSTAGE_ASSIGN_OR_RETURN(boundary.by_width_,
                            AssignTables(grid, boundary.channels(), WidthClasses(grid, boundary.channels())));
  if (code_lengths.empty()) return boundary;

  absl::StatusOr<TableAssignment> assignment =
      AssignTables(grid, boundary.channels(), static_cast<int64_t>(code_lengths.size()));
  if (!assignment.ok()) return refuse(assignment.status().message());
  for (size_t t = 0; t < code_lengths.size(); ++t) {
    const size_t symbols = size_t{1} << assignment->width[t];
    if (code_lengths[t].size() != symbols) {
      return refuse("table ", t, " has ", code_lengths[t].size(), " symbols, expected ", symbols);
    }
    if (const absl::Status status = ValidateLengths(code_lengths[t]); !status.ok()) {
      return refuse("table ", t, ": ", status.message());
    }
  }
  boundary.static_tables_ = Compile(*std::move(assignment), code_lengths);
  return boundary;
}

SymbolCounts::SymbolCounts(Grid grid, int64_t channels)
    : grid_(std::move(grid)), channels_(channels), counts_(static_cast<size_t>(channels) * 256) {}

void SymbolCounts::Add(std::span<const uint8_t> codes) {
  const auto channels = static_cast<size_t>(channels_);
  for (size_t first = 0; first + channels <= codes.size(); first += channels) {
    for (size_t c = 0; c < channels; ++c) {
      const auto channel = static_cast<int64_t>(c);
      const int symbol = std::min(codes[first + c] >> grid_.ShiftOf(channel), grid_.MaxSymbol(channel));
      ++counts_[c * 256 + static_cast<size_t>(symbol)];
    }
  }
}

std::vector<std::vector<uint64_t>> SymbolCounts::Merged(const TableAssignment& assignment) const {
  std::vector<std::vector<uint64_t>> merged;
  for (const int width : assignment.width) merged.emplace_back(size_t{1} << width);
  for (size_t c = 0; c < assignment.of_channel.size(); ++c) {
    std::vector<uint64_t>& counts = merged[assignment.of_channel[c]];
    for (size_t s = 0; s < counts.size(); ++s) counts[s] += counts_[c * 256 + s];
  }
  return merged;
}

absl::StatusOr<std::vector<std::vector<uint8_t>>> SymbolCounts::Tables(int64_t tables) const {
  BITSTAGE_ASSIGN_OR_RETURN(const TableAssignment assignment, AssignTables(grid_, channels_, tables));
  std::vector<std::vector<uint8_t>> result;
  for (const std::vector<uint64_t>& counts : Merged(assignment)) {
    result.push_back(TablesFromHistogram(counts, LengthLimit(assignment.width[result.size()])));
  }
  return result;
}

absl::StatusOr<double> SymbolCounts::BitsPerSymbol(int64_t tables) const {
  BITSTAGE_ASSIGN_OR_RETURN(const TableAssignment assignment, AssignTables(grid_, channels_, tables));
  BITSTAGE_ASSIGN_OR_RETURN(const std::vector<std::vector<uint8_t>> lengths, Tables(tables));
  const std::vector<std::vector<uint64_t>> counts = Merged(assignment);
  double bits = 0;
  double symbols = 0;
  for (size_t t = 0; t < counts.size(); ++t) {
    bits += static_cast<double>(CodedBits(counts[t], lengths[t]));
    for (const uint64_t count : counts[t]) symbols += static_cast<double>(count);
  }
  return symbols == 0 ? 0 : bits / symbols;
}

int64_t SymbolCounts::BestTableCount() const {
  constexpr double kWorthIt = 0.98;
  constexpr int64_t kMostSymbols = 1 << 14;
  const int64_t classes = WidthClasses(grid_, channels_);
  int64_t best = 1;
  double least = *BitsPerSymbol(1);
  for (const int64_t tables : {classes, channels_}) {
    if (tables == 1 || (tables == channels_ && channels_ << Widths(grid_, channels_).back() > kMostSymbols)) continue;
    const absl::StatusOr<double> bits = BitsPerSymbol(tables);
    if (!bits.ok() || *bits > kWorthIt * least) continue;
    best = tables;
    least = *bits;
  }
  return best;
}

}  // namespace bitstage
