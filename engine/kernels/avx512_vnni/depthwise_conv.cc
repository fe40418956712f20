#include "engine/kernels/avx512_vnni/avx512_vnni.h"
#include "engine/kernels/avx512_vnni/registers.h"
#include "engine/kernels/depthwise_columns.h"

namespace bitstage::kernels::avx512_vnni {
namespace {

constexpr int64_t kBlock = 64;
constexpr int kOutputs = 4;  // computed at a time

// Interleaving works within 128-bit lanes: register k gets channels 16·lane + 4k + 0…3. Packing to bytes undoes that.
int64_t Position(int64_t channel) { return channel % 16 / 4 * 16 + channel / 16 * 4 + channel % 4; }

void CopyColumns(const ColumnCopy& copy) {
  for (int64_t group = 0; group < copy.groups; ++group) {
    const uint8_t* const* rows = copy.rows + group * 4;
    const int64_t* bytes = copy.pixel_bytes + group * 4;
    const uint8_t* row0 = rows[0];
    const uint8_t* row1 = rows[1];
    const uint8_t* row2 = rows[2];
    const uint8_t* row3 = rows[3];
    uint8_t* to = copy.to + group * 256;
    for (int64_t i = 0; i < copy.count; ++i, to += copy.groups * 256) {
      const __m512i a = _mm512_loadu_si512(row0);
      const __m512i b = _mm512_loadu_si512(row1);
      const __m512i c = _mm512_loadu_si512(row2);
      const __m512i d = _mm512_loadu_si512(row3);
      const __m512i ab_low = _mm512_unpacklo_epi8(a, b);
      const __m512i ab_high = _mm512_unpackhi_epi8(a, b);
      const __m512i cd_low = _mm512_unpacklo_epi8(c, d);
      const __m512i cd_high = _mm512_unpackhi_epi8(c, d);
      _mm512_storeu_si512(to, _mm512_unpacklo_epi16(ab_low, cd_low));
      _mm512_storeu_si512(to + 64, _mm512_unpackhi_epi16(ab_low, cd_low));
      _mm512_storeu_si512(to + 128, _mm512_unpacklo_epi16(ab_high, cd_high));
      _mm512_storeu_si512(to + 192, _mm512_unpackhi_epi16(ab_high, cd_high));
      row0 += bytes[0];
      row1 += bytes[1];
      row2 += bytes[2];
      row3 += bytes[3];
    }
  }
}

// The sums of register k of kOutputs outputs. kWidth, kStride: of the kernel, where each column is loaded once; 0 where
// they are known only now.
template <int kWidth, int kStride>
BITSTAGE_INLINE void Accumulate(const ColumnRow& row, const uint8_t* columns, int k, __m512i (&acc)[kOutputs]) {
  const int8_t* weights = row.weights + k * 64;
  columns += k * 64;
  if constexpr (kWidth > 0) {
    __m512i w[kWidth];
    Unrolled<kWidth>([&](auto kx) { w[kx] = _mm512_loadu_si512(weights + kx * 256); });
    Unrolled<(kOutputs - 1) * kStride + kWidth>([&](auto column) {
      const __m512i codes = _mm512_loadu_si512(columns + column * 256);
      Unrolled<kOutputs>([&](auto i) {
        constexpr int kx = column - i * kStride;
        if constexpr (kx >= 0 && kx < kWidth) acc[i] = DotProduct(acc[i], codes, w[kx]);
      });
    });
  } else {
    for (int64_t kx = 0; kx < row.kernel_width; ++kx) {
      for (int64_t group = 0; group < row.groups; ++group, weights += 256) {
        const __m512i w = _mm512_loadu_si512(weights);
        const uint8_t* at = columns + kx * row.dilation * row.column_bytes + group * 256;
        Unrolled<kOutputs>([&](auto i) {
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

BITSTAGE_INLINE void StoreFloats(const ColumnRow& row, int64_t output, const __m512 (&t)[4]) {
  __m512i ordered[4];
  const __m512i from[4] = {_mm512_castps_si512(t[0]), _mm512_castps_si512(t[1]), _mm512_castps_si512(t[2]),
                           _mm512_castps_si512(t[3])};
  Reorder(from, ordered);
  float* at = static_cast<float*>(row.output) + output * row.output_pixel_stride;
  Unrolled<4>([&](auto k) {
    if (row.channels <= 16 * k) return;
    // The operands' order matters: where both are equal the result is t, the sign of a zero included.
    const __m512 clamped =
        _mm512_min_ps(_mm512_loadu_ps(row.transform.high + 16 * k),
                      _mm512_max_ps(_mm512_loadu_ps(row.transform.low + 16 * k), _mm512_castsi512_ps(ordered[k])));
    _mm512_mask_storeu_ps(at + 16 * k, static_cast<__mmask16>(FirstBytes(row.channels - 16 * k)), clamped);
  });
}

// Everything that is not plain codes: residuals, floats, and what may leave the range of int32.
BITSTAGE_INLINE void StoreAny(const ColumnRow& row, int64_t output, const __m512i (&acc)[4]) {
  const PaddedTransform& transform = row.transform;
  __m512 t[4];
  const Ordered mult(transform.mult);
  const Ordered add(transform.add);
  Unrolled<4>([&](auto k) { t[k] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[k]), Floats(mult, k), Floats(add, k)); });
  if (row.residual != nullptr) {
    const __m512i codes = _mm512_loadu_si512(row.residual + output * row.residual_pixel_stride);
    const Ordered residual_mult(transform.residual_mult);
    Unrolled<4>(
        [&](auto k) { t[k] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(Dwords(codes, k)), Floats(residual_mult, k), t[k]); });
  }
  if (transform.to_float) return StoreFloats(row, output, t);
  __m512i symbols[4];
  const Ordered high(transform.high);
  Unrolled<4>([&](auto k) { symbols[k] = SymbolsOf(t[k], Floats(high, k)); });
  if (transform.shift != nullptr) {
    Unrolled<4>([&](auto k) { symbols[k] = Shifted(symbols[k], _mm512_loadu_si512(transform.shift + 16 * k)); });
  }
  const __m512i codes = _mm512_max_epu8(_mm512_loadu_si512(transform.low_codes),
                                        PackInterleaved(symbols[0], symbols[1], symbols[2], symbols[3]));
  _mm512_mask_storeu_epi8(static_cast<uint8_t*>(row.output) + output * row.output_pixel_stride,
                          FirstBytes(row.channels), codes);
}

template <int kWidth, int kStride, bool kPlain, bool kShift>
__attribute__((flatten)) void MicroKernel(const ColumnRow& row) {
  const PaddedTransform& transform = row.transform;
  const __mmask64 lanes = FirstBytes(row.channels);
  const Ordered mult(transform.mult);
  const Ordered add(transform.add);
  for (int64_t output = 0; output < row.count; output += kOutputs) {
    const uint8_t* columns = row.columns + output * row.stride * row.column_bytes;
    __m512i symbols[4][kOutputs];
    Unrolled<4>([&](auto k) {
      __m512i acc[kOutputs];
      Unrolled<kOutputs>([&](auto i) { acc[i] = _mm512_loadu_si512(row.acc_init + 16 * k); });
      Accumulate<kWidth, kStride>(row, columns, k, acc);
      Unrolled<kOutputs>([&](auto i) {
        if constexpr (kPlain) {
          symbols[k][i] =
              _mm512_cvtps_epi32(_mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[i]), Floats(mult, k), Floats(add, k)));
          if constexpr (kShift)
            symbols[k][i] = _mm512_sllv_epi32(symbols[k][i], _mm512_loadu_si512(transform.shift + 16 * k));
        } else {
          symbols[k][i] = acc[i];
        }
      });
    });
    auto* to = static_cast<uint8_t*>(row.output) + output * row.output_pixel_stride;
    Unrolled<kOutputs>([&](auto i) {
      if (output + i >= row.count) return;
      if constexpr (kPlain) {
        const __m512i packed = PackInterleaved(symbols[0][i], symbols[1][i], symbols[2][i], symbols[3][i]);
        const __m512i codes =
            Clamp(packed, _mm512_loadu_si512(transform.low_codes), _mm512_loadu_si512(transform.high_codes));
        if (row.channels == kBlock) {
          _mm512_storeu_si512(to + i * row.output_pixel_stride, codes);
        } else {
          _mm512_mask_storeu_epi8(to + i * row.output_pixel_stride, lanes, codes);
        }
      } else {
        StoreAny(row, output + i, {symbols[0][i], symbols[1][i], symbols[2][i], symbols[3][i]});
      }
    });
  }
}

template <bool kShift>
void RunPlain(const ColumnRow& row) {
  const bool three = row.kernel_width == 3 && row.groups == 1 && row.dilation == 1;
  if (three && row.stride == 1) return MicroKernel<3, 1, true, kShift>(row);
  if (three && row.stride == 2) return MicroKernel<3, 2, true, kShift>(row);
  MicroKernel<0, 0, true, kShift>(row);
}

void RunRow(const ColumnRow& row) {
  const PaddedTransform& transform = row.transform;
  const bool plain = row.residual == nullptr && !transform.to_float && transform.within_int32;
  if (!plain) return MicroKernel<0, 0, false, false>(row);
  transform.shift == nullptr ? RunPlain<false>(row) : RunPlain<true>(row);
}

void Order(const int32_t* channels, int32_t* dwords) {
  const Ordered ordered(channels);
  Unrolled<4>([&](auto k) { _mm512_storeu_si512(dwords + 16 * k, ordered.part[k]); });
}

constexpr ColumnTier kTier = {kBlock, Position, Order, CopyColumns, RunRow, 2, 10};

}  // namespace

constinit const ConvKernel kDepthwise = {
    "vnni_depthwise",
    [](const ConvShape& shape, int, int) { return ColumnSupports(shape); },
    [](const ConvShape& shape, int, int) { return ColumnCycles(kTier, shape); },
    [](const ConvShape& shape, const int8_t*) { return ColumnPackedBytes(kTier, shape); },
    [](const ConvShape& shape, const int8_t* weights, std::byte* packed) { ColumnPack(kTier, shape, weights, packed); },
    [](const ConvShape& shape) { return ColumnScratchBytes(kTier, shape); },
    [](const ConvShape& shape, const ConvCall& call) { ColumnRun(kTier, shape, call); },
};

}  // namespace bitstage::kernels::avx512_vnni
