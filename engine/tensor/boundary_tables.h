// BoundaryTables: with what the codes of a value cross from one pipeline stage to the next; what the model file holds
// of it. docs/frame-format.md says what the tables mean, engine/codec checks and compiles them.
#pragma once

#include <cstdint>
#include <vector>

namespace bitstage {

// How a frame is written.
enum class FrameCoding : uint8_t {
  kPreferred,  // as the boundary's tables say (BoundaryTables::preferred)
  kStored,     // symbols at their width
  kPlain,      // Huffman, by the boundary's static tables
  kInline,     // Huffman, tables made for this frame and sent with it
  kContexts,   // Huffman, by the boundary's static tables, chosen by the neighbours' codes
  kSplit,      // the DQA paper's own: n bits, and a Huffman-coded shifting error
};

// The tables of one static coding. A cell is one symbol, or two of neighbouring pixels (docs/frame-format.md, "Symbols
// and cells").
struct CodeTables {
  bool pairs = false;
  // Of each table the code length of every cell, 2^bits of them, or 2^(2·bits) with pairs.
  std::vector<std::vector<uint8_t>> lengths;
  // One entry a channel: its group. Without contexts a group is a table.
  std::vector<uint8_t> group_of_channel;
  // Contexts: groups x contexts entries, each a table. Empty without.
  std::vector<uint8_t> of_context;

  [[nodiscard]] bool empty() const { return lengths.empty(); }
  friend bool operator==(const CodeTables&, const CodeTables&) = default;
};

struct BoundaryTables {
  CodeTables plain;
  CodeTables contexts;
  FrameCoding preferred = FrameCoding::kInline;  // never kPreferred
  // Bits an element on the calibration's images, payload alone; 0 where there are no such tables.
  float plain_bits = 0;
  float contexts_bits = 0;
  friend bool operator==(const BoundaryTables&, const BoundaryTables&) = default;
};

}  // namespace bitstage
