#include "engine/kernels/avx512_vnni/winograd_transforms.h"

#include "engine/kernels/avx512_vnni/open_weights.h"
#include "engine/kernels/avx512_vnni/registers.h"

namespace bitstage::kernels::avx512_vnni {
namespace {

constexpr uint8_t kOffset = kWinogradOffset;

// Bᵀ of two columns of pixels.
struct Columns {
  __m512i row[4][2];
};

// Columns x and x + 1, channels from c on. With an offset, the rows come out with the offset added (mod 256).
template <bool kWithOffset>
BITSTAGE_INLINE Columns LoadColumns(const WinogradInput& input, int64_t x, int64_t c) {
  Columns columns;
  Unrolled<2>([&](auto j) {
    __m512i d[4];
    Unrolled<4>([&](auto y) { d[y] = _mm512_loadu_si512(input.rows[y][x + j] + c); });
    if constexpr (kWithOffset) {
      const __m512i offset = _mm512_set1_epi8(static_cast<char>(kOffset));
      d[0] = _mm512_xor_si512(d[0], offset);
      d[1] = _mm512_xor_si512(d[1], offset);
    }
    columns.row[0][j] = _mm512_sub_epi8(d[0], d[2]);
    columns.row[1][j] = _mm512_add_epi8(d[1], d[2]);
    columns.row[2][j] = _mm512_sub_epi8(d[2], d[1]);
    columns.row[3][j] = _mm512_sub_epi8(d[3], d[1]);
  });
  return columns;
}

// One of `left` and `right` carries the offset: every position gets it from there, and (1, 1) loses it again.
BITSTAGE_INLINE void StoreTile(const Columns& left, const Columns& right, uint8_t* at, int64_t plane_bytes) {
  Unrolled<4>([&](auto y) {
    const auto store = [&](int column, __m512i v) { _mm512_storeu_si512(at + (4 * y + column) * plane_bytes, v); };
    store(0, _mm512_sub_epi8(left.row[y][0], right.row[y][0]));
    const __m512i sum = _mm512_add_epi8(left.row[y][1], right.row[y][0]);
    store(1, y == 1 ? _mm512_xor_si512(sum, _mm512_set1_epi8(static_cast<char>(kOffset))) : sum);
    store(2, _mm512_sub_epi8(right.row[y][0], left.row[y][1]));
    store(3, _mm512_sub_epi8(right.row[y][1], left.row[y][1]));
  });
}

// w of three registers.
template <int kStride>
BITSTAGE_INLINE void TransformThree(__m512i g0, __m512i g1, __m512i g2, __m512i (&to)[4]) {
  const __m512i outer = _mm512_add_epi8(g0, g2);
  if constexpr (kStride == 2) {
    to[0] = g0;
    to[1] = g1;
    to[2] = outer;
    to[3] = g2;
    return;
  }
  to[0] = _mm512_add_epi8(g0, g0);
  to[1] = _mm512_add_epi8(outer, g1);
  to[2] = _mm512_sub_epi8(outer, g1);
  to[3] = _mm512_add_epi8(g2, g2);
}

template <int kStride>
BITSTAGE_INLINE void StoreTransformedWeights(const __m512i (&g)[9], int8_t* to, int64_t plane_bytes) {
  __m512i rows[3][4];
  Unrolled<3>([&](auto y) { TransformThree<kStride>(g[3 * y], g[3 * y + 1], g[3 * y + 2], rows[y]); });
  Unrolled<4>([&](auto x) {
    __m512i column[4];
    TransformThree<kStride>(rows[0][x], rows[1][x], rows[2][x], column);
    Unrolled<4>([&](auto y) { _mm512_storeu_si512(to + (4 * y + x) * plane_bytes, column[y]); });
  });
}

template <int kStride, int kWidth>
void OpenPanel(const WinogradWeights& weights) {
  constexpr int kPerChunk = 8 / kWidth;
  OpenTables tables[9];
  Unrolled<9>([&](auto tap) { tables[tap] = TablesFor<kWidth>(weights.packed.tables + tap * kPackedTable); });
  const int64_t section_bytes = weights.packed.section_chunks * 64;
  for (int64_t b = 0; b < weights.blocks; ++b) {
    const uint8_t* chunk = weights.packed.chunks + (weights.block + b) * 9 * section_bytes;
    int8_t* to = weights.panel + b * 64;
    for (int64_t step = 0; step < weights.vectors; step += kPerChunk, chunk += 64) {
      constexpr int64_t kAhead = 8 * 64;  // nine runs of chunks at a time are more than the processor foresees
      Unrolled<9>([&](auto tap) { __builtin_prefetch(chunk + tap * section_bytes + kAhead); });
      Unrolled<kPerChunk>([&](auto k) {
        if (step + k >= weights.vectors) return;
        __m512i g[9];
        Unrolled<9>([&](auto tap) { g[tap] = OpenVector<kWidth, k>(chunk + tap * section_bytes, tables[tap]); });
        StoreTransformedWeights<kStride>(g, to + (step + k) * weights.blocks * 64, weights.plane_bytes);
      });
    }
  }
}

template <int kStride>
void Open(const WinogradWeights& weights) {
  switch (weights.packed.width) {
    case 2: return OpenPanel<kStride, 2>(weights);
    case 4: return OpenPanel<kStride, 4>(weights);
    default: return OpenPanel<kStride, 8>(weights);
  }
}

}  // namespace

// Neighbouring tiles share two columns: every other pair of columns carries the offset. The last channels come first,
// so that what their registers write too much is written again.
void TransformInputByOne(const WinogradInput& input) {
  for (int64_t c = (input.channels - 1) / 64 * 64; c >= 0; c -= 64) {
    Columns even = LoadColumns<true>(input, 0, c);
    int64_t tile = 0;
    for (; tile + 2 <= input.tiles; tile += 2) {
      const Columns odd = LoadColumns<false>(input, 2 * tile + 2, c);
      StoreTile(even, odd, input.at[tile] + c, input.plane_bytes);
      even = LoadColumns<true>(input, 2 * tile + 4, c);
      StoreTile(odd, even, input.at[tile + 1] + c, input.plane_bytes);
    }
    if (tile < input.tiles) {
      StoreTile(even, LoadColumns<false>(input, 2 * tile + 2, c), input.at[tile] + c, input.plane_bytes);
    }
  }
}

// The same by two: five columns of five rows.
void TransformInputByTwo(const WinogradInput& input) {
  const __m512i offset = _mm512_set1_epi8(static_cast<char>(kOffset));
  for (int64_t c = (input.channels - 1) / 64 * 64; c >= 0; c -= 64) {
    for (int64_t tile = 0; tile < input.tiles; ++tile) {
      uint8_t* at = input.at[tile] + c;
      Unrolled<5>([&](auto y) {
        __m512i d[5];
        Unrolled<5>([&](auto x) {
          const auto load = [&](int row) { return _mm512_loadu_si512(input.rows[row][4 * tile + x] + c); };
          d[x] = y == 0 ? _mm512_sub_epi8(load(0), load(2)) : y == 4 ? _mm512_sub_epi8(load(4), load(2)) : load(y);
        });
        const auto store = [&](int x, bool differs, __m512i v) {
          const __m512i codes = differs ? _mm512_xor_si512(v, offset) : v;
          _mm512_storeu_si512(at + (5 * y + x) * input.plane_bytes, codes);
        };
        constexpr bool kDiffers = y == 0 || y == 4;
        store(0, true, _mm512_sub_epi8(d[0], d[2]));
        store(1, kDiffers, d[1]);
        store(2, kDiffers, d[2]);
        store(3, kDiffers, d[3]);
        store(4, true, _mm512_sub_epi8(d[4], d[2]));
      });
    }
  }
}

void OpenByOne(const WinogradWeights& weights) { Open<1>(weights); }
void OpenByTwo(const WinogradWeights& weights) { Open<2>(weights); }

}  // namespace bitstage::kernels::avx512_vnni
