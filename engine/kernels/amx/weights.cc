#include "engine/kernels/amx/weights.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <vector>

#include "engine/base/checked_math.h"

namespace bitstage::kernels::amx {
namespace {

// The values that the tiles of a layer hold, in rising order, the index of each (as uint8), and the indices' bits.
struct Values {
  std::vector<int8_t> sorted;
  std::array<uint8_t, 256> index;
  int64_t bits;
};

Values ValuesOf(const ConvShape& shape, const Layout& layout, const int8_t* weights) {
  const int64_t count = shape.out_channels * shape.in_channels * shape.kernel_height * shape.kernel_width;
  std::array<bool, 256> seen = {};
  for (int64_t i = 0; i < count; ++i) seen[static_cast<uint8_t>(weights[i])] = true;
  // Bytes of a line that are no term of the sum must have weight 0.
  if (shape.in_channels % kLine != 0) seen[0] = true;
  Values values = {};
  for (int value = -128; value < 128; ++value) {
    if (!seen[static_cast<uint8_t>(value)]) continue;
    values.index[static_cast<uint8_t>(value)] = static_cast<uint8_t>(values.sorted.size());
    values.sorted.push_back(static_cast<int8_t>(value));
  }
  // Gathered layers have few weights; every band goes through all of them, and would open them again.
  const size_t distinct = values.sorted.size();
  values.bits = layout.gathered() || distinct > 16 ? 8 : distinct > 4 ? 4 : 2;
  return values;
}

WeightsHeader MakeHeader(const Values& values, bool gathered) {
  WeightsHeader header = {};
  header.bits = values.bits;
  header.gathered = gathered;
  if (values.bits == 8) return header;
  const size_t fields = values.bits == 4 ? 1 : 3;
  for (size_t field = 0; field < fields; ++field) {
    for (size_t byte = 0; byte < 64; ++byte) {
      const size_t index = (byte >> (field * static_cast<size_t>(values.bits))) & ((1u << values.bits) - 1);
      if (index < values.sorted.size()) header.values[field][byte] = values.sorted[index];
    }
  }
  return header;
}

// The tile of step `step` of output channels [first, first + 16); channels that do not exist have weights 0 or, in a
// layer without that value, any.
void FillTile(const ConvShape& shape, const Layout& layout, const int8_t* weights, int64_t first, int64_t step,
              int8_t none, int8_t* tile) {
  std::memset(tile, none, kTileBytes);
  const int64_t taps = shape.kernel_height * shape.kernel_width;
  const int64_t columns = std::min(kColumns, shape.out_channels - first);
  for (int64_t byte = 0; byte < kLine; ++byte) {
    int64_t channel = 0;
    int64_t tap = 0;
    const bool is_term = layout.TermAt(step, byte, &channel, &tap);
    for (int64_t column = 0; column < columns; ++column) {
      int8_t& weight = tile[byte / 4 * kLine + column * 4 + byte % 4];
      weight = is_term ? weights[((first + column) * shape.in_channels + channel) * taps + tap] : int8_t{0};
    }
  }
}

void PackTile(const Values& values, const int8_t* tile, std::byte* packed) {
  if (values.bits == 8) {
    std::memcpy(packed, tile, kTileBytes);
    return;
  }
  const int64_t rows = 8 / values.bits;  // in a packed line
  for (int64_t i = 0; i < kTileBytes; ++i) {
    const unsigned index = values.index[static_cast<uint8_t>(tile[i])];
    const int64_t row = i / kLine;
    packed[row / rows * kLine + i % kLine] |= static_cast<std::byte>(index << (row % rows * values.bits));
  }
}

}  // namespace

size_t PackedBytes(const ConvShape& shape, const Layout& layout, const int8_t* weights) {
  const int64_t tiles = DivideRoundUp(shape.out_channels, kColumns) * layout.steps();
  return sizeof(WeightsHeader) + static_cast<size_t>(tiles * PackedTileBytes(ValuesOf(shape, layout, weights).bits));
}

void Pack(const ConvShape& shape, const Layout& layout, const int8_t* weights, std::byte* packed) {
  const Values values = ValuesOf(shape, layout, weights);
  std::memset(packed, 0, PackedBytes(shape, layout, weights));
  new (packed) WeightsHeader(MakeHeader(values, layout.gathered()));
  const bool has_zero = std::binary_search(values.sorted.begin(), values.sorted.end(), 0);
  const int8_t none = has_zero || values.bits == 8 ? int8_t{0} : values.sorted.front();
  std::byte* to = packed + sizeof(WeightsHeader);
  alignas(64) int8_t tile[kTileBytes];
  for (int64_t first = 0; first < shape.out_channels; first += kColumns) {
    for (int64_t step = 0; step < layout.steps(); ++step, to += PackedTileBytes(values.bits)) {
      FillTile(shape, layout, weights, first, step, none, tile);
      PackTile(values, tile, to);
    }
  }
}

}  // namespace bitstage::kernels::amx
