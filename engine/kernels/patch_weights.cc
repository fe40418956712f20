// The weights of a convolution by patches, packed as patch_conv.h says.
#include "engine/kernels/packed_weights.h"
#include "engine/kernels/patch_conv.h"
#include "engine/kernels/patch_layout.h"

namespace bitstage::kernels {
namespace {

// Calls use(PackedSource) for a layer's weights.
template <typename Use>
auto WithSource(const PatchTier& tier, const ConvShape& shape, const int8_t* weights, const Use& use) {
  const PatchLayout layout(tier, shape);
  const int64_t taps = shape.kernel_height * shape.kernel_width;
  const LaneLayout lanes(shape.in_channels, taps, [&](int64_t input, int64_t tap) {
    const int64_t at = tap * shape.in_channels + input;  // in the patch
    const int64_t segment = at / layout.segment_weights;
    int64_t step = segment * layout.steps;
    int64_t byte = at % layout.segment_weights;
    if (byte >= layout.steps * 4) {  // of the rests
      step = layout.segments * layout.steps;
      byte += segment * (layout.row_bytes % 4) - layout.steps * 4;
    }
    return (step + byte / 4) * tier.lanes * 4 + byte % 4;
  });
  return lanes.WithSource(layout.packed, weights, shape.out_channels, tier.lanes, use);
}

}  // namespace

size_t PatchPackedBytes(const PatchTier& tier, const ConvShape& shape, const int8_t* weights) {
  return WithSource(tier, shape, weights, PackedWeightsBytes);
}

void PatchPack(const PatchTier& tier, const ConvShape& shape, const int8_t* weights, std::byte* packed) {
  WithSource(tier, shape, weights, [packed](const PackedSource& source) { PackWeights(source, packed); });
}

void PatchScale(const PatchTier& tier, const ConvShape& shape, int factor, std::byte* packed) {
  ScalePackedWeights(PatchLayout(tier, shape).packed, factor, packed);
}

}  // namespace bitstage::kernels
