#include "engine/kernels/avx512_vnni/avx512_vnni.h"
#include "engine/kernels/avx512_vnni/column_parts.h"
#include "engine/kernels/avx512_vnni/registers.h"
#include "engine/kernels/depthwise_columns.h"

namespace bitstage::kernels::avx512_vnni {
namespace {

constexpr int kOutputs = 7;  // computed at a time: what divides the widths of common feature maps

// Interleaving works within 128-bit lanes: register k gets channels 16·lane + 4k + 0…3. Packing to bytes undoes that.
int64_t Position(int64_t channel) { return channel % 16 / 4 * 16 + channel / 16 * 4 + channel % 4; }

template <int kParts>
BITSTAGE_INLINE void CopyParts(const ColumnCopy& copy) {
  for (int64_t group = 0; group < copy.groups; ++group) {
    const uint8_t* at[4][kMaxColumnParts] = {};
    Unrolled<4>([&](auto row) __attribute__((always_inline)) {
      Unrolled<kParts>([&](auto part) __attribute__((always_inline)) {
        at[row][part] = copy.rows[(part * copy.groups + group) * 4 + row];
      });
    });
    const int64_t* bytes = copy.pixel_bytes + group * 4;
    int64_t offset[4] = {};
    uint8_t* to = copy.to + group * 256;
    for (int64_t i = 0; i < copy.count; ++i, to += copy.groups * 256) {
      const __m512i a = LoadParts<kParts>(at[0], offset[0]);
      const __m512i b = LoadParts<kParts>(at[1], offset[1]);
      const __m512i c = LoadParts<kParts>(at[2], offset[2]);
      const __m512i d = LoadParts<kParts>(at[3], offset[3]);
      const __m512i ab_low = _mm512_unpacklo_epi8(a, b);
      const __m512i ab_high = _mm512_unpackhi_epi8(a, b);
      const __m512i cd_low = _mm512_unpacklo_epi8(c, d);
      const __m512i cd_high = _mm512_unpackhi_epi8(c, d);
      _mm512_storeu_si512(to, _mm512_unpacklo_epi16(ab_low, cd_low));
      _mm512_storeu_si512(to + 64, _mm512_unpackhi_epi16(ab_low, cd_low));
      _mm512_storeu_si512(to + 128, _mm512_unpacklo_epi16(ab_high, cd_high));
      _mm512_storeu_si512(to + 192, _mm512_unpackhi_epi16(ab_high, cd_high));
      Unrolled<4>([&](auto row) __attribute__((always_inline)) { offset[row] += bytes[row]; });
    }
  }
}

void CopyColumns(const ColumnCopy& copy) {
  if (copy.parts == 1) return CopyParts<1>(copy);
  if (copy.parts == 2) return CopyParts<2>(copy);
  CopyParts<4>(copy);
}

// The sums of register k of kOutputs outputs. kWidth, kStride: of the kernel, where each column is loaded once; 0 where
// they are known only now.
template <int kWidth, int kStride>
BITSTAGE_INLINE void Accumulate(const ColumnRow& row, const uint8_t* columns, int k, __m512i (&acc)[kOutputs]) {
  const int8_t* weights = row.weights + k * 64;
  columns += k * 64;
  if constexpr (kWidth > 0) {
    __m512i w[kWidth];
    Unrolled<kWidth>([&](auto kx) __attribute__((always_inline)) { w[kx] = _mm512_loadu_si512(weights + kx * 256); });
    Unrolled<(kOutputs - 1) * kStride + kWidth>([&](auto column) __attribute__((always_inline)) {
      const __m512i codes = _mm512_loadu_si512(columns + column * 256);
      Unrolled<kOutputs>([&](auto i) __attribute__((always_inline)) {
        constexpr int kx = column - i * kStride;
        if constexpr (kx >= 0 && kx < kWidth) acc[i] = DotProduct(acc[i], codes, w[kx]);
      });
    });
  } else {
    for (int64_t kx = 0; kx < row.kernel_width; ++kx) {
      for (int64_t group = 0; group < row.groups; ++group, weights += 256) {
        const __m512i w = _mm512_loadu_si512(weights);
        const uint8_t* at = columns + kx * row.dilation * row.column_bytes + group * 256;
        Unrolled<kOutputs>([&](auto i) __attribute__((always_inline)) {
          acc[i] = DotProduct(acc[i], _mm512_loadu_si512(at + i * row.stride * row.column_bytes), w);
        });
      }
    }
  }
}

// Bytes 4k … 4k + 3 of every 128-bit lane as dwords.
BITSTAGE_INLINE __m512i Dwords(__m512i bytes, int k) {
  const auto four = static_cast<char>(4 * k);
  const __m128i pick = _mm_setr_epi8(four, -1, -1, -1, static_cast<char>(four + 1), -1, -1, -1,
                                     static_cast<char>(four + 2), -1, -1, -1, static_cast<char>(four + 3), -1, -1, -1);
  return _mm512_shuffle_epi8(bytes, _mm512_broadcast_i32x4(pick));
}

// Four registers of consecutive channels to the order of Position, or back: a 4 x 4 transpose of 128-bit lanes.
BITSTAGE_INLINE void Reorder(const __m512i (&from)[4], __m512i (&to)[4]) {
  const __m512i low01 = _mm512_shuffle_i32x4(from[0], from[1], 0x44);
  const __m512i high01 = _mm512_shuffle_i32x4(from[0], from[1], 0xee);
  const __m512i low23 = _mm512_shuffle_i32x4(from[2], from[3], 0x44);
  const __m512i high23 = _mm512_shuffle_i32x4(from[2], from[3], 0xee);
  to[0] = _mm512_shuffle_i32x4(low01, low23, 0x88);
  to[1] = _mm512_shuffle_i32x4(low01, low23, 0xdd);
  to[2] = _mm512_shuffle_i32x4(high01, high23, 0x88);
  to[3] = _mm512_shuffle_i32x4(high01, high23, 0xdd);
}

// An array of 64 dwords in the order of Position.
struct Ordered {
  explicit Ordered(const void* array) {
    const auto* at = static_cast<const int32_t*>(array);
    const __m512i from[4] = {_mm512_loadu_si512(at), _mm512_loadu_si512(at + 16), _mm512_loadu_si512(at + 32),
                             _mm512_loadu_si512(at + 48)};
    Reorder(from, part);
  }
  __m512i part[4];
};

BITSTAGE_INLINE __m512 Floats(const Ordered& array, int k) { return _mm512_castsi512_ps(array.part[k]); }

// Output `output` of every part, to floats.
BITSTAGE_INLINE void StoreFloats(const ColumnRow& row, int64_t output, const __m512 (&t)[4]) {
  __m512i ordered[4];
  const __m512i from[4] = {_mm512_castps_si512(t[0]), _mm512_castps_si512(t[1]), _mm512_castps_si512(t[2]),
                           _mm512_castps_si512(t[3])};
  Reorder(from, ordered);
  const int64_t part_registers = 4 / row.parts;
  Unrolled<4>([&](auto k) __attribute__((always_inline)) {
    const int64_t c = k % part_registers * 16;
    if (row.channels <= c) return;
    const int64_t pixel = row.part_pixels[k / part_registers] + output;
    // The operands' order matters: where both are equal the result is t, the sign of a zero included.
    const __m512 clamped =
        _mm512_min_ps(_mm512_loadu_ps(row.transform.high + 16 * k),
                      _mm512_max_ps(_mm512_loadu_ps(row.transform.low + 16 * k), _mm512_castsi512_ps(ordered[k])));
    _mm512_mask_storeu_ps(static_cast<float*>(row.output) + pixel * row.output_pixel_stride + c,
                          static_cast<__mmask16>(FirstBytes(row.channels - c)), clamped);
  });
}

// The residual's codes of one output of every part.
BITSTAGE_INLINE __m512i LoadResidual(const ColumnRow& row, int64_t output) {
  const uint8_t* part[kMaxColumnParts] = {};
  for (int64_t k = 0; k < row.parts; ++k) {
    part[k] = row.residual + (row.part_pixels[k] + output) * row.residual_pixel_stride;
  }
  if (row.parts == 1) return LoadParts<1>(part, 0);
  return row.parts == 2 ? LoadParts<2>(part, 0) : LoadParts<4>(part, 0);
}

// Everything that is not plain codes: residuals, floats, and what may leave the range of int32.
BITSTAGE_INLINE void StoreAny(const ColumnRow& row, int64_t output, const __m512i (&acc)[4]) {
  const PaddedTransform& transform = row.transform;
  __m512 t[4];
  Unrolled<4>([&](auto k) __attribute__((always_inline)) {
    t[k] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[k]), _mm512_loadu_ps(row.mult + 16 * k),
                           _mm512_loadu_ps(row.add + 16 * k));
  });
  if (row.residual != nullptr) {
    const __m512i codes = LoadResidual(row, output);
    const Ordered residual_mult(transform.residual_mult);
    Unrolled<4>([&](auto k) __attribute__((always_inline)) {
      t[k] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(Dwords(codes, k)), Floats(residual_mult, k), t[k]);
    });
  }
  if (transform.to_float) return StoreFloats(row, output, t);
  __m512i symbols[4];
  const Ordered high(transform.high);
  Unrolled<4>([&](auto k) __attribute__((always_inline)) { symbols[k] = SymbolsOf(t[k], Floats(high, k)); });
  __m512i codes[1] = {PackInterleaved(symbols[0], symbols[1], symbols[2], symbols[3])};
  ToCodes<1>(transform, codes);
  uint8_t* to[kMaxColumnParts] = {};
  for (int64_t k = 0; k < row.parts; ++k) {
    to[k] = static_cast<uint8_t*>(row.output) + (row.part_pixels[k] + output) * row.output_pixel_stride;
  }
  if (row.parts == 1) return StoreParts<1>(to, 0, row.channels, codes[0]);
  row.parts == 2 ? StoreParts<2>(to, 0, row.channels, codes[0]) : StoreParts<4>(to, 0, row.channels, codes[0]);
}

// The symbols of register k of kOutputs outputs, or their accumulators, where words are to come.
template <int kWidth, int kStride, bool kWords>
BITSTAGE_INLINE void Symbols(const ColumnRow& row, const uint8_t* columns, int k, __m512i (&symbols)[kOutputs]) {
  const __m512i init = _mm512_loadu_si512(row.acc_init + 16 * k);
  Unrolled<kOutputs>([&](auto i) __attribute__((always_inline)) { symbols[i] = init; });
  Accumulate<kWidth, kStride>(row, columns, k, symbols);
  if constexpr (kWords) return;
  const __m512 mult = _mm512_loadu_ps(row.mult + 16 * k);
  const __m512 add = _mm512_loadu_ps(row.add + 16 * k);
  Unrolled<kOutputs>([&](auto i) __attribute__((always_inline)) {
    symbols[i] = _mm512_cvtps_epi32(_mm512_fmadd_ps(_mm512_cvtepi32_ps(symbols[i]), mult, add));
  });
}

template <int kWidth, int kStride, int kParts, bool kWords>
__attribute__((flatten)) void MicroKernel(const ColumnRow& row) {
  uint8_t* to[kParts];
  Unrolled<kParts>([&](auto part) __attribute__((always_inline)) {
    to[part] = static_cast<uint8_t*>(row.output) + row.part_pixels[part] * row.output_pixel_stride;
  });
  const int64_t columns_step = kOutputs * row.stride * row.column_bytes;
  const uint8_t* columns = row.columns;
  for (int64_t left = row.count; left > 0; left -= kOutputs, columns += columns_step) {
    // Words of two registers at a time: all four would leave none for the sums.
    __m512i words[2][kOutputs];
    Unrolled<2>([&](auto half) __attribute__((always_inline)) {
      __m512i first[kOutputs], second[kOutputs];
      Symbols<kWidth, kStride, kWords>(row, columns, 2 * half, first);
      Symbols<kWidth, kStride, kWords>(row, columns, 2 * half + 1, second);
      Unrolled<kOutputs>([&](auto i) __attribute__((always_inline)) {
        if constexpr (kWords) {
          words[half][i] = _mm512_packus_epi32(first[i], second[i]);
        } else {
          words[half][i] = _mm512_packs_epi32(first[i], second[i]);
        }
      });
    });
    __m512i codes[kOutputs];
    if constexpr (kWords) {
      const WordPacker packer = PackerOf<true>(row.words, row.transform.word_shift);
      Unrolled<kOutputs>([&](auto i)
                             __attribute__((always_inline)) { codes[i] = packer.Bytes(words[0][i], words[1][i]); });
      WordsToCodes<kOutputs>(row.transform.word_masks, row.transform.high_codes, codes);
    } else {
      Unrolled<kOutputs>([&](auto i) __attribute__((always_inline)) {
        codes[i] = _mm512_packus_epi16(words[0][i], words[1][i]);
      });
      ToCodes<kOutputs>(row.transform, codes);
    }
    int64_t offset = 0;
    Unrolled<kOutputs>([&](auto i) __attribute__((always_inline)) {
      if (i < left) StoreParts<kParts>(to, offset, row.channels, codes[i]);
      offset += row.output_pixel_stride;
    });
    Unrolled<kParts>([&](auto part) __attribute__((always_inline)) { to[part] += offset; });
  }
}

template <int kWidth, int kStride, bool kWords>
void RunParts(const ColumnRow& row) {
  if (row.parts == 1) return MicroKernel<kWidth, kStride, 1, kWords>(row);
  row.parts == 2 ? MicroKernel<kWidth, kStride, 2, kWords>(row) : MicroKernel<kWidth, kStride, 4, kWords>(row);
}

template <int kWidth, int kStride>
void Run(const ColumnRow& row) {
  row.words != nullptr ? RunParts<kWidth, kStride, true>(row) : RunParts<kWidth, kStride, false>(row);
}

__attribute__((flatten)) void AnyKernel(const ColumnRow& row) {
  for (int64_t output = 0; output < row.count; output += kOutputs) {
    const uint8_t* columns = row.columns + output * row.stride * row.column_bytes;
    __m512i acc[4][kOutputs];
    Unrolled<4>([&](auto k) __attribute__((always_inline)) {
      const __m512i init = _mm512_loadu_si512(row.acc_init + 16 * k);
      Unrolled<kOutputs>([&](auto i) __attribute__((always_inline)) { acc[k][i] = init; });
      Accumulate<0, 0>(row, columns, k, acc[k]);
    });
    Unrolled<kOutputs>([&](auto i) __attribute__((always_inline)) {
      if (output + i < row.count) StoreAny(row, output + i, {acc[0][i], acc[1][i], acc[2][i], acc[3][i]});
    });
  }
}

void RunRow(const ColumnRow& row) {
  const PaddedTransform& transform = row.transform;
  const bool symbols = row.residual == nullptr && !transform.to_float && transform.within_int32;
  if (!symbols && row.words == nullptr) return AnyKernel(row);
  const bool three = row.kernel_width == 3 && row.groups == 1 && row.dilation == 1;
  if (three && row.stride == 1) return Run<3, 1>(row);
  if (three && row.stride == 2) return Run<3, 2>(row);
  Run<0, 0>(row);
}

void Order(const void* channels, void* dwords) {
  const Ordered ordered(channels);
  Unrolled<4>([&](auto k) __attribute__((always_inline)) {
    _mm512_storeu_si512(static_cast<int32_t*>(dwords) + 16 * k, ordered.part[k]);
  });
}

constexpr ColumnTier kTier = {kBlock, kOutputs, Position, Order, CopyColumns, RunRow, RunWindow, 2, 10};

}  // namespace

constinit const ConvKernel kDepthwise = {
    "vnni_depthwise",
    [](const ConvShape& shape, int, int) { return ColumnSupports(shape); },
    [](const ConvShape& shape, int, int) { return ColumnCycles(kTier, shape); },
    [](const ConvShape& shape, const int8_t*) { return ColumnPackedBytes(kTier, shape); },
    [](const ConvShape& shape, const int8_t* weights, std::byte* packed) { ColumnPack(kTier, shape, weights, packed); },
    [](const ConvShape& shape) { return ColumnScratchBytes(kTier, shape); },
    [](const ConvShape& shape, const ConvCall& call) { ColumnRun(kTier, shape, call); },
    nullptr,
    nullptr,
    [](const ConvShape& shape, int factor, std::byte* packed) { ColumnScale(kTier, shape, factor, packed); },
};

}  // namespace bitstage::kernels::avx512_vnni
