// PackedWeights: vectors of int8 weights at the narrowest width that holds their values, with the tables that give the
// values back. A convolution's weights come in blocks (a register of output channels each), a block in sections (one a
// kernel position, or one in all), a section in vectors of `vector_bytes`. Where no section has more than 4 (or 16)
// different values, a weight takes 2 (or 4) bits:
//
//     PackedHeader | tables [sections][16] int8 | chunks [blocks][sections][section_chunks][vector_bytes]
//
// Byte i of a chunk holds the table indices of byte i of 8 / width consecutive vectors, the first in its lowest bits.
// A section's last chunk may hold fewer vectors. At 8 bits a chunk is a vector, without table.
//
// A tier opens the chunks just before it multiplies: an index is a byte shuffle's.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/functional/function_ref.h"

namespace bitstage::kernels {

struct PackedShape {
  int64_t blocks;
  int64_t sections;
  int64_t section_vectors;
  int64_t vector_bytes;  // a multiple of 16

  [[nodiscard]] int64_t block_bytes() const;
  [[nodiscard]] int64_t bytes() const;
};

inline constexpr int64_t kPackedTable = 16;  // entries; those past the last value are 0

struct PackedHeader {
  int64_t width;           // 2, 4 or 8 bits
  int64_t section_chunks;  // ceil(section_vectors / (8 / width))
};

// Pointers into packed weights.
struct PackedView {
  int64_t width;
  int64_t section_chunks;
  const int8_t* tables;
  const uint8_t* chunks;
};

// What is to be packed, made block by block: a layer's vectors are never all in memory.
struct PackedSource {
  PackedShape shape;
  std::span<const int8_t> weights;  // all that occur, in any order; where there is none a vector holds 0
  // Writes the vectors of a block: shape.block_bytes(), which are 0 before.
  absl::FunctionRef<void(int64_t block, int8_t* vectors)> arrange;
};

size_t PackedWeightsBytes(const PackedSource& source);
// Writes PackedWeightsBytes bytes, a multiple of 64, to a 64-byte boundary.
void PackWeights(const PackedSource& source, std::byte* packed);
// Multiplies weights; none may leave int8.
void ScaleWeights(std::span<int8_t> weights, int factor);
void ScalePackedWeights(const PackedShape& shape, int factor, std::byte* packed);
PackedView ViewPackedWeights(const PackedShape& shape, const std::byte* packed);

// Where the weights of one output, inputs x taps as they come, lie in a block: an output is a lane.
class LaneLayout {
 public:
  // offset_of: of a weight from the first byte of its lane.
  LaneLayout(int64_t inputs, int64_t taps, absl::FunctionRef<int64_t(int64_t input, int64_t tap)> offset_of);

  // `weights`: of `outputs` outputs, whose lanes are lane_bytes apart.
  void Arrange(const int8_t* weights, int64_t outputs, int64_t lane_bytes, int8_t* block) const;
  // use(PackedSource) of a layer's `weights`, of all its outputs: `lanes` of them a block, with lanes of four bytes.
  template <typename Use>
  auto WithSource(const PackedShape& shape, const int8_t* weights, int64_t outputs, int64_t lanes,
                  const Use& use) const {
    const auto per_output = static_cast<int64_t>(offsets_.size());
    return use(PackedSource{.shape = shape,
                            .weights = {weights, static_cast<size_t>(outputs * per_output)},
                            .arrange = [&](int64_t block, int8_t* vectors) {
                              const int64_t first = block * lanes;
                              Arrange(weights + first * per_output, std::min(lanes, outputs - first), 4, vectors);
                            }});
  }

 private:
  template <int64_t kTaps>
  void ArrangeWords(const int8_t* weights, int64_t outputs, int64_t lane_bytes, int8_t* block) const;

  int64_t taps_;
  std::vector<int64_t> offsets_;  // [input][tap]
  bool words_;                    // four inputs of a tap at a time are neighbours
};

// One group's weights as vectors of `lanes` outputs times four inputs: [ceil(O / lanes)][taps][ceil(I / 4)][lanes][4].
PackedShape ByPositions(int64_t outputs, int64_t inputs, int64_t taps, int64_t lanes);
LaneLayout LanesByPositions(const PackedShape& shape, int64_t inputs);

}  // namespace bitstage::kernels
