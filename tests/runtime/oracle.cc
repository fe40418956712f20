#include "tests/runtime/oracle.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "engine/kernels/kernel_table.h"
#include "engine/reference/float_conv.h"
#include "engine/reference/float_ops.h"

namespace bitstage {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The index into a per-channel grid of element i.
int64_t GridChannel(const Shape& shape, int64_t i) { return shape.rank() == 0 ? 0 : i / shape.InnerElements(0); }

void FillReals(const Value& value, OracleValue& result) {
  result.reals.clear();
  for (size_t i = 0; i < result.codes.size(); ++i) {
    result.reals.push_back(value.grid->Real(result.codes[i], GridChannel(value.shape, static_cast<int64_t>(i))));
  }
}

// §3 from an exact accumulator on, for output element `i` of grid channel `c`.
struct Transform {
  double mult, add;
  double residual_mult = 0;
  std::optional<uint8_t> residual;
  std::optional<Clamp> clamp;
};

void Finish(const Value& value, int64_t c, float t, const Transform& transform, OracleValue& result) {
  if (!value.grid) {
    if (transform.clamp) t = std::min(std::max(t, transform.clamp->low), transform.clamp->high);
    result.reals.push_back(t);
    return;
  }
  const Grid& grid = *value.grid;
  const double scale = 1 << grid.ShiftOf(c);
  const double unit = grid.StepOf(c) * scale;
  const double offset = grid.zero_point / scale;
  const double low = transform.clamp ? transform.clamp->low / unit + offset : -kInfinity;
  const double high = transform.clamp ? transform.clamp->high / unit + offset : kInfinity;
  const double most = grid.MaxSymbol(c);
  t = std::max(t, static_cast<float>(std::min(std::max(low, 0.0), most)));
  t = std::min(t, static_cast<float>(std::min(std::max(high, 0.0), most)));
  result.codes.push_back(static_cast<uint8_t>(static_cast<int>(std::rint(t)) << grid.ShiftOf(c)));
}

void Push(const Value& value, int64_t c, int64_t acc, const Transform& transform, OracleValue& result) {
  float t = std::fma(static_cast<float>(acc), static_cast<float>(transform.mult), static_cast<float>(transform.add));
  if (transform.residual) {
    t = std::fma(static_cast<float>(*transform.residual), static_cast<float>(transform.residual_mult), t);
  }
  Finish(value, c, t, transform, result);
}

class NodeOracle {
 public:
  NodeOracle(const Graph& graph, const Node& node, std::span<const OracleValue* const> inputs)
      : graph_(graph), node_(node), inputs_(inputs), out_(graph.value(node.output)) {}

  OracleValue Run() {
    const bool is_integer = std::visit([this](const auto& op) { return On(op); }, node_.op);
    if (!is_integer) RunFloat();
    if (out_.grid) FillReals(out_, result_);
    return std::move(result_);
  }

 private:
  [[nodiscard]] const Value& In(size_t i = 0) const { return graph_.value(node_.inputs[i]); }
  [[nodiscard]] bool AllCodes() const {
    return std::all_of(node_.inputs.begin(), node_.inputs.end(),
                       [this](ValueId id) { return graph_.value(id).grid.has_value(); });
  }
  [[nodiscard]] int Centered(int64_t i) const {
    return inputs_[0]->codes[static_cast<size_t>(i)] - In().grid->zero_point;
  }
  static bool Uniform(const Value& value) {
    return !value.grid || std::max({value.grid->step.size(), value.grid->bits.size(), value.grid->shift.size()}) == 1;
  }

  // The transform of a weighted layer for filter o; `i` is the output element.
  Transform LayerTransform(int64_t o, int64_t i, const std::optional<Clamp>& clamp) const {
    const WeightCodes& codes = *graph_.constant(WeightsOf(node_.op)).codes;
    const double unit = out_.grid ? out_.grid->StepOf(o) * static_cast<double>(1 << out_.grid->ShiftOf(o)) : 1.0;
    const double offset = out_.grid ? out_.grid->zero_point / static_cast<double>(1 << out_.grid->ShiftOf(o)) : 0.0;
    const double step_in = In().grid->step.size() > 1 ? 1.0 : In().grid->step[0];
    const ConstantId bias = BiasOf(node_.op);
    Transform t;
    t.mult = step_in * codes.ScaleOf(o) / unit;
    t.add = (bias == kNoConstant ? 0.0 : graph_.constant(bias).values->Span<float>()[static_cast<size_t>(o)]) / unit +
            offset;
    t.clamp = clamp;
    if (node_.inputs.size() > 1) {
      t.residual = inputs_[1]->codes[static_cast<size_t>(i)];
      t.residual_mult = In(1).grid->StepOf(o) / unit;
      t.add -= t.residual_mult * In(1).grid->zero_point;
    }
    return t;
  }

  bool On(const Conv& op) {
    if (!AllCodes()) return false;
    const std::vector<int8_t> w = graph_.constant(op.weights).codes->Folded();
    const Window& n = op.window;
    const Shape& in = In().shape;
    const int64_t group_in = in[0] / op.groups;
    const int64_t group_out = out_.shape[0] / op.groups;
    for (int64_t o = 0; o < out_.shape[0]; ++o) {
      for (int64_t y = 0; y < out_.shape[1]; ++y) {
        for (int64_t x = 0; x < out_.shape[2]; ++x) {
          int64_t acc = 0;
          for (int64_t c = 0; c < group_in; ++c) {
            for (int64_t ky = 0; ky < n.kernel[0]; ++ky) {
              for (int64_t kx = 0; kx < n.kernel[1]; ++kx) {
                const int64_t iy = y * n.stride[0] + ky * n.dilation[0] - n.pad_before[0];
                const int64_t ix = x * n.stride[1] + kx * n.dilation[1] - n.pad_before[1];
                if (iy < 0 || iy >= in[1] || ix < 0 || ix >= in[2]) continue;
                const int64_t channel = o / group_out * group_in + c;
                acc += w[static_cast<size_t>(((o * group_in + c) * n.kernel[0] + ky) * n.kernel[1] + kx)] *
                       Centered((channel * in[1] + iy) * in[2] + ix);
              }
            }
          }
          const int64_t i = (o * out_.shape[1] + y) * out_.shape[2] + x;
          Push(out_, o, acc, LayerTransform(o, i, op.clamp), result_);
        }
      }
    }
    return true;
  }

  // Scattered as the definition says: input pixel · weight goes to i·stride + k·dilation − pad.
  bool On(const ConvTranspose& op) {
    if (!AllCodes()) return false;
    const std::vector<int8_t> w = graph_.constant(op.weights).codes->Folded();
    const Window& n = op.window;
    const Shape& in = In().shape;
    const int64_t group_in = in[0] / op.groups;
    const int64_t group_out = out_.shape[0] / op.groups;
    std::vector<int64_t> acc(static_cast<size_t>(out_.shape.elements()));
    for (int64_t o = 0; o < out_.shape[0]; ++o) {
      for (int64_t c = 0; c < group_in; ++c) {
        for (int64_t p = 0; p < in[1] * in[2]; ++p) {
          for (int64_t k = 0; k < n.kernel[0] * n.kernel[1]; ++k) {
            const int64_t y = p / in[2] * n.stride[0] + k / n.kernel[1] * n.dilation[0] - n.pad_before[0];
            const int64_t x = p % in[2] * n.stride[1] + k % n.kernel[1] * n.dilation[1] - n.pad_before[1];
            if (y < 0 || y >= out_.shape[1] || x < 0 || x >= out_.shape[2]) continue;
            const int64_t channel = o / group_out * group_in + c;
            acc[static_cast<size_t>((o * out_.shape[1] + y) * out_.shape[2] + x)] +=
                w[static_cast<size_t>((o * group_in + c) * n.kernel[0] * n.kernel[1] + k)] *
                Centered(channel * in[1] * in[2] + p);
          }
        }
      }
    }
    for (size_t i = 0; i < acc.size(); ++i) {
      const int64_t o = GridChannel(out_.shape, static_cast<int64_t>(i));
      Push(out_, o, acc[i], LayerTransform(o, 0, op.clamp), result_);
    }
    return true;
  }

  bool On(const FullyConnected& op) {
    const int rank = out_.shape.rank();
    if (!AllCodes() || rank > 2 || (rank == 2 && !(Uniform(In()) && Uniform(out_)))) return false;
    const std::vector<int8_t> w = graph_.constant(op.weights).codes->Folded();
    const int64_t inputs = In().shape[rank - 1];
    const int64_t outputs = out_.shape[rank - 1];
    for (int64_t i = 0; i < out_.shape.elements(); ++i) {
      int64_t acc = 0;
      for (int64_t k = 0; k < inputs; ++k) {
        acc += w[static_cast<size_t>(i % outputs * inputs + k)] * Centered(i / outputs * inputs + k);
      }
      // LayerTransform reads grids by filter, which a uniform grid of rank 2 takes as well.
      Push(out_, rank == 2 ? 0 : i, acc, LayerTransform(i % outputs, 0, op.clamp), result_);
    }
    return true;
  }

  bool On(const Binary& op) {
    if (op.kind != BinaryKind::kAdd || !AllCodes() || !out_.grid) return false;
    if (!(In(0).shape == out_.shape) || !(In(1).shape == out_.shape)) return false;
    const int rank = out_.shape.rank();
    if (rank != 0 && rank != 1 && rank != 3 && !(Uniform(In(0)) && Uniform(In(1)) && Uniform(out_))) return false;
    for (int64_t i = 0; i < out_.shape.elements(); ++i) {
      const int64_t c = GridChannel(out_.shape, i);
      const double scale = 1 << out_.grid->ShiftOf(c);
      const double unit = out_.grid->StepOf(c) * scale;
      const double a = In(0).grid->StepOf(c) / unit;
      const double b = In(1).grid->StepOf(c) / unit;
      const double add = out_.grid->zero_point / scale - a * In(0).grid->zero_point - b * In(1).grid->zero_point;
      float t = std::fma(static_cast<float>(inputs_[0]->codes[static_cast<size_t>(i)]), static_cast<float>(a),
                         static_cast<float>(add));
      t = std::fma(static_cast<float>(inputs_[1]->codes[static_cast<size_t>(i)]), static_cast<float>(b), t);
      Finish(out_, c, t, {.mult = 0, .add = 0, .residual = {}, .clamp = op.clamp}, result_);
    }
    return true;
  }

  bool On(const Pool& op) {
    if (!AllCodes() || !out_.grid) return false;
    if (op.kind == PoolKind::kMax && !(*In().grid == *out_.grid)) return false;
    const Window& n = op.window;
    const Shape& in = In().shape;
    const int64_t out_height = out_.shape.rank() == 3 ? out_.shape[1] : 1;
    const int64_t out_width = out_.shape.rank() == 3 ? out_.shape[2] : 1;
    for (int64_t c = 0; c < in[0]; ++c) {
      for (int64_t y = 0; y < out_height; ++y) {
        for (int64_t x = 0; x < out_width; ++x) {
          int largest = 0;
          int64_t sum = 0;
          int64_t count = 0;
          for (int64_t ky = 0; ky < n.kernel[0]; ++ky) {
            for (int64_t kx = 0; kx < n.kernel[1]; ++kx) {
              const int64_t iy = y * n.stride[0] + ky * n.dilation[0] - n.pad_before[0];
              const int64_t ix = x * n.stride[1] + kx * n.dilation[1] - n.pad_before[1];
              const bool inside = iy >= 0 && iy < in[1] && ix >= 0 && ix < in[2];
              const bool padded = iy < in[1] + n.pad_after[0] && ix < in[2] + n.pad_after[1];
              count += op.count_include_pad ? padded : inside;
              if (!inside) continue;
              const int64_t i = (c * in[1] + iy) * in[2] + ix;
              largest = std::max<int>(largest, inputs_[0]->codes[static_cast<size_t>(i)]);
              sum += Centered(i);
            }
          }
          if (op.kind == PoolKind::kMax) {
            result_.codes.push_back(static_cast<uint8_t>(largest));
            continue;
          }
          const double scale = 1 << out_.grid->ShiftOf(c);
          const double mult = In().grid->StepOf(c) / (out_.grid->StepOf(c) * scale);
          const float t = std::fma(static_cast<float>(sum), static_cast<float>(mult) / static_cast<float>(count),
                                   static_cast<float>(out_.grid->zero_point / scale));
          Finish(out_, c, t, {.mult = 0, .add = 0, .residual = {}, .clamp = {}}, result_);
        }
      }
    }
    return true;
  }

  bool On(const GlobalAveragePool&) {
    Pool whole;
    whole.kind = PoolKind::kAverage;
    whole.window.kernel = {In().shape[1], In().shape[2]};
    return On(whole);
  }

  template <typename Op>
  bool On(const Op&) {
    return false;
  }

  // The float meaning between conversions: moves, tables and everything else.
  void RunFloat() {
    std::vector<const void*> inputs;
    for (const OracleValue* input : inputs_) inputs.push_back(input->reals.data());
    const auto elements = static_cast<size_t>(out_.shape.elements());
    if (out_.type == DataType::kInt64) {
      result_.indices.resize(elements);
      RunFloatOp(graph_, node_, inputs, result_.indices.data());
      return;
    }
    result_.reals.resize(elements);
    if (IsFloatOp(node_.op)) {
      RunFloatOp(graph_, node_, inputs, result_.reals.data());
    } else {
      RunFloatConv(graph_, node_, RealWeights(graph_, node_), 1, inputs_[0]->reals.data(),
                   inputs_.size() > 1 ? inputs_[1]->reals.data() : nullptr, result_.reals.data(), nullptr,
                   kernels::TableFor(Isa::kReference).sgemm);
    }
    if (!out_.grid) return;
    for (size_t i = 0; i < elements; ++i) {
      result_.codes.push_back(out_.grid->Code(result_.reals[i], GridChannel(out_.shape, static_cast<int64_t>(i))));
    }
  }

  const Graph& graph_;
  const Node& node_;
  std::span<const OracleValue* const> inputs_;
  const Value& out_;
  OracleValue result_;
};

}  // namespace

OracleValue Evaluate(const Graph& graph, const Node& node, std::span<const OracleValue* const> inputs) {
  return NodeOracle(graph, node, inputs).Run();
}

OracleValue EvaluateInput(const Value& value, std::span<const float> reals) {
  OracleValue result;
  for (size_t i = 0; i < reals.size(); ++i) {
    result.codes.push_back(value.grid->Code(reals[i], GridChannel(value.shape, static_cast<int64_t>(i))));
  }
  FillReals(value, result);
  return result;
}

std::vector<OracleValue> EvaluateGraph(const Graph& graph, std::span<const std::vector<float>> inputs) {
  std::vector<OracleValue> values(graph.values.size());
  for (size_t i = 0; i < graph.inputs.size(); ++i) {
    values[static_cast<size_t>(graph.inputs[i])] = EvaluateInput(graph.value(graph.inputs[i]), inputs[i]);
  }
  for (const Node& node : graph.nodes) {
    std::vector<const OracleValue*> operands;
    for (const ValueId id : node.inputs) operands.push_back(&values[static_cast<size_t>(id)]);
    values[static_cast<size_t>(node.output)] = Evaluate(graph, node, operands);
  }
  return values;
}

}  // namespace bitstage
