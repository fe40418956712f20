#include "engine/tools/model_summary.h"

#include <algorithm>
#include <array>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/codec/weight_coding.h"

namespace bitstage {
namespace {

std::string Extents(const std::array<int64_t, 2>& pair) {
  return pair[0] == pair[1] ? absl::StrCat(pair[0]) : absl::StrCat(pair[0], "x", pair[1]);
}

// " 3x3/2 d2 g32": kernel, and stride, dilation and groups where they are not 1.
std::string DescribeWindow(const Window& window, int64_t groups) {
  std::string text = absl::StrCat(" ", window.kernel[0], "x", window.kernel[1]);
  constexpr std::array<int64_t, 2> kOne = {1, 1};
  if (window.stride != kOne) absl::StrAppend(&text, "/", Extents(window.stride));
  if (window.dilation != kOne) absl::StrAppend(&text, " d", Extents(window.dilation));
  if (groups != 1) absl::StrAppend(&text, " g", groups);
  return text;
}

std::string DescribeOp(const Op& op) {
  std::string text = OpName(op);
  if (const auto* conv = std::get_if<Conv>(&op)) absl::StrAppend(&text, DescribeWindow(conv->window, conv->groups));
  if (const auto* conv = std::get_if<ConvTranspose>(&op)) {
    absl::StrAppend(&text, DescribeWindow(conv->window, conv->groups));
  }
  if (const auto* pool = std::get_if<Pool>(&op)) absl::StrAppend(&text, DescribeWindow(pool->window, 1));
  return text;
}

std::vector<ConstantId> ConstantsOf(const Op& op) {
  std::vector<ConstantId> ids = {WeightsOf(op), BiasOf(op)};
  if (const auto* affine = std::get_if<ChannelAffine>(&op)) ids = {affine->scale, affine->shift};
  if (const auto* binary = std::get_if<BinaryConstant>(&op)) ids = {binary->constant};
  std::erase(ids, kNoConstant);
  return ids;
}

int64_t BytesAtRest(const Constant& constant) {
  return constant.values ? static_cast<int64_t>(constant.values->bytes()) : StoredBytes(*constant.codes);
}

void Count(const LayerSummary& layer, std::vector<CodesSummary>& codes) {
  auto same = std::ranges::find_if(
      codes, [&](const CodesSummary& other) { return other.codebook == layer.codebook && other.scale == layer.scale; });
  if (same == codes.end()) {
    same = codes.insert(codes.end(), {.codebook = layer.codebook,
                                      .scale = layer.scale,
                                      .layers = 0,
                                      .weights = 0,
                                      .least_bits = layer.bits,
                                      .most_bits = layer.bits});
  }
  ++same->layers;
  same->weights += layer.weights->elements();
  same->least_bits = std::min(same->least_bits, layer.bits);
  same->most_bits = std::max(same->most_bits, layer.bits);
}

}  // namespace

std::string DescribeCodes(const std::vector<CodesSummary>& codes) {
  return absl::StrJoin(codes, ", ", [](std::string* out, const CodesSummary& same) {
    absl::StrAppend(out, same.layers, same.layers == 1 ? " layer " : " layers ", same.codebook);
    if (same.scale.empty()) return;
    absl::StrAppend(out, " (");
    if (same.codebook == Name(Codebook::kUniform)) {
      absl::StrAppend(out, same.least_bits);
      if (same.most_bits > same.least_bits) absl::StrAppend(out, " to ", same.most_bits);
      absl::StrAppend(out, " bits, ");
    }
    absl::StrAppend(out, "a scale a ", same.scale, ")");
  });
}

std::string DescribeGrid(const std::optional<Grid>& grid) {
  if (!grid) return "float";
  const auto [least, most] = std::minmax_element(grid->bits.begin(), grid->bits.end());
  std::string text = absl::StrCat(*least);
  if (*most > *least) absl::StrAppend(&text, "+", *most - *least);
  return absl::StrCat(text, *most == 1 ? " bit" : " bits", grid->zero_point > 0 ? " signed" : "");
}

ModelSummary Summarize(const Model& model) {
  const Graph& graph = model.graph;
  ModelSummary summary;
  std::vector<bool> counted(graph.constants.size());
  int64_t weight_bytes = 0;
  for (const Node& node : graph.nodes) {
    const Value& output = graph.value(node.output);
    LayerSummary layer;
    layer.name = node.name;
    layer.op = DescribeOp(node.op);
    layer.shape = output.shape;
    layer.activation = output.type == DataType::kFloat32 ? DescribeGrid(output.grid) : std::string(Name(output.type));
    layer.macs = MacsOf(graph, node);
    const ConstantId weights_id = WeightsOf(node.op);
    if (weights_id != kNoConstant) {
      const Constant& weights = graph.constant(weights_id);
      layer.weights = weights.shape();
      layer.bits = weights.codes ? weights.codes->BitsAtRest() : 32;
      layer.codebook = weights.codes ? std::string(Name(weights.codes->codebook)) : "float32";
      layer.scale = weights.codes ? std::string(Name(weights.codes->kind)) : "";
      Count(layer, summary.codes);
    }
    for (const ConstantId id : ConstantsOf(node.op)) {
      if (counted[static_cast<size_t>(id)]) continue;
      counted[static_cast<size_t>(id)] = true;
      const Constant& constant = graph.constant(id);
      const int64_t elements = constant.shape().elements();
      const int64_t bytes = BytesAtRest(constant);
      layer.bytes += bytes;
      summary.parameters += elements;
      if (id == weights_id) {
        weight_bytes += bytes;
        summary.weights += elements;
        summary.int8_bytes += elements + constant.shape()[0] * static_cast<int64_t>(sizeof(float));
      } else {
        summary.int8_bytes += elements * static_cast<int64_t>(sizeof(float));
      }
    }
    summary.macs += layer.macs;
    summary.layers.push_back(std::move(layer));
  }
  summary.float32_bytes = summary.parameters * static_cast<int64_t>(sizeof(float));
  if (summary.weights > 0) {
    summary.bits_per_weight = 8.0 * static_cast<double>(weight_bytes) / static_cast<double>(summary.weights);
  }
  return summary;
}

}  // namespace bitstage
