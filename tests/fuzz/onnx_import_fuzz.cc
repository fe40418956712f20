// The ONNX importer, and the passes after it, against mutated models. Inputs are ONNX files: what crashes can be given
// to `bitstage-model import`.
//
// Random bytes seldom make a second node. So the mutator parses the model and changes it in the terms of the format
// (operators, edges, attributes, dimensions, constants); now and then it changes the raw bytes instead.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>

#include "engine/format/onnx_import.h"
#include "engine/graph/passes.h"
#include "proto/onnx.pb.h"
#include "tests/fuzz/fuzz_check.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace {

using bitstage::onnx::AttributeProto;
using bitstage::onnx::GraphProto;
using bitstage::onnx::ModelProto;
using bitstage::onnx::NodeProto;
using bitstage::onnx::TensorProto;
using Random = std::minstd_rand;

constexpr const char* kAttributes[] = {"axis",         "axes",        "kernel_shape",
                                       "strides",      "dilations",   "pads",
                                       "group",        "auto_pad",    "ceil_mode",
                                       "alpha",        "beta",        "epsilon",
                                       "transA",       "transB",      "to",
                                       "perm",         "keepdims",    "starts",
                                       "ends",         "split",       "mode",
                                       "nearest_mode", "num_outputs", "start",
                                       "end",          "value",       "output_padding",
                                       "output_shape", "min",         "max",
                                       "value_ints",   "value_float", "coordinate_transformation_mode"};
constexpr const char* kTexts[] = {"SAME_UPPER", "SAME_LOWER", "VALID",         "constant",  "linear",
                                  "nearest",    "floor",      "align_corners", "asymmetric"};
constexpr int64_t kIntegers[] = {0,  1,  1,  1,  2,       2,       3,         4,         5,        8,
                                 64, -1, -2, -3, 1 << 16, 1 << 20, INT32_MAX, INT64_MAX, INT64_MIN};

template <typename Range>
auto Pick(const Range& range, Random& random) {
  return *(std::begin(range) + static_cast<std::ptrdiff_t>(random() % std::size(range)));
}

// A name that stands for something before node `position`, or nothing.
std::string PickName(const GraphProto& graph, int position, Random& random) {
  std::vector<std::string> names{"x", "x", ""};
  for (const TensorProto& tensor : graph.initializer()) names.push_back(tensor.name());
  for (int i = 0; i < position; ++i) {
    for (const std::string& name : graph.node(i).output()) names.insert(names.end(), 2, name);
  }
  return Pick(names, random);
}

void FillTensor(TensorProto& tensor, Random& random) {
  const std::string name = tensor.name();
  tensor.Clear();
  tensor.set_name(name);
  int64_t elements = 1;
  for (auto rank = random() % 5; rank > 0; --rank) {
    tensor.add_dims(random() % 5);
    elements *= *tensor.dims().rbegin();
  }
  const bool is_float = random() % 2 == 0;
  tensor.set_data_type(is_float ? TensorProto::FLOAT : TensorProto::INT64);
  for (int64_t i = 0; i < elements; ++i) {
    if (is_float) {
      tensor.add_float_data(static_cast<float>(random() % 64) / 8 - 2);
    } else {
      tensor.add_int64_data(Pick(kIntegers, random));
    }
  }
}

void AddAttribute(NodeProto& node, Random& random) {
  AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(Pick(kAttributes, random));
  switch (random() % 5) {
    case 0:
      attribute.set_type(AttributeProto::INTS);
      for (auto count = random() % 6; count > 0; --count) attribute.add_ints(Pick(kIntegers, random));
      break;
    case 1:
      attribute.set_type(AttributeProto::FLOAT);
      attribute.set_f(static_cast<float>(random() % 16) / 4);
      break;
    case 2:
      attribute.set_type(AttributeProto::STRING);
      attribute.set_s(Pick(kTexts, random));
      break;
    case 3:
      attribute.set_type(AttributeProto::TENSOR);
      FillTensor(*attribute.mutable_t(), random);
      break;
    default: attribute.set_type(AttributeProto::INT); attribute.set_i(Pick(kIntegers, random));
  }
}

// How many inputs an operator wants, most of the time.
uint32_t InputsOf(absl::string_view op, Random& random) {
  constexpr std::pair<absl::string_view, uint32_t> kInputs[] = {{"Add", 2},
                                                                {"BatchNormalization", 5},
                                                                {"Clip", 3},
                                                                {"Concat", 2},
                                                                {"Constant", 0},
                                                                {"Conv", 3},
                                                                {"ConvTranspose", 3},
                                                                {"Div", 2},
                                                                {"DequantizeLinear", 3},
                                                                {"Gather", 2},
                                                                {"Gemm", 3},
                                                                {"MatMul", 2},
                                                                {"Mul", 2},
                                                                {"Pad", 2},
                                                                {"QuantizeLinear", 3},
                                                                {"Range", 3},
                                                                {"ReduceMean", 2},
                                                                {"Reshape", 2},
                                                                {"Resize", 4},
                                                                {"Slice", 4},
                                                                {"Split", 2},
                                                                {"Squeeze", 2},
                                                                {"Sub", 2},
                                                                {"Unsqueeze", 2},
                                                                {"Upsample", 2}};
  if (random() % 4 == 0) return random() % 5;
  for (const auto& [name, count] : kInputs) {
    if (name == op) return count;
  }
  return 1;
}

// A new last node, whose output becomes the graph's. It reads what was made last, then mostly constants.
void AddNode(GraphProto& graph, Random& random) {
  const int position = graph.node_size();
  const auto op = Pick(bitstage::SupportedOnnxOperators(), random);
  std::vector<std::string> inputs;
  for (auto count = InputsOf(op, random); count > 0; --count) {
    const bool first = inputs.empty();
    if (first && random() % 4 != 0) {
      const bool has_last = position > 0 && graph.node(position - 1).output_size() > 0;
      inputs.push_back(has_last ? graph.node(position - 1).output(0) : "x");
    } else if (!first && random() % 4 != 0 && graph.initializer_size() > 0) {
      inputs.push_back(Pick(graph.initializer(), random).name());
    } else {
      inputs.push_back(PickName(graph, position, random));
    }
  }
  NodeProto& node = *graph.add_node();
  node.set_op_type(std::string(op));
  for (const std::string& input : inputs) node.add_input(input);
  for (auto count = 1 + random() % 8 / 7; count > 0; --count) node.add_output("v" + std::to_string(random() % 1000));
  if (random() % 4 == 0) AddAttribute(node, random);
  graph.mutable_output(0)->set_name(node.output(0));
}

void AddFloats(GraphProto& graph, const std::string& name, std::initializer_list<int64_t> dims) {
  TensorProto& tensor = *graph.add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(TensorProto::FLOAT);
  int64_t elements = 1;
  for (const int64_t extent : dims) elements *= extent;
  tensor.mutable_dims()->Add(dims.begin(), dims.end());
  for (int64_t i = 0; i < elements; ++i) tensor.add_float_data(static_cast<float>(i % 7) / 4 + 0.25f);
}

void AddIntegers(GraphProto& graph, const std::string& name, std::initializer_list<int64_t> values) {
  TensorProto& tensor = *graph.add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(TensorProto::INT64);
  tensor.add_dims(std::ssize(values));
  tensor.mutable_int64_data()->Add(values.begin(), values.end());
}

// An image of 2 x 4 x 4, constants that fit it, and one node.
ModelProto Seed(Random& random) {
  ModelProto model;
  model.add_opset_import()->set_version(9 + static_cast<int64_t>(random() % 13));
  GraphProto& graph = *model.mutable_graph();
  auto& x = *graph.add_input();
  x.set_name("x");
  x.mutable_type()->mutable_tensor_type()->set_elem_type(TensorProto::FLOAT);
  for (const int64_t extent : {1, 2, 4, 4}) {
    x.mutable_type()->mutable_tensor_type()->mutable_shape()->add_dim()->set_dim_value(extent);
  }
  graph.add_output()->set_name("x");
  AddFloats(graph, "kernel", {2, 2, 3, 3});
  AddFloats(graph, "matrix", {4, 4});
  AddFloats(graph, "channels", {2});
  AddFloats(graph, "scalar", {});
  AddIntegers(graph, "sides", {2, 3});
  AddIntegers(graph, "one", {1});
  AddIntegers(graph, "pads", {0, 0, 1, 1, 0, 0, 1, 1});
  AddIntegers(graph, "shape", {1, 2, 8, 2});
  TensorProto& code = *graph.add_initializer();
  code.set_name("code");
  code.set_data_type(TensorProto::UINT8);
  code.add_int32_data(3);
  AddNode(graph, random);
  return model;
}

void Mutate(ModelProto& model, Random& random) {
  GraphProto& graph = *model.mutable_graph();
  const auto choice = random() % 10;
  const int position =
      graph.node_size() == 0 ? 0 : static_cast<int>(random() % static_cast<uint32_t>(graph.node_size()));
  if (choice < 3 && graph.output_size() > 0) {
    AddNode(graph, random);
  } else if (choice == 3) {
    FillTensor(*graph.add_initializer(), random);
    graph.mutable_initializer()->rbegin()->set_name("c" + std::to_string(random() % 100));
  } else if (choice == 4 && graph.initializer_size() > 0) {
    FillTensor(*graph.mutable_initializer(static_cast<int>(random() % static_cast<uint32_t>(graph.initializer_size()))),
               random);
  } else if (choice == 5 && model.opset_import_size() > 0) {
    model.mutable_opset_import(0)->set_version(9 + static_cast<int64_t>(random() % 13));
  } else if (graph.node_size() > 0) {
    NodeProto& node = *graph.mutable_node(position);
    if (choice == 6) {
      AddAttribute(node, random);
    } else if (choice == 7 && node.attribute_size() > 0) {
      node.mutable_attribute()->RemoveLast();
    } else if (choice == 8) {
      node.set_op_type(std::string(Pick(bitstage::SupportedOnnxOperators(), random)));
    } else if (node.input_size() > 0) {
      node.set_input(static_cast<int>(random() % static_cast<uint32_t>(node.input_size())),
                     PickName(graph, position, random));
    }
  }
}

}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned int seed) {
  Random random(seed);
  if (random() % 8 == 0) return LLVMFuzzerMutate(data, size, max_size);
  ModelProto model;
  if (size == 0 || !model.ParseFromArray(data, static_cast<int>(size)) || !model.has_graph()) model = Seed(random);
  for (auto count = 1 + random() % 3; count > 0; --count) Mutate(model, random);
  const std::string bytes = model.SerializeAsString();
  if (bytes.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::memcpy(data, bytes.data(), bytes.size());
  return bytes.size();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  absl::StatusOr<bitstage::Model> model =
      bitstage::ImportOnnx({reinterpret_cast<const std::byte*>(data), size}, "fuzz.onnx");
  if (!model.ok()) {
    FUZZ_CHECK(!model.status().message().empty());
    return 0;
  }
  std::vector<bitstage::Shape> shapes;
  for (const bitstage::ValueId id : model->graph.outputs) shapes.push_back(model->graph.value(id).shape);
  // Folding may overflow a float, which is refused then; what passes keeps the outputs' shapes.
  if (!bitstage::Optimize(model->graph).ok()) return 0;
  for (size_t i = 0; i < shapes.size(); ++i) FUZZ_CHECK(model->graph.value(model->graph.outputs[i]).shape == shapes[i]);
  return 0;
}
