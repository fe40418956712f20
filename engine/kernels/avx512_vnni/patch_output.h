// A patch tile's way out (engine/kernels/patch_conv.h): from the sums of kPixels x kBlocks · 16 channels in registers
// to the codes or floats that are stored, by symbols or by words. Only for files of this tier.
#pragma once

#include <cstdint>

#include "engine/kernels/avx512_vnni/registers.h"
#include "engine/kernels/patch_conv.h"

namespace bitstage::kernels::avx512_vnni {

template <int kPixels, int kBlocks>
BITSTAGE_INLINE void StoreFloats(const PatchTile& tile, const __m512 (&t)[kPixels][kBlocks]) {
  Unrolled<kBlocks>([&](auto b) {
    const __m512 low = _mm512_loadu_ps(tile.transform.low + 16 * b);
    const __m512 high = _mm512_loadu_ps(tile.transform.high + 16 * b);
    const auto lanes = static_cast<__mmask16>(FirstBytes(tile.channels - 16 * b));
    Unrolled<kPixels>([&](auto i) {
      // The operands' order matters: where both are equal the result is t, the sign of a zero included.
      const __m512 clamped = _mm512_min_ps(high, _mm512_max_ps(low, t[i][b]));
      float* output = static_cast<float*>(tile.output) + i * tile.output_pixel_stride + 16 * b;
      if (i < tile.pixels && tile.channels > 16 * b) _mm512_mask_storeu_ps(output, lanes, clamped);
    });
  });
}

BITSTAGE_INLINE void StoreSixteen(uint8_t* output, __m128i codes, int64_t channels) {
  if (channels >= 16) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(output), codes);
  } else {
    _mm_mask_storeu_epi8(output, static_cast<__mmask16>(FirstBytes(channels)), codes);
  }
}

// A byte a channel, for registers of as many pixels of kBlocks blocks as they hold.
template <int kBlocks>
BITSTAGE_INLINE __m512i ChannelBytes(const uint8_t* bytes) {
  if constexpr (kBlocks >= 3) return _mm512_loadu_si512(bytes);
  if constexpr (kBlocks == 2) {
    return _mm512_broadcast_i64x4(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes)));
  }
  return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)));
}

// Symbols to codes.
template <int kBlocks>
class SymbolCodes {
 public:
  explicit SymbolCodes(const PatchTile& tile) : transform_(tile.transform) {
    constexpr int kRepeats = kBlocks >= 3 ? 1 : 4 / kBlocks;
    for (int k = 0; k < transform_.doubling_count; ++k) {
      uint64_t mask = DoublingOf<kRepeats>(transform_, k);
      __asm__("" : "+r"(mask));  // one at a time: at most four of them are no work for vectors
      doublings_[k] = mask;
    }
  }
  [[nodiscard]] BITSTAGE_INLINED __m512i Pack(__m512i a, __m512i b, __m512i c, __m512i d) const {
    return avx512_vnni::Pack(a, b, c, d);
  }
  template <int kCount>
  BITSTAGE_INLINED void Finish(__m512i (&packed)[kCount]) const {
    for (int k = 0; k < transform_.doubling_count; ++k) {
      Unrolled<kCount>([&](auto i) { packed[i] = Doubled(packed[i], doublings_[k]); });
    }
    const __m512i low = ChannelBytes<kBlocks>(transform_.low_codes);
    const __m512i high = ChannelBytes<kBlocks>(transform_.high_codes);
    Unrolled<kCount>([&](auto i) { packed[i] = Clamp(packed[i], low, high); });
  }

 private:
  const PaddedTransform& transform_;
  __mmask64 doublings_[kMaxShift];
};

// Accumulators to codes, by words.
template <int kBlocks, bool kShift>
class WordCodes {
 public:
  BITSTAGE_INLINED explicit WordCodes(const PatchTile& tile)
      : packer_(Words(tile, 0), Words(tile, 1), Words(tile, 2), Words(tile, 3), tile.transform.word_shift),
        mask_(ChannelBytes<kBlocks>(tile.transform.word_masks)),
        high_(ChannelBytes<kBlocks>(tile.transform.high_codes)) {}
  [[nodiscard]] BITSTAGE_INLINED __m512i Pack(__m512i a, __m512i b, __m512i c, __m512i d) const {
    return InOrder(packer_.Interleaved(a, b, c, d));
  }
  template <int kCount>
  BITSTAGE_INLINED void Finish(__m512i (&packed)[kCount]) const {
    Unrolled<kCount>([&](auto i) { packed[i] = WordCode(packed[i], mask_, high_); });
  }

 private:
  // Of the register that StoreCodes packs in the k-th place.
  BITSTAGE_INLINED static __m512i Words(const PatchTile& tile, int k) {
    const int block = kBlocks == 3 && k == 3 ? 2 : k % kBlocks;
    return _mm512_loadu_si512(tile.transform.words + 16 * block);
  }

  WordPacker<kShift> packer_;
  __m512i mask_, high_;
};

// Codes of kPixels x kBlocks · 16 channels, four registers a time: as many pixels as fill them. `values`: what `codes`,
// of type SymbolCodes or WordCodes, takes.
template <int kPixels, int kBlocks, typename Codes>
BITSTAGE_INLINE void StoreCodes(const PatchTile& tile, const Codes& codes, uint8_t* output, int64_t pixels,
                                const __m512i (&values)[kPixels][kBlocks]) {
  const int64_t stride = tile.output_pixel_stride;
  if constexpr (kBlocks >= 3) {
    const __mmask64 lanes = FirstBytes(tile.channels);
    __m512i packed[kPixels];
    Unrolled<kPixels>([&](auto i) {
      const __m512i last = values[i][kBlocks - 1];  // of three blocks the fourth is not stored
      packed[i] = codes.Pack(values[i][0], values[i][1], values[i][2], last);
    });
    codes.Finish(packed);
    Unrolled<kPixels>([&](auto i) {
      if (i >= pixels) return;
      if (tile.channels == 64) {
        _mm512_storeu_si512(output + i * stride, packed[i]);
      } else {
        _mm512_mask_storeu_epi8(output + i * stride, lanes, packed[i]);
      }
    });
  } else if constexpr (kBlocks == 2) {
    const auto lanes = static_cast<__mmask32>(FirstBytes(tile.channels));
    const auto store = [&](int64_t i, __m256i pixel) {
      if (i >= pixels) return;
      if (tile.channels == 32) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(output + i * stride), pixel);
      } else {
        _mm256_mask_storeu_epi8(output + i * stride, lanes, pixel);
      }
    };
    __m512i packed[(kPixels + 1) / 2];
    Unrolled<(kPixels + 1) / 2>([&](auto pair) {
      constexpr int kFirst = pair * 2;
      constexpr int kSecond = kFirst + 1 < kPixels ? kFirst + 1 : kFirst;
      packed[pair] = codes.Pack(values[kFirst][0], values[kFirst][1], values[kSecond][0], values[kSecond][1]);
    });
    codes.Finish(packed);
    Unrolled<(kPixels + 1) / 2>([&](auto pair) {
      constexpr int kFirst = pair * 2;
      constexpr int kSecond = kFirst + 1 < kPixels ? kFirst + 1 : kFirst;
      store(kFirst, _mm512_castsi512_si256(packed[pair]));
      if constexpr (kSecond != kFirst) store(kSecond, _mm512_extracti64x4_epi64(packed[pair], 1));
    });
  } else {
    __m512i packed[(kPixels + 3) / 4];
    Unrolled<(kPixels + 3) / 4>([&](auto four) {
      constexpr int kFirst = four * 4;
      constexpr int kLast = kPixels - 1;
      constexpr int k1 = kFirst + 1 < kLast ? kFirst + 1 : kLast;
      constexpr int k2 = kFirst + 2 < kLast ? kFirst + 2 : kLast;
      constexpr int k3 = kFirst + 3 < kLast ? kFirst + 3 : kLast;
      packed[four] = codes.Pack(values[kFirst][0], values[k1][0], values[k2][0], values[k3][0]);
    });
    codes.Finish(packed);
    Unrolled<(kPixels + 3) / 4>([&](auto four) {
      constexpr int kFirst = four * 4;
      if (stride == 16 && tile.channels == 16 && pixels >= kFirst + 4) {
        _mm512_storeu_si512(output + kFirst * 16, packed[four]);
        return;
      }
      if (kFirst < pixels) StoreSixteen(output + kFirst * stride, _mm512_castsi512_si128(packed[four]), tile.channels);
      if (kFirst + 1 < pixels) {
        StoreSixteen(output + (kFirst + 1) * stride, _mm512_extracti32x4_epi32(packed[four], 1), tile.channels);
      }
      if (kFirst + 2 < pixels) {
        StoreSixteen(output + (kFirst + 2) * stride, _mm512_extracti32x4_epi32(packed[four], 2), tile.channels);
      }
      if (kFirst + 3 < pixels) {
        StoreSixteen(output + (kFirst + 3) * stride, _mm512_extracti32x4_epi32(packed[four], 3), tile.channels);
      }
    });
  }
}

// The whole way, of a tile that is not pipelined: writes what tile.pixels and tile.channels say.
template <int kPixels, int kBlocks>
BITSTAGE_INLINE void Store(const PatchTile& tile, const __m512i (&acc)[kPixels][kBlocks]) {
  const PaddedTransform& transform = tile.transform;
  auto* const output = static_cast<uint8_t*>(tile.output);
  if (transform.words != nullptr) {
    return StoreCodes<kPixels, kBlocks>(tile, WordCodes<kBlocks, true>(tile), output, tile.pixels, acc);
  }
  __m512 t[kPixels][kBlocks];
  Unrolled<kBlocks>([&](auto b) {
    const __m512 mult = _mm512_loadu_ps(transform.mult + 16 * b);
    const __m512 add = _mm512_loadu_ps(transform.add + 16 * b);
    Unrolled<kPixels>([&](auto i) { t[i][b] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[i][b]), mult, add); });
  });
  if (tile.residual != nullptr) {
    Unrolled<kBlocks>([&](auto b) {
      const __m512 mult = _mm512_loadu_ps(transform.residual_mult + 16 * b);
      Unrolled<kPixels>([&](auto i) {
        // Of pixels that are not written the last one's residual will do.
        const int64_t pixel = i < tile.pixels ? static_cast<int64_t>(i) : tile.pixels - 1;
        if (tile.channels <= 16 * b) return;
        t[i][b] =
            _mm512_fmadd_ps(LoadCodes(tile.residual + pixel * tile.residual_pixel_stride + 16 * b), mult, t[i][b]);
      });
    });
  }
  if (transform.to_float) return StoreFloats<kPixels, kBlocks>(tile, t);
  __m512i symbols[kPixels][kBlocks];
  if (transform.within_int32) {
    Unrolled<kBlocks>([&](auto b) { Unrolled<kPixels>([&](auto i) { symbols[i][b] = _mm512_cvtps_epi32(t[i][b]); }); });
  } else {
    Unrolled<kBlocks>([&](auto b) {
      const __m512 high = _mm512_loadu_ps(transform.high + 16 * b);
      Unrolled<kPixels>([&](auto i) { symbols[i][b] = SymbolsOf(t[i][b], high); });
    });
  }
  StoreCodes<kPixels, kBlocks>(tile, SymbolCodes<kBlocks>(tile), output, tile.pixels, symbols);
}

}  // namespace bitstage::kernels::avx512_vnni
