#include "engine/kernels/avx512_vnni/avx512_vnni.h"
#include "engine/kernels/avx512_vnni/registers.h"
#include "engine/kernels/winograd_narrow.h"

namespace bitstage::kernels::avx512_vnni {
namespace {

BITSTAGE_INLINE __m512i FourLanes(const void* sixteen_bytes) {
  return _mm512_broadcast_i32x4(_mm_loadu_si128(static_cast<const __m128i*>(sixteen_bytes)));
}

BITSTAGE_INLINE __m512 FourLanesOfFloats(const float* four) { return _mm512_broadcast_f32x4(_mm_loadu_ps(four)); }

// Bytes 4k … 4k + 3 of every 128-bit lane as dwords.
BITSTAGE_INLINE __m512i Dwords(__m512i bytes, int k) {
  const auto four = static_cast<char>(4 * k);
  const __m128i pick = _mm_setr_epi8(four, -1, -1, -1, static_cast<char>(four + 1), -1, -1, -1,
                                     static_cast<char>(four + 2), -1, -1, -1, static_cast<char>(four + 3), -1, -1, -1);
  return _mm512_shuffle_epi8(bytes, _mm512_broadcast_i32x4(pick));
}

// One row of d·B.
BITSTAGE_INLINE void TransformRow(const uint8_t* row, __m512i (&out)[4]) {
  const __m512i a = _mm512_loadu_si512(row);
  const __m512i b = _mm512_loadu_si512(row + 4 * 16);
  const __m512i c = _mm512_loadu_si512(row + 2 * 16);
  const __m512i d = _mm512_loadu_si512(row + 6 * 16);
  const __m512i d0 = _mm512_shuffle_i32x4(a, b, 0x88);
  const __m512i d1 = _mm512_shuffle_i32x4(a, b, 0xdd);
  const __m512i d2 = _mm512_shuffle_i32x4(c, d, 0x88);
  const __m512i d3 = _mm512_shuffle_i32x4(c, d, 0xdd);
  out[0] = _mm512_sub_epi8(d0, d2);
  out[1] = _mm512_add_epi8(d1, d2);
  out[2] = _mm512_sub_epi8(d2, d1);
  out[3] = _mm512_sub_epi8(d1, d3);
}

// Bᵀ·d·B of four tiles, all positions but (1, 1) raised by 128, to to[position].
BITSTAGE_INLINE void TransformInput(const uint8_t* input, int64_t row_bytes, std::byte* to) {
  __m512i d[4][4];
  Unrolled<4>([&](auto r) { TransformRow(input + r * row_bytes, d[r]); });
  const __m512i raise = _mm512_set1_epi8(static_cast<char>(128));
  Unrolled<4>([&](auto c) {
    const __m512i sum = _mm512_add_epi8(d[1][c], d[2][c]);
    _mm512_storeu_si512(to + c * 64, _mm512_xor_si512(_mm512_sub_epi8(d[0][c], d[2][c]), raise));
    _mm512_storeu_si512(to + (4 + c) * 64, c == 1 ? sum : _mm512_xor_si512(sum, raise));
    _mm512_storeu_si512(to + (8 + c) * 64, _mm512_xor_si512(_mm512_sub_epi8(d[2][c], d[1][c]), raise));
    _mm512_storeu_si512(to + (12 + c) * 64, _mm512_xor_si512(_mm512_sub_epi8(d[1][c], d[3][c]), raise));
  });
}

// The products of row kRow of positions, times A, added to the sums [2 x 2 outputs][outputs by fours] of every group.
template <int kRow>
__attribute__((noinline, flatten)) void RowMicroKernel(int64_t groups, const std::byte* input, const std::byte* weights,
                                                       __m512i* sums) {
  for (; groups > 0; --groups, input += 16 * 64, sums += 16) {
    __m512i acc[4][4];
    Unrolled<4>([&](auto c) {
      const __m512i codes = _mm512_loadu_si512(input + (kRow * 4 + c) * 64);
      Unrolled<4>([&](auto j) { acc[c][j] = _mm512_setzero_si512(); });
      Unrolled<4>([&](auto q) {
        const __m512i four = _mm512_shuffle_epi32(codes, static_cast<_MM_PERM_ENUM>(q * 0x55));
        Unrolled<4>([&](auto j) {
          acc[c][j] = DotProduct(acc[c][j], four, _mm512_loadu_si512(weights + ((kRow * 4 + c) * 16 + q * 4 + j) * 64));
        });
      });
    });
    Unrolled<4>([&](auto j) {
      const __m512i left = _mm512_add_epi32(_mm512_add_epi32(acc[0][j], acc[1][j]), acc[2][j]);
      const __m512i right = _mm512_sub_epi32(_mm512_sub_epi32(acc[1][j], acc[2][j]), acc[3][j]);
      // Rows 0, 1 and 2 add up to the upper outputs, 1 less 2 and 3 to the lower ones.
      if constexpr (kRow == 0) {
        sums[j] = left;
        sums[4 + j] = right;
      } else if constexpr (kRow < 3) {
        sums[j] = _mm512_add_epi32(sums[j], left);
        sums[4 + j] = _mm512_add_epi32(sums[4 + j], right);
      }
      if constexpr (kRow == 1) {
        sums[8 + j] = left;
        sums[12 + j] = right;
      } else if constexpr (kRow > 1) {
        sums[8 + j] = _mm512_sub_epi32(sums[8 + j], left);
        sums[12 + j] = _mm512_sub_epi32(sums[12 + j], right);
      }
    });
  }
}

// Output (kPixel / 2, kPixel % 2) of every tile, 16 channels from `channel` on.
template <int kPixel>
__attribute__((noinline, flatten)) void StorePixels(const NarrowTiles& tiles, int64_t group, int64_t channel,
                                                    const int32_t* start, const __m512i* sums) {
  const PaddedTransform& transform = tiles.transform;
  const int64_t first = kPixel / 2 * tiles.row_pixels + 8 * group + kPixel % 2;
  if (kPixel / 2 >= tiles.rows) return;
  __m512i acc[4];
  Unrolled<4>([&](auto j) {
    const __m512i four_times =
        _mm512_add_epi32(_mm512_loadu_si512(sums + kPixel * 4 + j), FourLanes(start + kPixel * 16 + j * 4));
    acc[j] = _mm512_srai_epi32(four_times, 2);
  });
  const auto wanted = [&](int64_t tile) { return 8 * group + 2 * tile + kPixel % 2 < tiles.columns; };
  const auto store_codes = [&](__m512i codes) {
    uint8_t* output = static_cast<uint8_t*>(tiles.output) + first * tiles.output_pixel_stride + channel;
    Unrolled<4>([&](auto tile) {
      if (wanted(tile)) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(output + 2 * tile * tiles.output_pixel_stride),
                         _mm512_extracti32x4_epi32(codes, tile));
      }
    });
  };
  if (transform.words != nullptr) {
    const auto words = [&](int j) { return FourLanes(transform.words + channel + 4 * j); };
    const WordPacker<true> packer(words(0), words(1), words(2), words(3), transform.word_shift);
    const __m512i codes = packer.Interleaved(acc[0], acc[1], acc[2], acc[3]);
    store_codes(WordCode(codes, FourLanes(transform.word_masks + channel), FourLanes(transform.high_codes + channel)));
    return;
  }
  __m512 t[4];
  Unrolled<4>([&](auto j) {
    const int64_t c = channel + 4 * j;
    t[j] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[j]), FourLanesOfFloats(transform.mult + c),
                           FourLanesOfFloats(transform.add + c));
  });
  if (tiles.residual != nullptr) {
    __m512i codes = _mm512_setzero_si512();
    Unrolled<4>([&](auto tile) {
      const uint8_t* at = tiles.residual + (first + 2 * tile) * tiles.residual_pixel_stride + channel;
      if (wanted(tile)) {
        codes = _mm512_inserti32x4(codes, _mm_loadu_si128(reinterpret_cast<const __m128i*>(at)), tile);
      }
    });
    Unrolled<4>([&](auto j) {
      t[j] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(Dwords(codes, j)),
                             FourLanesOfFloats(transform.residual_mult + channel + 4 * j), t[j]);
    });
  }
  if (transform.to_float) {
    Unrolled<4>([&](auto j) {
      const int64_t c = channel + 4 * j;
      // The operands' order matters: where both are equal the result is t, the sign of a zero included.
      const __m512 clamped = _mm512_min_ps(FourLanesOfFloats(transform.high + c),
                                           _mm512_max_ps(FourLanesOfFloats(transform.low + c), t[j]));
      float* output = static_cast<float*>(tiles.output) + first * tiles.output_pixel_stride + c;
      Unrolled<4>([&](auto tile) {
        if (wanted(tile)) {
          _mm_storeu_ps(output + 2 * tile * tiles.output_pixel_stride, _mm512_extractf32x4_ps(clamped, tile));
        }
      });
    });
    return;
  }
  __m512i symbols[4];
  Unrolled<4>([&](auto j) {
    const int64_t c = channel + 4 * j;
    symbols[j] =
        transform.within_int32 ? _mm512_cvtps_epi32(t[j]) : SymbolsOf(t[j], FourLanesOfFloats(transform.high + c));
    if (transform.shift != nullptr) symbols[j] = _mm512_sllv_epi32(symbols[j], FourLanes(transform.shift + c));
  });
  store_codes(Clamp(PackInterleaved(symbols[0], symbols[1], symbols[2], symbols[3]),
                    FourLanes(transform.low_codes + channel), FourLanes(transform.high_codes + channel)));
}

void Run(const NarrowTiles& tiles) {
  std::byte* const input = tiles.scratch;
  auto* const sums = reinterpret_cast<__m512i*>(tiles.scratch + kNarrowGroups * 16 * 64);
  for (int64_t group = 0; group < tiles.groups; ++group) {
    TransformInput(tiles.input + group * 8 * 16, tiles.row_bytes, input + group * 16 * 64);
  }
  for (int64_t block = 0; block < tiles.blocks; ++block) {
    const std::byte* weights = tiles.weights + block * kNarrowBlockBytes;
    Unrolled<4>([&](auto row) { RowMicroKernel<row>(tiles.groups, input, weights, sums); });
    for (int64_t group = 0; group < tiles.groups; ++group) {
      Unrolled<4>([&](auto pixel) {
        StorePixels<pixel>(tiles, group, block * 16, tiles.start + block * 64, sums + group * 16);
      });
    }
  }
}

}  // namespace

constinit const ConvKernel kWinogradNarrow = {
    "vnni_winograd_narrow",
    NarrowSupports,
    // Fitted to 16 and 64 outputs.
    [](const ConvShape& shape, int, int) { return NarrowCycles(shape, 30, 240); },
    [](const ConvShape& shape, const int8_t*) { return NarrowPackedBytes(shape); },
    NarrowPack,
    NarrowScratchBytes,
    [](const ConvShape& shape, const ConvCall& call) { NarrowRun(Run, shape, call); },
    nullptr,
    nullptr,
    NarrowScale,
};

}  // namespace bitstage::kernels::avx512_vnni
