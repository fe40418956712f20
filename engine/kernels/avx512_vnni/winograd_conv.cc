#include "engine/kernels/winograd_conv.h"

#include "engine/kernels/avx512_vnni/avx512_vnni.h"
#include "engine/kernels/avx512_vnni/registers.h"
#include "engine/kernels/avx512_vnni/winograd_transforms.h"

namespace bitstage::kernels::avx512_vnni {
namespace {

// One step, the weights of all blocks in registers.
template <int kTiles, int kBlocks>
BITSTAGE_INLINE void Step(const uint8_t* codes, const int64_t (&offset)[kTiles], const int8_t* weights,
                          __m512i (&acc)[kTiles][kBlocks]) {
  __m512i w[kBlocks];
  Unrolled<kBlocks>([&](auto b) BITSTAGE_INLINED { w[b] = _mm512_loadu_si512(weights + 64 * b); });
  Unrolled<kTiles>([&](auto i) BITSTAGE_INLINED {
    const __m512i four = BroadcastFour(codes + offset[i]);
    Unrolled<kBlocks>([&](auto b) BITSTAGE_INLINED { acc[i][b] = DotProduct(acc[i][b], four, w[b]); });
  });
}

// Seven tiles and four blocks leave a register for a broadcast and three for weights: the fourth stays in memory.
BITSTAGE_INLINE void Step(const uint8_t* codes, const int64_t (&offset)[7], const int8_t* weights,
                          __m512i (&acc)[7][4]) {
  __m512i w[3];
  Unrolled<3>([&](auto b) BITSTAGE_INLINED { w[b] = _mm512_loadu_si512(weights + 64 * b); });
  Unrolled<7>([&](auto i) BITSTAGE_INLINED {
    const __m512i four = BroadcastFourInOrder(codes, offset[i]);
    Unrolled<3>([&](auto b) BITSTAGE_INLINED { acc[i][b] = DotProductInOrder(acc[i][b], four, w[b]); });
    acc[i][3] = DotProductInOrder<3 * 64>(acc[i][3], four, weights);
  });
}

template <const WinogradForm& kForm, int kTiles, int kBlocks>
__attribute__((flatten)) void MicroKernel(const WinogradProducts& products) {
  int64_t offset[kTiles];
  Unrolled<kTiles>([&](auto i) BITSTAGE_INLINED { offset[i] = i * products.tile_bytes; });
  int32_t* sums = products.sums;
  const std::byte* ahead = products.ahead;
  for (int position = products.position_begin; position < products.position_end; ++position) {
    for (int64_t line = 0; line < products.ahead_lines; ++line, ahead += 64) {
      _mm_prefetch(reinterpret_cast<const char*>(ahead), _MM_HINT_T1);
    }
    __m512i acc[kTiles][kBlocks];
    Unrolled<kBlocks>([&](auto b) BITSTAGE_INLINED {
      const __m512i start = _mm512_loadu_si512(products.start[position] + 16 * b);
      Unrolled<kTiles>([&](auto i) BITSTAGE_INLINED { acc[i][b] = start; });
    });
    const auto add = [&](int64_t code_plane, int64_t weight_plane) BITSTAGE_INLINED {
      const uint8_t* codes = products.codes + code_plane * products.plane_bytes;
      const int8_t* weights = products.panel + weight_plane * products.panel_plane_bytes;
      for (int64_t step = products.steps; step > 0; --step) {
        Step(codes, offset, weights, acc);
        codes += 4;
        weights += 64 * kBlocks;
      }
    };
    if constexpr (kForm.codes == kForm.positions) {
      add(position, position);
    } else {
      const int row = position / kForm.positions;
      const int column = position % kForm.positions;
      for (int y = kForm.first_code[row]; y < kForm.first_code[row + 1]; ++y) {
        for (int x = kForm.first_code[column]; x < kForm.first_code[column + 1]; ++x) {
          add(y * kForm.codes + x, kForm.weight[y] * 4 + kForm.weight[x]);
        }
      }
    }
    Unrolled<kTiles>([&](auto i) BITSTAGE_INLINED {
      Unrolled<kBlocks>([&](auto b)
                            BITSTAGE_INLINED { _mm512_storeu_si512(sums + (i * kBlocks + b) * 16, acc[i][b]); });
    });
    sums += products.sums_plane;
  }
}

// A row of positions: 1 and 2 first, whose sum goes left and whose difference right, then 0 to the left and 3 to the
// right.
template <int kTiles>
__attribute__((flatten)) void RowMicroKernel(const WinogradProducts& products) {
  const std::byte* ahead = products.ahead;
  for (int64_t line = 0; line < products.ahead_lines; ++line, ahead += 64) {
    _mm_prefetch(reinterpret_cast<const char*>(ahead), _MM_HINT_T1);
  }
  int64_t offset[kTiles];
  Unrolled<kTiles>([&](auto i) BITSTAGE_INLINED { offset[i] = i * products.tile_bytes; });
  const int first = products.position_begin;
  __m512i left[kTiles][4], right[kTiles][4];
  Unrolled<kTiles * 4>([&](auto i) BITSTAGE_INLINED {
    left[i / 4][i % 4] = _mm512_setzero_si512();
    right[i / 4][i % 4] = _mm512_setzero_si512();
  });
  const auto add = [&](int to_left, int to_right) BITSTAGE_INLINED {
    const uint8_t* left_codes = products.codes + to_left * products.plane_bytes;
    const uint8_t* right_codes = products.codes + to_right * products.plane_bytes;
    const int8_t* left_weights = products.panel + to_left * products.panel_plane_bytes;
    const int8_t* right_weights = products.panel + to_right * products.panel_plane_bytes;
    for (int64_t step = products.steps; step > 0; --step) {
      Step(left_codes, offset, left_weights, left);
      Step(right_codes, offset, right_weights, right);
      left_codes += 4;
      right_codes += 4;
      left_weights += 256;
      right_weights += 256;
    }
  };
  add(first + 1, first + 2);
  Unrolled<kTiles * 4>([&](auto i) BITSTAGE_INLINED {
    constexpr int b = i % 4;
    const __m512i sum = _mm512_add_epi32(left[i / 4][b], right[i / 4][b]);
    const __m512i difference = _mm512_sub_epi32(left[i / 4][b], right[i / 4][b]);
    left[i / 4][b] = _mm512_add_epi32(sum, _mm512_loadu_si512(products.start[first] + 16 * b));
    right[i / 4][b] = _mm512_add_epi32(difference, _mm512_loadu_si512(products.start[first + 3] + 16 * b));
  });
  add(first, first + 3);
  int32_t* sums = products.sums;
  Unrolled<kTiles * 4>([&](auto i) BITSTAGE_INLINED {
    _mm512_storeu_si512(sums + i * 16, left[i / 4][i % 4]);
    _mm512_storeu_si512(sums + products.sums_plane + i * 16, right[i / 4][i % 4]);
  });
}

// The outputs of sixteen channels.
BITSTAGE_INLINE void InverseOfRows(const int32_t* sums, int64_t plane, __m512i (&outputs)[4]) {
  Unrolled<2>([&](auto x) {
    const auto at = [&](int y) { return _mm512_loadu_si512(sums + (2 * y + x) * plane); };
    const __m512i middle = at(1);
    const __m512i lower = at(2);
    const __m512i top = _mm512_add_epi32(_mm512_add_epi32(middle, lower), at(0));
    const __m512i bottom = _mm512_add_epi32(_mm512_sub_epi32(middle, lower), at(3));
    outputs[x] = _mm512_srai_epi32(top, 2);
    outputs[2 + x] = _mm512_srai_epi32(bottom, 2);
  });
}
BITSTAGE_INLINE void InverseByTwo(const int32_t* sums, int64_t plane, __m512i (&outputs)[4]) {
  __m512i top[3], bottom[3];
  Unrolled<3>([&](auto x) {
    const __m512i middle = _mm512_loadu_si512(sums + (3 + x) * plane);
    top[x] = _mm512_add_epi32(middle, _mm512_loadu_si512(sums + x * plane));
    bottom[x] = _mm512_add_epi32(middle, _mm512_loadu_si512(sums + (6 + x) * plane));
  });
  Unrolled<2>([&](auto x) {
    outputs[x] = _mm512_add_epi32(top[x], top[x + 1]);
    outputs[2 + x] = _mm512_add_epi32(bottom[x], bottom[x + 1]);
  });
}
BITSTAGE_INLINE void InverseByOne(const int32_t* sums, int64_t plane, __m512i (&outputs)[4]) {
  __m512i top[4], bottom[4];
  Unrolled<4>([&](auto x) {
    const auto at = [&](int y) { return _mm512_loadu_si512(sums + (4 * y + x) * plane); };
    const __m512i middle = at(1);
    const __m512i lower = at(2);
    top[x] = _mm512_add_epi32(_mm512_add_epi32(middle, lower), at(0));
    bottom[x] = _mm512_add_epi32(_mm512_sub_epi32(middle, lower), at(3));
  });
  const auto combine = [](const __m512i(&row)[4], __m512i& left, __m512i& right) {
    left = _mm512_add_epi32(_mm512_add_epi32(row[1], row[2]), row[0]);
    right = _mm512_add_epi32(_mm512_sub_epi32(row[1], row[2]), row[3]);
  };
  combine(top, outputs[0], outputs[1]);
  combine(bottom, outputs[2], outputs[3]);
  Unrolled<4>([&](auto pixel) { outputs[pixel] = _mm512_srai_epi32(outputs[pixel], 2); });
}

// What sums are of: rows of positions by one; positions by one, and by two.
enum Sums : uint8_t { kByRows, kByOne, kByTwo };

// Entry k of the doublings of a panel's channels: they may begin anywhere in 64 and end in the next ones.
BITSTAGE_INLINE __mmask64 DoublingFrom(const WinogradOutput& output, int k) {
  const uint64_t* doublings = output.transform.doublings + k;
  const int64_t first = output.channel % 64;
  const uint64_t mask = doublings[0] >> first;
  return first + output.channels > 64 ? mask | doublings[kMaxShift] << (64 - first) : mask;
}

// The outputs of the 16 channels whose sums of a tile begin at `sums`.
template <Sums kSums>
BITSTAGE_INLINE void Inverse(const int32_t* sums, int64_t plane, __m512i (&outputs)[4]) {
  kSums == kByRows  ? InverseOfRows(sums, plane, outputs)
  : kSums == kByOne ? InverseByOne(sums, plane, outputs)
                    : InverseByTwo(sums, plane, outputs);
}

BITSTAGE_INLINE void StoreCodes(const WinogradOutput& output, int64_t pixel, __mmask64 lanes, __m512i codes) {
  auto* to = reinterpret_cast<uint8_t*>(output.at[pixel]) + output.channel;
  if (output.channels == 64) {
    _mm512_storeu_si512(to, codes);
  } else {
    _mm512_mask_storeu_epi8(to, lanes, codes);
  }
}

template <Sums kSums, int kBlocks>
void TransformByWords(const WinogradOutput& output) {
  const PaddedTransform& transform = output.transform;
  constexpr int kLast = kBlocks - 1;  // what is missing is not stored
  constexpr int kAt[4] = {0, kLast < 1 ? kLast : 1, kLast < 2 ? kLast : 2, kLast};
  const auto words = [&](int k) { return _mm512_loadu_si512(transform.words + 16 * kAt[k]); };
  const WordPacker<true> packer(words(0), words(1), words(2), words(3), transform.word_shift);
  const __mmask64 lanes = FirstBytes(output.channels);
  const __m512i mask = _mm512_maskz_loadu_epi8(lanes, transform.word_masks);
  const __m512i high_codes = _mm512_maskz_loadu_epi8(lanes, transform.high_codes);
  for (int64_t tile = 0; tile < output.tiles; ++tile) {
    const int32_t* sums = output.sums + tile * kBlocks * 16;
    __m512i acc[kBlocks][4];
    Unrolled<kBlocks>([&](auto b) { Inverse<kSums>(sums + 16 * b, output.sums_plane, acc[b]); });
    Unrolled<4>([&](auto i) {
      const __m512i codes = InOrder(packer.Interleaved(acc[kAt[0]][i], acc[kAt[1]][i], acc[kAt[2]][i], acc[kAt[3]][i]));
      StoreCodes(output, 4 * tile + i, lanes, WordCode(codes, mask, high_codes));
    });
  }
}

template <Sums kSums, int kBlocks>
void TransformOutput(const WinogradOutput& output) {
  if (output.transform.words != nullptr) return TransformByWords<kSums, kBlocks>(output);
  const PaddedTransform& transform = output.transform;
  const int64_t plane = output.sums_plane;
  const __mmask64 lanes = FirstBytes(output.channels);
  const __m512i low_codes =
      transform.to_float ? _mm512_setzero_si512() : _mm512_maskz_loadu_epi8(lanes, transform.low_codes);
  const __m512i high_codes =
      transform.to_float ? _mm512_setzero_si512() : _mm512_maskz_loadu_epi8(lanes, transform.high_codes);
  for (int64_t tile = 0; tile < output.tiles; ++tile) {
    const int32_t* sums = output.sums + tile * kBlocks * 16;
    __m512 t[4][kBlocks];
    Unrolled<kBlocks>([&](auto b) {
      __m512i acc[4];
      Inverse<kSums>(sums + 16 * b, plane, acc);
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
    if (transform.within_int32) {
      Unrolled<kBlocks>([&](auto b) { Unrolled<4>([&](auto i) { symbols[i][b] = _mm512_cvtps_epi32(t[i][b]); }); });
    } else {
      Unrolled<kBlocks>([&](auto b) {
        const __m512 high = _mm512_loadu_ps(transform.high + 16 * b);
        Unrolled<4>([&](auto i) { symbols[i][b] = SymbolsOf(t[i][b], high); });
      });
    }
    __m512i codes[4];
    Unrolled<4>([&](auto i) {
      constexpr int kLast = kBlocks - 1;  // what is missing is not stored
      codes[i] =
          Pack(symbols[i][0], symbols[i][kLast < 1 ? kLast : 1], symbols[i][kLast < 2 ? kLast : 2], symbols[i][kLast]);
    });
    for (int k = 0; k < transform.doubling_count; ++k) {
      const __mmask64 doubling = DoublingFrom(output, k);
      Unrolled<4>([&](auto i) { codes[i] = Doubled(codes[i], doubling); });
    }
    Unrolled<4>([&](auto i) { StoreCodes(output, 4 * tile + i, lanes, Clamp(codes[i], low_codes, high_codes)); });
  }
}

template <const WinogradForm& kForm>
constexpr WinogradTier Tier(void (*transform_input)(const WinogradInput&), double input_cycles, double output_cycles) {
  constexpr int kStride = kForm.stride;
  constexpr Sums kSums = kStride == 1 ? kByOne : kByTwo;
  return {
      &kForm,
      16,
      1,
      [](int) { return kWinogradOffset; },
      {8, 8, 8, 7},
      transform_input,
      kStride == 1 ? OpenByOne : OpenByTwo,
      {{MicroKernel<kForm, 1, 1>, MicroKernel<kForm, 2, 1>, MicroKernel<kForm, 3, 1>, MicroKernel<kForm, 4, 1>,
        MicroKernel<kForm, 5, 1>, MicroKernel<kForm, 6, 1>, MicroKernel<kForm, 7, 1>, MicroKernel<kForm, 8, 1>},
       {MicroKernel<kForm, 1, 2>, MicroKernel<kForm, 2, 2>, MicroKernel<kForm, 3, 2>, MicroKernel<kForm, 4, 2>,
        MicroKernel<kForm, 5, 2>, MicroKernel<kForm, 6, 2>, MicroKernel<kForm, 7, 2>, MicroKernel<kForm, 8, 2>},
       {MicroKernel<kForm, 1, 3>, MicroKernel<kForm, 2, 3>, MicroKernel<kForm, 3, 3>, MicroKernel<kForm, 4, 3>,
        MicroKernel<kForm, 5, 3>, MicroKernel<kForm, 6, 3>, MicroKernel<kForm, 7, 3>, MicroKernel<kForm, 8, 3>},
       {MicroKernel<kForm, 1, 4>, MicroKernel<kForm, 2, 4>, MicroKernel<kForm, 3, 4>, MicroKernel<kForm, 4, 4>,
        MicroKernel<kForm, 5, 4>, MicroKernel<kForm, 6, 4>, MicroKernel<kForm, 7, 4>}},
      {TransformOutput<kSums, 1>, TransformOutput<kSums, 2>, TransformOutput<kSums, 3>, TransformOutput<kSums, 4>},
      {kStride == 1 ? RowMicroKernel<1> : nullptr, kStride == 1 ? RowMicroKernel<2> : nullptr,
       kStride == 1 ? RowMicroKernel<3> : nullptr},
      kStride == 1 ? TransformOutput<kByRows, 4> : nullptr,
      118,
      input_cycles,
      output_cycles,
      30,
      35,
  };
}

constexpr WinogradTier kTierByOne = Tier<kWinogradByOne>(TransformInputByOne, 40, 20);
constexpr WinogradTier kTierByTwo = Tier<kWinogradByTwo>(TransformInputByTwo, 60, 15);

template <const WinogradTier& kTier>
constexpr ConvKernel Kernel(const char* name) {
  return {
      name,
      [](const ConvShape& shape, int max_code, int max_weight) {
        return WinogradSupports(*kTier.form, shape, max_code, max_weight);
      },
      [](const ConvShape& shape, int, int) { return WinogradCycles(kTier, shape); },
      [](const ConvShape& shape, const int8_t* weights) { return WinogradPackedBytes(kTier, shape, weights); },
      [](const ConvShape& shape, const int8_t* weights, std::byte* packed) {
        WinogradPack(kTier, shape, weights, packed);
      },
      [](const ConvShape& shape) { return WinogradScratchBytes(kTier, shape); },
      [](const ConvShape& shape, const ConvCall& call) { WinogradRun(kTier, shape, call); },
      [](const ConvShape& shape) { return WinogradPanels(kTier, shape); },
      [](const ConvShape& shape) { return WinogradBatchScratchBytes(kTier, shape); },
      [](const ConvShape& shape, int factor, std::byte* packed) { WinogradScale(kTier, shape, factor, packed); },
  };
}

}  // namespace

constinit const ConvKernel kWinograd = Kernel<kTierByOne>("vnni_winograd");
constinit const ConvKernel kWinogradStrided = Kernel<kTierByTwo>("vnni_winograd_strided");

}  // namespace bitstage::kernels::avx512_vnni
