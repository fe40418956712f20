// Which table each of 64 cells uses that is coded with contexts (docs/frame-format.md, "Which table a cell uses").
#pragma once

#include <immintrin.h>

#include "engine/codec/avx512_vbmi/cells.h"

namespace bitstage::codec::avx512_vbmi {
namespace {

// The symbols of the first and the second pixels of some cells.
struct Symbols {
  __m512i first;
  __m512i second;
};

class ContextTables {
 public:
  // False where the maps of contexts do not fit in registers, or sums of symbols in bytes.
  static bool Suits(const CellTables& tables) {
    return tables.bits_of[0] <= kMaxBits && (Groups(tables) << MapBits(tables)) <= kMaxEntries;
  }

  // Requires Suits(tables).
  explicit ContextTables(const CellTables& tables)
      : pairs_(tables.pairs),
        map_bits_(MapBits(tables)),
        shift_(_mm_cvtsi32_si128(tables.shift_of[0])),
        mask_(_mm512_set1_epi8(static_cast<char>((1 << tables.bits_of[0]) - 1))) {
    const int bits = tables.bits_of[0];
    const int step_bits = bits > 2 ? bits - 2 : 0;
    step_bits_ = _mm_cvtsi32_si128(step_bits);
    step_up_ = _mm512_set1_epi8(static_cast<char>((1 << step_bits) - 1));
    const int down = bits > 5 ? bits - 5 : 0;
    down_ = _mm_cvtsi32_si128(down);
    down_mask_ = _mm512_set1_epi8(static_cast<char>(255 >> down));
    const int groups = Groups(tables);
    registers_ = ((groups << map_bits_) + kEntries - 1) / kEntries;
    for (int group = 0; group < groups; ++group) {
      __builtin_memcpy(table_of_ + (group << map_bits_), tables.of_context + group * tables.contexts,
                       static_cast<size_t>(tables.contexts));
    }
  }

  [[nodiscard]] inline __attribute__((always_inline)) __m512i SymbolsOf(__m512i codes) const {
    return _mm512_and_si512(_mm512_srl_epi16(codes, shift_), mask_);
  }

  // Numbers of tables, a byte each, from the symbols to the left and above and the groups of 64 cells.
  [[nodiscard]] inline __attribute__((always_inline)) __m512i TablesOf(__m512i left, const Symbols& up,
                                                                       __m512i group) const {
    const __m512i sum = _mm512_add_epi8(left, up.first);
    __m512i k;
    if (pairs_) {
      const __m512i steps = _mm512_srl_epi16(_mm512_add_epi8(up.second, step_up_), step_bits_);
      const __m512i right = _mm512_min_epu8(_mm512_and_si512(steps, _mm512_set1_epi8(7)), _mm512_set1_epi8(3));
      k = _mm512_add_epi8(_mm512_slli_epi16(sum, 2), right);
    } else {
      k = _mm512_and_si512(_mm512_srl_epi16(sum, down_), down_mask_);
    }
    __m512i entries = group;  // the map's kEntries
    if (map_bits_ == kSmallMapBits) {
      k = _mm512_or_si512(k, _mm512_and_si512(_mm512_slli_epi16(group, kSmallMapBits), _mm512_set1_epi8(kEntries / 2)));
      entries = _mm512_and_si512(_mm512_srli_epi16(group, 1), _mm512_set1_epi8(127));
    }
    __m512i table = Look<kEntries>(table_of_, k, ~__mmask64{0});
    for (int i = 1; i < registers_; ++i) {
      const __mmask64 here = _mm512_cmpeq_epi8_mask(entries, _mm512_set1_epi8(static_cast<char>(i)));
      table = _mm512_mask_mov_epi8(table, here, Look<kEntries>(table_of_ + i * kEntries, k, ~__mmask64{0}));
    }
    return table;
  }

 private:
  static constexpr int kMaxBits = 7;    // the sum of two symbols fits in a byte
  static constexpr int kEntries = 128;  // of one look-up
  static constexpr int kMaxEntries = 2048;
  static constexpr int kSmallMapBits = 6;

  static int Groups(const CellTables& tables) {
    int groups = 0;
    for (int64_t c = 0; c < tables.channels; ++c) {
      if (tables.group_of[c] >= groups) groups = tables.group_of[c] + 1;
    }
    return groups;
  }
  // Of the room for a group's contexts, of which there are at most 124.
  static int MapBits(const CellTables& tables) { return tables.contexts <= 64 ? kSmallMapBits : 7; }

  bool pairs_;
  int map_bits_;
  int registers_;
  __m128i shift_, step_bits_, down_;
  __m512i mask_, step_up_, down_mask_;
  alignas(64) uint8_t table_of_[kMaxEntries];  // by group << map_bits_ | context
};

}  // namespace
}  // namespace bitstage::codec::avx512_vbmi
