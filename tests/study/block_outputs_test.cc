#include "engine/study/block_outputs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/graph/graph_builder.h"

namespace bitstage {
namespace {

using ::testing::ElementsAre;

TEST(BlockOutputs, OfResidualNetworksAreTheSums) {
  GraphBuilder b(1);
  const ValueId x = b.Input({4, 6, 6});
  const ValueId y = b.Add(b.MakeConv({4, 6, 6}, 4, 3, 1, 1), {x});
  const ValueId fused = b.Add(b.MakeConv({4, 6, 6}, 4, 3, 1, 1), {y, x});
  const ValueId sum = b.Add(Binary{}, {fused, y});
  const ValueId z = b.Add(b.MakeConv({4, 6, 6}, 2, 1, 1, 0), {sum});
  EXPECT_THAT(BlockOutputs(b.Finish({z})), ElementsAre(fused, sum));
}

TEST(BlockOutputs, OfDepthwiseNetworksAreThePointwiseOnesBehind) {
  GraphBuilder b(1);
  const ValueId x = b.Input({4, 6, 6});
  const ValueId expanded = b.Add(b.MakeConv({4, 6, 6}, 8, 1, 1, 0), {x});
  const ValueId depthwise = b.Add(b.MakeConv({8, 6, 6}, 8, 3, 1, 1, /*groups=*/8), {expanded});
  const ValueId projected = b.Add(b.MakeConv({8, 6, 6}, 4, 1, 1, 0), {depthwise, x});
  EXPECT_THAT(BlockOutputs(b.Finish({projected})), ElementsAre(projected)) << "with a residual or without";
}

TEST(BlockOutputs, OfResidualDepthwiseNetworksAreTheSumsWhereTheyAreNodesOfTheirOwn) {
  GraphBuilder b(1);
  const ValueId x = b.Input({4, 6, 6});
  const auto separable = [&](ValueId from) {
    const ValueId depthwise = b.Add(b.MakeConv({4, 6, 6}, 4, 3, 1, 1, /*groups=*/4), {from});
    return b.Add(b.MakeConv({4, 6, 6}, 4, 1, 1, 0), {depthwise});
  };
  const ValueId first = separable(x);
  const ValueId sum = b.Add(Binary{}, {separable(first), first});
  const ValueId z = b.Add(b.MakeConv({4, 6, 6}, 2, 1, 1, 0), {sum});
  EXPECT_THAT(BlockOutputs(b.Finish({z})), ElementsAre(first, sum)) << "the first is the second's shortcut too";
}

TEST(BlockOutputs, OfSeparableNetworksWithAPyramidAreItsConcatenationToo) {
  GraphBuilder b(1);
  const ValueId x = b.Input({4, 6, 6});
  const ValueId depthwise = b.Add(b.MakeConv({4, 6, 6}, 4, 3, 1, 1, /*groups=*/4), {x});
  const ValueId block = b.Add(b.MakeConv({4, 6, 6}, 4, 1, 1, 0), {depthwise});
  const ValueId pooled = b.Add(GlobalAveragePool{}, {block});
  const ValueId spread = b.Add(Resize{.height = 6, .width = 6, .scale_height = 6, .scale_width = 6}, {pooled});
  const ValueId pyramid = b.Add(Concat{.axis = 0}, {b.Add(b.MakeConv({4, 6, 6}, 3, 1, 1, 0), {block}), spread});
  const ValueId projected = b.Add(b.MakeConv({7, 6, 6}, 5, 1, 1, 0), {pyramid});
  const ValueId z = b.Add(b.MakeConv({5, 6, 6}, 2, 1, 1, 0), {projected});
  EXPECT_THAT(BlockOutputs(b.Finish({z})), ElementsAre(block, pyramid));
}

TEST(BlockOutputs, OfUNetsAreTheLastMapsOfTheirStages) {
  GraphBuilder b(1);
  const auto conv = [&](ValueId from, const Shape& shape, int64_t outputs) {
    return b.Add(b.MakeConv(shape, outputs, 3, 1, 1), {from});
  };
  const auto up = [&](ValueId from, int64_t inputs, int64_t outputs) {
    ConvTranspose twice;
    twice.window.kernel = {2, 2};
    twice.window.stride = {2, 2};
    twice.weights = b.Random({outputs, inputs, 2, 2});
    return b.Add(twice, {from});
  };
  const Pool half{.kind = PoolKind::kMax, .window = {.kernel = {2, 2}, .stride = {2, 2}}};
  const ValueId x = b.Input({3, 8, 8});
  const ValueId down = conv(conv(x, {3, 8, 8}, 4), {4, 8, 8}, 4);
  const ValueId bottom = conv(conv(b.Add(half, {down}), {4, 4, 4}, 6), {6, 4, 4}, 6);
  const ValueId large = up(bottom, 6, 4);
  const ValueId joined = b.Add(Concat{.axis = 0}, {large, down});
  const ValueId end = conv(conv(joined, {8, 8, 8}, 4), {4, 8, 8}, 4);
  const ValueId z = b.Add(b.MakeConv({4, 8, 8}, 2, 1, 1, 0), {end});
  EXPECT_THAT(BlockOutputs(b.Finish({z})), ElementsAre(down, bottom, large, end));
}

TEST(BlockOutputs, OfFireModulesAreTheConcatenations) {
  GraphBuilder b(1);
  const ValueId x = b.Input({4, 6, 6});
  const ValueId left = b.Add(b.MakeConv({4, 6, 6}, 3, 1, 1, 0), {x});
  const ValueId right = b.Add(b.MakeConv({4, 6, 6}, 5, 3, 1, 1), {x});
  const ValueId both = b.Add(Concat{.axis = 0}, {left, right});
  const ValueId z = b.Add(b.MakeConv({8, 6, 6}, 2, 1, 1, 0), {both});
  EXPECT_THAT(BlockOutputs(b.Finish({z})), ElementsAre(both));
}

TEST(BlockOutputs, OfPlainNetworksAreTheLayersButTheLast) {
  GraphBuilder b(1);
  const ValueId x = b.Input({4, 6, 6});
  const ValueId y = b.Add(b.MakeConv({4, 6, 6}, 3, 1, 1, 0), {x});
  const ValueId z = b.Add(b.MakeConv({3, 6, 6}, 5, 1, 1, 0), {y});
  EXPECT_THAT(BlockOutputs(b.Finish({z})), ElementsAre(y));
}

}  // namespace
}  // namespace bitstage
