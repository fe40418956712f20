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
