#include "engine/training/weight_folding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/support/shared_data.h"

namespace bitstage {
namespace {

using nlohmann::json;

at::Tensor Of(const std::vector<float>& values, const std::vector<int64_t>& shape) {
  return at::tensor(values).reshape(shape).clone().requires_grad_(true);
}

// The gradients of the paper, through the training graph.
TEST(FoldSyq, GradientsEqualTheGoldenVectors) {
  const json syq = json::parse(std::ifstream(BITSTAGE_SHARED_OR_SKIP("golden/quantization.json")))["syq"];
  for (const json& expected : syq["cases"]) {
    const std::string granularity = expected["granularity"];
    SCOPED_TRACE(granularity + " " + expected["mode"].get<std::string>());
    SyqSettings settings;
    settings.codebook = expected["mode"] == "binary" ? Codebook::kBinary : Codebook::kTernary;
    settings.subgroups = granularity == "pixel" ? ScaleKind::kPixel
                         : granularity == "row" ? ScaleKind::kRow
                                                : ScaleKind::kLayer;
    const at::Tensor weights = Of(syq["w"].get<std::vector<float>>(), syq["shape"].get<std::vector<int64_t>>());
    const auto alpha = expected["alpha"].get<std::vector<float>>();
    const at::Tensor alphas = Of(alpha, {static_cast<int64_t>(alpha.size())});
    FoldedWeights folded;
    const at::Tensor integers = FoldSyq(weights, alphas, settings, &folded);
    const at::Tensor w_hat = integers * folded.scale[0];
    const auto codes = expected["codes"].get<std::vector<int>>();
    for (size_t i = 0; i < codes.size(); ++i) EXPECT_EQ(folded.codes[i], codes[i]);
    const at::Tensor g = Of(syq["dE_dWhat"].get<std::vector<float>>(), w_hat.sizes().vec()).detach();
    (w_hat * g).sum().backward();
    const at::Tensor to_weights = weights.grad().contiguous();
    const auto wanted = expected["dE_dW"].get<std::vector<double>>();
    for (size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(to_weights.data_ptr<float>()[i], wanted[i], 1e-6);
    const auto wanted_alphas = expected["dE_dalpha"].get<std::vector<double>>();
    for (size_t i = 0; i < wanted_alphas.size(); ++i) {
      EXPECT_NEAR(alphas.grad().data_ptr<float>()[i], wanted_alphas[i], 1e-6);
    }
  }
}

TEST(FoldSyq, IntegerAlphasKeepTheirRatiosWithinTheLimit) {
  const at::Tensor weights = at::randn({4, 3, 1, 2}).requires_grad_(true);
  for (const int limit : {127, 14}) {
    SyqSettings settings{.codebook = Codebook::kBinary, .max_alpha = limit};
    FoldedWeights folded;
    const at::Tensor out = FoldSyq(weights, Of({0.5f, 0.25f}, {2}), settings, &folded);
    EXPECT_EQ(folded.alpha[0], limit);
    EXPECT_NEAR(folded.alpha[1], limit / 2.0, 0.5);
    EXPECT_NEAR(folded.scale[0], 0.5 / limit, 1e-9);
    EXPECT_EQ(out.abs().max().item<float>(), static_cast<float>(limit));
  }
}

TEST(FoldUniform, CodesAreThoseOfTheQuantizerAndGradientsPassThrough) {
  const at::Tensor weights = at::randn({3, 2, 3, 3}).requires_grad_(true);
  FoldedWeights folded;
  const at::Tensor out = FoldUniform(weights, &folded);
  EXPECT_EQ(out.abs().amax({1, 2, 3}).min().item<float>(), 127);
  const at::Tensor scales = at::tensor(std::vector<double>(folded.scale)).reshape({3, 1, 1, 1}).to(at::kFloat);
  EXPECT_LE((out * scales - weights).abs().max().item<float>(), scales.max().item<float>() * 0.501);
  const at::Tensor g = at::randn(weights.sizes());
  (out * scales * g).sum().backward();
  EXPECT_TRUE(at::allclose(weights.grad(), g, 1e-4, 1e-5));
}

TEST(FoldLearned, GradientsAreThoseOfLearnedSteps) {
  const at::Tensor weights = at::tensor({0.3f, -1.2f, 5.0f, 0.9f, -9.0f, 2.6f}).reshape({2, 3}).requires_grad_(true);
  const at::Tensor log_scales = at::tensor({0.0f, std::log(2.0f)}).requires_grad_(true);
  FoldedWeights folded;
  const at::Tensor out = FoldLearned(weights, log_scales, 3, &folded);
  EXPECT_THAT(folded.codes, testing::ElementsAre(0, -1, 3, 0, -3, 1));
  EXPECT_THAT(folded.scale, testing::ElementsAre(1, testing::DoubleNear(2, 1e-6)));
  const at::Tensor g = at::tensor({1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f}).reshape({2, 3});
  (out * g).sum().backward();
  // Clipped: 5 and -9 / 2.
  EXPECT_TRUE(at::allclose(weights.grad(), at::tensor({1.0f, 2.0f, 0.0f, 2.0f, 0.0f, 3.0f}).reshape({2, 3})));
  const float first = 1 * -0.3f + 2 * 0.2f + 3 * 3;
  const float second = 4 * -0.45f + 5 * -3 + 6 * -0.3f;
  EXPECT_TRUE(at::allclose(log_scales.grad(), at::tensor({first, second}), 1e-4, 1e-4)) << log_scales.grad();
}

}  // namespace
}  // namespace bitstage
