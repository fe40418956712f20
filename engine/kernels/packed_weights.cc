#include "engine/kernels/packed_weights.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <utility>
#include <vector>

#include "engine/base/checked_math.h"

namespace bitstage::kernels {
namespace {

constexpr int64_t kLine = 64;
constexpr uint8_t kBias = 0x80;

using Table = std::array<int8_t, kPackedTable>;  // of a section: its values, rising, then the last one again

struct Tables {
  PackedHeader header;
  std::vector<Table> of_section;  // empty at 8 bits
};

// Width 8 where nothing narrower takes fewer bytes.
PackedHeader Choose(const PackedShape& shape, int64_t values) {
  PackedHeader best = {.width = 8, .section_chunks = shape.section_vectors};
  for (const int64_t width : {4, 2}) {
    const int64_t chunks = DivideRoundUp(shape.section_vectors, 8 / width);
    if (values <= int64_t{1} << width && chunks < best.section_chunks) best = {width, chunks};
  }
  return best;
}

// Which values occur in a section.
class Values {
 public:
  void Add(const int8_t* from, int64_t count) {
    for (int64_t i = 0; i < count; ++i) seen_[static_cast<uint8_t>(from[i])] = 1;
  }
  [[nodiscard]] int64_t count() const { return std::accumulate(seen_.begin(), seen_.end(), int64_t{0}); }
  // There are at most kPackedTable values.
  [[nodiscard]] Table Rising() const {
    Table table = {};
    size_t at = 0;
    for (int value = INT8_MIN; value <= INT8_MAX; ++value) {
      if (seen_[static_cast<uint8_t>(value)] != 0) table[at++] = static_cast<int8_t>(value);
    }
    std::fill(table.begin() + static_cast<ptrdiff_t>(at), table.end(), table[at - 1]);
    return table;
  }

 private:
  std::array<uint8_t, 256> seen_ = {};
};

// A block at a time, in one buffer.
class Blocks {
 public:
  explicit Blocks(const PackedSource& source)
      : source_(source), vectors_(static_cast<size_t>(source.shape.block_bytes())) {}
  const int8_t* Next() {
    if (next_ > 0) std::fill(vectors_.begin(), vectors_.end(), int8_t{0});
    source_.arrange(next_++, vectors_.data());
    return vectors_.data();
  }

 private:
  const PackedSource& source_;
  std::vector<int8_t> vectors_;
  int64_t next_ = 0;
};

Tables TablesOf(const PackedSource& source) {
  const PackedShape& shape = source.shape;
  const auto sections = static_cast<size_t>(shape.sections);
  // Ternary weights and those of 2 bits: one look at them all.
  uint8_t least = kBias;  // as unsigned numbers, of which every CPU finds the least and the most fast
  uint8_t most = kBias;
  for (const int8_t w : source.weights) {
    const auto raised = static_cast<uint8_t>(w ^ kBias);
    least = std::min(least, raised);
    most = std::max(most, raised);
  }
  if (most - least < 4) {
    Table table;
    for (size_t i = 0; i < table.size(); ++i)
      table[i] = static_cast<int8_t>(least - kBias + std::min(static_cast<int>(i), 3));
    return {Choose(shape, 4), std::vector<Table>(sections, table)};
  }
  std::vector<Values> values(sections);
  int64_t largest = 0;
  const int64_t section_bytes = shape.section_vectors * shape.vector_bytes;
  Blocks blocks(source);
  for (int64_t block = 0; block < shape.blocks && largest <= kPackedTable; ++block) {
    const int8_t* vectors = blocks.Next();
    for (Values& section : values) {
      section.Add(vectors, section_bytes);
      largest = std::max(largest, section.count());
      vectors += section_bytes;
    }
  }
  Tables tables{Choose(shape, largest), {}};
  if (tables.header.width == 8) return tables;
  for (const Values& section : values) tables.of_section.push_back(section.Rising());
  return tables;
}

// Sixteen weights at a time, in vectors as both compilers know them on every CPU.
typedef int8_t Sixteen __attribute__((vector_size(16)));
typedef uint8_t SixteenBytes __attribute__((vector_size(16)));
constexpr int64_t kSixteen = sizeof(Sixteen);

// How many of the table's first 2^kWidth - 1 values are less.
template <int kWidth>
SixteenBytes IndexOf(const int8_t* weights, const Table& table) {
  Sixteen weight;
  std::memcpy(&weight, weights, sizeof(weight));
  SixteenBytes index = {};
  for (size_t k = 0; k + 1 < size_t{1} << kWidth; ++k) {
    index -= reinterpret_cast<SixteenBytes>(weight > table[k]);  // a true lane is 255
  }
  return index;
}

// A section's vectors to its chunks.
template <int kWidth>
void PackSection(const PackedShape& shape, const Table& values, const int8_t* vectors, uint8_t* chunks) {
  constexpr int64_t kPerChunk = 8 / kWidth;
  const Table table = values;  // here, where no chunk can overwrite it
  for (int64_t v = 0; v < shape.section_vectors; v += kPerChunk) {
    const int64_t some = std::min(kPerChunk, shape.section_vectors - v);
    for (int64_t i = 0; i < shape.vector_bytes; i += kSixteen) {
      SixteenBytes chunk = {};
      for (int64_t n = some; n-- > 0;) {
        for (int doubled = 0; doubled < kWidth; ++doubled) chunk += chunk;
        chunk |= IndexOf<kWidth>(vectors + n * shape.vector_bytes + i, table);
      }
      std::memcpy(chunks + i, &chunk, sizeof(chunk));
    }
    vectors += some * shape.vector_bytes;
    chunks += shape.vector_bytes;
  }
}

template <int kWidth>
void PackBlocks(const PackedSource& source, const Tables& tables, uint8_t* chunks) {
  const PackedShape& shape = source.shape;
  Blocks blocks(source);
  for (int64_t block = 0; block < shape.blocks; ++block) {
    const int8_t* vectors = blocks.Next();
    for (const Table& table : tables.of_section) {
      PackSection<kWidth>(shape, table, vectors, chunks);
      vectors += shape.section_vectors * shape.vector_bytes;
      chunks += tables.header.section_chunks * shape.vector_bytes;
    }
  }
}

int64_t TablesAt() { return RoundUp(sizeof(PackedHeader), kLine); }
int64_t ChunksAt(const PackedShape& shape) { return TablesAt() + RoundUp(shape.sections * kPackedTable, kLine); }

int64_t BytesOf(const PackedShape& shape, const PackedHeader& header) {
  return RoundUp(ChunksAt(shape) + shape.blocks * shape.sections * header.section_chunks * shape.vector_bytes, kLine);
}

}  // namespace

int64_t PackedShape::block_bytes() const { return sections * section_vectors * vector_bytes; }
int64_t PackedShape::bytes() const { return blocks * block_bytes(); }

size_t PackedWeightsBytes(const PackedSource& source) {
  return static_cast<size_t>(BytesOf(source.shape, TablesOf(source).header));
}

void PackWeights(const PackedSource& source, std::byte* packed) {
  const PackedShape& shape = source.shape;
  const Tables tables = TablesOf(source);
  std::memset(packed, 0, static_cast<size_t>(BytesOf(shape, tables.header)));
  std::memcpy(packed, &tables.header, sizeof(tables.header));
  std::byte* chunks = packed + ChunksAt(shape);
  if (tables.header.width == 8) {
    for (int64_t block = 0; block < shape.blocks; ++block) {
      source.arrange(block, reinterpret_cast<int8_t*>(chunks + block * shape.block_bytes()));
    }
    return;
  }
  std::memcpy(packed + TablesAt(), tables.of_section.data(), tables.of_section.size() * sizeof(Table));
  if (tables.header.width == 4) {
    PackBlocks<4>(source, tables, reinterpret_cast<uint8_t*>(chunks));
  } else {
    PackBlocks<2>(source, tables, reinterpret_cast<uint8_t*>(chunks));
  }
}

void ScaleWeights(std::span<int8_t> weights, int factor) {
  for (int8_t& weight : weights) weight = static_cast<int8_t>(weight * factor);
}

void ScalePackedWeights(const PackedShape& shape, int factor, std::byte* packed) {
  const bool plain = ViewPackedWeights(shape, packed).width == 8;
  auto* values = reinterpret_cast<int8_t*>(packed + (plain ? ChunksAt(shape) : TablesAt()));
  const int64_t count = plain ? shape.bytes() : shape.sections * kPackedTable;
  ScaleWeights({values, static_cast<size_t>(count)}, factor);
}

PackedView ViewPackedWeights(const PackedShape& shape, const std::byte* packed) {
  PackedHeader header;
  std::memcpy(&header, packed, sizeof(header));
  return {.width = header.width,
          .section_chunks = header.section_chunks,
          .tables = reinterpret_cast<const int8_t*>(packed + TablesAt()),
          .chunks = reinterpret_cast<const uint8_t*>(packed + ChunksAt(shape))};
}

PackedShape ByPositions(int64_t outputs, int64_t inputs, int64_t taps, int64_t lanes) {
  return {.blocks = DivideRoundUp(outputs, lanes),
          .sections = taps,
          .section_vectors = DivideRoundUp(inputs, 4),
          .vector_bytes = lanes * 4};
}

LaneLayout LanesByPositions(const PackedShape& shape, int64_t inputs) {
  return LaneLayout(inputs, shape.sections, [&](int64_t input, int64_t tap) {
    return (tap * shape.section_vectors + input / 4) * shape.vector_bytes + input % 4;
  });
}

LaneLayout::LaneLayout(int64_t inputs, int64_t taps, absl::FunctionRef<int64_t(int64_t input, int64_t tap)> offset_of)
    : taps_(taps), words_(inputs % 4 == 0) {
  offsets_.reserve(static_cast<size_t>(inputs * taps));
  for (int64_t input = 0; input < inputs; ++input) {
    for (int64_t tap = 0; tap < taps; ++tap) {
      offsets_.push_back(offset_of(input, tap));
      if (input % 4 > 0) words_ &= offsets_.back() == *(offsets_.end() - 1 - taps) + 1;
    }
  }
}

void LaneLayout::Arrange(const int8_t* weights, int64_t outputs, int64_t lane_bytes, int8_t* block) const {
  if (!words_) {
    for (int64_t lane = 0; lane < outputs; ++lane, block += lane_bytes) {
      for (const int64_t offset : offsets_) block[offset] = *weights++;
    }
    return;
  }
  if (taps_ == 9) return ArrangeWords<9>(weights, outputs, lane_bytes, block);
  if (taps_ == 1) return ArrangeWords<1>(weights, outputs, lane_bytes, block);
  ArrangeWords<0>(weights, outputs, lane_bytes, block);
}

// kTaps: how many, or 0.
template <int64_t kTaps>
void LaneLayout::ArrangeWords(const int8_t* weights, int64_t outputs, int64_t lane_bytes, int8_t* block) const {
  const int64_t taps = kTaps == 0 ? taps_ : kTaps;
  const auto per_output = static_cast<int64_t>(offsets_.size());
  // Lane by lane for every four inputs: what is written stays in the first cache.
  for (int64_t first = 0; first < per_output; first += 4 * taps) {
    const int64_t* offsets = offsets_.data() + first;
    for (int64_t lane = 0; lane < outputs; ++lane) {
      const int8_t* from = weights + lane * per_output + first;
      for (int64_t tap = 0; tap < taps; ++tap) {
        const int8_t four[] = {from[tap], from[taps + tap], from[2 * taps + tap], from[3 * taps + tap]};
        std::memcpy(block + lane * lane_bytes + offsets[tap], four, sizeof(four));
      }
    }
  }
}

}  // namespace bitstage::kernels
