// Histograms of cells, and the check that codes lie on the grid, AVX-512.
#include <immintrin.h>

#include "engine/codec/avx512_vbmi/cells.h"
#include "engine/codec/avx512_vbmi/kernels.h"

namespace bitstage::codec::avx512_vbmi {
namespace {

// Counts cells of 64 bytes a register by their bit planes: for each set of bits, the cells that have them all are an
// AND of planes and a population count; how many cells have these bits and no other follows by subtraction at the end.
// Three operations a set and 512 cells, where a comparison with each value takes sixteen.
class PlaneCounter {
 public:
  explicit PlaneCounter(int bins) : bins_(bins), high_sets_(1) {
    while (high_sets_ * kLowSets < bins) high_sets_ *= 2;
    for (int high = 0; high < high_sets_; ++high) {
      for (__m512i& some : found_[high]) some = _mm512_setzero_si512();
    }
  }

  // Bytes beyond `count` are 0.
  inline __attribute__((always_inline)) void Add(__m512i cells, int64_t count) {
    // Bit k of eight cells becomes byte k of their word, then bit k of all 64 word k.
    const __m512i of_eight =
        _mm512_gf2p8affine_epi64_epi8(_mm512_set1_epi64(static_cast<int64_t>(0x8040201008040201u)), cells, 0);
    const __m512i bytes_across =
        _mm512_set_epi64(0x3f372f271f170f07, 0x3e362e261e160e06, 0x3d352d251d150d05, 0x3c342c241c140c04,
                         0x3b332b231b130b03, 0x3a322a221a120a02, 0x3931292119110901, 0x3830282018100800);
    block_[held_++] = _mm512_permutexvar_epi8(bytes_across, of_eight);
    padding_ += 64 - count;
    if (held_ == kBlock) Flush();
  }

  // Adds to counts[0 … bins − 1].
  void Finish(uint32_t* counts) {
    for (; held_ % kTogether != 0; padding_ += 64) block_[held_++] = _mm512_setzero_si512();
    Flush();
    const int sets = high_sets_ * kLowSets;
    uint32_t having[kMaxCellsPerTable];
    for (int set = 0; set < sets; ++set) {
      having[set] = static_cast<uint32_t>(_mm512_reduce_add_epi64(found_[set / kLowSets][set % kLowSets]));
    }
    for (int bit = 1; bit < sets; bit *= 2) {
      for (int from = 0; from < sets; from += 2 * bit) {
        for (int set = from; set < from + bit; ++set) having[set] -= having[set + bit];
      }
    }
    having[0] -= static_cast<uint32_t>(padding_);
    for (int bin = 0; bin < bins_; ++bin) counts[bin] += having[bin];
  }

 private:
  static constexpr int kTogether = 8;  // registers whose planes fill a register each
  static constexpr int kBlock = 64;
  static constexpr int kVectors = kBlock / kTogether;  // of a plane
  static constexpr int kLowBits = 3;                   // whose sets are counted at once
  static constexpr int kLowSets = 1 << kLowBits;
  static constexpr int kHighestSet = 1 << (8 - kLowBits - 1);  // of one bit

  // planes[k][v]: word k of each of the eight, in one order for all k.
  static inline __attribute__((always_inline)) void Transpose(const __m512i* words, __m512i (*planes)[kVectors],
                                                              int v) {
    __m512i half[2][4];
    for (int i = 0; i < 4; ++i) {
      half[0][i] = _mm512_unpacklo_epi64(words[2 * i], words[2 * i + 1]);
      half[1][i] = _mm512_unpackhi_epi64(words[2 * i], words[2 * i + 1]);
    }
    for (int odd = 0; odd < 2; ++odd) {
      const __m512i a04 = _mm512_shuffle_i64x2(half[odd][0], half[odd][1], 0x88);
      const __m512i a26 = _mm512_shuffle_i64x2(half[odd][0], half[odd][1], 0xdd);
      const __m512i b04 = _mm512_shuffle_i64x2(half[odd][2], half[odd][3], 0x88);
      const __m512i b26 = _mm512_shuffle_i64x2(half[odd][2], half[odd][3], 0xdd);
      planes[odd][v] = _mm512_shuffle_i64x2(a04, b04, 0x88);
      planes[2 + odd][v] = _mm512_shuffle_i64x2(a26, b26, 0x88);
      planes[4 + odd][v] = _mm512_shuffle_i64x2(a04, b04, 0xdd);
      planes[6 + odd][v] = _mm512_shuffle_i64x2(a26, b26, 0xdd);
    }
  }

  __attribute__((noinline)) void Flush() {
    const int vectors = held_ / kTogether;
    alignas(64) __m512i planes[8][kVectors];
    for (int v = 0; v < vectors; ++v) {
      Transpose(block_ + v * kTogether, planes, v);
    }
    alignas(64) __m512i highs[kMaxCellsPerTable / kLowSets][kVectors];
    for (int high = 0; high < high_sets_; ++high) {
      __m512i found[kLowSets];
      for (int set = 0; set < kLowSets; ++set) found[set] = found_[high][set];
      const __m512i* const without_lowest = highs[high & (high - 1)];
      const __m512i* const lowest = planes[kLowBits + __builtin_ctz(high | kHighestSet)];
      for (int v = 0; v < vectors; ++v) {
        __m512i having[kLowSets];
        having[0] = high == 0 ? _mm512_set1_epi64(-1) : _mm512_and_si512(without_lowest[v], lowest[v]);
        highs[high][v] = having[0];
#pragma GCC unroll 8
        for (int set = 0; set < kLowSets; ++set) {
          if (set > 0) having[set] = _mm512_and_si512(having[set & (set - 1)], planes[__builtin_ctz(set | 8)][v]);
          found[set] = _mm512_add_epi64(found[set], _mm512_popcnt_epi64(having[set]));
        }
      }
      for (int set = 0; set < kLowSets; ++set) found_[high][set] = found[set];
    }
    held_ = 0;
  }

  int bins_;
  int high_sets_;
  int held_ = 0;
  int64_t padding_ = 0;  // cells of no meaning, all counted as 0
  alignas(64) __m512i block_[kBlock];
  alignas(64) __m512i found_[kMaxCellsPerTable / kLowSets][kLowSets];
};

}  // namespace

void Count(const CellTables& tables, const uint8_t* codes, int64_t pixels, uint32_t* counts) {
  const int bins = tables.tables << tables.stride_bits;
  if (!tables.uniform || bins > kMaxCellsPerTable) return Fallback().count(tables, codes, pixels, counts);
  const CellWalk cells(tables, codes, pixels, tables.tables == 1);
  const GroupWalk groups(tables);
  const __m128i stride = _mm_cvtsi32_si128(tables.stride_bits);
  const auto index = [&](__m512i some, int64_t count, int64_t channel) {
    if (tables.tables == 1) return some;
    return _mm512_maskz_mov_epi8(First(count),
                                 _mm512_or_si512(some, _mm512_sll_epi16(groups.At(channel, count), stride)));
  };
  PlaneCounter counter(bins);
  cells(0, cells.rows(),
        [&](__m512i some, int64_t count, int64_t channel) { counter.Add(index(some, count, channel), count); });
  counter.Finish(counts);
}

uint8_t OffGrid(const CellTables& tables, const uint8_t* codes, int64_t pixels) {
  if (!tables.uniform) return Fallback().off_grid(tables, codes, pixels);
  const int64_t count = pixels * tables.channels;
  __m512i any = _mm512_setzero_si512();
  int64_t i = 0;
  for (; i + 64 <= count; i += 64) any = _mm512_or_si512(any, _mm512_loadu_si512(codes + i));
  if (i < count) any = _mm512_or_si512(any, _mm512_maskz_loadu_epi8(First(count - i), codes + i));
  uint64_t word = static_cast<uint64_t>(_mm512_reduce_or_epi64(any));
  word |= word >> 32;
  word |= word >> 16;
  word |= word >> 8;
  const int mask = ((1 << tables.bits_of[0]) - 1) << tables.shift_of[0];
  return static_cast<uint8_t>(word & static_cast<uint64_t>(~mask) & 255);
}

}  // namespace bitstage::codec::avx512_vbmi
