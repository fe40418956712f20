// Histograms of cells, and the check that codes lie on the grid, AVX-512.
#include <immintrin.h>

#include "engine/codec/avx512_vbmi/cells.h"
#include "engine/codec/avx512_vbmi/kernels.h"

namespace bitstage::codec::avx512_vbmi {
namespace {

constexpr int kBlock = 64;        // registers counted at once: byte counters hold 255
constexpr int kMaxCompared = 64;  // up to so many bins a comparison a bin is faster than an increment a cell
constexpr int kAtOnce = 8;        // bins whose counters are in registers

// Bins of cells by comparison.
struct Comparer {
  Comparer(uint32_t* all_counts, int all_bins) : counts(all_counts), bins(all_bins) {}

  uint32_t* counts;
  int bins;
  int64_t padding = 0;  // cells of no meaning, all counted as 0
  int held = 0;
  alignas(64) __m512i block[kBlock];

  inline __attribute__((always_inline)) void Add(__m512i index, int64_t count) {
    block[held++] = index;
    padding += 64 - count;
    if (held == kBlock) Flush();
  }
  __attribute__((noinline)) void Flush() {
    const __m512i one = _mm512_set1_epi8(1);
    for (int bin = 0; bin < bins; bin += kAtOnce) {
      __m512i found[kAtOnce];
      __m512i wanted[kAtOnce];
#pragma GCC unroll 8
      for (int i = 0; i < kAtOnce; ++i) {
        found[i] = _mm512_setzero_si512();
        wanted[i] = _mm512_set1_epi8(static_cast<char>(bin + i));
      }
      for (int v = 0; v < held; ++v) {
#pragma GCC unroll 8
        for (int i = 0; i < kAtOnce; ++i) {
          found[i] = _mm512_mask_add_epi8(found[i], _mm512_cmpeq_epi8_mask(block[v], wanted[i]), found[i], one);
        }
      }
#pragma GCC unroll 8
      for (int i = 0; i < kAtOnce; ++i) {
        if (bin + i >= bins) break;
        counts[bin + i] +=
            static_cast<uint32_t>(_mm512_reduce_add_epi64(_mm512_sad_epu8(found[i], _mm512_setzero_si512())));
      }
    }
    held = 0;
  }
  void Finish() {
    if (held > 0) Flush();
    counts[0] -= static_cast<uint32_t>(padding);
  }
};

// Bins by increments: four histograms, so that equal neighbours do not wait for each other.
struct Incrementer {
  uint32_t counts[4][256] = {};

  inline __attribute__((always_inline)) void Add(__m512i index, int64_t count) {
    alignas(64) uint64_t words[8];
    _mm512_store_si512(words, index);
    if (count < 64) {
      const auto* const bytes = reinterpret_cast<const uint8_t*>(words);
      for (int64_t i = 0; i < count; ++i) ++counts[i & 3][bytes[i]];
      return;
    }
#pragma GCC unroll 8
    for (const uint64_t w : words) {
      ++counts[0][w & 255];
      ++counts[1][w >> 8 & 255];
      ++counts[2][w >> 16 & 255];
      ++counts[3][w >> 24 & 255];
      ++counts[0][w >> 32 & 255];
      ++counts[1][w >> 40 & 255];
      ++counts[2][w >> 48 & 255];
      ++counts[3][w >> 56];
    }
  }
};

}  // namespace

void Count(const CellTables& tables, const uint8_t* codes, int64_t pixels, uint32_t* counts) {
  const int bins = tables.tables << tables.stride_bits;
  if (!tables.uniform || bins > 256) return Fallback().count(tables, codes, pixels, counts);
  const CellWalk cells(tables, codes, pixels, tables.tables == 1);
  const GroupWalk groups(tables);
  const __m128i stride = _mm_cvtsi32_si128(tables.stride_bits);
  const auto index = [&](__m512i some, int64_t count, int64_t channel) {
    if (tables.tables == 1) return some;
    return _mm512_maskz_mov_epi8(First(count),
                                 _mm512_or_si512(some, _mm512_sll_epi16(groups.At(channel, count), stride)));
  };
  if (bins <= kMaxCompared) {
    Comparer comparer(counts, bins);
    cells(0, cells.rows(),
          [&](__m512i some, int64_t count, int64_t channel) { comparer.Add(index(some, count, channel), count); });
    comparer.Finish();
    return;
  }
  Incrementer incrementer;
  cells(0, cells.rows(),
        [&](__m512i some, int64_t count, int64_t channel) { incrementer.Add(index(some, count, channel), count); });
  for (int bin = 0; bin < bins; ++bin) {
    for (const auto& histogram : incrementer.counts) counts[bin] += histogram[bin];
  }
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
