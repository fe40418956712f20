// The cells of a tensor, 64 to a register: what the tier's encoder and histogram walk through.
#pragma once

#include <immintrin.h>

#include "engine/codec/cell_kernels.h"

namespace bitstage::codec::avx512_vbmi {
namespace {

inline __attribute__((always_inline)) __mmask64 First(int64_t bytes) {
  return bytes >= 64 ? ~__mmask64{0} : (__mmask64{1} << bytes) - 1;
}

// table[each byte of `index`] of a table of 64, 128 or 256 bytes, in the bytes of `bytes`; others become 0.
template <int entries>
inline __attribute__((always_inline)) __m512i Look(const uint8_t* table, __m512i index, __mmask64 bytes) {
  const __m512i t0 = _mm512_load_si512(table);
  if constexpr (entries == 64) {
    return _mm512_maskz_permutexvar_epi8(bytes, index, t0);
  } else {
    const __m512i low = _mm512_maskz_permutex2var_epi8(bytes, t0, index, _mm512_load_si512(table + 64));
    if constexpr (entries == 128) return low;
    const __m512i high =
        _mm512_permutex2var_epi8(_mm512_load_si512(table + 128), index, _mm512_load_si512(table + 192));
    return _mm512_mask_mov_epi8(low, _mm512_movepi8_mask(index) & bytes, high);
  }
}

// Calls visit(cells, count, channel) for rows [begin, end) of cells in their order, at most 64 cells at once:
// bytes of cells beyond `count` are 0, `channel` is the first one's, and a call holds whole rows or a part of one.
// Where all channels look alike (`flat`), single symbols come 64 at a time whatever the rows.
// Requires uniform tables.
class CellWalk {
 public:
  CellWalk(const CellTables& tables, const uint8_t* codes, int64_t pixels, bool flat)
      : codes_(codes),
        channels_(tables.channels),
        pixels_(pixels),
        pairs_(tables.pairs),
        flat_(flat && !tables.pairs),
        shift_(_mm_cvtsi32_si128(tables.shift_of[0])),
        bits_(_mm_cvtsi32_si128(tables.bits_of[0])),
        mask_(_mm512_set1_epi8(static_cast<char>((1 << tables.bits_of[0]) - 1))) {}

  [[nodiscard]] int64_t rows() const { return pairs_ ? (pixels_ + 1) / 2 : pixels_; }

  template <typename Visit>
  inline __attribute__((always_inline)) void operator()(int64_t begin, int64_t end, Visit&& visit) const {
    if (flat_) {
      const int64_t last = end * channels_;
      for (int64_t at = begin * channels_; at < last; at += 64) {
        const int64_t count = last - at < 64 ? last - at : 64;
        visit(Symbols(Load(codes_ + at, count)), count, 0);
      }
      return;
    }
    const int64_t rows_at_once = pairs_ ? (channels_ == 16   ? 4
                                           : channels_ == 32 ? 2
                                                             : 1)
                                        : (channels_ < 64 ? 64 / channels_ : 1);
    for (int64_t row = begin; row < end;) {
      const int64_t here = end - row < rows_at_once ? end - row : rows_at_once;
      const bool alone = pairs_ && (here < rows_at_once || 2 * (row + here) > pixels_);
      const int64_t step = alone ? 1 : here;
      for (int64_t c = 0; c < channels_; c += 64) {
        const int64_t left = step * (channels_ - c);
        const int64_t count = left < 64 ? left : 64;
        visit(pairs_ ? Pairs(row, step, c, count) : Symbols(Load(codes_ + row * channels_ + c, count)), count, c);
      }
      row += step;
    }
  }

 private:
  static inline __attribute__((always_inline)) __m512i Load(const uint8_t* from, int64_t count) {
    return count >= 64 ? _mm512_loadu_si512(from) : _mm512_maskz_loadu_epi8(First(count), from);
  }
  inline __attribute__((always_inline)) __m512i Symbols(__m512i codes) const {
    return _mm512_and_si512(_mm512_srl_epi16(codes, shift_), mask_);
  }
  inline __attribute__((always_inline)) __m512i Pairs(int64_t row, int64_t rows, int64_t c, int64_t count) const {
    const uint8_t* const at = codes_ + 2 * row * channels_ + c;
    __m512i first;
    __m512i second = _mm512_setzero_si512();
    if (rows == 1) {
      first = Load(at, count);
      if (2 * row + 1 < pixels_) second = Load(at + channels_, count);
    } else {
      const __m512i low = _mm512_loadu_si512(at);
      const __m512i high = _mm512_loadu_si512(at + 64);
      first = rows == 4 ? _mm512_shuffle_i32x4(low, high, 0x88) : _mm512_shuffle_i32x4(low, high, 0x44);
      second = rows == 4 ? _mm512_shuffle_i32x4(low, high, 0xdd) : _mm512_shuffle_i32x4(low, high, 0xee);
    }
    return _mm512_or_si512(Symbols(first), _mm512_sll_epi16(Symbols(second), bits_));
  }

  const uint8_t* codes_;
  int64_t channels_;
  int64_t pixels_;
  bool pairs_;
  bool flat_;
  __m128i shift_;
  __m128i bits_;
  __m512i mask_;
};

// The groups of the channels of 64 cells.
class GroupWalk {
 public:
  explicit GroupWalk(const CellTables& tables) : tables_(tables) {
    alignas(64) uint8_t groups[64];
    // A division for each would take longer than the rest of a small frame.
    for (int64_t i = 0, channel = 0; i < 64; ++i) {
      groups[i] = tables.group_of[channel];
      if (++channel == tables.channels) channel = 0;
    }
    repeated_ = _mm512_load_si512(groups);
  }
  // Of cells that CellWalk gave with this channel and count.
  inline __attribute__((always_inline)) __m512i At(int64_t channel, int64_t count) const {
    if (tables_.channels <= 64) return repeated_;
    return _mm512_maskz_loadu_epi8(First(count), tables_.group_of + channel);
  }

 private:
  const CellTables& tables_;
  __m512i repeated_;
};

}  // namespace
}  // namespace bitstage::codec::avx512_vbmi
