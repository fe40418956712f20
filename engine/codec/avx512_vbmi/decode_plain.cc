// Plain frames, AVX-512 VBMI: one lane of the frame a 32-bit lane of a register, 16 to 64 of them in step.
//
// A gather fetches 32 bits from where each lane stands; code lengths come out of a table of 64 to 256 bytes that lies
// in registers (vpermb, vpermi2b), so three or four cells follow from one gather. All lanes stand at the same channel
// at the same time: a table a channel costs a load. Sixteen steps of four cells make a 16 x 16 transpose, and each lane
// has 64 cells to store.
#include <immintrin.h>

#include "engine/codec/avx512_vbmi/cells.h"
#include "engine/codec/avx512_vbmi/kernels.h"

namespace bitstage::codec::avx512_vbmi {
namespace {

constexpr int kRegisterLanes = 16;
constexpr int kBlockCells = 64;  // of a lane between two transposes
constexpr int kMaxTables = 16;
constexpr int kMaxIndexBits = 8;
constexpr int64_t kFewLanes = 4;  // up to these, scalar decoding is as fast
constexpr __mmask64 kLowBytes = 0x1111111111111111u;

// A table by the next 8 bits: code lengths, and what the code stands for (a code where cells are single symbols).
struct alignas(64) ByteTable {
  uint8_t length[256];
  uint8_t symbol[256];
};

struct Job {
  const CellTables& tables;
  const ByteTable* byte_tables;
  const uint8_t* stream;
  __m512i limit;       // where a lane that ran away is held: a bit behind the stream
  uint8_t* codes;      // of lane 0
  int64_t lane_codes;  // from lane to lane
};

// 16 registers of 16 lanes x 4 cells become 16 lanes of 64 cells.
inline __attribute__((always_inline)) void Transpose(__m512i* r) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
  }
  for (int i = 0; i < 4; ++i) {
    r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
    r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
    r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
  }
}

// `registers` x 16 lanes in step.
template <int entries, bool one_table, int registers>
struct Lanes {
  // A code that all index bits but the last leave open is as long as the index: half the table says every length.
  static constexpr int kLengthEntries = entries > 64 ? entries / 2 : 64;

  const Job& job;
  int64_t channel;
  __m512i position[registers];  // bits from the stream's beginning
  __m512i window[registers];
  __m512i packed[registers];

  inline __attribute__((always_inline)) void Refill() {
    const __m512i within = _mm512_set1_epi32(7);
    const __m512i marker = _mm512_set1_epi32(INT32_MIN);
#pragma GCC unroll 4
    for (int z = 0; z < registers; ++z) {
      position[z] = _mm512_min_epu32(position[z], job.limit);
      const __m512i bits = _mm512_i32gather_epi32(_mm512_srli_epi32(position[z], 3), job.stream, 1);
      window[z] = _mm512_or_si512(_mm512_srlv_epi32(bits, _mm512_and_si512(position[z], within)), marker);
    }
  }
  // Steps over one cell of each lane; 25 bits of a window are valid after Refill().
  inline __attribute__((always_inline)) void Step() {
    const ByteTable* table = job.byte_tables;
    if constexpr (!one_table) {
      table += job.tables.group_of[channel];
      if (++channel == job.tables.channels) channel = 0;
    }
#pragma GCC unroll 4
    for (int z = 0; z < registers; ++z) {
      const __m512i length = Look<kLengthEntries>(table->length, window[z], kLowBytes);
      // With one table the look-up of symbols waits for four cells.
      const __m512i cell = one_table ? window[z] : Look<entries>(table->symbol, window[z], kLowBytes);
      packed[z] = _mm512_shrdi_epi32(packed[z], cell, 8);
      window[z] = _mm512_srlv_epi32(window[z], length);
    }
  }
  // The marker says how far a window has moved.
  inline __attribute__((always_inline)) void Advance() {
#pragma GCC unroll 4
    for (int z = 0; z < registers; ++z) {
      position[z] = _mm512_add_epi32(position[z], _mm512_lzcnt_epi32(window[z]));
    }
  }
  inline __attribute__((always_inline)) void Put(__m512i (*out)[16], int at) {
#pragma GCC unroll 4
    for (int z = 0; z < registers; ++z) {
      out[z][at] = one_table ? Look<entries>(job.byte_tables->symbol, packed[z], ~__mmask64{0}) : packed[z];
    }
  }

  // `cells` (at most kBlockCells) of each lane to out[register][step of four cells].
  inline __attribute__((always_inline)) void Decode(int cells, __m512i (*out)[16]) {
    int at = 0;
    if constexpr (entries > 64) {
      for (; cells >= 12; cells -= 12, at += 3) {
#pragma GCC unroll 3
        for (int quad = 0; quad < 3; ++quad) {
#pragma GCC unroll 4
          for (int i = 4 * quad; i < 4 * quad + 4; ++i) {
            if (i % 3 == 0) Refill();
            Step();
            if (i % 3 == 2) Advance();
          }
          Put(out, at + quad);
        }
      }
    }
    for (; cells >= 4; cells -= 4, ++at) {
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        if (i == 0 || (i == 2 && entries > 64)) Refill();
        Step();
        if (i == 3 || (i == 1 && entries > 64)) Advance();
      }
      Put(out, at);
    }
    if (cells == 0) return;
    for (int i = 0; i < 4; ++i) {
      if (i < cells) {
        Refill();
        Step();
        Advance();
      } else {
        for (int z = 0; z < registers; ++z) packed[z] = _mm512_srli_epi32(packed[z], 8);
      }
    }
    Put(out, at);
  }
};

// Single symbols: the cells of a lane are its codes.
template <typename Lanes>
void DecodeSingles(Lanes& lanes, int registers, int64_t first_row, int64_t rows, int64_t active) {
  const Job& job = lanes.job;
  const int64_t cells = rows * job.tables.channels;
  alignas(64) __m512i out[4][16];
  uint8_t* to = job.codes + first_row * job.tables.channels;
  lanes.channel = 0;
  for (int64_t done = 0; done < cells; done += kBlockCells, to += kBlockCells) {
    const int64_t left = cells - done;
    const __mmask64 mask = First(left);
    lanes.Decode(static_cast<int>(left < kBlockCells ? left : kBlockCells), out);
    for (int z = 0; z < registers; ++z) {
      Transpose(out[z]);
      const int64_t end = active - z * kRegisterLanes;
      uint8_t* lane = to + z * kRegisterLanes * job.lane_codes;
      if (left >= kBlockCells) {
        for (int64_t l = 0; l < kRegisterLanes && l < end; ++l)
          _mm512_storeu_si512(lane + l * job.lane_codes, out[z][l]);
      } else {
        for (int64_t l = 0; l < kRegisterLanes && l < end; ++l) {
          _mm512_mask_storeu_epi8(lane + l * job.lane_codes, mask, out[z][l]);
        }
      }
    }
  }
}

// `cells` as two codes each, to the pixels at `to` and channels codes behind it; they begin a row and are either whole
// rows or a part of one.
inline __attribute__((always_inline)) void StorePairs(const CellTables& tables, __m512i cells, int64_t count,
                                                      uint8_t* to) {
  const __m512i mask = _mm512_set1_epi8(static_cast<char>((1 << tables.bits_of[0]) - 1));
  const __m128i bits = _mm_cvtsi32_si128(tables.bits_of[0]);
  const __m128i shift = _mm_cvtsi32_si128(tables.shift_of[0]);
  const __m512i first = _mm512_sll_epi16(_mm512_and_si512(cells, mask), shift);
  const __m512i second = _mm512_sll_epi16(_mm512_and_si512(_mm512_srl_epi16(cells, bits), mask), shift);
  const int64_t channels = tables.channels;
  if (channels == 16) {
    const auto row = [&](int i, __m128i a, __m128i b) {
      if (16 * i >= count) return;
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to + 32 * i), a);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to + 32 * i + 16), b);
    };
    row(0, _mm512_castsi512_si128(first), _mm512_castsi512_si128(second));
    row(1, _mm512_extracti32x4_epi32(first, 1), _mm512_extracti32x4_epi32(second, 1));
    row(2, _mm512_extracti32x4_epi32(first, 2), _mm512_extracti32x4_epi32(second, 2));
    row(3, _mm512_extracti32x4_epi32(first, 3), _mm512_extracti32x4_epi32(second, 3));
    return;
  }
  for (int64_t done = 0; done < count; done += channels, to += channels) {
    const int64_t here = count - done < channels ? count - done : channels;
    const __mmask64 bytes = First(here) << done;
    _mm512_mask_storeu_epi8(to, bytes, first);
    _mm512_mask_storeu_epi8(to + channels, bytes, second);
  }
}

template <typename Lanes>
void DecodePairs(Lanes& lanes, int registers, int64_t first_row, int64_t rows, int64_t active) {
  const Job& job = lanes.job;
  const int64_t channels = job.tables.channels;
  const int64_t rows_a_block = channels < kBlockCells ? kBlockCells / channels : 1;
  alignas(64) __m512i out[4][16];
  for (int64_t row = 0; row < rows; row += rows_a_block) {
    const int64_t block_rows = rows - row < rows_a_block ? rows - row : rows_a_block;
    lanes.channel = 0;
    for (int64_t c = 0; c < channels; c += kBlockCells) {
      int64_t cells = channels - c < kBlockCells ? channels - c : kBlockCells;
      cells *= block_rows;
      lanes.Decode(static_cast<int>(cells), out);
      uint8_t* to = job.codes + 2 * (first_row + row) * channels + c;
      for (int z = 0; z < registers; ++z) {
        Transpose(out[z]);
        const int64_t end = active - z * kRegisterLanes;
        uint8_t* lane = to + z * kRegisterLanes * job.lane_codes;
        for (int64_t l = 0; l < kRegisterLanes && l < end; ++l) {
          StorePairs(job.tables, out[z][l], cells, lane + l * job.lane_codes);
        }
      }
    }
  }
}

template <int entries, bool one_table, int registers>
__attribute__((noinline)) void DecodeRows(const Job& job, int64_t first_row, int64_t rows, int64_t active,
                                          uint32_t* positions) {
  Lanes<entries, one_table, registers> lanes{job, 0, {}, {}, {}};
  for (int z = 0; z < registers; ++z) {
    lanes.position[z] = _mm512_load_si512(positions + z * kRegisterLanes);
    lanes.packed[z] = _mm512_setzero_si512();
  }
  if (job.tables.pairs) {
    DecodePairs(lanes, registers, first_row, rows, active);
  } else {
    DecodeSingles(lanes, registers, first_row, rows, active);
  }
  for (int z = 0; z < registers; ++z) _mm512_store_si512(positions + z * kRegisterLanes, lanes.position[z]);
}

using RowsDecoder = void (*)(const Job&, int64_t, int64_t, int64_t, uint32_t*);

template <int entries, bool one_table>
RowsDecoder ForRegisters(int64_t lanes) {
  if (lanes <= 16) return DecodeRows<entries, one_table, 1>;
  if (lanes <= 32) return DecodeRows<entries, one_table, 2>;
  return DecodeRows<entries, one_table, 4>;
}

template <bool one_table>
RowsDecoder ForIndex(int index_bits, int64_t lanes) {
  if (index_bits <= 6) return ForRegisters<64, one_table>(lanes);
  if (index_bits == 7) return ForRegisters<128, one_table>(lanes);
  return ForRegisters<256, one_table>(lanes);
}

void Fill(const CellTables& tables, int table, ByteTable& to) {
  const DecodeEntry* const from = tables.decode + (static_cast<int64_t>(table) << tables.index_bits);
  const int entries = 1 << tables.longest;
  const int wanted = entries < 64 ? 64 : entries;
  for (int i = 0; i < wanted; i += 16) {
    __m512i e;
    if (entries >= 16) {
      e = _mm512_loadu_si512(from + (i & (entries - 1)));
    } else {
      const __m512i index = _mm512_and_si512(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
                                             _mm512_set1_epi32(entries - 1));
      e = _mm512_i32gather_epi32(index, from, 4);
    }
    const __m512i symbol = _mm512_srli_epi32(e, tables.pairs ? 24 : 8);
    _mm_store_si128(reinterpret_cast<__m128i*>(to.length + i), _mm512_cvtepi32_epi8(e));
    _mm_store_si128(reinterpret_cast<__m128i*>(to.symbol + i), _mm512_cvtepi32_epi8(symbol));
  }
}

}  // namespace

bool DecodePlain(const CellTables& tables, const uint8_t* stream, const int64_t* lane_at, int64_t lanes,
                 int64_t lane_rows, int64_t pixels, uint8_t* codes) {
  const bool odd = tables.pairs && pixels % 2 != 0;
  const int64_t rows = tables.pairs ? pixels / 2 : pixels;  // of cells, but for the odd pixel's
  if (lanes <= kFewLanes || tables.longest > kMaxIndexBits || tables.tables > kMaxTables ||
      (tables.pairs && !tables.uniform) || lane_at[lanes] >= INT32_MAX) {
    return Fallback().decode_plain(tables, stream, lane_at, lanes, lane_rows, pixels, codes);
  }
  ByteTable byte_tables[kMaxTables];
  for (int t = 0; t < tables.tables; ++t) Fill(tables, t, byte_tables[t]);
  const int64_t pixels_a_row = tables.pairs ? 2 : 1;
  const Job job = {.tables = tables,
                   .byte_tables = byte_tables,
                   .stream = stream,
                   .limit = _mm512_set1_epi32(static_cast<int>(lane_at[lanes] + 1)),
                   .codes = codes,
                   .lane_codes = lane_rows * pixels_a_row * tables.channels};
  alignas(64) uint32_t positions[kMaxLanes];
  for (int l = 0; l < kMaxLanes; ++l) positions[l] = static_cast<uint32_t>(lane_at[l < lanes ? l : lanes]);
  const RowsDecoder decode =
      tables.tables == 1 ? ForIndex<true>(tables.longest, lanes) : ForIndex<false>(tables.longest, lanes);
  const int64_t last_rows = rows - (lanes - 1) * lane_rows;
  decode(job, 0, last_rows, lanes, positions);
  const uint32_t last_at = positions[lanes - 1];
  if (last_rows < lane_rows) decode(job, last_rows, lane_rows - last_rows, lanes - 1, positions);

  bool ends = true;
  for (int64_t l = 0; l + 1 < lanes; ++l) ends &= positions[l] == static_cast<uint32_t>(lane_at[l + 1]);
  if (!odd) return ends && last_at == static_cast<uint32_t>(lane_at[lanes]);
  // The odd pixel: a row of cells whose second symbols are 0, decoded alone.
  const int64_t at[2] = {last_at, lane_at[lanes]};
  return ends && at[0] <= at[1] &&
         Fallback().decode_plain(tables, stream, at, 1, 1, 1, codes + (pixels - 1) * tables.channels);
}

}  // namespace bitstage::codec::avx512_vbmi
