// Plain frames, AVX-512 VBMI: one lane of the frame a word of a register, 32 or 64 of them in step.
//
// A load a lane fetches 128 bits, shifts bring 32 of them into words (windows.h); code lengths come out of a table of
// 64 or 128 bytes that lies in registers (vpermb, vpermi2b), so twelve or sixteen cells follow from one load. All lanes
// of a register stand at the same channel at the same time: a table a channel costs a load. What bounds it is latency,
// seven cycles a look-up and its shift and then that of the loads: 64 lanes are two registers.
#include <immintrin.h>

#include <type_traits>

#include "engine/codec/avx512_vbmi/byte_table.h"
#include "engine/codec/avx512_vbmi/cells.h"
#include "engine/codec/avx512_vbmi/kernels.h"
#include "engine/codec/avx512_vbmi/lane_cells.h"
#include "engine/codec/avx512_vbmi/windows.h"

namespace bitstage::codec::avx512_vbmi {
namespace {

constexpr int kBlockCells = 16;  // of a lane between two transposes
// Cells of a lane that are a line of the cache, and the codes of a frame that wait in the cache for the rest of their
// line.
constexpr int kStageBlocks = 4;
constexpr int kStageCells = kStageBlocks * kBlockCells;
constexpr int64_t kCachedCodes = 32768;
constexpr int kMaxTables = 16;
constexpr int kMaxIndexBits = 8;
constexpr int64_t kFewLanes = 4;  // up to these, scalar decoding is as fast

struct Job {
  const CellTables& tables;
  const ByteTable* byte_tables;
  const uint8_t* stream;
  StreamEnd end;
  uint8_t* codes;      // of lane 0
  int64_t lane_codes;  // from lane to lane
};

// `registers` x 32 lanes.
template <int entries, bool one_table, int registers>
class Lanes {
 public:
  Lanes(const Job& job, int64_t active, const uint32_t* positions)
      : job_(job), active_(active), is_staged_(WantsStage(job)) {
    for (int z = 0; z < registers; ++z) windows_[z].Begin(positions + z * Windows::kLanes);
  }
  void Leave(uint32_t* positions) const {
    for (int z = 0; z < registers; ++z) windows_[z].Leave(positions + z * Windows::kLanes);
  }

  void Rows(int64_t first_row, int64_t rows) {
    const CellTables& tables = job_.tables;
    const int64_t channels = tables.channels;
    const int64_t pixels = tables.pairs ? 2 : 1;
    uint8_t* to = job_.codes + first_row * pixels * channels;
    // Blocks hold whole rows of pairs or a part of one.
    int64_t blocks = 0;
    if (!tables.pairs || kBlockCells % channels == 0 || channels % kBlockCells == 0) {
      blocks = rows * channels / kBlockCells;
      Blocks(blocks, to);
    }
    if (!tables.pairs) {
      int64_t channel = blocks * kBlockCells % channels;
      const int64_t left = rows * channels - blocks * kBlockCells;
      if (left > 0) Some(channel, left, to + blocks * kBlockCells);
      return;
    }
    const int64_t rows_a_block = channels < kBlockCells ? kBlockCells / channels : 1;
    for (int64_t row = blocks * kBlockCells / channels; row < rows; row += rows_a_block) {
      const int64_t here = rows - row < rows_a_block ? rows - row : rows_a_block;
      int64_t channel = 0;
      for (int64_t c = 0; c < channels; c += kBlockCells) {
        Some(channel, here * (channels - c < kBlockCells ? channels - c : kBlockCells), to + 2 * row * channels + c);
      }
    }
  }

 private:
  // A code that all index bits but the last leave open is as long as the index: half the table says every length.
  static constexpr int kLengthEntries = entries > 64 ? entries / 2 : 64;
  static constexpr int kMostBits = entries > 128 ? 8 : 7;
  // Cells are decoded by fours, so many with one refill. Before one of them what was used is dropped, as
  // Windows::Next() wants it.
  static constexpr int kFours = entries > 128 ? 3 : 4;
  static constexpr int kDropFour = entries > 128 ? 1 : 2;
  static_assert(7 + 4 * kMostBits * kFours <= 128 && 7 + 4 * kMostBits * kDropFour < 64 &&
                4 * kMostBits * (kFours - 1 - kDropFour) < 64);
  static constexpr int kBlockFours = kBlockCells / 4;
  // Of out_: those of a block, unless refills and blocks do not end together.
  static constexpr int kKeptFours = kFours == kBlockFours ? kBlockFours : 2 * kBlockFours;

  // Decodes `cells` (1…4) of each of windows_[z]'s lanes, the four-th after a refill, to out_[…][at].
  template <int four>
  inline __attribute__((always_inline)) void Four(Windows& windows, int z, int cells, int at, int64_t& channel,
                                                  const Masks& masks) {
    if (four == 0) windows.Refill(job_.stream, job_.end, masks);
    __m512i window;  // its low byte, at least, is the next cell's
    __m512i after;   // the bits behind those of `window`
    windows.template Next<four == kDropFour>(masks, &window, &after);
    __m512i cell[4];
#pragma GCC unroll 4
    for (int step = 0; step < 4; ++step) {
      // With one table the look-up of symbols waits for four cells.
      cell[step] = window;
      if (step >= cells) continue;
      const ByteTable* table = job_.byte_tables;
      if constexpr (!one_table) {
        table += job_.tables.group_of[channel];
        if (++channel == job_.tables.channels) channel = 0;
        cell[step] = Look<entries>(table->symbol, window, ~__mmask64{0});
      }
      const __m512i length = Look<kLengthEntries>(table->length, window, ~__mmask64{0});
      windows.Use(length);
      // Shifts take a length's lowest bits alone. What comes in from above is not looked at.
      window = _mm512_shrdv_epi16(window, after, length);
      after = _mm512_shrdv_epi16(after, after, length);
    }
    const __m512i first = masks.LowerBytes(cell[0], cell[1]);
    const __m512i second = masks.LowerBytes(cell[2], cell[3]);
    Keep(masks.LowerWords(first, second), &out_[2 * z][at]);
    Keep(masks.UpperWords(first, second), &out_[2 * z + 1][at]);
  }
  inline __attribute__((always_inline)) void Keep(__m512i cells, __m512i* to) const {
    *to = one_table ? Look<entries>(job_.byte_tables->symbol, cells, ~__mmask64{0}) : cells;
  }

  // Stores `cells` cells of each of windows_[z]'s lanes, out_[…][from] and so on; `to` is lane 0's place.
  inline __attribute__((always_inline)) void Put(int z, int64_t from, int64_t cells, uint8_t* to) const {
    const int64_t step = job_.lane_codes;
    const bool is_whole = cells == kBlockCells && active_ >= (z + 1) * Windows::kLanes;
    to += z * Windows::kLanes * step;
    if (!is_whole || (job_.tables.pairs && job_.tables.channels % kBlockCells != 0)) {
      PutSome(z, from, cells, to);
      return;
    }
    for (int half = 2 * z; half < 2 * z + 2; ++half, to += kHalf * step) {
      __m512i of_lanes[4];
      Transpose(out_[half] + from, of_lanes);
      if (job_.tables.pairs) {
        __m512i seconds[4];
        for (int i = 0; i < 4; ++i) pixels_.Split(of_lanes[i], &of_lanes[i], &seconds[i]);
        uint8_t* const second = to + job_.tables.channels;
        ForLanes(seconds, [=](__m128i codes, int lane) { Store(second + lane * step, codes); });
      }
      ForLanes(of_lanes, [=](__m128i codes, int lane) { Store(to + lane * step, codes); });
    }
  }
  // Cells of lanes that are there; they begin a row of pairs and are either whole rows or a part of one.
  __attribute__((noinline)) void PutSome(int z, int64_t from, int64_t cells, uint8_t* to) const {
    for (int half = 2 * z; half < 2 * z + 2; ++half, to += kHalf * job_.lane_codes) {
      const int64_t lanes = active_ - half * kHalf;
      __m512i of_lanes[4];
      Transpose(out_[half] + from, of_lanes);
      ForLanes(of_lanes, [&](__m128i codes, int lane) {
        if (lane >= lanes) return;
        uint8_t* at = to + lane * job_.lane_codes;
        if (!job_.tables.pairs) {
          _mm_mask_storeu_epi8(at, static_cast<__mmask16>(First(cells)), codes);
          return;
        }
        __m512i first, second;
        pixels_.Split(_mm512_castsi128_si512(codes), &first, &second);
        const int64_t channels = job_.tables.channels;
        for (int64_t done = 0; done < cells; done += channels, at += channels) {
          const auto here = static_cast<__mmask16>(First(cells - done < channels ? cells - done : channels) << done);
          _mm_mask_storeu_epi8(at, here, _mm512_castsi512_si128(first));
          _mm_mask_storeu_epi8(at + channels, here, _mm512_castsi512_si128(second));
        }
      });
    }
  }

  // Where codes do not stay in the first-level cache until a line of them is complete, they go through stage_.
  static bool WantsStage(const Job& job) {
    const int64_t channels = job.tables.channels;
    return job.lane_codes * kMaxLanes > kCachedCodes &&
           (!job.tables.pairs || kStageCells % channels == 0 || channels % kStageCells == 0);
  }
  inline __attribute__((always_inline)) void Stage(int z, int64_t from, int64_t block) {
#pragma GCC unroll 2
    for (int half = 2 * z; half < 2 * z + 2; ++half) {
      __m512i of_lanes[4];
      Transpose(out_[half] + from, of_lanes);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) stage_[half][i][block] = of_lanes[i];
    }
  }
  // `cells` of stage_ of each of windows_[z]'s lanes; whole rows of pairs or a part of one. `to` is lane 0's place.
  __attribute__((noinline)) void PutStage(int z, int64_t cells, uint8_t* to) const {
    for (int half = 2 * z; half < 2 * z + 2; ++half) {
      for (int i = 0; i < 4; ++i) {
        __m512i of_lane[4];
        TransposeQuarters(stage_[half][i], of_lane);
#pragma GCC unroll 4
        for (int quarter = 0; quarter < 4; ++quarter) {
          const int lane = half * kHalf + i + 4 * quarter;
          if (lane < active_) PutLane(of_lane[quarter], cells, to + lane * job_.lane_codes);
        }
      }
    }
  }
  inline __attribute__((always_inline)) void PutLane(__m512i of_lane, int64_t cells, uint8_t* at) const {
    if (!job_.tables.pairs) {
      _mm512_mask_storeu_epi8(at, First(cells), of_lane);
      return;
    }
    __m512i first, second;
    pixels_.Split(of_lane, &first, &second);
    const int64_t channels = job_.tables.channels;
    for (int64_t done = 0; done < cells; done += channels, at += channels) {
      const __mmask64 here = First(cells - done < channels ? cells - done : channels) << done;
      _mm512_mask_storeu_epi8(at, here, first);
      _mm512_mask_storeu_epi8(at + channels, here, second);
    }
  }

  // Blocks of kBlockCells cells of each lane. The second register's lanes follow behind the first's, so that one's
  // refill falls into the other's look-ups.
  void Blocks(int64_t blocks, uint8_t* to) {
    constexpr int kBehind = registers == 1 ? 0 : kFours / 2;
    const Masks masks;
    Windows first = windows_[0];  // copies: what `this` points to stays in memory
    Windows second = windows_[registers - 1];
    const int64_t fours = blocks * kBlockFours;
    int64_t channel[registers] = {};
    int64_t stored[registers] = {};  // fours
    const auto decode = [&](auto four, Windows& windows, int z, int64_t at) __attribute__((always_inline)) {
      if (at < 0 || at >= fours) return;
      const int kept = kFours == kKeptFours ? four.value : static_cast<int>(at % kKeptFours);
      Four<four.value>(windows, z, 4, kept, channel[z], masks);
    };
    // One place in the code for each register: kKeptFours leave it time.
    const auto put = [&](int z, int64_t done) __attribute__((always_inline)) {
      if ((done < fours ? done : fours) - stored[z] < kBlockFours) return;
      PutBlock(z, stored[z] / kBlockFours, to);
      stored[z] += kBlockFours;
    };
    const auto both = [&](auto four, int64_t at) __attribute__((always_inline)) {
      decode(four, first, 0, at);
      if constexpr (registers == 2) {
        constexpr int kFour = (four.value + kFours - kBehind) % kFours;
        decode(std::integral_constant<int, kFour>{}, second, 1, at - kBehind);
        if (four.value == kBehind - 1) put(1, at + 1 - kBehind);
      }
      if (four.value == kFours - 1) put(0, at + 1);
    };
    for (int64_t at = 0; at < fours + kFours; at += kFours) {
      both(std::integral_constant<int, 0>{}, at);
      both(std::integral_constant<int, 1>{}, at + 1);
      both(std::integral_constant<int, 2>{}, at + 2);
      if constexpr (kFours == 4) both(std::integral_constant<int, 3>{}, at + 3);
    }
    if (const int64_t left = blocks % kStageBlocks; is_staged_ && left != 0) {
      for (int z = 0; z < registers; ++z) PutStage(z, left * kBlockCells, to + BlockAt(blocks - left));
    }
    windows_[0] = first;
    if constexpr (registers == 2) windows_[1] = second;
  }
  void PutBlock(int z, int64_t block, uint8_t* to) {
    const int64_t from = block * kBlockFours % kKeptFours;
    if (!is_staged_) {
      Put(z, from, kBlockCells, to + BlockAt(block));
      return;
    }
    const int64_t staged = block % kStageBlocks;
    Stage(z, from, staged);
    if (staged == kStageBlocks - 1) PutStage(z, kStageCells, to + BlockAt(block - staged));
  }
  // Bytes from a lane's beginning.
  [[nodiscard]] int64_t BlockAt(int64_t block) const {
    const int64_t channels = job_.tables.channels;
    if (!job_.tables.pairs) return block * kBlockCells;
    if (channels < kBlockCells) return 2 * block * kBlockCells;
    const int64_t in_row = channels / kBlockCells;
    return 2 * (block / in_row) * channels + block % in_row * kBlockCells;
  }

  // `cells` (at most kBlockCells) of each lane, from channel `channel` on.
  void Some(int64_t& channel, int64_t cells, uint8_t* to) {
    const Masks masks;
    const int64_t begin = channel;
    for (int z = 0; z < registers; ++z) {
      channel = begin;
      int at = 0;
      for (int64_t left = cells; left > 0; left -= 4) {
        Four<0>(windows_[z], z, static_cast<int>(left < 4 ? left : 4), at++, channel, masks);
      }
      Put(z, 0, cells, to);
    }
  }

  const Job job_;
  const int64_t active_;
  const bool is_staged_;
  const PixelsOfPairs pixels_{job_.tables};
  Windows windows_[registers];
  __m512i out_[2 * registers][kKeptFours];         // four cells of each of kHalf lanes
  __m512i stage_[2 * registers][4][kStageBlocks];  // as Transpose() gives them, of one block behind the other's
};

template <int entries, bool one_table, int registers>
__attribute__((noinline)) void DecodeRows(const Job& job, int64_t first_row, int64_t rows, int64_t active,
                                          uint32_t* positions) {
  Lanes<entries, one_table, registers> lanes(job, active, positions);
  lanes.Rows(first_row, rows);
  lanes.Leave(positions);
}

using RowsDecoder = void (*)(const Job&, int64_t, int64_t, int64_t, uint32_t*);

template <int entries, bool one_table>
RowsDecoder ForRegisters(int64_t lanes) {
  return lanes <= Windows::kLanes ? DecodeRows<entries, one_table, 1> : DecodeRows<entries, one_table, 2>;
}

template <bool one_table>
RowsDecoder ForIndex(int index_bits, int64_t lanes) {
  if (index_bits <= 6) return ForRegisters<64, one_table>(lanes);
  if (index_bits == 7) return ForRegisters<128, one_table>(lanes);
  return ForRegisters<256, one_table>(lanes);
}

}  // namespace

bool DecodePlain(const CellTables& tables, const uint8_t* stream, const int64_t* lane_at, int64_t lanes,
                 int64_t lane_rows, int64_t pixels, uint8_t* codes) {
  const bool odd = tables.pairs && pixels % 2 != 0;
  const int64_t rows = tables.pairs ? pixels / 2 : pixels;  // of cells, but for the odd pixel's
  if (lanes <= kFewLanes || tables.longest > kMaxIndexBits || tables.tables > kMaxTables ||
      (tables.pairs && !tables.uniform) || lane_at[lanes] >= INT32_MAX || lane_at[lanes] < StreamEnd::kLeastBits) {
    return Fallback().decode_plain(tables, stream, lane_at, lanes, lane_rows, pixels, codes);
  }
  ByteTable byte_tables[kMaxTables];
  for (int t = 0; t < tables.tables; ++t) Fill(tables, t, byte_tables[t]);
  const int64_t pixels_a_row = tables.pairs ? 2 : 1;
  const Job job = {.tables = tables,
                   .byte_tables = byte_tables,
                   .stream = stream,
                   .end = StreamEnd(lane_at[lanes]),
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
