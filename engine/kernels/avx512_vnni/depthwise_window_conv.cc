#include <algorithm>

#include "engine/kernels/avx512_vnni/column_parts.h"

namespace bitstage::kernels::avx512_vnni {
namespace {

constexpr int kWidth = 3;
constexpr int64_t kEndless = INT64_MAX;
constexpr int kFewShifts = 2;  // such that doing without branches costs little

// Pointers pass through assembly that does nothing, so that they stay numbers: as elements of vectors, which they
// become otherwise, their way to an address is long.
//
// The columns of a window one after the other, from the left edge over the image to the right edge.
template <int kParts>
struct Source {
  const uint8_t* at[4][kParts];
  int64_t offset;
  int64_t step;
  int64_t left;  // columns until the next of the three stretches
};

template <int kParts>
BITSTAGE_INLINE void ToEdge(const ColumnWindow& window, int64_t edge, Source<kParts>& source) {
  Unrolled<4>([&](auto row) BITSTAGE_INLINED {
    Unrolled<kParts>([&](auto part) BITSTAGE_INLINED {
      source.at[row][part] = window.edges + edge * window.edge_bytes + row * kBlock + part * (kBlock / kParts);
      __asm__("" : "+r"(source.at[row][part]));
    });
  });
  source.offset = 0;
  source.step = window.edge_bytes;
}

template <int kParts>
BITSTAGE_INLINE void ToImage(const ColumnWindow& window, Source<kParts>& source) {
  Unrolled<4>([&](auto row) BITSTAGE_INLINED {
    Unrolled<kParts>([&](auto part) BITSTAGE_INLINED {
      source.at[row][part] = window.rows[part * 4 + row];
      __asm__("" : "+r"(source.at[row][part]));
    });
  });
  source.offset = 0;
  source.step = window.column_bytes;
}

// A column's share of the sums of outputs whose kernels have their column kx there.
template <int kx, int kRows>
BITSTAGE_INLINE void Accumulate(const ColumnConstants* constants, const int8_t* weights, const __m512i (&codes)[4],
                                __m512i (&acc)[kRows][4]) {
  Unrolled<4>([&](auto k) BITSTAGE_INLINED {
    if constexpr (kx == 0) {
      const __m512i init = _mm512_loadu_si512(constants->acc_init + 16 * k);
      Unrolled<kRows>([&](auto row) BITSTAGE_INLINED { acc[row][k] = init; });
    }
    Unrolled<kRows>([&](auto row) BITSTAGE_INLINED {
      acc[row][k] = DotProductInOrder<((row * kWidth + kx) * 4 + k) * 64>(acc[row][k], codes[k], weights);
    });
  });
}

// For kShifts, how many shifts there may be: codes come by words.
constexpr int kWords = 0;
constexpr int kShiftedWords = -1;

template <int kStride, int kParts, int kShifts>
__attribute__((flatten)) void MicroKernel(const ColumnWindow& window) {
  constexpr int kRows = kStride == 1 ? 2 : 1;  // of outputs, that a column's four rows hold
  const ColumnRow& call = *window.row;
  const int8_t* const weights = call.weights;
  const ColumnConstants* const constants = window.constants;
  const int64_t output_step = call.output_pixel_stride;
  const int64_t row_step = window.output_row_elements;
  const int64_t channels = call.channels;
  const bool pair = window.output_rows > 1;
  [[maybe_unused]] __mmask64 doubling[kMaxShift];
  Unrolled<std::max(kShifts, 0)>([&](auto k) BITSTAGE_INLINED {
    doubling[k] = k < call.transform.doubling_count ? DoublingOf<1>(call.transform, k) : 0;
  });
  uint8_t* to[kParts];
  Unrolled<kParts>([&](auto part) BITSTAGE_INLINED {
    to[part] = static_cast<uint8_t*>(call.output) + call.part_pixels[part] * output_step;
  });

  Source<kParts> source;
  int stretch = window.first > 0 ? 0 : 1;
  if (stretch == 0) {
    ToEdge<kParts>(window, 0, source);
    source.left = window.first;
  } else {
    ToImage<kParts>(window, source);
    source.left = window.last;
  }
  __m512i codes[4];

  // Where a stretch has ended, the next one; then a column is taken off it.
  const auto turn = [&]() BITSTAGE_INLINED {
    if (source.left == 0) {
      if (++stretch == 1 && window.first < window.last) {
        ToImage<kParts>(window, source);
        source.left = window.last - window.first;
      } else {
        stretch = 2;
        ToEdge<kParts>(window, window.first, source);
        source.left = kEndless;
      }
    }
    --source.left;
  };

  // The next column, interleaved: a dword holds a channel's codes of four rows.
  const auto next_column = [&]() BITSTAGE_INLINED {
    __m512i rows[4];
    Unrolled<4>([&](auto row) BITSTAGE_INLINED {
      // At stride 2 the fourth row meets weights of 0.
      constexpr int kRow = kStride == 2 && row == 3 ? 2 : row;
      if constexpr (kRow == row) {
        const uint8_t* parts[kMaxColumnParts];
        Unrolled<kParts>([&](auto part) BITSTAGE_INLINED { parts[part] = source.at[row][part]; });
        rows[row] = LoadParts<kParts>(parts, source.offset);
      } else {
        rows[row] = rows[kRow];
      }
    });
    source.offset += source.step;
    __asm__("" : "+r"(source.offset));
    const __m512i ab_low = _mm512_unpacklo_epi8(rows[0], rows[1]);
    const __m512i ab_high = _mm512_unpackhi_epi8(rows[0], rows[1]);
    const __m512i cd_low = _mm512_unpacklo_epi8(rows[2], rows[3]);
    const __m512i cd_high = _mm512_unpackhi_epi8(rows[2], rows[3]);
    codes[0] = _mm512_unpacklo_epi16(ab_low, cd_low);
    codes[1] = _mm512_unpackhi_epi16(ab_low, cd_low);
    codes[2] = _mm512_unpacklo_epi16(ab_high, cd_high);
    codes[3] = _mm512_unpackhi_epi16(ab_high, cd_high);
  };

  const auto finish = [&](__m512i(&acc)[kRows][4]) BITSTAGE_INLINED {
    __m512i packed[kRows];
    if constexpr (kShifts <= kWords) {
      const WordPacker packer = PackerOf<kShifts == kShiftedWords>(constants->words, call.transform.word_shift);
      Unrolled<kRows>([&](auto row) BITSTAGE_INLINED {
        packed[row] = packer.Interleaved(acc[row][0], acc[row][1], acc[row][2], acc[row][3]);
      });
      WordsToCodes<kRows>(constants->word_masks, constants->high_codes, packed);
    } else {
      Unrolled<4>([&](auto k) BITSTAGE_INLINED {
        const __m512 mult = _mm512_loadu_ps(constants->mult + 16 * k);
        const __m512 add = _mm512_loadu_ps(constants->add + 16 * k);
        Unrolled<kRows>([&](auto row) BITSTAGE_INLINED {
          acc[row][k] = _mm512_cvtps_epi32(_mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[row][k]), mult, add));
        });
      });
      const __m512i low = _mm512_loadu_si512(constants->low_codes);
      const __m512i high = _mm512_loadu_si512(constants->high_codes);
      Unrolled<kRows>([&](auto row) BITSTAGE_INLINED {
        packed[row] = PackInterleaved(acc[row][0], acc[row][1], acc[row][2], acc[row][3]);
        Unrolled<kShifts>([&](auto k) BITSTAGE_INLINED { packed[row] = Doubled(packed[row], doubling[k]); });
        packed[row] = Clamp(packed[row], low, high);
      });
    }
    StoreParts<kParts>(to, 0, channels, packed[0]);
    if constexpr (kRows == 2) {
      if (pair) StoreParts<kParts>(to, row_step, channels, packed[1]);
    }
    Unrolled<kParts>([&](auto part) BITSTAGE_INLINED { to[part] += output_step; });
  };

  // The next output, whose sums are `acc`; `next` and `last` are those of outputs after it. turns: a stretch may end.
  const auto output = [&](auto turns, __m512i(&acc)[kRows][4], __m512i(&next)[kRows][4], __m512i(&last)[kRows][4])
                          BITSTAGE_INLINED {
                            if constexpr (kStride == 2) {
                              if constexpr (turns) turn();
                              next_column();
                              Accumulate<1>(constants, weights, codes, acc);
                            }
                            if constexpr (turns) turn();
                            next_column();
                            Accumulate<2>(constants, weights, codes, acc);
                            if constexpr (kStride == 1) Accumulate<1>(constants, weights, codes, next);
                            Accumulate<0>(constants, weights, codes, kStride == 1 ? last : next);
                            finish(acc);
                          };

  __m512i a[kRows][4], b[kRows][4], c[kRows][4];
  turn();
  next_column();
  Accumulate<0>(constants, weights, codes, a);
  if constexpr (kStride == 1) {
    turn();
    next_column();
    Accumulate<1>(constants, weights, codes, a);
    Accumulate<0>(constants, weights, codes, b);
  }
  // Outputs between two of the same registers, and the columns that they take.
  constexpr int kOutputs = kStride == 1 ? 3 : 2;
  constexpr int kColumns = kOutputs * kStride;
  int64_t left = call.count;
  if (source.left == 0) {
    turn();
    ++source.left;
  }
  const std::false_type no_turns;
  for (; left > kOutputs && source.left >= kColumns; left -= kOutputs, source.left -= kColumns) {
    output(no_turns, a, b, c);
    if constexpr (kStride == 1) {
      output(no_turns, b, c, a);
      output(no_turns, c, a, b);
    } else {
      output(no_turns, b, a, c);
    }
  }
  const std::true_type may_turn;
  for (;;) {
    output(may_turn, a, b, c);
    if (--left == 0) return;
    if constexpr (kStride == 1) {
      output(may_turn, b, c, a);
      if (--left == 0) return;
      output(may_turn, c, a, b);
    } else {
      output(may_turn, b, a, c);
    }
    if (--left == 0) return;
  }
}

template <int kStride, int kParts>
void RunShifts(const ColumnWindow& window) {
  if (window.row->transform.words != nullptr) {
    return window.row->transform.word_shift == 0 ? MicroKernel<kStride, kParts, kWords>(window)
                                                 : MicroKernel<kStride, kParts, kShiftedWords>(window);
  }
  window.row->transform.doubling_count <= kFewShifts ? MicroKernel<kStride, kParts, kFewShifts>(window)
                                                     : MicroKernel<kStride, kParts, kMaxShift>(window);
}

}  // namespace

void RunWindow(const ColumnWindow& window) {
  if (window.row->stride == 1) return RunShifts<1, 1>(window);
  window.row->parts == 1 ? RunShifts<2, 1>(window) : RunShifts<2, 2>(window);
}

}  // namespace bitstage::kernels::avx512_vnni
