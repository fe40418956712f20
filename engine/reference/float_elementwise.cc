#include <cmath>

#include "engine/base/checked_math.h"
#include "engine/reference/float_kernels.h"
#include "engine/reference/float_ops.h"
#include "engine/reference/strided_walk.h"

namespace bitstage {

float ApplyUnary(const Unary& unary, float x) {
  switch (unary.kind) {
    case UnaryKind::kIdentity: return x;
    case UnaryKind::kClamp: return std::min(std::max(x, unary.alpha), unary.beta);
    case UnaryKind::kLeakyRelu: return x < 0 ? unary.alpha * x : x;
    case UnaryKind::kSigmoid: return static_cast<float>(1 / (1 + std::exp(-static_cast<double>(x))));
    case UnaryKind::kHardSigmoid: return std::min(std::max(unary.alpha * x + unary.beta, 0.0f), 1.0f);
    case UnaryKind::kHardSwish: return x * std::min(std::max(x / 6 + 0.5f, 0.0f), 1.0f);
    case UnaryKind::kTanh: return static_cast<float>(std::tanh(static_cast<double>(x)));
  }
  return x;
}

namespace float_kernels {
namespace {

// An axis seen from outside and inside: element (o, i, n) is at (o · extent + i) · inner + n.
struct AxisView {
  AxisView(const Shape& shape, int axis)
      : extent(shape[axis]), inner(shape.InnerElements(axis)), outer(shape.elements() / (extent * inner)) {}
  int64_t extent, inner, outer;
};

constexpr int64_t kUnaryRow = 4096;  // elements
constexpr int64_t kColumns = 256;    // of a row of Softmax or ArgMax

// body(o, first, columns) for every row: columns [first, first + columns) of outer index o.
template <typename Body>
void ForColumns(const AxisView& view, RowRange rows, Body body) {
  const int64_t pieces = DivideRoundUp(view.inner, kColumns);
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const int64_t first = row % pieces * kColumns;
    body(row / pieces, first, std::min(kColumns, view.inner - first));
  }
}

}  // namespace

void Affine(Operand x, Operand scale, Operand shift, float* y) {
  const int64_t inner = x.shape.InnerElements(0);
  for (int64_t c = 0; c < x.shape[0]; ++c) {
    for (int64_t i = c * inner; i < (c + 1) * inner; ++i) y[i] = x.data[i] * scale.data[c] + shift.data[c];
  }
}

void Combine(BinaryKind kind, const std::optional<Clamp>& clamp, const Shape& output, Operand a, Operand b, float* y) {
  const std::array<Strides, 2> strides = {BroadcastStrides(a.shape, output), BroadcastStrides(b.shape, output)};
  StridedWalk<2>(output, strides, {0, 0}, [&](int64_t i, const std::array<int64_t, 2>& at) {
    const float l = a.data[at[0]];
    const float r = b.data[at[1]];
    y[i] = ClampTo(clamp, kind == BinaryKind::kAdd ? l + r : kind == BinaryKind::kSub ? l - r : l * r);
  });
}

int64_t UnaryRows(const Shape& shape) { return DivideRoundUp(shape.elements(), kUnaryRow); }

void ApplyUnaryTo(const Unary& op, Operand x, float* y, RowRange rows) {
  const int64_t end = std::min(rows.end * kUnaryRow, x.shape.elements());
  if (op.kind == UnaryKind::kClamp) {  // a loop of its own, which the compiler makes vectors of
    const float low = op.alpha;
    const float high = op.beta;
    for (int64_t i = rows.begin * kUnaryRow; i < end; ++i) y[i] = std::min(std::max(x.data[i], low), high);
    return;
  }
  for (int64_t i = rows.begin * kUnaryRow; i < end; ++i) y[i] = ApplyUnary(op, x.data[i]);
}

int64_t ColumnRows(const Shape& shape, int axis) {
  const AxisView view(shape, axis);
  return view.outer * DivideRoundUp(view.inner, kColumns);
}

void SoftmaxAlong(int axis, Operand x, float* y, RowRange rows) {
  const AxisView view(x.shape, axis);
  ForColumns(view, rows, [&](int64_t o, int64_t first, int64_t columns) {
    for (int64_t n = first; n < first + columns; ++n) {
      const int64_t base = o * view.extent * view.inner + n;
      const int64_t end = base + view.extent * view.inner;
      double largest = x.data[base];
      for (int64_t i = base; i < end; i += view.inner) largest = std::max<double>(largest, x.data[i]);
      double sum = 0;
      for (int64_t i = base; i < end; i += view.inner) sum += std::exp(x.data[i] - largest);
      for (int64_t i = base; i < end; i += view.inner) y[i] = static_cast<float>(std::exp(x.data[i] - largest) / sum);
    }
  });
}

void ArgMaxAlong(const ArgMax& op, Operand x, int64_t* y, RowRange rows) {
  const AxisView view(x.shape, op.axis);
  ForColumns(view, rows, [&](int64_t o, int64_t first, int64_t columns) {
    const float* line = x.data + o * view.extent * view.inner + first;
    float champions[kColumns];
    int32_t best[kColumns] = {};
    std::copy_n(line, columns, champions);
    for (int64_t i = 1; i < view.extent; ++i) {
      line += view.inner;
      for (int64_t n = 0; n < columns; ++n) {
        const bool wins = op.select_last ? line[n] >= champions[n] : line[n] > champions[n];
        champions[n] = wins ? line[n] : champions[n];
        best[n] = wins ? static_cast<int32_t>(i) : best[n];
      }
    }
    std::copy_n(best, columns, y + o * view.inner + first);
  });
}

void QuantizeDequantize(const FakeQuantize& op, Operand x, float* y) {
  const int64_t channels = static_cast<int64_t>(op.step.size());
  const int64_t per_step = x.shape.elements() / channels;
  const auto low = static_cast<float>(op.low - op.zero_point);
  const auto high = static_cast<float>(op.high - op.zero_point);
  for (int64_t c = 0; c < channels; ++c) {
    const float step = op.step[static_cast<size_t>(c)];
    for (int64_t i = c * per_step; i < (c + 1) * per_step; ++i) {
      y[i] = std::min(std::max(std::nearbyint(x.data[i] / step), low), high) * step;
    }
  }
}

}  // namespace float_kernels
}  // namespace bitstage
