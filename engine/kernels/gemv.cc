#include "engine/kernels/gemv.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include "engine/base/checked_math.h"
#include "engine/kernels/scratch.h"

namespace bitstage::kernels {
namespace {

constexpr int64_t kHeaderBytes = 64;
// The largest field is 240 in its byte and |a| <= 255: so many products stay within int32.
constexpr int64_t kMaxInputs = 1 << 15;

// The narrowest fields that hold weights of such a magnitude; null where this tier has none.
const GemvTier::Width* WidthFor(const GemvTier& tier, int max_weight) {
  for (const GemvTier::Width& width : tier.widths) {
    const int largest = width.bits == 2 ? 1 : width.bits == 4 ? 7 : width.bits == 8 ? 127 : -1;
    if (max_weight <= largest) return &width;
  }
  return nullptr;
}

int MaxMagnitude(const ConvShape& shape, const int8_t* weights) {
  int largest = 0;
  for (int64_t i = 0; i < shape.out_channels * shape.in_channels; ++i) {
    largest = std::max(largest, std::abs(static_cast<int>(weights[i])));
  }
  return largest;
}

int OffsetOf(int bits) { return bits == 2 ? 1 : 1 << (bits - 1); }

struct Layout {
  Layout(const GemvTier& tier, const ConvShape& shape, const GemvTier::Width& with)
      : width(with),
        fields(8 / width.bits),
        steps(DivideRoundUp(shape.in_channels, 4 * fields)),
        blocks(DivideRoundUp(shape.out_channels, tier.lanes)),
        register_bytes(tier.lanes * 4),
        sums_bytes(DivideRoundUp(blocks * tier.lanes * 4, 64) * 64) {}

  [[nodiscard]] int64_t GroupOffset(int64_t first_block) const {
    return kHeaderBytes + sums_bytes + first_block * steps * register_bytes;
  }
  [[nodiscard]] size_t bytes() const { return static_cast<size_t>(GroupOffset(blocks)); }

  const GemvTier::Width& width;
  int64_t fields;  // of a byte
  int64_t steps;   // of 4 · fields input channels
  int64_t blocks;
  int64_t register_bytes;
  int64_t sums_bytes;
};

const GemvTier::Width& WidthOfBits(const GemvTier& tier, int32_t bits) {
  const GemvTier::Width* width = tier.widths;
  while (width->bits != bits) ++width;
  return *width;
}

// What a call keeps in scratch memory.
struct Buffers {
  Buffers(const GemvTier& tier, const ConvShape& shape, Scratch& scratch)
      : codes(scratch.Take<uint8_t>(DivideRoundUp(shape.in_channels, 64) * 64)),
        acc(scratch.Take<int32_t>(DivideRoundUp(shape.out_channels, tier.lanes) * tier.lanes)) {}
  uint8_t* codes;
  int32_t* acc;
};

void RunPixel(const GemvTier& tier, const ConvShape& shape, const ConvCall& call, int64_t pixel,
              const Buffers& buffers) {
  int32_t bits = 0;
  std::memcpy(&bits, call.packed_weights, sizeof(bits));
  const Layout layout(tier, shape, WidthOfBits(tier, bits));
  const auto* sums = reinterpret_cast<const int32_t*>(call.packed_weights + kHeaderBytes);
  // A fully connected layer reads pixel by pixel in order: no padding, no stride (GemvSupports).
  const int32_t codes_sum =
      tier.prepare(call.input + pixel * call.input_pixel_stride, shape.in_channels, buffers.codes);
  for (int64_t o = 0; o < shape.out_channels; ++o) {
    buffers.acc[o] = call.acc_init[o] + sums[o] - OffsetOf(bits) * codes_sum;
  }
  // One transform at the end: between two groups it would hold up the stream of weights.
  for (int64_t block = 0; block < layout.blocks; block += layout.width.max_blocks) {
    const int64_t blocks = std::min(layout.width.max_blocks, layout.blocks - block);
    layout.width.run[blocks - 1]({.weights = call.packed_weights + layout.GroupOffset(block),
                                  .codes = buffers.codes,
                                  .steps = layout.steps,
                                  .acc = buffers.acc + block * tier.lanes});
  }
  OutputTile output = TileAt(call, pixel, 0);
  output.channels = shape.out_channels;
  output.pixels = 1;
  output.acc = buffers.acc;
  output.acc_stride = layout.blocks * tier.lanes;
  tier.transform(output);
}

}  // namespace

bool GemvSupports(const GemvTier& tier, const ConvShape& shape, int max_weight) {
  const bool is_product = shape.groups == 1 && shape.kernel_height == 1 && shape.kernel_width == 1 &&
                          shape.stride_height == 1 && shape.stride_width == 1 && shape.pad_top == 0 &&
                          shape.pad_left == 0 && shape.in_height == shape.out_height &&
                          shape.in_width == shape.out_width;
  return is_product && shape.in_channels <= kMaxInputs && WidthFor(tier, max_weight) != nullptr;
}

double GemvCycles(const GemvTier& tier, const ConvShape& shape, int max_weight) {
  constexpr double kCallCycles = 400;
  constexpr double kCachedBytes = 3 << 18;  // of the L2 cache
  constexpr double kStreamedBytesPerCycle = 25;
  const Layout layout(tier, shape, *WidthFor(tier, max_weight));
  const auto bytes = static_cast<double>(layout.bytes());
  const double products = bytes * static_cast<double>(layout.fields);
  double pixel = kCallCycles + products / layout.width.macs_per_cycle;
  if (bytes > kCachedBytes) pixel = std::max(pixel, bytes / kStreamedBytesPerCycle);
  return pixel * static_cast<double>(shape.out_height * shape.out_width);
}

size_t GemvPackedBytes(const GemvTier& tier, const ConvShape& shape, const int8_t* weights) {
  return Layout(tier, shape, *WidthFor(tier, MaxMagnitude(shape, weights))).bytes();
}

void GemvPack(const GemvTier& tier, const ConvShape& shape, const int8_t* weights, std::byte* packed) {
  const Layout layout(tier, shape, *WidthFor(tier, MaxMagnitude(shape, weights)));
  std::memset(packed, 0, layout.bytes());
  const int32_t bits = layout.width.bits;
  std::memcpy(packed, &bits, sizeof(bits));
  auto* sums = reinterpret_cast<int32_t*>(packed + kHeaderBytes);
  for (int64_t o = 0; o < shape.out_channels; ++o) {
    const int64_t block = o / tier.lanes;
    const int64_t first = block / layout.width.max_blocks * layout.width.max_blocks;
    const int64_t blocks = std::min(layout.width.max_blocks, layout.blocks - first);
    auto* lane = reinterpret_cast<uint8_t*>(packed) + layout.GroupOffset(first) +
                 (block - first) * layout.register_bytes + o % tier.lanes * 4;
    sums[o] = tier.bias * std::accumulate(weights, weights + shape.in_channels, 0);
    for (int64_t step = 0; step < layout.steps; ++step) {
      uint8_t four[4] = {};
      const int64_t count = std::min(4 * layout.fields, shape.in_channels - step * 4 * layout.fields);
      for (int64_t i = 0; i < count; ++i) {
        four[i % 4] |= static_cast<uint8_t>((weights[i] + OffsetOf(bits)) << (i / 4 * bits));
      }
      std::memcpy(lane + step * blocks * layout.register_bytes, four, sizeof(four));
      weights += count;
    }
  }
}

size_t GemvScratchBytes(const GemvTier& tier, const ConvShape& shape) {
  Scratch scratch(nullptr);
  const Buffers buffers(tier, shape, scratch);
  return scratch.bytes();
}

void GemvRun(const GemvTier& tier, const ConvShape& shape, const ConvCall& call) {
  Scratch scratch(call.scratch);
  const Buffers buffers(tier, shape, scratch);
  for (int64_t pixel = call.row_begin * shape.out_width; pixel < call.row_end * shape.out_width; ++pixel) {
    RunPixel(tier, shape, call, pixel, buffers);
  }
}

}  // namespace bitstage::kernels
