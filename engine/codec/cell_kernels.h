// CellKernels: the inner loops of the codec, one set an instruction-set tier. All sets write the same bytes and read
// the same codes; docs/frame-format.md defines cells, lanes and contexts.
//
// This header holds plain data and declarations only, so that files compiled for one tier may include it. What comes in
// was checked: tables are complete codes of at most 11 bits, sizes agree, codes to encode lie on the grid. What must
// still be caught is a stream that does not hold what it should.
#pragma once

#include <cstdint>

namespace bitstage::codec {

inline constexpr int kMaxLanes = 64;  // lanes of one call, and of a plain frame
inline constexpr int kMaxCellsPerTable = 256;
inline constexpr int kMaxBitsOfTwo = 5;    // of a symbol, to encode two at once
inline constexpr int kLeastIndexBits = 8;  // of a decoding table: a constant mask for the commonest case

struct EncodeEntry {
  uint16_t bits;    // the code, first bit lowest
  uint16_t length;  // 1…11; 0 for the only cell of a table (and where there is no such cell)
};

// What the next `index_bits` bits of a stream begin with.
struct DecodeEntry {
  uint8_t length;  // 0 for the only cell of a table
  uint8_t first;   // codes (shifted symbols) of the cell's pixels; second is 0 without pairs
  uint8_t second;
  uint8_t cell;
};

// Compiled tables. Arrays stay valid as long as the owner (codec/tables.h).
struct CellTables {
  int64_t channels;
  bool pairs;
  // Every channel has the same bits and shift; always so with contexts. Then bits_of[0] and shift_of[0] say all.
  bool uniform;
  int tables;
  int longest;                // bits of the longest code of all tables: 1…11
  int index_bits;             // longest, but at least kLeastIndexBits
  int stride_bits;            // log2 of the cells of the largest table
  const uint8_t* bits_of;     // channels entries
  const uint8_t* shift_of;    // channels entries
  const uint8_t* off_mask;    // channels entries: the bits that no code of the channel has
  const uint8_t* group_of;    // channels entries; without contexts the table
  const EncodeEntry* encode;  // [table << stride_bits | cell]
  const DecodeEntry* decode;  // [table << index_bits | next bits]
  // The same of single symbols with contexts, length | first << 8: half the room. Null where nobody filled it.
  const uint16_t* decode_symbols = nullptr;
  const uint8_t* lengths;  // [table << stride_bits | cell]; 0 behind a smaller table's cells
  // Contexts only: [group * contexts + k] is a table.
  const uint8_t* of_context;
  int contexts;
  // Of a lone table of single symbols (run_table.h); null where nobody filled them.
  const uint64_t* runs = nullptr;
  // Uniform: what a look-up appends, its last bit the word's highest, its length in the lowest byte. Of a lone table of
  // single symbols of at most kMaxBitsOfTwo bits [a | b << bits_of[0]], the code of a with that of b behind it; else,
  // for up to 256 entries, as `encode`. Null where nobody filled them.
  const uint64_t* encode_high = nullptr;
  // Beside encode_high of several tables: channels entries, group_of << stride_bits.
  const uint8_t* entry_of = nullptr;
};

// Where an encoder stands. `at` is the first byte not yet final, `bits` its low `count` (0…7) bits.
struct BitSink {
  uint8_t* at;
  uint64_t bits;
  int count;
};

// Image rows coded with contexts, W·C codes each, one behind the other. The row above row i, W·C codes before it,
// counts where (first + i) % height != 0; above row 0 only where has_above, too: it then lies before `codes` and is
// coded already.
struct RowBlock {
  int64_t width;   // W
  int64_t height;  // of an image
  int64_t first;   // counted through the batch
  bool has_above;
  int64_t rows;  // 1…kMaxLanes
};

struct CellKernels {
  const char* name;
  bool wants_encode_high;  // encode_plain is faster with CellTables::encode_high

  // OR of code & ~mask(channel), mask = ((1 << bits) − 1) << shift: 0 where all codes lie on the grid.
  uint8_t (*off_grid)(const CellTables& tables, const uint8_t* codes, int64_t pixels);

  // Adds the cells of `pixels` pixels to counts[table << stride_bits | cell]. Without contexts.
  void (*count)(const CellTables& tables, const uint8_t* codes, int64_t pixels, uint32_t* counts);

  // Appends rows of cells 0… of `pixels` pixels (an odd one out has no second symbol: 0) to the sink, and notes the
  // bits of each lane of lane_rows rows of cells. False as soon as sink->at has passed `limit`; may write 72 +
  // 2·channels bytes beyond it. Leaves at most 7 bits in the sink.
  bool (*encode_plain)(const CellTables& tables, const uint8_t* codes, int64_t pixels, int64_t lane_rows,
                       const uint8_t* limit, BitSink* sink, uint32_t* lane_bits);
  // Lane i lies at bits lane_at[i] to lane_at[i + 1] − 1 of `stream` (rising, lanes + 1 entries); four bytes in front
  // of the stream and four behind its last bit's byte may be read. Writes exactly pixels · channels codes. False where
  // a lane does not end there, or an odd pixel's second symbol is not 0.
  bool (*decode_plain)(const CellTables& tables, const uint8_t* stream, const int64_t* lane_at, int64_t lanes,
                       int64_t lane_rows, int64_t pixels, uint8_t* codes);

  // The same with contexts; a lane is an image row.
  bool (*encode_contexts)(const CellTables& tables, const uint8_t* codes, const RowBlock& block, const uint8_t* limit,
                          BitSink* sink, uint32_t* lane_bits);
  bool (*decode_contexts)(const CellTables& tables, const uint8_t* stream, const int64_t* lane_at,
                          const RowBlock& block, uint8_t* codes);
};

// One cell at a time, as the format's document reads: what all others are tested against.
const CellKernels& ReferenceKernels();
// Plain C++, fast on any CPU.
const CellKernels& PortableKernels();

}  // namespace bitstage::codec
