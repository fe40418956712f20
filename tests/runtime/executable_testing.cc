#include "tests/runtime/executable_testing.h"

#include <gtest/gtest.h>

#include <utility>

#include "tests/graph/graph_builder.h"

namespace bitstage {
namespace {

template <typename T>
std::vector<std::byte> BytesOf(const std::vector<T>& values) {
  const auto* bytes = reinterpret_cast<const std::byte*>(values.data());
  return {bytes, bytes + values.size() * sizeof(T)};
}

}  // namespace

std::shared_ptr<const Model> ModelOf(Graph graph) {
  auto model = std::make_shared<Model>();
  model->name = "test";
  model->graph = std::move(graph);
  return model;
}

WeightCodes PatternCodes(const Shape& shape, int bits, float scale) {
  WeightCodes w;
  w.shape = shape;
  w.bits = bits;
  w.kind = ScaleKind::kLayer;
  w.scale = {scale};
  const int most = w.MaxMagnitude();
  for (int64_t i = 0; i < shape.elements(); ++i) {
    w.codes.push_back(static_cast<int8_t>(i * i * 5 % (2 * most + 1) - most));
  }
  return w;
}

std::shared_ptr<const Executable> CompileOrDie(std::shared_ptr<const Model> model, std::optional<Isa> isa) {
  CompileOptions options;
  options.isa = isa;
  auto executable = Executable::Compile(std::move(model), options);
  if (!executable.ok()) ADD_FAILURE() << executable.status();
  return executable.ok() ? *std::move(executable) : nullptr;
}

Tensor ImagesFor(const Graph& graph, int64_t count, unsigned seed) {
  return RandomTensor(graph.value(graph.inputs[0]).shape.WithOuter(count), seed, -2, 2);
}

std::vector<std::byte> ExpectedBytes(const Graph& graph, const std::vector<OracleValue>& values, size_t index) {
  const ValueId id = graph.outputs[index];
  const Value& value = graph.value(id);
  const OracleValue& result = values[static_cast<size_t>(id)];
  if (value.type == DataType::kInt64) return BytesOf(result.indices);
  if (!value.grid) return BytesOf(result.reals);
  if (value.shape.rank() != 3) return BytesOf(result.codes);
  std::vector<uint8_t> codes;  // H x W x C
  for (int64_t pixel = 0; pixel < value.shape[1] * value.shape[2]; ++pixel) {
    for (int64_t c = 0; c < value.shape[0]; ++c) {
      codes.push_back(result.codes[static_cast<size_t>(c * value.shape[1] * value.shape[2] + pixel)]);
    }
  }
  return BytesOf(codes);
}

std::vector<std::byte> OutputBytes(const Session& session, size_t index, int64_t image) {
  const TensorView view = session.Output(index);
  const size_t bytes = view.bytes() / static_cast<size_t>(view.shape[0]);
  const auto* first = static_cast<const std::byte*>(view.data) + static_cast<size_t>(image) * bytes;
  return {first, first + bytes};
}

}  // namespace bitstage
