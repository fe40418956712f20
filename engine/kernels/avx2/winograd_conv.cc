#include "engine/kernels/winograd_conv.h"

#include "engine/kernels/avx2/avx2.h"
#include "engine/kernels/avx2/registers.h"
#include "engine/kernels/panel_conv.h"

namespace bitstage::kernels::avx2 {
namespace {

// A block of 16 lanes is two registers. Transformed codes and weights are bytes or 16-bit numbers. Of four channels in
// a lane the wide form has the even ones in one step and the odd ones in another: of up to eight steps of bytes, first
// all even ones, then all odd ones.
struct ByteForm {
  using Products = Pairs;
  static constexpr int kHalves = 1;

  template <int kHalf>
  BITSTAGE_INLINE __m256i Code(const uint8_t* codes) {
    return Load(codes);
  }
  template <int kHalf>
  BITSTAGE_INLINE __m256i Weight(__m256i bytes) {
    return bytes;
  }
  BITSTAGE_INLINE __m256i Add(__m256i a, __m256i b) { return _mm256_add_epi8(a, b); }
  BITSTAGE_INLINE __m256i Subtract(__m256i a, __m256i b) { return _mm256_sub_epi8(a, b); }
};

struct WordForm {
  using Products = Words;
  static constexpr int kHalves = 2;

  template <int kHalf>
  BITSTAGE_INLINE __m256i Code(const uint8_t* codes) {
    const __m256i bytes = Load(codes);
    return kHalf == 0 ? _mm256_and_si256(bytes, _mm256_set1_epi16(0xff)) : _mm256_srli_epi16(bytes, 8);
  }
  template <int kHalf>
  BITSTAGE_INLINE __m256i Weight(__m256i bytes) {
    return _mm256_srai_epi16(kHalf == 0 ? _mm256_slli_epi16(bytes, 8) : bytes, 8);
  }
  BITSTAGE_INLINE __m256i Add(__m256i a, __m256i b) { return _mm256_add_epi16(a, b); }
  BITSTAGE_INLINE __m256i Subtract(__m256i a, __m256i b) { return _mm256_sub_epi16(a, b); }
};

// Row kRow of Bᵀ d, one column.
template <typename Form, int kHalf, int kRow>
BITSTAGE_INLINE __m256i Column(const WinogradInput& input, int64_t x, int64_t c) {
  const auto d = [&](int y) __attribute__((always_inline)) { return Form::template Code<kHalf>(input.rows[y][x] + c); };
  if constexpr (kRow == 0) return Form::Subtract(d(0), d(2));
  if constexpr (kRow == 1) return Form::Add(d(1), d(2));
  if constexpr (kRow == 2) return Form::Subtract(d(2), d(1));
  return Form::Subtract(d(3), d(1));
}

template <typename Form, int kHalf, int kRow>
BITSTAGE_INLINE void TransformRow(const WinogradInput& input, int64_t x, int64_t c, __m256i offset, uint8_t* at) {
  const __m256i column[4] = {Column<Form, kHalf, kRow>(input, x, c), Column<Form, kHalf, kRow>(input, x + 1, c),
                             Column<Form, kHalf, kRow>(input, x + 2, c), Column<Form, kHalf, kRow>(input, x + 3, c)};
  const auto store = [&](int position, __m256i v) __attribute__((always_inline)) {
    const bool adds = Form::Products::kFlushes && !(kRow == 1 && position == 1);
    Store(at + (4 * kRow + position) * input.plane_bytes, adds ? Form::Add(v, offset) : v);
  };
  store(0, Form::Subtract(column[0], column[2]));
  store(1, Form::Add(column[1], column[2]));
  store(2, Form::Subtract(column[2], column[1]));
  store(3, Form::Subtract(column[3], column[1]));
}

template <typename Form, int kHalf>
BITSTAGE_INLINE void TransformTile(const WinogradInput& input, int64_t tile, int64_t c, __m256i offset, uint8_t* at) {
  TransformRow<Form, kHalf, 0>(input, 2 * tile, c, offset, at);
  TransformRow<Form, kHalf, 1>(input, 2 * tile, c, offset, at);
  TransformRow<Form, kHalf, 2>(input, 2 * tile, c, offset, at);
  TransformRow<Form, kHalf, 3>(input, 2 * tile, c, offset, at);
}

// The last channels come first, so that what their registers write too much is written again.
template <typename Form>
void TransformInput(const WinogradInput& input) {
  const __m256i offset = _mm256_set1_epi8(static_cast<char>(input.offset));
  for (int64_t c = (input.channels - 1) / 32 * 32; c >= 0; c -= 32) {
    const int64_t odd = input.channels - c < 32 ? input.channels - c : 32;  // bytes of the even half
    for (int64_t tile = 0; tile < input.tiles; ++tile) {
      uint8_t* at = input.at[tile] + c * Form::kHalves;
      TransformTile<Form, 0>(input, tile, c, offset, at);
      if constexpr (Form::kHalves == 2) TransformTile<Form, 1>(input, tile, c, offset, at + odd);
    }
  }
}

// 2G of three registers.
template <typename Form>
BITSTAGE_INLINE void TransformThree(__m256i g0, __m256i g1, __m256i g2, __m256i (&to)[4]) {
  const __m256i outer = Form::Add(g0, g2);
  to[0] = Form::Add(g0, g0);
  to[1] = Form::Add(outer, g1);
  to[2] = Form::Subtract(outer, g1);
  to[3] = Form::Add(g2, g2);
}

template <typename Form, int kHalf>
BITSTAGE_INLINE void StoreTransformedWeights(const __m256i (&bytes)[9], int8_t* to, int64_t plane_bytes) {
  __m256i rows[3][4];
#pragma GCC unroll 3
  for (int y = 0; y < 3; ++y) {
    TransformThree<Form>(Form::template Weight<kHalf>(bytes[3 * y]), Form::template Weight<kHalf>(bytes[3 * y + 1]),
                         Form::template Weight<kHalf>(bytes[3 * y + 2]), rows[y]);
  }
#pragma GCC unroll 4
  for (int x = 0; x < 4; ++x) {
    __m256i column[4];
    TransformThree<Form>(rows[0][x], rows[1][x], rows[2][x], column);
#pragma GCC unroll 4
    for (int y = 0; y < 4; ++y) Store(to + (4 * y + x) * plane_bytes, column[y]);
  }
}

template <typename Form, int kWidth>
void OpenWidth(const WinogradWeights& weights) {
  constexpr int kPerChunk = 8 / kWidth;
  const PackedView& packed = weights.packed;
  const int64_t section_bytes = packed.section_chunks * 64;
  for (int64_t b = 0; b < weights.blocks; ++b) {
    const uint8_t* block = packed.chunks + (weights.block + b) * 9 * section_bytes;
    for (int64_t vector = 0; vector < weights.vectors; ++vector) {
      const int64_t group = vector / 8 * 8;
      const int64_t odd = weights.vectors - group < 8 ? weights.vectors - group : 8;
      const int64_t step = group * Form::kHalves + vector - group;
      const uint8_t* chunk = block + vector / kPerChunk * 64;
      const int index = static_cast<int>(vector % kPerChunk);
      for (int half = 0; half < 2; ++half) {
        __m256i g[9];
#pragma GCC unroll 9
        for (int tap = 0; tap < 9; ++tap) {
          g[tap] = OpenHalf<kWidth>(chunk + tap * section_bytes + half * 32, index, LoadTable(packed, tap));
        }
        int8_t* to = weights.panel + (step * weights.blocks + b) * 64 + half * 32;
        StoreTransformedWeights<Form, 0>(g, to, weights.plane_bytes);
        if constexpr (Form::kHalves == 2) {
          StoreTransformedWeights<Form, 1>(g, to + odd * weights.blocks * 64, weights.plane_bytes);
        }
      }
    }
  }
}

template <typename Form>
void Open(const WinogradWeights& weights) {
  switch (weights.packed.width) {
    case 2: return OpenWidth<Form, 2>(weights);
    case 4: return OpenWidth<Form, 4>(weights);
    default: return OpenWidth<Form, 8>(weights);
  }
}

template <typename Products, int kTiles, int kBlocks>
void MicroKernel(const WinogradProducts& products) {
  // Transformed codes are at most 4 · max_code (their offset included), weights 4, 6 or 9 times as large as before.
  int64_t flush_steps[3] = {products.steps, products.steps, products.steps};
  if constexpr (Products::kFlushes) {
    flush_steps[0] = FlushSteps(4 * products.max_code, 4 * products.max_weight);
    flush_steps[1] = FlushSteps(4 * products.max_code, 6 * products.max_weight);
    flush_steps[2] = FlushSteps(4 * products.max_code, 9 * products.max_weight);
  }
  const int64_t tile_bytes = products.tile_bytes;
  int32_t* acc = products.sums;
  for (int position = products.position_begin; position < products.position_end;
       ++position, acc += products.sums_plane) {
    const int row = position / 4;
    const int column = position % 4;
    const int64_t most = flush_steps[(row == 1 || row == 2) + (column == 1 || column == 2)];
    const uint8_t* codes = products.codes + position * products.plane_bytes;
    for (int block = 0; block < kBlocks; ++block) {
      const int8_t* weights = products.panel + position * products.panel_plane_bytes + block * 64;
      const int32_t* before = products.start[position] + block * 16;
      int64_t before_stride = 0;
      for (int64_t step = 0; step < products.steps;) {
        Sums<Products, kTiles, 2> sums;
        sums.Start(before);
        const int64_t end = products.steps - step < most ? products.steps : step + most;
        const uint8_t* near = codes + step * 4;
        const uint8_t* far = near + 3 * tile_bytes;
        for (; step < end; ++step, near += 4, far += 4, weights += kBlocks * 64) {
          const __m256i w[2] = {Load(weights), Load(weights + 32)};
#pragma GCC unroll 8
          for (int i = 0; i < kTiles; ++i) {
            sums.AddStep(w, i, BroadcastStep(i < 3 ? near + i * tile_bytes : far + (i - 3) * tile_bytes));
          }
          __asm__("" : "+r"(near), "+r"(far));  // stay pointers of their own
        }
        sums.Finish(before, before_stride, acc + block * 16, kBlocks * 16);
        before = acc + block * 16;
        before_stride = kBlocks * 16;
      }
    }
  }
}

// Aᵀ sums A / 4 of eight channels.
BITSTAGE_INLINE void Inverse(const int32_t* sums, int64_t plane, __m256i (&outputs)[4]) {
  __m256i top[4], bottom[4];
#pragma GCC unroll 4
  for (int x = 0; x < 4; ++x) {
    const __m256i middle = Load(sums + (4 + x) * plane);
    const __m256i lower = Load(sums + (8 + x) * plane);
    top[x] = _mm256_add_epi32(_mm256_add_epi32(middle, lower), Load(sums + x * plane));
    bottom[x] = _mm256_add_epi32(_mm256_sub_epi32(middle, lower), Load(sums + (12 + x) * plane));
  }
  const auto combine = [](const __m256i(&r)[4], __m256i& left, __m256i& right) __attribute__((always_inline)) {
    left = _mm256_srai_epi32(_mm256_add_epi32(_mm256_add_epi32(r[1], r[2]), r[0]), 2);
    right = _mm256_srai_epi32(_mm256_add_epi32(_mm256_sub_epi32(r[1], r[2]), r[3]), 2);
  };
  combine(top, outputs[0], outputs[1]);
  combine(bottom, outputs[2], outputs[3]);
}

// Four pixels' floats of eight channels from channel c of the panel on.
BITSTAGE_INLINE void Floats(const WinogradOutput& output, int64_t tile, int64_t c, const int32_t* sums, int64_t plane,
                            __m256 (&t)[4]) {
  __m256i acc[4];
  Inverse(sums + c, plane, acc);
  const PaddedTransform& transform = output.transform;
  const __m256 mult = _mm256_loadu_ps(transform.mult + c);
  const __m256 add = _mm256_loadu_ps(transform.add + c);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) t[i] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc[i]), mult, add);
  if (output.residual_at == nullptr) return;
  const __m256 residual_mult = _mm256_loadu_ps(transform.residual_mult + c);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm256_fmadd_ps(LoadCodes(output.residual_at[4 * tile + i] + output.channel + c), residual_mult, t[i]);
  }
}

BITSTAGE_INLINE __m256i Symbols(const PaddedTransform& transform, int64_t c, __m256 t) {
  const __m256i symbols = _mm256_cvtps_epi32(_mm256_min_ps(t, _mm256_loadu_ps(transform.high + c)));
  if (transform.shift == nullptr) return symbols;
  // Below 0 they might leave int32 and come back as large codes.
  return _mm256_sllv_epi32(_mm256_max_epi32(symbols, _mm256_setzero_si256()), Load(transform.shift + c));
}

BITSTAGE_INLINE void StoreFloats(const WinogradOutput& output, int64_t tile, int64_t c, const __m256 (&t)[4]) {
  const __m256 low = _mm256_loadu_ps(output.transform.low + c);
  const __m256 high = _mm256_loadu_ps(output.transform.high + c);
  const int64_t count = output.channels - c < 8 ? output.channels - c : 8;
  for (int i = 0; i < 4 && count > 0; ++i) {
    // The operands' order matters: where both are equal the result is t, the sign of a zero included.
    const __m256 clamped = _mm256_min_ps(high, _mm256_max_ps(low, t[i]));
    float* to = reinterpret_cast<float*>(output.at[4 * tile + i]) + output.channel + c;
    __builtin_memcpy(to, &clamped, static_cast<size_t>(count) * sizeof(float));
  }
}

template <int kBlocks>
void TransformOutput(const WinogradOutput& output) {
  const PaddedTransform& transform = output.transform;
  const int64_t plane = output.sums_plane;
  for (int64_t tile = 0; tile < output.tiles; ++tile) {
    const int32_t* sums = output.sums + tile * kBlocks * 16;
    for (int64_t c = 0; c < kBlocks * 16; c += 16) {
      __m256 t[2][4];
      Floats(output, tile, c, sums, plane, t[0]);
      Floats(output, tile, c + 8, sums, plane, t[1]);
      if (transform.to_float) {
        StoreFloats(output, tile, c, t[0]);
        StoreFloats(output, tile, c + 8, t[1]);
        continue;
      }
      const __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i*>(transform.low_codes + c));
      const int64_t count = output.channels - c;
      for (int i = 0; i < 4; ++i) {
        const __m256i words = PackWords(Symbols(transform, c, t[0][i]), Symbols(transform, c + 8, t[1][i]));
        const __m128i codes = _mm_max_epu8(low, PackBytes(words));
        auto* to = reinterpret_cast<uint8_t*>(output.at[4 * tile + i]) + output.channel + c;
        if (count >= 16) {
          _mm_storeu_si128(reinterpret_cast<__m128i*>(to), codes);
        } else {
          __builtin_memcpy(to, &codes, static_cast<size_t>(count));
        }
      }
    }
  }
}

#define BITSTAGE_TILES(blocks)                                                                               \
  {                                                                                                          \
    MicroKernel<Products, 1, blocks>, MicroKernel<Products, 2, blocks>, MicroKernel<Products, 3, blocks>,    \
        MicroKernel<Products, 4, blocks>, MicroKernel<Products, 5, blocks>, MicroKernel<Products, 6, blocks> \
  }

template <typename Form>
constexpr WinogradTier Tier(double macs_per_cycle) {
  using Products = typename Form::Products;
  return {
      &kWinogradByOne,
      16,
      Form::kHalves,
      [](int max_code) { return static_cast<uint8_t>(Form::kHalves == 1 ? 2 * max_code : 0); },
      {6, 6, 6, 6},
      TransformInput<Form>,
      Open<Form>,
      {BITSTAGE_TILES(1), BITSTAGE_TILES(2), BITSTAGE_TILES(3), BITSTAGE_TILES(4)},
      {TransformOutput<1>, TransformOutput<2>, TransformOutput<3>, TransformOutput<4>},
      {},
      nullptr,
      macs_per_cycle,
      60,
      60,
      80,
      0,
  };
}

constexpr WinogradTier kBytesTier = Tier<ByteForm>(52);
constexpr WinogradTier kWordsTier = Tier<WordForm>(26);

template <const WinogradTier* kTier>
constexpr ConvKernel Kernel(const char* name, bool (*supports)(const ConvShape&, int, int),
                            double (*cycles)(const ConvShape&, int, int)) {
  return {
      name,
      supports,
      cycles,
      [](const ConvShape& shape, const int8_t* weights) { return WinogradPackedBytes(*kTier, shape, weights); },
      [](const ConvShape& shape, const int8_t* weights, std::byte* packed) {
        WinogradPack(*kTier, shape, weights, packed);
      },
      [](const ConvShape& shape) { return WinogradScratchBytes(*kTier, shape); },
      [](const ConvShape& shape, const ConvCall& call) { WinogradRun(*kTier, shape, call); },
      [](const ConvShape& shape) { return WinogradPanels(*kTier, shape); },
      [](const ConvShape& shape) { return WinogradBatchScratchBytes(*kTier, shape); },
  };
}

}  // namespace

constinit const ConvKernel kWinograd = Kernel<&kBytesTier>(
    "avx2_winograd",
    // Two products of the largest transformed codes and weights fit 16 bits.
    [](const ConvShape& shape, int max_code, int max_weight) {
      return WinogradSupports(kWinogradByOne, shape, max_code, max_weight) &&
             2 * 4 * max_code * 9 * max_weight <= INT16_MAX;
    },
    [](const ConvShape& shape, int max_code, int max_weight) {
      WinogradTier tier = kBytesTier;
      const auto steps = static_cast<double>(FlushSteps(4 * max_code, 6 * max_weight));
      tier.macs_per_cycle *= steps / (steps + 2);
      return WinogradCycles(tier, shape);
    });

constinit const ConvKernel kWinogradWords = Kernel<&kWordsTier>(
    "avx2_winograd_words",
    [](const ConvShape& shape, int max_code, int max_weight) {
      return WideWinogradSupports(kWinogradByOne, shape, max_code, max_weight);
    },
    [](const ConvShape& shape, int, int) { return WinogradCycles(kWordsTier, shape); });

}  // namespace bitstage::kernels::avx2
