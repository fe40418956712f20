#include "engine/quant/syq.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "tests/quant/random_values.h"

namespace bitstage {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::Pointwise;

// The worked example: two rows of three weights.
const Shape kShape = {1, 1, 2, 3};
const std::vector<float> kWeights = {.9f, -.3f, .02f, -.04f, .5f, -.6f};

TEST(SyqGolden, ThresholdAlphasAndTernaryCodesOfTheWorkedExample) {
  const double eta = SyqThreshold(kWeights, Codebook::kTernary);
  EXPECT_NEAR(eta, .045, 1e-7);
  EXPECT_THAT(SyqMeanAlphas(kShape, ScaleKind::kRow, kWeights), Pointwise(DoubleNear(1e-5), {.40667, .38}));
  EXPECT_THAT(SyqCodes(kWeights, eta, Codebook::kTernary), ElementsAre(1, -1, 0, 0, 1, -1));
}

TEST(SyqGolden, GradientsOfTheWorkedExample) {
  const std::vector<float> g = {.1f, .2f, -.3f, .4f, -.5f, .6f};
  const SyqGradients gradients =
      SyqBackward(kShape, ScaleKind::kRow, kWeights, .045, SyqMeanAlphas(kShape, ScaleKind::kRow, kWeights), g);
  EXPECT_THAT(gradients.alphas, Pointwise(DoubleNear(1e-6), {-.1, -1.1}));
  EXPECT_THAT(gradients.weights, Pointwise(DoubleNear(1e-6), {.0406667, .0813333, -.3, .4, -.19, .228}));
}

struct Case {
  Codebook codebook;
  ScaleKind kind;
};

class EverySyqForm : public testing::TestWithParam<Case> {
 protected:
  static constexpr int64_t kOutputs = 6, kInputs = 4, kHeight = 3, kWidth = 5;
  const Shape shape_ = {kOutputs, kInputs, kHeight, kWidth};
  const std::vector<float> weights_ = Gaussian(kOutputs * kInputs * kHeight * kWidth, 1, 0.2);

  [[nodiscard]] WeightCodes Quantize(std::span<const float> weights) const {
    const auto [codebook, kind] = GetParam();
    return SyqWeights(shape_, codebook, kind, SyqCodes(weights, SyqThreshold(weights, codebook), codebook),
                      SyqMeanAlphas(shape_, kind, weights));
  }
};

TEST_P(EverySyqForm, HasASymmetricCodebookOfAtMostThreeValuesASubgroup) {
  const WeightCodes codes = Quantize(weights_);
  ASSERT_TRUE(Validate(codes).ok()) << Validate(codes);
  const std::vector<float> values = codes.Dequantized();
  std::vector<std::set<float>> seen(static_cast<size_t>(SyqSubgroups(shape_, GetParam().kind)));
  std::set<float> magnitudes;
  for (size_t i = 0; i < values.size(); ++i) {
    seen[static_cast<size_t>(SyqSubgroupOf(shape_, GetParam().kind, static_cast<int64_t>(i)))].insert(values[i]);
    if (values[i] != 0) magnitudes.insert(std::abs(values[i]));
  }
  for (const std::set<float>& subgroup : seen) {
    EXPECT_LE(subgroup.size(), GetParam().codebook == Codebook::kBinary ? 2u : 3u);
    for (const float value : subgroup) EXPECT_TRUE(subgroup.contains(-value));
  }
  EXPECT_LE(magnitudes.size(), seen.size());
}

TEST_P(EverySyqForm, ScalingTheWeightsLeavesTheCodesAndScalesAlpha) {
  std::vector<float> scaled = weights_;
  for (float& w : scaled) w *= 4;
  const WeightCodes a = Quantize(weights_);
  const WeightCodes b = Quantize(scaled);
  EXPECT_EQ(a.codes, b.codes);
  EXPECT_EQ(a.alpha, b.alpha);
  for (size_t i = 0; i < a.scale.size(); ++i) EXPECT_FLOAT_EQ(4 * a.scale[i], b.scale[i]);
}

TEST_P(EverySyqForm, IntegerAlphasAreWithinHalfAPercentOfTheLargest) {
  const std::vector<double> alphas = SyqMeanAlphas(shape_, GetParam().kind, weights_);
  const WeightCodes codes = Quantize(weights_);
  const double largest = *std::max_element(alphas.begin(), alphas.end());
  const std::vector<float> values = codes.Dequantized();
  for (size_t i = 0; i < values.size(); ++i) {
    if (codes.codes[i] == 0) continue;
    const auto group = static_cast<size_t>(SyqSubgroupOf(shape_, GetParam().kind, static_cast<int64_t>(i)));
    EXPECT_NEAR(std::abs(values[i]), alphas[group], 0.006 * largest);
  }
}

TEST_P(EverySyqForm, LeastSquaresAlphasAreNotBeatenByNeighbours) {
  const std::vector<int8_t> codes =
      SyqCodes(weights_, SyqThreshold(weights_, GetParam().codebook), GetParam().codebook);
  const std::vector<double> best = SyqLeastSquaresAlphas(shape_, GetParam().kind, weights_, codes);
  const auto error = [&](const std::vector<double>& alphas) {
    double sum = 0;
    for (size_t i = 0; i < codes.size(); ++i) {
      const auto group = static_cast<size_t>(SyqSubgroupOf(shape_, GetParam().kind, static_cast<int64_t>(i)));
      sum += std::pow(weights_[i] - alphas[group] * codes[i], 2);
    }
    return sum;
  };
  for (size_t i = 0; i < best.size(); ++i) {
    for (const double factor : {0.98, 1.02}) {
      std::vector<double> other = best;
      other[i] *= factor;
      EXPECT_LT(error(best), error(other));
    }
  }
}

// ∂E/∂α is a true derivative where every weight beyond η is coded ±1: E = Σ g·Ŵ is linear in α.
TEST_P(EverySyqForm, AlphaGradientEqualsTheFiniteDifference) {
  const Codebook codebook = GetParam().codebook;
  const ScaleKind kind = GetParam().kind;
  const double eta = SyqThreshold(weights_, codebook);
  const std::vector<int8_t> codes = SyqCodes(weights_, eta, codebook);
  const std::vector<float> g = Gaussian(weights_.size(), 2);
  const std::vector<double> alphas = SyqMeanAlphas(shape_, kind, weights_);
  const auto loss = [&](const std::vector<double>& at) {
    double sum = 0;
    for (size_t i = 0; i < codes.size(); ++i) {
      sum += g[i] * at[static_cast<size_t>(SyqSubgroupOf(shape_, kind, static_cast<int64_t>(i)))] * codes[i];
    }
    return sum;
  };
  const SyqGradients gradients = SyqBackward(shape_, kind, weights_, eta, alphas, g);
  for (size_t i = 0; i < alphas.size(); ++i) {
    std::vector<double> up = alphas;
    std::vector<double> down = alphas;
    up[i] += 1e-3;
    down[i] -= 1e-3;
    EXPECT_NEAR(gradients.alphas[i], (loss(up) - loss(down)) / 2e-3, 1e-6);
  }
}

// y = Σ_p α_p · (Q_p ∗ x): summing one pass per subgroup equals one convolution with Ŵ.
TEST_P(EverySyqForm, SumOverSubgroupsEqualsTheConvolutionWithTheWeights) {
  const WeightCodes codes = Quantize(weights_);
  constexpr int64_t kImage = 8;
  const std::vector<float> image = Gaussian(kInputs * kImage * kImage, 3);
  const std::vector<float> dense = codes.Dequantized();
  const auto groups = static_cast<size_t>(SyqSubgroups(shape_, GetParam().kind));
  for (int64_t o = 0; o < kOutputs; ++o) {
    for (int64_t y = 0; y + kHeight <= kImage; ++y) {
      for (int64_t x = 0; x + kWidth <= kImage; ++x) {
        double direct = 0;
        std::vector<double> by_group(groups);
        std::vector<double> alpha(groups);
        for (int64_t i = 0; i < kInputs; ++i) {
          for (int64_t ky = 0; ky < kHeight; ++ky) {
            for (int64_t kx = 0; kx < kWidth; ++kx) {
              const int64_t index = ((o * kInputs + i) * kHeight + ky) * kWidth + kx;
              const float input = image[static_cast<size_t>((i * kImage + y + ky) * kImage + x + kx)];
              const auto group = static_cast<size_t>(SyqSubgroupOf(shape_, GetParam().kind, index));
              direct += dense[static_cast<size_t>(index)] * input;
              by_group[group] += codes.codes[static_cast<size_t>(index)] * input;
              alpha[group] = static_cast<double>(codes.ScaleOf(o)) * codes.AlphaOf(ky, kx);
            }
          }
        }
        double sum = 0;
        for (size_t p = 0; p < groups; ++p) sum += alpha[p] * by_group[p];
        EXPECT_NEAR(sum, direct, 1e-5);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, EverySyqForm,
    testing::Values(Case{Codebook::kBinary, ScaleKind::kPixel}, Case{Codebook::kBinary, ScaleKind::kRow},
                    Case{Codebook::kBinary, ScaleKind::kLayer}, Case{Codebook::kBinary, ScaleKind::kChannel},
                    Case{Codebook::kTernary, ScaleKind::kPixel}, Case{Codebook::kTernary, ScaleKind::kRow},
                    Case{Codebook::kTernary, ScaleKind::kLayer}, Case{Codebook::kTernary, ScaleKind::kChannel}),
    [](const auto& test) { return std::string(Name(test.param.codebook)) + "_" + std::string(Name(test.param.kind)); });

// A batch norm behind the layer is a factor for each output channel.
TEST(Syq, SubgroupsOfTheKernelMayHaveAScaleForEachOutput) {
  const Shape shape{3, 2, 2, 2};
  const std::vector<float> weights = Gaussian(24, 5);
  for (const auto kind : {ScaleKind::kPixel, ScaleKind::kRow, ScaleKind::kLayer}) {
    WeightCodes w = SyqWeights(shape, Codebook::kBinary, kind, SyqCodes(weights, 0, Codebook::kBinary),
                               SyqMeanAlphas(shape, kind, weights));
    w.scale = {0.5f, 1.0f, 2.0f};
    EXPECT_EQ(Validate(w).ok(), kind != ScaleKind::kLayer);
    w.scale.pop_back();
    EXPECT_FALSE(Validate(w).ok());
  }
}

TEST(Syq, PixelwiseEqualsLayerwiseOnOneByOneKernels) {
  const Shape shape = {8, 16, 1, 1};
  const std::vector<float> weights = Gaussian(128, 4);
  EXPECT_THAT(SyqMeanAlphas(shape, ScaleKind::kPixel, weights),
              Pointwise(DoubleNear(1e-12), SyqMeanAlphas(shape, ScaleKind::kLayer, weights)));
}

TEST(Syq, FullyConnectedWeightsHaveTheirLayersScaleInPlaceOfPixels) {
  const Shape shape = {8, 16};
  const std::vector<float> weights = Gaussian(128, 5);
  const double eta = SyqThreshold(weights, Codebook::kTernary);
  const WeightCodes codes =
      SyqWeights(shape, Codebook::kTernary, ScaleKind::kPixel, SyqCodes(weights, eta, Codebook::kTernary),
                 SyqMeanAlphas(shape, ScaleKind::kPixel, weights));
  EXPECT_EQ(codes.kind, ScaleKind::kLayer);
  EXPECT_TRUE(Validate(codes).ok()) << Validate(codes);
}

TEST(Syq, WholeAlphasStayWithinTheLimitAndKeepTheirRatios) {
  const Shape shape = {4, 8, 3, 3};
  const std::vector<float> weights = Gaussian(4 * 8 * 9, 6);
  const std::vector<int8_t> signs = SyqCodes(weights, 0, Codebook::kBinary);
  const std::vector<double> alphas = {0.9, 0.45, 0.3};
  for (const int limit : {1, 2, 6, 14}) {
    const WeightCodes codes = SyqWeights(shape, Codebook::kBinary, ScaleKind::kRow, signs, alphas, limit);
    EXPECT_LE(*std::max_element(codes.alpha.begin(), codes.alpha.end()), limit);
    EXPECT_TRUE(Validate(codes).ok()) << Validate(codes);
    for (size_t row = 0; row < alphas.size() && limit >= 6; ++row) {
      EXPECT_NEAR(codes.scale[0] * codes.alpha[row], alphas[row], 1e-6) << limit;
    }
  }
}

TEST(Syq, WeightsOfZeroAreValidInEveryForm) {
  const Shape shape = {2, 2, 3, 3};
  const std::vector<float> weights(36);
  for (const auto codebook : {Codebook::kBinary, Codebook::kTernary}) {
    for (const auto kind : {ScaleKind::kPixel, ScaleKind::kRow, ScaleKind::kLayer, ScaleKind::kChannel}) {
      const WeightCodes codes =
          SyqWeights(shape, codebook, kind, SyqCodes(weights, SyqThreshold(weights, codebook), codebook),
                     SyqMeanAlphas(shape, kind, weights));
      EXPECT_TRUE(Validate(codes).ok()) << Validate(codes);
    }
  }
}

}  // namespace
}  // namespace bitstage
