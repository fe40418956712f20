#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "engine/kernels/kernel_table.h"

namespace bitstage::kernels {
namespace {

std::vector<float> RandomFloats(int64_t count, std::mt19937& random) {
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = normal(random);
  return values;
}

struct Product {
  int64_t m, n, k;
};

void ExpectTiersEqual(const Product& p, std::mt19937& random) {
  // Leading dimensions wider than the matrices: what lies between the rows must stay as it is.
  const int64_t lda = p.k + 3, ldb = p.n + 1, ldc = p.n + 5;
  const std::vector<float> a = RandomFloats(p.m * lda, random);
  const std::vector<float> b = RandomFloats(p.k * ldb, random);
  const std::vector<float> start = RandomFloats(p.m * ldc, random);
  std::vector<float> expected = start;
  for (int64_t i = 0; i < p.m; ++i) {
    for (int64_t j = 0; j < p.n; ++j) {
      float& c = expected[static_cast<size_t>(i * ldc + j)];
      for (int64_t q = 0; q < p.k; ++q) {
        c = std::fma(a[static_cast<size_t>(i * lda + q)], b[static_cast<size_t>(q * ldb + j)], c);
      }
    }
  }
  for (const Isa isa : SupportedIsas()) {
    std::vector<float> c = start;
    TableFor(isa).sgemm(p.m, p.n, p.k, a.data(), lda, b.data(), ldb, c.data(), ldc);
    EXPECT_EQ(std::memcmp(c.data(), expected.data(), c.size() * sizeof(float)), 0)
        << Name(isa) << " " << p.m << " x " << p.n << " x " << p.k;
  }
}

TEST(SgemmTest, EveryTierIsTheChainOfFmaForSmallSizes) {
  std::mt19937 random(1);
  for (int64_t m = 1; m <= 14; ++m) {
    for (int64_t n = 1; n <= 35; ++n) {
      for (const int64_t k : {1, 2, 7}) ExpectTiersEqual({m, n, k}, random);
    }
  }
}

TEST(SgemmTest, EveryTierIsTheChainOfFmaAcrossBlocks) {
  std::mt19937 random(2);
  for (const Product& p :
       {Product{101, 67, 259}, {49, 33, 256}, {7, 200, 513}, {12, 32, 257}, {97, 1, 300}, {1, 70, 600}}) {
    ExpectTiersEqual(p, random);
  }
}

TEST(SgemmTest, AnEmptyProductLeavesC) {
  for (const Isa isa : SupportedIsas()) {
    float c = 3;
    TableFor(isa).sgemm(1, 1, 0, nullptr, 0, nullptr, 1, &c, 1);
    EXPECT_EQ(c, 3) << Name(isa);
  }
}

}  // namespace
}  // namespace bitstage::kernels
