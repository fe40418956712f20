// Every vector of golden/quantization.json that concerns the quantizers.
#include <gmock/gmock.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/quant/adaptive.h"
#include "engine/quant/dqa.h"
#include "engine/quant/linear.h"
#include "engine/quant/syq.h"
#include "tests/support/shared_data.h"

namespace bitstage {
namespace {

using nlohmann::json;
using testing::DoubleNear;
using testing::ElementsAreArray;
using testing::Pointwise;

json ReadJson(const std::string& path) { return json::parse(std::ifstream(path)); }

void ExpectDqa(const std::vector<float>& values, int n, int m, const json& expected) {
  const DqaChannel channel = QuantizeDqa(values, n, m);
  EXPECT_NEAR(channel.max_abs, expected["M"].get<double>(), 1e-6);
  EXPECT_NEAR(channel.step, expected["step"].get<double>(), 1e-7);
  EXPECT_EQ(channel.codes, expected["Q"].get<std::vector<int>>());
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(ShiftedCode(channel.codes[i], m), expected["q"][i].get<int>());
    EXPECT_EQ(ShiftingError(channel.codes[i], m), expected["e"][i].get<int>());
    EXPECT_NEAR(channel.Real(i), expected["recon"][i].get<double>(), 1e-6);
  }
}

TEST(GoldenVectors, Dqa) {
  const json golden = ReadJson(BITSTAGE_SHARED_OR_SKIP("golden/quantization.json"));
  ASSERT_EQ(golden["dqa"].size(), 60u);
  for (const json& vector : golden["dqa"]) {
    SCOPED_TRACE(vector["name"].get<std::string>() + " n=" + vector["n"].dump() + " m=" + vector["m"].dump());
    ExpectDqa(vector["input"].get<std::vector<float>>(), vector["n"], vector["m"], vector);
  }
}

TEST(GoldenVectors, DqaTies) {
  const json ties = ReadJson(BITSTAGE_SHARED_OR_SKIP("golden/quantization.json"))["dqa_ties"];
  EXPECT_EQ(QuantizeDqa(ties["input"].get<std::vector<float>>(), 3, 0).codes, ties["q"].get<std::vector<int>>());
}

TEST(GoldenVectors, Unsigned) {
  const json golden = ReadJson(BITSTAGE_SHARED_OR_SKIP("golden/quantization.json"));
  ASSERT_EQ(golden["unsigned"].size(), 8u);
  for (const json& vector : golden["unsigned"]) {
    const int n = vector["n"];
    SCOPED_TRACE("n=" + vector["n"].dump() + " clip=" + vector["clip"].dump());
    const Levels levels = Levels::Unsigned(n);
    const double step = vector["clip"].get<double>() / levels.high;
    EXPECT_DOUBLE_EQ(step, vector["step"].get<double>());
    Grid grid;
    grid.bits = {static_cast<uint8_t>(n)};
    grid.step = {static_cast<float>(step)};
    for (size_t i = 0; i < vector["input"].size(); ++i) {
      const double x = vector["input"][i];
      const int expected = vector["q"][i];
      EXPECT_EQ(UniformCode(x, step, levels), expected);
      EXPECT_NEAR(step * expected, vector["recon"][i].get<double>(), 1e-12);
      // A grid computes in float, which may settle what is a tie in real numbers the other way.
      const bool is_tie = std::abs(std::abs(x / step - expected) - 0.5) < 1e-5;
      EXPECT_NEAR(grid.Symbol(static_cast<float>(x), 0), expected, is_tie ? 1 : 0);
    }
  }
}

TEST(GoldenVectors, Tensor) {
  const json tensor = ReadJson(BITSTAGE_SHARED_OR_SKIP("golden/quantization.json"))["tensor"];
  const auto input = tensor["input"].get<std::vector<float>>();
  const int n = tensor["n"];
  const int m = tensor["m"];
  constexpr size_t kBatch = 2, kChannels = 4, kPixels = 9;
  const auto important = tensor["important"].get<ImportantChannels>();
  std::vector<double> maxima;
  for (size_t c = 0; c < kChannels; ++c) {
    const json& expected = tensor["channels"][c];
    SCOPED_TRACE("channel " + std::to_string(c));
    std::vector<float> values;
    for (size_t b = 0; b < kBatch; ++b) {
      const auto first = input.begin() + static_cast<std::ptrdiff_t>((b * kChannels + c) * kPixels);
      values.insert(values.end(), first, first + kPixels);
    }
    ExpectDqa(values, n, important[c] != 0 ? m : 0, expected);
    maxima.push_back(expected["M"]);
    if (important[c] == 0) continue;
    std::vector<int> histogram(size_t{1} << m);
    for (const int code : QuantizeDqa(values, n, m).codes) ++histogram[static_cast<size_t>(ShiftingError(code, m))];
    EXPECT_EQ(histogram, expected["hist_e"].get<std::vector<int>>());
  }
  // The same through the grid that a model carries.
  const Grid grid = LiteralDqaGrid(maxima, important, n, m);
  ASSERT_TRUE(Validate(grid, kChannels).ok());
  for (size_t c = 0; c < kChannels; ++c) {
    const auto channel = static_cast<int64_t>(c);
    const json& expected = tensor["channels"][c];
    for (size_t i = 0; i < kBatch * kPixels; ++i) {
      const float x = input[(i / kPixels * kChannels + c) * kPixels + i % kPixels];
      EXPECT_EQ(grid.Symbol(x, channel) - (1 << (grid.BitsOf(channel) - 1)), expected["Q"][i].get<int>());
    }
  }
}

TEST(GoldenVectors, Syq) {
  const json syq = ReadJson(BITSTAGE_SHARED_OR_SKIP("golden/quantization.json"))["syq"];
  const auto extents = syq["shape"].get<std::vector<int64_t>>();
  const Shape shape(extents.begin(), extents.end());
  const auto weights = syq["w"].get<std::vector<float>>();
  const auto g = syq["dE_dWhat"].get<std::vector<float>>();
  ASSERT_EQ(syq["cases"].size(), 6u);
  for (const json& expected : syq["cases"]) {
    const std::string granularity = expected["granularity"];
    SCOPED_TRACE(granularity + " " + expected["mode"].get<std::string>());
    const ScaleKind kind = granularity == "pixel" ? ScaleKind::kPixel
                           : granularity == "row" ? ScaleKind::kRow
                                                  : ScaleKind::kLayer;
    const Codebook codebook = expected["mode"] == "binary" ? Codebook::kBinary : Codebook::kTernary;
    const double eta = SyqThreshold(weights, codebook);
    EXPECT_NEAR(eta, expected["eta"].get<double>(), 1e-7);
    const std::vector<double> alphas = SyqMeanAlphas(shape, kind, weights);
    EXPECT_THAT(alphas, Pointwise(DoubleNear(1e-6), expected["alpha"].get<std::vector<double>>()));
    const std::vector<int8_t> codes = SyqCodes(weights, eta, codebook);
    EXPECT_THAT(codes, ElementsAreArray(expected["codes"].get<std::vector<int8_t>>()));
    for (size_t i = 0; i < codes.size(); ++i) {
      const auto group = static_cast<size_t>(SyqSubgroupOf(shape, kind, static_cast<int64_t>(i)));
      EXPECT_NEAR(alphas[group] * codes[i], expected["w_hat"][i].get<double>(), 1e-6);
    }
    const SyqGradients gradients = SyqBackward(shape, kind, weights, eta, alphas, g);
    EXPECT_THAT(gradients.weights, Pointwise(DoubleNear(1e-6), expected["dE_dW"].get<std::vector<double>>()));
    EXPECT_THAT(gradients.alphas, Pointwise(DoubleNear(1e-6), expected["dE_dalpha"].get<std::vector<double>>()));
  }
}

TEST(GoldenVectors, Adaptive) {
  const json adaptive = ReadJson(BITSTAGE_SHARED_OR_SKIP("golden/quantization.json"))["adaptive"];
  std::vector<LayerNoise> layers;
  for (size_t i = 0; i < adaptive["p"].size(); ++i) {
    layers.push_back({adaptive["p"][i], adaptive["t"][i], adaptive["s"][i]});
  }
  const std::vector<double> bits = ClosedFormBits(layers, adaptive["C"]);
  EXPECT_THAT(bits, Pointwise(DoubleNear(1e-9), adaptive["bits"].get<std::vector<double>>()));
  EXPECT_NEAR(MeanBits(layers, bits), adaptive["mean_bits"].get<double>(), 1e-9);
  EXPECT_THAT(NoiseShares(layers, bits),
              Pointwise(DoubleNear(1e-9), adaptive["noise_share"].get<std::vector<double>>()));
  EXPECT_NEAR(SquaredMargin(adaptive["margin"]["z"].get<std::vector<float>>()), adaptive["margin"]["r2"].get<double>(),
              1e-6);
}

}  // namespace
}  // namespace bitstage
