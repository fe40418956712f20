#include "engine/quant/dense.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace bitstage {
namespace {

// A tile of C stays in registers while k runs: kRows rows of two 32-byte vectors.
constexpr int kRows = 4;
constexpr int kVectorBytes = 32;
// Panels of B of this depth stay in the first-level cache.
constexpr int64_t kDepth = 256;

template <typename T>
struct VectorOf {
  typedef T Type __attribute__((vector_size(kVectorBytes), aligned(alignof(T))));
  static constexpr int64_t kLanes = kVectorBytes / sizeof(T);
};

template <typename T>
struct Operands {
  int64_t m, n, k;
  const T* a;
  int64_t a_stride;
  const T* b;
  int64_t b_stride;
  T* c;
  int64_t c_stride;
  T sign;
};

template <typename T, int rows>
[[gnu::always_inline]] inline void Tile(const Operands<T>& o, int64_t row, int64_t column, int64_t from, int64_t to) {
  using Vector = typename VectorOf<T>::Type;
  constexpr int64_t kLanes = VectorOf<T>::kLanes;
  Vector sum[rows][2] = {};
  const T* b = o.b + from * o.b_stride + column;
  for (int64_t p = from; p < to; ++p, b += o.b_stride) {
    const Vector b0 = *reinterpret_cast<const Vector*>(b);
    const Vector b1 = *reinterpret_cast<const Vector*>(b + kLanes);
    for (int r = 0; r < rows; ++r) {
      const T a = o.a[(row + r) * o.a_stride + p];
      sum[r][0] += a * b0;
      sum[r][1] += a * b1;
    }
  }
  for (int r = 0; r < rows; ++r) {
    Vector* c = reinterpret_cast<Vector*>(o.c + (row + r) * o.c_stride + column);
    c[0] += o.sign * sum[r][0];
    c[1] += o.sign * sum[r][1];
  }
}

template <typename T>
[[gnu::always_inline]] inline void Run(const Operands<T>& o) {
  constexpr int64_t kColumns = 2 * VectorOf<T>::kLanes;
  const int64_t whole_columns = o.n / kColumns * kColumns;
  for (int64_t from = 0; from < o.k; from += kDepth) {
    const int64_t to = std::min(o.k, from + kDepth);
    for (int64_t column = 0; column < whole_columns; column += kColumns) {
      int64_t row = 0;
      for (; row + kRows <= o.m; row += kRows) Tile<T, kRows>(o, row, column, from, to);
      for (; row < o.m; ++row) Tile<T, 1>(o, row, column, from, to);
    }
    for (int64_t row = 0; row < o.m; ++row) {
      for (int64_t column = whole_columns; column < o.n; ++column) {
        T sum = 0;
        for (int64_t p = from; p < to; ++p) sum += o.a[row * o.a_stride + p] * o.b[p * o.b_stride + column];
        o.c[row * o.c_stride + column] += o.sign * sum;
      }
    }
  }
}

template <typename T>
[[gnu::target("avx2")]] void RunAvx2(const Operands<T>& o) {
  Run(o);
}

template <typename T>
void RunBaseline(const Operands<T>& o) {
  Run(o);
}

template <typename T>
void Choose(const Operands<T>& o) {
  static const bool kHasAvx2 = __builtin_cpu_supports("avx2");
  kHasAvx2 ? RunAvx2(o) : RunBaseline(o);
}

}  // namespace

void AddProduct(Sign sign, int64_t m, int64_t n, int64_t k, const float* a, int64_t a_stride, const float* b,
                int64_t b_stride, float* c, int64_t c_stride) {
  Choose<float>({m, n, k, a, a_stride, b, b_stride, c, c_stride, static_cast<float>(sign == Sign::kPlus ? 1 : -1)});
}

void AddProduct(Sign sign, int64_t m, int64_t n, int64_t k, const double* a, int64_t a_stride, const double* b,
                int64_t b_stride, double* c, int64_t c_stride) {
  Choose<double>({m, n, k, a, a_stride, b, b_stride, c, c_stride, static_cast<double>(sign == Sign::kPlus ? 1 : -1)});
}

// Right-looking: factor a panel of kPanel columns, then subtract panel · panelᵀ from the rest, whose columns are taken
// in strips so that little above the diagonal is computed in vain.
bool CholeskyInPlace(std::vector<double>& matrix, int64_t n) {
  constexpr int64_t kPanel = 64;
  constexpr int64_t kStrip = 256;
  double* const a = matrix.data();
  std::vector<double> transposed(static_cast<size_t>(kPanel * n));
  for (int64_t from = 0; from < n; from += kPanel) {
    const int64_t to = std::min(n, from + kPanel);
    for (int64_t j = from; j < to; ++j) {
      const double* row_j = a + j * n;
      double pivot = row_j[j];
      for (int64_t p = from; p < j; ++p) pivot -= row_j[p] * row_j[p];
      if (!(pivot > 0)) return false;
      const double diagonal = std::sqrt(pivot);
      a[j * n + j] = diagonal;
      for (int64_t i = j + 1; i < n; ++i) {
        double* row_i = a + i * n;
        double value = row_i[j];
        for (int64_t p = from; p < j; ++p) value -= row_i[p] * row_j[p];
        row_i[j] = value / diagonal;
      }
    }
    const int64_t rest = n - to;
    for (int64_t i = 0; i < rest; ++i) {
      for (int64_t p = from; p < to; ++p) transposed[static_cast<size_t>((p - from) * rest + i)] = a[(to + i) * n + p];
    }
    for (int64_t strip = 0; strip < rest; strip += kStrip) {
      const int64_t width = std::min(kStrip, rest - strip);
      AddProduct(Sign::kMinus, rest - strip, width, to - from, a + (to + strip) * n + from, n,
                 transposed.data() + strip, rest, a + (to + strip) * n + to + strip, n);
    }
  }
  return true;
}

}  // namespace bitstage
