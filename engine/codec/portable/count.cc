// Histograms of cells, and the check that codes lie on the grid, in plain C++.
#include <algorithm>

#include "engine/codec/portable/cells.h"
#include "engine/codec/portable/kernels.h"

namespace bitstage::codec::portable {
namespace {

// Any tables.
template <bool kPairs>
void CountCells(const CellTables& tables, const uint8_t* codes, int64_t pixels, uint32_t* counts) {
  const int64_t channels = tables.channels;
  const CellsOf<kPairs, false> cell_of(tables);
  const CellsOf<false, false> single_of(tables);
  for (int64_t pixel = 0; pixel < pixels; pixel += kPairs ? 2 : 1, codes += (kPairs ? 2 : 1) * channels) {
    const bool is_odd = kPairs && pixel + 1 == pixels;
    for (int64_t c = 0; c < channels; ++c) {
      const uint32_t cell = is_odd ? single_of(codes, nullptr, c) : cell_of(codes, codes + channels, c);
      ++counts[tables.group_of[c] << tables.stride_bits | cell];
    }
  }
}

// One table, single symbols: counts neighbours in four places, then each one's two symbols.
void CountByTwo(const CellTables& tables, const uint8_t* codes, int64_t count, uint32_t* counts) {
  constexpr int64_t kBlock = int64_t{1} << 18;  // an eighth of it fits in 16 bits
  const EightCodes eight(tables);
  const size_t symbols = size_t{1} << tables.bits_of[0];
  uint16_t places[4][1 << (2 * kMaxBitsOfTwo)];
  int64_t i = 0;
  while (i + 8 <= count) {
    for (uint16_t* const place : places) std::fill_n(place, symbols * symbols, uint16_t{0});
    for (const int64_t end = std::min(count, i + kBlock); i + 8 <= end; i += 8) {
      const uint64_t pairs = eight.Neighbours(codes + i);
      ++places[0][pairs & 0xffff];
      ++places[1][pairs >> 16 & 0xffff];
      ++places[2][pairs >> 32 & 0xffff];
      ++places[3][pairs >> 48];
    }
    for (size_t b = 0; b < symbols; ++b) {
      uint32_t of_b = 0;
      for (size_t a = 0; a < symbols; ++a) {
        const size_t pair = b * symbols + a;
        const uint32_t all = uint32_t{places[0][pair]} + places[1][pair] + places[2][pair] + places[3][pair];
        counts[a] += all;
        of_b += all;
      }
      counts[b] += of_b;
    }
  }
  for (; i < count; ++i) ++counts[eight.Cell(codes + i, nullptr)];
}

// One table, cells of any kind.
void CountLone(const CellTables& tables, const uint8_t* codes, int64_t pixels, uint32_t* counts) {
  const EightCodes eight(tables);
  uint32_t places[4][kMaxCellsPerTable] = {};
  const auto add = [&](const uint8_t* first, const uint8_t* second, int64_t count) {
    int64_t c = 0;
    for (; c + 8 <= count; c += 8) {
      const uint64_t cells = second != nullptr ? eight.Cells(first + c, second + c) : eight.Symbols(first + c);
      for (int k = 0; k < 4; ++k) {
        ++places[k][cells >> (16 * k) & 255];
        ++places[k][cells >> (16 * k + 8) & 255];
      }
    }
    for (; c < count; ++c) ++places[c & 3][eight.Cell(first + c, second != nullptr ? second + c : nullptr)];
  };
  const int64_t channels = tables.channels;
  if (!tables.pairs) add(codes, nullptr, pixels * channels);
  for (int64_t pixel = 0; tables.pairs && pixel < pixels; pixel += 2, codes += 2 * channels) {
    add(codes, pixel + 1 < pixels ? codes + channels : nullptr, channels);
  }
  for (const auto& place : places) {
    for (size_t cell = 0; cell < size_t{1} << tables.stride_bits; ++cell) counts[cell] += place[cell];
  }
}

}  // namespace

uint8_t OffGrid(const CellTables& tables, const uint8_t* codes, int64_t pixels) {
  uint8_t off = 0;
  const int64_t count = pixels * tables.channels;
  if (tables.uniform) {
    for (int64_t i = 0; i < count; ++i) off |= codes[i];
    return off & tables.off_mask[0];
  }
  for (int64_t i = 0; i < count; i += tables.channels) {
    for (int64_t c = 0; c < tables.channels; ++c) off |= codes[i + c] & tables.off_mask[c];
  }
  return off;
}

void Count(const CellTables& tables, const uint8_t* codes, int64_t pixels, uint32_t* counts) {
  if (tables.tables > 1 || !tables.uniform) {
    return tables.pairs ? CountCells<true>(tables, codes, pixels, counts)
                        : CountCells<false>(tables, codes, pixels, counts);
  }
  if (!tables.pairs && tables.bits_of[0] <= kMaxBitsOfTwo) {
    return CountByTwo(tables, codes, pixels * tables.channels, counts);
  }
  CountLone(tables, codes, pixels, counts);
}

}  // namespace bitstage::codec::portable
