#include "engine/graph/content_hash.h"

#include <array>
#include <optional>
#include <span>
#include <type_traits>

#include "engine/base/sha256.h"

namespace bitstage {
namespace {

// Appends every field in turn, with the length of what has one: no two graphs give the same bytes.
class Serializer {
 public:
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

  template <typename... Fields>
  void Add(const Fields&... fields) {
    (Put(fields), ...);
  }

 private:
  template <typename T>
  requires std::is_arithmetic_v<T> || std::is_enum_v<T>
  void Put(T scalar) { bytes_.append(reinterpret_cast<const char*>(&scalar), sizeof(scalar)); }
  void Put(const std::string& text) {
    Put(text.size());
    bytes_.append(text);
  }
  void Put(const Shape& shape) {
    Put(shape.rank());
    for (const int64_t extent : shape) Put(extent);
  }
  template <typename T>
  void Put(const std::vector<T>& items) {
    Put(items.size());
    for (const T& item : items) Put(item);
  }
  template <typename T, size_t N>
  void Put(const std::array<T, N>& items) {
    for (const T& item : items) Put(item);
  }
  template <typename T>
  void Put(const std::optional<T>& item) {
    Put(item.has_value());
    if (item) Put(*item);
  }

  // Large arrays go in as their own hash.
  void PutArray(const void* data, size_t size) { Put(Sha256Hex(std::span(static_cast<const std::byte*>(data), size))); }
  void Put(const Grid& g) { Add(g.zero_point, g.step, g.bits, g.shift); }
  void Put(const WeightCodes& w) {
    Add(w.shape, w.codebook, w.bits, w.kind, w.scale, w.alpha);
    PutArray(w.codes.data(), w.codes.size());
  }
  void Put(const Tensor& t) {
    Add(t.type(), t.shape());
    PutArray(t.data(), t.bytes());
  }
  void Put(const Value& v) { Add(v.name, v.shape, v.type, v.grid); }
  void Put(const Constant& c) { Add(c.name, c.values, c.codes); }
  void Put(const Node& n) {
    Add(n.name, n.op.index(), n.inputs, n.output);
    std::visit([this](const auto& op) { Put(op); }, n.op);
  }

  void Put(const Window& w) { Add(w.kernel, w.stride, w.dilation, w.pad_before, w.pad_after, w.ceil_mode); }
  void Put(const Clamp& c) { Add(c.low, c.high); }
  void Put(const Conv& op) { Add(op.window, op.groups, op.weights, op.bias, op.clamp); }
  void Put(const ConvTranspose& op) { Add(op.window, op.output_padding, op.groups, op.weights, op.bias, op.clamp); }
  void Put(const FullyConnected& op) { Add(op.weights, op.bias, op.clamp); }
  void Put(const ChannelAffine& op) { Add(op.scale, op.shift); }
  void Put(const Unary& op) { Add(op.kind, op.alpha, op.beta); }
  void Put(const Binary& op) { Add(op.kind, op.clamp); }
  void Put(const BinaryConstant& op) { Add(op.kind, op.constant, op.constant_first); }
  void Put(const Concat& op) { Add(op.axis); }
  void Put(const Pool& op) { Add(op.kind, op.window, op.count_include_pad); }
  void Put(const GlobalAveragePool& op) { Add(op.keep_dims); }
  void Put(const Reshape& op) { Add(op.shape); }
  void Put(const Transpose& op) { Add(op.permutation); }
  void Put(const Pad& op) { Add(op.before, op.after, op.value); }
  void Put(const Slice& op) { Add(op.begin, op.step, op.extent); }
  void Put(const Resize& op) {
    Add(op.mode, op.coordinates, op.rounding, op.height, op.width, op.scale_height, op.scale_width);
  }
  void Put(const Softmax& op) { Add(op.axis); }
  void Put(const ArgMax& op) { Add(op.axis, op.keep_dims, op.select_last); }
  void Put(const FakeQuantize& op) { Add(op.step, op.zero_point, op.low, op.high); }

  std::string bytes_;
};

}  // namespace

std::string ContentHash(const Graph& graph) {
  Serializer serializer;
  serializer.Add(graph.values, graph.constants, graph.nodes, graph.inputs, graph.outputs);
  return Sha256Hex(std::as_bytes(std::span(serializer.bytes())));
}

}  // namespace bitstage
