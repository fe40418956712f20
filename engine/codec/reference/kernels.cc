// One cell at a time, as docs/frame-format.md reads.
#include <algorithm>

#include "engine/codec/cell_kernels.h"
#include "engine/codec/contexts.h"

namespace bitstage::codec {
namespace {

uint8_t OffGrid(const CellTables& tables, const uint8_t* codes, int64_t pixels) {
  uint8_t off = 0;
  for (int64_t i = 0; i < pixels * tables.channels; ++i) {
    off = static_cast<uint8_t>(off | (codes[i] & tables.off_mask[i % tables.channels]));
  }
  return off;
}

// A line of pixels and its rows of cells.
struct Line {
  const CellTables& tables;
  int64_t pixels;

  int64_t rows() const { return tables.pairs ? (pixels + 1) / 2 : pixels; }
  int64_t First(int64_t row, int64_t c) const { return (tables.pairs ? 2 * row : row) * tables.channels + c; }
  bool HasSecond(int64_t row) const { return tables.pairs && 2 * row + 1 < pixels; }

  int Symbol(const uint8_t* codes, int64_t pixel, int64_t c) const {
    return pixel < pixels ? codes[pixel * tables.channels + c] >> tables.shift_of[c] : 0;
  }
  int Cell(const uint8_t* codes, int64_t row, int64_t c) const {
    if (!tables.pairs) return Symbol(codes, row, c);
    return Symbol(codes, 2 * row, c) | Symbol(codes, 2 * row + 1, c) << tables.bits_of[c];
  }
  // The table of the cell in an image row that is coded with contexts; above: the row above it or null.
  int TableInContext(const uint8_t* codes, const uint8_t* above, int64_t row, int64_t c) const {
    const int bits = tables.bits_of[c];
    const int64_t pixel = tables.pairs ? 2 * row : row;
    int l = row > 0 ? Symbol(codes, pixel - 1, c) : 0;
    int u0 = 0;
    int u1 = 0;
    if (above != nullptr) {
      u0 = Symbol(above, pixel, c);
      u1 = Symbol(above, pixel + 1, c);
      if (row == 0) l = u0;
    } else {
      u0 = u1 = l;
    }
    const int k = tables.pairs ? PairContext(l, u0, u1, bits) : SingleContext(l, u0, bits);
    return tables.of_context[tables.group_of[c] * tables.contexts + k];
  }
};

const uint8_t* RowAbove(const CellTables& tables, const RowBlock& block, int64_t row, const uint8_t* codes) {
  const bool has = row == 0 ? block.has_above : (block.first + row) % block.height != 0;
  return has ? codes - block.width * tables.channels : nullptr;
}

void Put(EncodeEntry entry, BitSink& sink) {
  sink.bits |= static_cast<uint64_t>(entry.bits) << sink.count;
  sink.count += entry.length;
  for (; sink.count >= 8; sink.count -= 8, sink.bits >>= 8) *sink.at++ = static_cast<uint8_t>(sink.bits);
}

// The cell at bit `at` of the stream, which ends at `end`: zeros behind it. Steps over its code.
DecodeEntry Take(const CellTables& tables, int table, const uint8_t* stream, int64_t end, int64_t& at) {
  uint32_t bits = 0;
  for (int i = 0; i < tables.index_bits && at + i < end; ++i) {
    bits |= static_cast<uint32_t>(stream[(at + i) / 8] >> ((at + i) % 8) & 1) << i;
  }
  const DecodeEntry entry = tables.decode[(static_cast<uint32_t>(table) << tables.index_bits) | bits];
  at += entry.length;
  return entry;
}

void Count(const CellTables& tables, const uint8_t* codes, int64_t pixels, uint32_t* counts) {
  const Line line = {tables, pixels};
  for (int64_t row = 0; row < line.rows(); ++row) {
    for (int64_t c = 0; c < tables.channels; ++c) {
      ++counts[(tables.group_of[c] << tables.stride_bits) | line.Cell(codes, row, c)];
    }
  }
}

bool EncodePlain(const CellTables& tables, const uint8_t* codes, int64_t pixels, int64_t lane_rows,
                 const uint8_t* limit, BitSink* sink, uint32_t* lane_bits) {
  const Line line = {tables, pixels};
  for (int64_t row = 0; row < line.rows(); ++row) {
    if (row % lane_rows == 0) lane_bits[row / lane_rows] = 0;
    for (int64_t c = 0; c < tables.channels; ++c) {
      const EncodeEntry entry = tables.encode[(tables.group_of[c] << tables.stride_bits) | line.Cell(codes, row, c)];
      lane_bits[row / lane_rows] += entry.length;
      Put(entry, *sink);
    }
    if (sink->at > limit) return false;
  }
  return true;
}

bool DecodePlain(const CellTables& tables, const uint8_t* stream, const int64_t* lane_at, int64_t lanes,
                 int64_t lane_rows, int64_t pixels, uint8_t* codes) {
  const Line line = {tables, pixels};
  for (int64_t lane = 0; lane < lanes; ++lane) {
    int64_t at = lane_at[lane];
    for (int64_t row = lane * lane_rows; row < std::min((lane + 1) * lane_rows, line.rows()); ++row) {
      for (int64_t c = 0; c < tables.channels; ++c) {
        const DecodeEntry entry = Take(tables, tables.group_of[c], stream, lane_at[lane + 1], at);
        codes[line.First(row, c)] = entry.first;
        if (line.HasSecond(row)) {
          codes[line.First(row, c) + tables.channels] = entry.second;
        } else if (entry.second != 0) {
          return false;
        }
      }
    }
    if (at != lane_at[lane + 1]) return false;
  }
  return true;
}

bool EncodeContexts(const CellTables& tables, const uint8_t* codes, const RowBlock& block, const uint8_t* limit,
                    BitSink* sink, uint32_t* lane_bits) {
  const Line line = {tables, block.width};
  for (int64_t r = 0; r < block.rows; ++r, codes += block.width * tables.channels) {
    const uint8_t* const above = RowAbove(tables, block, r, codes);
    lane_bits[r] = 0;
    for (int64_t row = 0; row < line.rows(); ++row) {
      for (int64_t c = 0; c < tables.channels; ++c) {
        const int table = line.TableInContext(codes, above, row, c);
        const EncodeEntry entry = tables.encode[(table << tables.stride_bits) | line.Cell(codes, row, c)];
        lane_bits[r] += entry.length;
        Put(entry, *sink);
      }
      if (sink->at > limit) return false;
    }
  }
  return true;
}

bool DecodeContexts(const CellTables& tables, const uint8_t* stream, const int64_t* lane_at, const RowBlock& block,
                    uint8_t* codes) {
  const Line line = {tables, block.width};
  for (int64_t r = 0; r < block.rows; ++r, codes += block.width * tables.channels) {
    const uint8_t* const above = RowAbove(tables, block, r, codes);
    int64_t at = lane_at[r];
    for (int64_t row = 0; row < line.rows(); ++row) {
      for (int64_t c = 0; c < tables.channels; ++c) {
        const DecodeEntry entry = Take(tables, line.TableInContext(codes, above, row, c), stream, lane_at[r + 1], at);
        codes[line.First(row, c)] = entry.first;
        if (line.HasSecond(row)) {
          codes[line.First(row, c) + tables.channels] = entry.second;
        } else if (entry.second != 0) {
          return false;
        }
      }
    }
    if (at != lane_at[r + 1]) return false;
  }
  return true;
}

}  // namespace

const CellKernels& ReferenceKernels() {
  static constexpr CellKernels kKernels = {.name = "reference",
                                           .wants_encode_high = false,
                                           .off_grid = OffGrid,
                                           .count = Count,
                                           .encode_plain = EncodePlain,
                                           .decode_plain = DecodePlain,
                                           .encode_contexts = EncodeContexts,
                                           .decode_contexts = DecodeContexts};
  return kKernels;
}

}  // namespace bitstage::codec
