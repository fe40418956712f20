#include "engine/kernels/winograd_conv.h"

#include "engine/kernels/avx512_vnni/avx512_vnni.h"
#include "engine/kernels/avx512_vnni/open_weights.h"
#include "engine/kernels/avx512_vnni/registers.h"

namespace bitstage::kernels::avx512_vnni {
namespace {

constexpr int kPositions = kWinogradPositions;
constexpr uint8_t kOffset = 128;  // its own negative

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
    columns.row[3][j] = _mm512_sub_epi8(d[1], d[3]);
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
    store(3, _mm512_sub_epi8(left.row[y][1], right.row[y][1]));
  });
}

// Neighbouring tiles share two columns: every other pair of columns carries the offset. The last channels come first,
// so that what their registers write too much is written again.
void TransformInput(const WinogradInput& input) {
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

// 2G of three registers.
BITSTAGE_INLINE void TransformThree(__m512i g0, __m512i g1, __m512i g2, __m512i (&to)[4]) {
  const __m512i outer = _mm512_add_epi8(g0, g2);
  to[0] = _mm512_add_epi8(g0, g0);
  to[1] = _mm512_add_epi8(outer, g1);
  to[2] = _mm512_sub_epi8(outer, g1);
  to[3] = _mm512_add_epi8(g2, g2);
}

BITSTAGE_INLINE void StoreTransformedWeights(const __m512i (&g)[9], int8_t* to, int64_t plane_bytes) {
  __m512i rows[3][4];
  Unrolled<3>([&](auto y) { TransformThree(g[3 * y], g[3 * y + 1], g[3 * y + 2], rows[y]); });
  Unrolled<4>([&](auto x) {
    __m512i column[4];
    TransformThree(rows[0][x], rows[1][x], rows[2][x], column);
    Unrolled<4>([&](auto y) { _mm512_storeu_si512(to + (4 * y + x) * plane_bytes, column[y]); });
  });
}

template <int kWidth>
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
        StoreTransformedWeights(g, to + (step + k) * weights.blocks * 64, weights.plane_bytes);
      });
    }
  }
}

void Open(const WinogradWeights& weights) {
  switch (weights.packed.width) {
    case 2: return OpenPanel<2>(weights);
    case 4: return OpenPanel<4>(weights);
    default: return OpenPanel<8>(weights);
  }
}

// One step, the weights of all blocks in registers.
template <int kTiles, int kBlocks>
BITSTAGE_INLINE void Step(const uint8_t* codes, const int64_t (&offset)[kTiles], const int8_t* weights,
                          __m512i (&acc)[kTiles][kBlocks]) {
  __m512i w[kBlocks];
  Unrolled<kBlocks>([&](auto b) { w[b] = _mm512_loadu_si512(weights + 64 * b); });
  Unrolled<kTiles>([&](auto i) {
    const __m512i four = BroadcastFour(codes + offset[i]);
    Unrolled<kBlocks>([&](auto b) { acc[i][b] = DotProduct(acc[i][b], four, w[b]); });
  });
}

// Seven tiles and four blocks leave a register for a broadcast and three for weights: the fourth stays in memory.
BITSTAGE_INLINE void Step(const uint8_t* codes, const int64_t (&offset)[7], const int8_t* weights,
                          __m512i (&acc)[7][4]) {
  __m512i w[3];
  Unrolled<3>([&](auto b) { w[b] = _mm512_loadu_si512(weights + 64 * b); });
  Unrolled<7>([&](auto i) {
    const __m512i four = BroadcastFourInOrder(codes, offset[i]);
    Unrolled<3>([&](auto b) { acc[i][b] = DotProductInOrder(acc[i][b], four, w[b]); });
    acc[i][3] = DotProductInOrder<3 * 64>(acc[i][3], four, weights);
  });
}

template <int kTiles, int kBlocks>
__attribute__((flatten)) void MicroKernel(const WinogradProducts& products) {
  int64_t offset[kTiles];
  Unrolled<kTiles>([&](auto i) { offset[i] = i * products.tile_bytes; });
  int32_t* sums = products.sums;
  const std::byte* ahead = products.ahead;
  for (int position = 0; position < kPositions; ++position) {
    for (int64_t line = 0; line < products.ahead_lines; ++line, ahead += 64) {
      _mm_prefetch(reinterpret_cast<const char*>(ahead), _MM_HINT_T1);
    }
    __m512i acc[kTiles][kBlocks];
    Unrolled<kBlocks>([&](auto b) {
      const __m512i start = _mm512_loadu_si512(products.start[position] + 16 * b);
      Unrolled<kTiles>([&](auto i) { acc[i][b] = start; });
    });
    const uint8_t* codes = products.codes + position * products.plane_bytes;
    const int8_t* weights = products.panel + position * products.panel_plane_bytes;
    for (int64_t step = products.steps; step > 0; --step) {
      Step(codes, offset, weights, acc);
      codes += 4;
      weights += 64 * kBlocks;
    }
    Unrolled<kTiles>([&](auto i) {
      Unrolled<kBlocks>([&](auto b) { _mm512_storeu_si512(sums + (i * kBlocks + b) * 16, acc[i][b]); });
    });
    sums += kTiles * kBlocks * 16;
  }
}

// Aᵀ sums A / 4 of sixteen channels.
BITSTAGE_INLINE void Inverse(const int32_t* sums, int64_t plane, __m512i (&outputs)[4]) {
  __m512i top[4], bottom[4];
  Unrolled<4>([&](auto x) {
    const auto at = [&](int y) { return _mm512_loadu_si512(sums + (4 * y + x) * plane); };
    const __m512i middle = at(1);
    const __m512i lower = at(2);
    top[x] = _mm512_add_epi32(_mm512_add_epi32(middle, lower), at(0));
    bottom[x] = _mm512_sub_epi32(_mm512_sub_epi32(middle, lower), at(3));
  });
  const auto combine = [](const __m512i(&row)[4], __m512i& left, __m512i& right) {
    left = _mm512_add_epi32(_mm512_add_epi32(row[1], row[2]), row[0]);
    right = _mm512_sub_epi32(_mm512_sub_epi32(row[1], row[2]), row[3]);
  };
  combine(top, outputs[0], outputs[1]);
  combine(bottom, outputs[2], outputs[3]);
  Unrolled<4>([&](auto pixel) { outputs[pixel] = _mm512_srai_epi32(outputs[pixel], 2); });
}

template <int kBlocks>
void TransformOutput(const WinogradOutput& output) {
  const PaddedTransform& transform = output.transform;
  const int64_t plane = output.tiles * kBlocks * 16;
  const __mmask64 lanes = FirstBytes(output.channels);
  const __m512i low_codes = transform.to_float ? _mm512_setzero_si512() : _mm512_loadu_si512(transform.low_codes);
  for (int64_t tile = 0; tile < output.tiles; ++tile) {
    const int32_t* sums = output.sums + tile * kBlocks * 16;
    __m512 t[4][kBlocks];
    Unrolled<kBlocks>([&](auto b) {
      __m512i acc[4];
      Inverse(sums + 16 * b, plane, acc);
      const __m512 mult = _mm512_loadu_ps(transform.mult + 16 * b);
      const __m512 add = _mm512_loadu_ps(transform.add + 16 * b);
      Unrolled<4>([&](auto i) { t[i][b] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[i]), mult, add); });
    });
    if (output.residual_at != nullptr) {
      Unrolled<kBlocks>([&](auto b) {
        const __m512 mult = _mm512_loadu_ps(transform.residual_mult + 16 * b);
        Unrolled<4>([&](auto i) {
          const uint8_t* residual = output.residual_at[4 * tile + i] + output.channel + 16 * b;
          t[i][b] = _mm512_fmadd_ps(LoadCodes(residual), mult, t[i][b]);
        });
      });
    }
    if (transform.to_float) {
      Unrolled<kBlocks>([&](auto b) {
        const __m512 low = _mm512_loadu_ps(transform.low + 16 * b);
        const __m512 high = _mm512_loadu_ps(transform.high + 16 * b);
        Unrolled<4>([&](auto i) {
          // The operands' order matters: where both are equal the result is t, the sign of a zero included.
          const __m512 clamped = _mm512_min_ps(high, _mm512_max_ps(low, t[i][b]));
          float* to = reinterpret_cast<float*>(output.at[4 * tile + i]) + output.channel + 16 * b;
          _mm512_mask_storeu_ps(to, static_cast<__mmask16>(lanes >> (16 * b)), clamped);
        });
      });
      continue;
    }
    __m512i symbols[4][kBlocks];
    Unrolled<kBlocks>([&](auto b) {
      const __m512 high = _mm512_loadu_ps(transform.high + 16 * b);
      Unrolled<4>([&](auto i) { symbols[i][b] = SymbolsOf(t[i][b], high); });
    });
    if (transform.shift != nullptr) {
      Unrolled<kBlocks>([&](auto b) {
        const __m512i shift = _mm512_loadu_si512(transform.shift + 16 * b);
        Unrolled<4>([&](auto i) { symbols[i][b] = Shifted(symbols[i][b], shift); });
      });
    }
    Unrolled<4>([&](auto i) {
      constexpr int kLast = kBlocks - 1;  // what is missing is not stored
      const __m512i codes =
          Pack(symbols[i][0], symbols[i][kLast < 1 ? kLast : 1], symbols[i][kLast < 2 ? kLast : 2], symbols[i][kLast]);
      auto* to = reinterpret_cast<uint8_t*>(output.at[4 * tile + i]) + output.channel;
      if (output.channels == 64) {
        _mm512_storeu_si512(to, _mm512_max_epu8(low_codes, codes));
      } else {
        _mm512_mask_storeu_epi8(to, lanes, _mm512_max_epu8(low_codes, codes));
      }
    });
  }
}

constexpr WinogradTier kTier = {
    16,
    1,
    [](int) { return kOffset; },
    {8, 8, 8, 7},
    TransformInput,
    Open,
    {{MicroKernel<1, 1>, MicroKernel<2, 1>, MicroKernel<3, 1>, MicroKernel<4, 1>, MicroKernel<5, 1>, MicroKernel<6, 1>,
      MicroKernel<7, 1>, MicroKernel<8, 1>},
     {MicroKernel<1, 2>, MicroKernel<2, 2>, MicroKernel<3, 2>, MicroKernel<4, 2>, MicroKernel<5, 2>, MicroKernel<6, 2>,
      MicroKernel<7, 2>, MicroKernel<8, 2>},
     {MicroKernel<1, 3>, MicroKernel<2, 3>, MicroKernel<3, 3>, MicroKernel<4, 3>, MicroKernel<5, 3>, MicroKernel<6, 3>,
      MicroKernel<7, 3>, MicroKernel<8, 3>},
     {MicroKernel<1, 4>, MicroKernel<2, 4>, MicroKernel<3, 4>, MicroKernel<4, 4>, MicroKernel<5, 4>, MicroKernel<6, 4>,
      MicroKernel<7, 4>}},
    {TransformOutput<1>, TransformOutput<2>, TransformOutput<3>, TransformOutput<4>},
    118,
    40,
    20,
    30,
};

}  // namespace

constinit const ConvKernel kWinograd = {
    "vnni_winograd",
    WinogradSupports,
    [](const ConvShape& shape, int, int) { return WinogradCycles(kTier, shape); },
    [](const ConvShape& shape, const int8_t* weights) { return WinogradPackedBytes(kTier, shape, weights); },
    [](const ConvShape& shape, const int8_t* weights, std::byte* packed) {
      WinogradPack(kTier, shape, weights, packed);
    },
    [](const ConvShape& shape) { return WinogradScratchBytes(kTier, shape); },
    [](const ConvShape& shape, const ConvCall& call) { WinogradRun(kTier, shape, call); },
};

}  // namespace bitstage::kernels::avx512_vnni
