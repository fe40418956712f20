#include "engine/compression/lowering.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/compression/grid_assignment.h"
#include "engine/compression/sensitivity.h"
#include "engine/reference/float_executor.h"
#include "tests/graph/graph_builder.h"

namespace bitstage {
namespace {

struct Fixture {
  Graph graph;
  Calibration calibration;
  Tensor images;
};

// Pictures whose neighbouring pixels are alike, as real ones are: what second-order rounding lives on.
Tensor SmoothImages(int64_t count, const Shape& shape) {
  Tensor images = RandomTensor(shape.WithOuter(count), 17, -0.1f, 0.1f);
  const Tensor colors = RandomTensor({count, shape[0]}, 18);
  const std::span<float> x = images.Span<float>();
  const size_t inner = static_cast<size_t>(shape.InnerElements(0));
  for (size_t i = 0; i < x.size(); ++i) x[i] += colors.Span<float>()[i / inner];
  return images;
}

// Two convolutions and a classifier, with grids.
Fixture MakeFixture(const ActivationRecipe& activations) {
  GraphBuilder b(11);
  const ValueId x = b.Input({3, 8, 8});
  Conv first = b.MakeConv({3, 8, 8}, 12, 3, 1, 1);
  first.clamp = Clamp{0, 1e30f};
  const ValueId y = b.Add(first, {x});
  Conv second = b.MakeConv({12, 8, 8}, 12, 3, 1, 1, /*groups=*/12);
  second.clamp = Clamp{0, 1e30f};
  const ValueId z = b.Add(second, {y});
  const ValueId p = b.Add(GlobalAveragePool{.keep_dims = false}, {z});
  const ValueId q = b.Add(b.MakeFullyConnected(12, 6), {p});
  Fixture f{b.Finish({q}), {}, SmoothImages(24, {3, 8, 8})};
  auto calibration = Calibrate(f.graph, f.images, nullptr, {});
  EXPECT_TRUE(calibration.ok()) << calibration.status();
  f.calibration = *std::move(calibration);
  EXPECT_TRUE(AssignGrids(f.graph, f.calibration, activations).ok());
  return f;
}

double NoiseOf(const Fixture& f, int bits, const LoweringOptions& options) {
  const std::vector<LayerPrecision> precision(WeightedNodes(f.graph).size(),
                                              {Codebook::kUniform, bits, ScaleKind::kChannel});
  const auto lowered = Lower(f.graph, precision, f.images, options, nullptr, {});
  EXPECT_TRUE(lowered.ok()) << lowered.status();
  EXPECT_TRUE(Validate(*lowered).ok()) << Validate(*lowered);
  const std::vector<TensorView> inputs = {f.images.View()};
  const auto outputs = FloatExecutor(*lowered, nullptr, /*snap_to_grids=*/true).Run(inputs);
  EXPECT_TRUE(outputs.ok()) << outputs.status();
  return MeanSquaredDistance(f.calibration.features, (*outputs)[0]);
}

TEST(Lower, EveryWeightedLayerGetsCodesOfItsPrecision) {
  const Fixture f = MakeFixture({});
  const std::vector<size_t> nodes = WeightedNodes(f.graph);
  const std::vector<LayerPrecision> precision = {{Codebook::kUniform, 8, ScaleKind::kChannel},
                                                 {Codebook::kTernary, 2, ScaleKind::kPixel},
                                                 {Codebook::kUniform, 5, ScaleKind::kLayer}};
  const auto lowered = Lower(f.graph, precision, f.images, {}, nullptr, {});
  ASSERT_TRUE(lowered.ok()) << lowered.status();
  for (size_t i = 0; i < nodes.size(); ++i) {
    const Constant& weights = lowered->constant(WeightsOf(lowered->nodes[nodes[i]].op));
    ASSERT_TRUE(weights.codes);
    EXPECT_FALSE(weights.values);
    EXPECT_EQ(weights.codes->bits, precision[i].bits);
    EXPECT_EQ(weights.codes->codebook, precision[i].codebook);
    EXPECT_EQ(weights.codes->kind, precision[i].scale);
  }
}

TEST(Lower, MoreBitsAndEachCorrectionBringTheOutputNearer) {
  const Fixture f = MakeFixture({});
  const LoweringOptions none{false, false};
  EXPECT_LT(NoiseOf(f, 8, none), NoiseOf(f, 4, none) / 4);
  EXPECT_LT(NoiseOf(f, 4, none), NoiseOf(f, 2, none));
  EXPECT_LT(NoiseOf(f, 3, {false, true}), NoiseOf(f, 3, none));
  EXPECT_LT(NoiseOf(f, 3, {true, true}), NoiseOf(f, 3, {false, true}));
}

// A network whose activations lose much: weights fitted to what is left of them give part of it back.
TEST(Lower, LayersMakeUpForTheActivationsRoundedBeforeThem) {
  const Fixture f = MakeFixture({.method = ActivationMethod::kUniform, .bits = 2});
  EXPECT_LT(NoiseOf(f, 8, {true, true}), 0.95 * NoiseOf(f, 8, {false, true}));
}

TEST(Lower, TheLiteralGridWithAStepPerChannelIsFoldedIntoTheWeights) {
  const Fixture f =
      MakeFixture({.method = ActivationMethod::kDqaPaper, .bits = 5, .extra_bits = 3, .important_share = 1});
  ASSERT_TRUE(f.graph.value(f.graph.nodes[0].output).grid->HasStepPerChannel());
  const double signal =
      MeanSquaredDistance(f.calibration.features, Tensor(DataType::kFloat32, f.calibration.features.shape()));
  EXPECT_LT(NoiseOf(f, 8, {true, true}), signal / 100) << "a missing fold would leave noise as large as the signal";
}

TEST(CorrectBias, ClosesTheGapOfTheMeanOutput) {
  // One output, two inputs: Σ W·E[x] = 1·2 + 3·5 = 17; Σ Ŵ·E[x̂] = 1.5·2.5 + 2·4 = 11.75.
  const std::vector<float> w = {1, 3};
  const std::vector<float> w_hat = {1.5f, 2};
  std::vector<float> bias = {10};
  LayerGeometry layer;
  layer.outputs = 1;
  layer.inputs = 2;
  CorrectBias(layer, w, w_hat, std::vector<double>{2, 5}, std::vector<double>{2.5, 4}, bias);
  EXPECT_FLOAT_EQ(bias[0], 10 + 17 - 11.75f);
}

}  // namespace
}  // namespace bitstage
