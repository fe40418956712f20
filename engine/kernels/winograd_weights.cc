// The weights of a Winograd convolution, packed as winograd_conv.h says, behind the corrections of its offsets.
#include <cstring>

#include "engine/kernels/packed_weights.h"
#include "engine/kernels/winograd_conv.h"
#include "engine/kernels/winograd_layout.h"

namespace bitstage::kernels {
namespace {

// Calls use(PackedSource) for a layer's weights.
template <typename Use>
auto WithSource(const WinogradTier& tier, const WinogradLayout& layout, const ConvShape& shape, const int8_t* weights,
                const Use& use) {
  return LanesByPositions(layout.packed, shape.in_channels)
      .WithSource(layout.packed, weights, shape.out_channels, tier.lanes, use);
}

}  // namespace

size_t WinogradPackedBytes(const WinogradTier& tier, const ConvShape& shape, const int8_t* weights) {
  const WinogradLayout layout(tier, shape);
  return static_cast<size_t>(layout.correction_bytes) + WithSource(tier, layout, shape, weights, PackedWeightsBytes);
}

void WinogradPack(const WinogradTier& tier, const ConvShape& shape, const int8_t* weights, std::byte* packed) {
  const WinogradLayout layout(tier, shape);
  std::memset(packed, 0, static_cast<size_t>(layout.correction_bytes));
  WriteWinogradCorrections(*tier.form, shape, layout.lanes, weights, reinterpret_cast<int32_t*>(packed));
  WithSource(tier, layout, shape, weights,
             [&](const PackedSource& source) { PackWeights(source, packed + layout.correction_bytes); });
}

void WinogradScale(const WinogradTier& tier, const ConvShape& shape, int factor, std::byte* packed) {
  const WinogradLayout layout(tier, shape);
  auto* corrections = reinterpret_cast<int32_t*>(packed);
  for (int64_t i = 0; i < kWinogradPixels * layout.lanes; ++i) corrections[i] *= factor;
  ScalePackedWeights(layout.packed, factor, packed + layout.correction_bytes);
}

}  // namespace bitstage::kernels
