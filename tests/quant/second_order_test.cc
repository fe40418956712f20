#include "engine/quant/second_order.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "engine/quant/dense.h"
#include "engine/quant/syq.h"
#include "engine/quant/weights.h"
#include "tests/quant/random_values.h"

namespace bitstage {
namespace {

// Inputs whose neighbours are alike, as those of images are.
std::vector<float> CorrelatedRows(int64_t rows, int64_t size, uint32_t seed) {
  std::vector<float> x = Gaussian(static_cast<size_t>(rows * size), seed);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t i = 1; i < size; ++i)
      x[static_cast<size_t>(r * size + i)] += 0.8f * x[static_cast<size_t>(r * size + i - 1)];
  }
  return x;
}

Hessian HessianOf(int64_t size, const std::vector<float>& rows) {
  Hessian hessian(size);
  hessian.Add(rows);
  return hessian;
}

std::vector<double> Reference(int64_t n, const std::vector<float>& rows) {
  std::vector<double> h(static_cast<size_t>(n * n));
  for (size_t r = 0; r < rows.size() / static_cast<size_t>(n); ++r) {
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        h[static_cast<size_t>(i * n + j)] +=
            static_cast<double>(rows[r * static_cast<size_t>(n) + static_cast<size_t>(i)]) *
            rows[r * static_cast<size_t>(n) + static_cast<size_t>(j)];
      }
    }
  }
  return h;
}

TEST(AddProduct, EqualsThreePlainLoopsForEverySizeUpToTwoTiles) {
  for (int64_t m = 1; m <= 9; ++m) {
    for (int64_t n = 1; n <= 19; ++n) {
      const int64_t k = 3 + m * n % 5;
      const std::vector<float> af = Gaussian(static_cast<size_t>(m * k), 1);
      const std::vector<float> bf = Gaussian(static_cast<size_t>(k * n), 2);
      const std::vector<double> a(af.begin(), af.end());
      const std::vector<double> b(bf.begin(), bf.end());
      std::vector<double> c(static_cast<size_t>(m * n), 1.5);
      AddProduct(Sign::kMinus, m, n, k, a.data(), k, b.data(), n, c.data(), n);
      for (int64_t i = 0; i < m; ++i) {
        for (int64_t j = 0; j < n; ++j) {
          double expected = 1.5;
          for (int64_t p = 0; p < k; ++p)
            expected -= a[static_cast<size_t>(i * k + p)] * b[static_cast<size_t>(p * n + j)];
          EXPECT_NEAR(c[static_cast<size_t>(i * n + j)], expected, 1e-12);
        }
      }
    }
  }
}

TEST(Cholesky, FactorTimesItsTransposeIsTheMatrixAtSizesAroundThePanels) {
  for (const int64_t n : {1, 2, 63, 64, 65, 200, 331}) {
    std::vector<double> h = Reference(n, CorrelatedRows(n + 5, n, 3));
    for (int64_t i = 0; i < n; ++i) h[static_cast<size_t>(i * n + i)] += 1;
    std::vector<double> lower = h;
    ASSERT_TRUE(CholeskyInPlace(lower, n));
    double worst = 0;
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j <= i; ++j) {
        double sum = 0;
        for (int64_t p = 0; p <= j; ++p)
          sum += lower[static_cast<size_t>(i * n + p)] * lower[static_cast<size_t>(j * n + p)];
        worst = std::max(worst, std::abs(sum - h[static_cast<size_t>(i * n + j)]));
      }
    }
    EXPECT_LT(worst, 1e-9 * static_cast<double>(n)) << n;
  }
}

TEST(Cholesky, RefusesAMatrixThatIsNotPositiveDefinite) {
  std::vector<double> matrix = {1, 2, 2, 1};
  EXPECT_FALSE(CholeskyInPlace(matrix, 2));
}

TEST(Hessian, IsTheSumOfOuterProductsWhateverTheBatches) {
  for (const int64_t n : {3, 9, 37, 300}) {
    const std::vector<float> rows = CorrelatedRows(290, n, 4);
    const std::vector<double> expected = Reference(n, rows);
    Hessian batched(n);
    batched.Add(std::span(rows).first(static_cast<size_t>(7 * n)));
    batched.Add(std::span(rows).subspan(static_cast<size_t>(7 * n)));
    EXPECT_EQ(batched.rows(), 290);
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < n; ++j) EXPECT_NEAR(batched.At(i, j), expected[static_cast<size_t>(i * n + j)], 2e-3);
    }
  }
}

std::vector<WeightCodes> StartsOfEveryCodebook(const Shape& shape, const std::vector<float>& weights) {
  std::vector<WeightCodes> starts;
  for (const int bits : {2, 3, 4, 8}) {
    for (const auto kind : {ScaleKind::kChannel, ScaleKind::kLayer}) {
      starts.push_back(UniformWeights(shape, weights, bits, kind, WeightClip::kMse));
    }
  }
  for (const auto codebook : {Codebook::kBinary, Codebook::kTernary}) {
    for (const auto kind : {ScaleKind::kPixel, ScaleKind::kRow, ScaleKind::kLayer, ScaleKind::kChannel}) {
      const std::vector<int8_t> codes = SyqCodes(weights, SyqThreshold(weights, codebook), codebook);
      starts.push_back(SyqWeights(shape, codebook, kind, codes, SyqLeastSquaresAlphas(shape, kind, weights, codes)));
    }
  }
  return starts;
}

TEST(SecondOrderRounding, LowersTheOutputErrorOfEveryCodebook) {
  const Shape shape = {12, 8, 3, 3};
  const std::vector<float> weights = Gaussian(static_cast<size_t>(shape.elements()), 5, 0.1);
  const std::vector<Hessian> hessians = {HessianOf(72, CorrelatedRows(400, 72, 6))};
  for (const WeightCodes& start : StartsOfEveryCodebook(shape, weights)) {
    const auto rounded = RoundSecondOrder(weights, start, hessians);
    ASSERT_TRUE(rounded.ok()) << rounded.status();
    EXPECT_TRUE(Validate(*rounded).ok());
    EXPECT_EQ(rounded->scale, start.scale);
    EXPECT_EQ(rounded->alpha, start.alpha);
    EXPECT_LT(OutputError(weights, *rounded, hessians), 0.9 * OutputError(weights, start, hessians))
        << Name(start.codebook) << start.bits << " " << Name(start.kind);
  }
}

TEST(SecondOrderRounding, RoundsOfScalesAndSingleCodesLowerTheErrorFurther) {
  const Shape shape = {12, 8, 3, 3};
  const std::vector<float> weights = Gaussian(static_cast<size_t>(shape.elements()), 5, 0.1);
  const std::vector<Hessian> hessians = {HessianOf(72, CorrelatedRows(400, 72, 6))};
  for (const WeightCodes& start : StartsOfEveryCodebook(shape, weights)) {
    const auto published = RoundSecondOrder(weights, start, hessians);
    const auto further = RoundSecondOrder(weights, start, hessians, {.rounds = 3});
    ASSERT_TRUE(published.ok() && further.ok());
    EXPECT_TRUE(Validate(*further).ok());
    EXPECT_LT(OutputError(weights, *further, hessians), 0.99 * OutputError(weights, *published, hessians))
        << Name(start.codebook) << start.bits << " " << Name(start.kind);
  }
}

TEST(DampedFactor, EndsForASingularHessianWithoutDamping) {
  Hessian singular(4);
  singular.Add(std::vector<float>{1, 2, 3, 4});
  const auto lower = DampedFactor(singular, 0);
  ASSERT_TRUE(lower.ok()) << lower.status();
  for (int64_t i = 0; i < 4; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      double product = 0;
      for (int64_t k = 0; k < 4; ++k) {
        product += (*lower)[static_cast<size_t>(i * 4 + k)] * (*lower)[static_cast<size_t>(j * 4 + k)];
      }
      EXPECT_NEAR(product, singular.At(i, j), 1e-3);
    }
  }
}

TEST(SecondOrderRounding, IsNeverWorseThanItsStartOnItsOwnObjective) {
  for (uint32_t seed = 0; seed < 30; ++seed) {
    const Shape shape = {3, 10};
    const std::vector<float> weights = Gaussian(30, 100 + seed);
    const std::vector<float> rows = CorrelatedRows(6, 10, 200 + seed);  // fewer rows than columns: H is singular
    // The objective is that of the damped H, which these extra rows make out of the plain one.
    Hessian damped = HessianOf(10, rows);
    double mean = 0;
    for (int64_t i = 0; i < 10; ++i) mean += damped.At(i, i) / 10;
    std::vector<float> extra(100);
    for (size_t i = 0; i < 10; ++i) extra[i * 11] = static_cast<float>(std::sqrt(0.01 * mean));
    damped.Add(extra);
    for (const int bits : {2, 3}) {
      const WeightCodes start = UniformWeights(shape, weights, bits, ScaleKind::kChannel, WeightClip::kMse);
      const auto rounded = RoundSecondOrder(weights, start, {{HessianOf(10, rows)}});
      ASSERT_TRUE(rounded.ok());
      EXPECT_LE(OutputError(weights, *rounded, {{damped}}), OutputError(weights, start, {{damped}}) * (1 + 1e-5));
    }
  }
}

TEST(SecondOrderRounding, EqualsNearestWhereInputsAreNotCorrelated) {
  constexpr int64_t kSize = 40;
  std::vector<float> rows(kSize * kSize);
  for (size_t i = 0; i < kSize; ++i) rows[i * (kSize + 1)] = 0.1f + static_cast<float>(i % 7);
  const Shape shape = {5, kSize};
  const std::vector<float> weights = Gaussian(5 * kSize, 7);
  const WeightCodes start = UniformWeights(shape, weights, 3, ScaleKind::kChannel, WeightClip::kMse);
  const auto rounded = RoundSecondOrder(weights, start, {{HessianOf(kSize, rows)}});
  ASSERT_TRUE(rounded.ok());
  EXPECT_EQ(rounded->codes, start.codes);
}

// The published algorithm written down literally: feedback through the upper Cholesky factor U of H⁻¹ = Uᵀ U.
TEST(SecondOrderRounding, MakesTheChoicesOfThePublishedAlgorithm) {
  constexpr int64_t kSize = 12;
  const std::vector<float> rows = CorrelatedRows(60, kSize, 8);
  const Shape shape = {4, kSize};
  const std::vector<float> weights = Gaussian(4 * kSize, 9);
  const WeightCodes start = UniformWeights(shape, weights, 3, ScaleKind::kChannel, WeightClip::kMse);
  const Hessian hessian = HessianOf(kSize, rows);

  std::vector<int64_t> order;
  for (int64_t i = 0; i < kSize; ++i) order.push_back(i);
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return hessian.At(a, a) > hessian.At(b, b); });
  double mean = 0;
  for (int64_t i = 0; i < kSize; ++i) mean += hessian.At(i, i) / kSize;
  // H⁻¹ by Gauss-Jordan.
  std::vector<std::vector<double>> h(kSize, std::vector<double>(2 * kSize));
  for (size_t i = 0; i < kSize; ++i) {
    for (size_t j = 0; j < kSize; ++j) h[i][j] = hessian.At(order[i], order[j]) + (i == j ? 0.01 * mean : 0);
    h[i][kSize + i] = 1;
  }
  for (size_t p = 0; p < kSize; ++p) {
    const double pivot = h[p][p];
    for (double& x : h[p]) x /= pivot;
    for (size_t i = 0; i < kSize; ++i) {
      const double factor = h[i][p];
      for (size_t j = 0; i != p && j < 2 * kSize; ++j) h[i][j] -= factor * h[p][j];
    }
  }
  std::vector<std::vector<double>> inverse(kSize);
  for (size_t i = 0; i < kSize; ++i) inverse[i].assign(h[i].begin() + kSize, h[i].end());

  for (int64_t o = 0; o < 4; ++o) {
    std::vector<double> w;
    for (const int64_t column : order) w.push_back(weights[static_cast<size_t>(o * kSize + column)]);
    auto remaining = inverse;
    std::vector<int8_t> expected(kSize);
    for (size_t k = 0; k < kSize; ++k) {
      const double scale = start.ScaleOf(o);
      const int code = NearestCode(w[k] / scale, Codebook::kUniform, 3);
      expected[static_cast<size_t>(order[k])] = static_cast<int8_t>(code);
      const double error = (w[k] - scale * code) / remaining[k][k];
      for (size_t j = k; j < kSize; ++j) w[j] -= error * remaining[k][j];
      const auto row = remaining[k];
      for (size_t i = k; i < kSize; ++i) {
        for (size_t j = k; j < kSize; ++j) remaining[i][j] -= row[i] * row[j] / row[k];
      }
    }
    WeightCodes literal = start;
    std::copy(expected.begin(), expected.end(), literal.codes.begin() + o * kSize);
    if (OutputError(weights, literal, {{hessian}}) >= OutputError(weights, start, {{hessian}})) continue;
    const auto rounded = RoundSecondOrder(weights, start, {{hessian}});
    ASSERT_TRUE(rounded.ok());
    EXPECT_THAT(std::vector<int8_t>(rounded->codes.begin() + o * kSize, rounded->codes.begin() + (o + 1) * kSize),
                testing::ElementsAreArray(expected));
  }
}

TEST(SecondOrderRounding, TakesOneSmallHessianAGroupOfADepthwiseLayer) {
  const Shape shape = {6, 1, 3, 3};
  const std::vector<float> weights = Gaussian(54, 10);
  std::vector<Hessian> hessians;
  for (uint32_t c = 0; c < 6; ++c) hessians.push_back(HessianOf(9, CorrelatedRows(50, 9, 300 + c)));
  const WeightCodes start = UniformWeights(shape, weights, 3, ScaleKind::kChannel, WeightClip::kMse);
  const auto rounded = RoundSecondOrder(weights, start, hessians);
  ASSERT_TRUE(rounded.ok());
  EXPECT_LT(OutputError(weights, *rounded, hessians), OutputError(weights, start, hessians));
}

TEST(SecondOrderRounding, WithoutAnyInputKeepsTheNearestCodes) {
  const Shape shape = {2, 9};
  const std::vector<float> weights = Gaussian(18, 11);
  const WeightCodes start = UniformWeights(shape, weights, 4, ScaleKind::kChannel, WeightClip::kMse);
  const auto rounded = RoundSecondOrder(weights, start, {{Hessian(9)}});
  ASSERT_TRUE(rounded.ok());
  EXPECT_EQ(rounded->codes, start.codes);
}

TEST(SecondOrderRounding, RefusesSizesThatDoNotFitAndHessiansThatAreNotFinite) {
  const Shape shape = {4, 9};
  const std::vector<float> weights = Gaussian(36, 12);
  const WeightCodes start = UniformWeights(shape, weights, 4, ScaleKind::kChannel, WeightClip::kMse);
  EXPECT_EQ(RoundSecondOrder(weights, start, {{Hessian(8)}}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(RoundSecondOrder(std::span(weights).first(9), start, {{Hessian(9)}}).status().code(),
            absl::StatusCode::kInvalidArgument);
  const std::vector<Hessian> three(3, Hessian(9));
  EXPECT_EQ(RoundSecondOrder(weights, start, three).status().code(), absl::StatusCode::kInvalidArgument);
  Hessian hostile(9);
  hostile.Add(std::vector<float>(9, std::numeric_limits<float>::quiet_NaN()));
  EXPECT_EQ(RoundSecondOrder(weights, start, {{hostile}}).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace bitstage
