#include "engine/kernels/packed_weights.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "engine/base/checked_math.h"

namespace bitstage::kernels {
namespace {

constexpr int64_t kLine = 64;

// The values of each section, in the order in which they come.
class Values {
 public:
  Values(const PackedShape& shape, const int8_t* vectors) : sections_(static_cast<size_t>(shape.sections)) {
    const int64_t section_bytes = shape.section_vectors * shape.vector_bytes;
    for (int64_t block = 0; block < shape.blocks; ++block) {
      for (Section& section : sections_) {
        for (int64_t i = 0; i < section_bytes; ++i) section.Add(*vectors++);
      }
    }
    for (const Section& section : sections_) most_ = std::max(most_, section.count);
  }

  // Width 8 where nothing narrower takes fewer bytes.
  [[nodiscard]] PackedHeader Choose(const PackedShape& shape) const {
    PackedHeader best = {.width = 8, .section_chunks = shape.section_vectors};
    for (const int64_t width : {4, 2}) {
      const int64_t chunks = DivideRoundUp(shape.section_vectors, 8 / width);
      if (most_ <= int64_t{1} << width && chunks < best.section_chunks) best = {width, chunks};
    }
    return best;
  }

  [[nodiscard]] int IndexOf(int64_t section, int8_t value) const {
    return sections_[static_cast<size_t>(section)].index[static_cast<uint8_t>(value)];
  }

  void WriteTables(int8_t* tables) const {
    for (const Section& section : sections_) {
      for (int value = INT8_MIN; value <= INT8_MAX; ++value) {
        const int index = section.index[static_cast<uint8_t>(value)];
        if (index >= 0 && index < kPackedTable) tables[index] = static_cast<int8_t>(value);
      }
      tables += kPackedTable;
    }
  }

 private:
  struct Section {
    Section() { index.fill(-1); }
    void Add(int8_t value) {
      int16_t& i = index[static_cast<uint8_t>(value)];
      if (i < 0) i = static_cast<int16_t>(count++);
    }
    std::array<int16_t, 256> index = {};
    int count = 0;
  };

  std::vector<Section> sections_;
  int most_ = 0;
};

int64_t TablesAt() { return RoundUp(sizeof(PackedHeader), kLine); }
int64_t ChunksAt(const PackedShape& shape) { return TablesAt() + RoundUp(shape.sections * kPackedTable, kLine); }

int64_t BytesOf(const PackedShape& shape, const PackedHeader& header) {
  return RoundUp(ChunksAt(shape) + shape.blocks * shape.sections * header.section_chunks * shape.vector_bytes, kLine);
}

}  // namespace

int64_t PackedShape::block_bytes() const { return sections * section_vectors * vector_bytes; }
int64_t PackedShape::bytes() const { return blocks * block_bytes(); }

size_t PackedWeightsBytes(const PackedShape& shape, const int8_t* vectors) {
  return static_cast<size_t>(BytesOf(shape, Values(shape, vectors).Choose(shape)));
}

void PackWeights(const PackedShape& shape, const int8_t* vectors, std::byte* packed) {
  const Values values(shape, vectors);
  const PackedHeader header = values.Choose(shape);
  std::memset(packed, 0, static_cast<size_t>(BytesOf(shape, header)));
  std::memcpy(packed, &header, sizeof(header));
  auto* chunk = reinterpret_cast<uint8_t*>(packed + ChunksAt(shape));
  if (header.width == 8) {
    std::memcpy(chunk, vectors, static_cast<size_t>(shape.bytes()));
    return;
  }
  values.WriteTables(reinterpret_cast<int8_t*>(packed + TablesAt()));
  const int64_t per_chunk = 8 / header.width;
  for (int64_t block = 0; block < shape.blocks; ++block) {
    for (int64_t section = 0; section < shape.sections; ++section) {
      for (int64_t v = 0; v < shape.section_vectors; ++v) {
        uint8_t* to = chunk + v / per_chunk * shape.vector_bytes;
        const int64_t position = v % per_chunk * header.width;
        for (int64_t i = 0; i < shape.vector_bytes; ++i) {
          to[i] = static_cast<uint8_t>(to[i] | values.IndexOf(section, *vectors++) << position);
        }
      }
      chunk += header.section_chunks * shape.vector_bytes;
    }
  }
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

void ArrangeByPositions(int64_t outputs, int64_t inputs, int64_t taps, int64_t lanes, const int8_t* weights,
                        int8_t* vectors) {
  const PackedShape shape = ByPositions(outputs, inputs, taps, lanes);
  std::memset(vectors, 0, static_cast<size_t>(shape.bytes()));
  for (int64_t o = 0; o < outputs; ++o) {
    int8_t* lane = vectors + o / lanes * shape.block_bytes() + o % lanes * 4;
    for (int64_t i = 0; i < inputs; ++i) {
      for (int64_t tap = 0; tap < taps; ++tap) {
        lane[(tap * shape.section_vectors + i / 4) * shape.vector_bytes + i % 4] = *weights++;
      }
    }
  }
}

}  // namespace bitstage::kernels
