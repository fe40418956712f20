#include "tests/format/onnx_model_builder.h"

#include <gtest/gtest.h>

#include <numeric>

#include "engine/format/onnx_import.h"
#include "engine/reference/float_executor.h"

namespace bitstage {

onnx::AttributeProto* OnnxNodeBuilder::Add(const std::string& name, onnx::AttributeProto::AttributeType type) {
  onnx::AttributeProto* attribute = node_->add_attribute();
  attribute->set_name(name);
  attribute->set_type(type);
  return attribute;
}

OnnxNodeBuilder& OnnxNodeBuilder::Int(const std::string& name, int64_t value) {
  Add(name, onnx::AttributeProto::INT)->set_i(value);
  return *this;
}

OnnxNodeBuilder& OnnxNodeBuilder::Float(const std::string& name, float value) {
  Add(name, onnx::AttributeProto::FLOAT)->set_f(value);
  return *this;
}

OnnxNodeBuilder& OnnxNodeBuilder::String(const std::string& name, const std::string& value) {
  Add(name, onnx::AttributeProto::STRING)->set_s(value);
  return *this;
}

OnnxNodeBuilder& OnnxNodeBuilder::Ints(const std::string& name, const std::vector<int64_t>& values) {
  Add(name, onnx::AttributeProto::INTS)->mutable_ints()->Add(values.begin(), values.end());
  return *this;
}

onnx::TensorProto* OnnxNodeBuilder::Tensor(const std::string& name) {
  return Add(name, onnx::AttributeProto::TENSOR)->mutable_t();
}

OnnxNodeBuilder& OnnxNodeBuilder::Name(const std::string& name) {
  node_->set_name(name);
  return *this;
}

OnnxModelBuilder::OnnxModelBuilder(int64_t opset, const std::vector<int64_t>& input) {
  proto_.set_ir_version(8);
  proto_.add_opset_import()->set_version(opset);
  onnx::ValueInfoProto* x = proto_.mutable_graph()->add_input();
  x->set_name("x");
  onnx::TypeProto::Tensor* type = x->mutable_type()->mutable_tensor_type();
  type->set_elem_type(onnx::TensorProto::FLOAT);
  for (const int64_t extent : input) {
    onnx::TensorShapeProto::Dimension* dimension = type->mutable_shape()->add_dim();
    if (extent > 0) {
      dimension->set_dim_value(extent);
    } else {
      dimension->set_dim_param("N");
    }
  }
  proto_.mutable_graph()->add_output()->set_name("y");
}

OnnxNodeBuilder OnnxModelBuilder::Node(const std::string& op, const std::vector<std::string>& inputs,
                                       const std::vector<std::string>& outputs) {
  onnx::NodeProto* node = proto_.mutable_graph()->add_node();
  node->set_op_type(op);
  node->mutable_input()->Add(inputs.begin(), inputs.end());
  node->mutable_output()->Add(outputs.begin(), outputs.end());
  return OnnxNodeBuilder(node);
}

void OnnxModelBuilder::Floats(const std::string& name, const std::vector<int64_t>& dims,
                              const std::vector<float>& values) {
  onnx::TensorProto* tensor = proto_.mutable_graph()->add_initializer();
  tensor->set_name(name);
  tensor->set_data_type(onnx::TensorProto::FLOAT);
  tensor->mutable_dims()->Add(dims.begin(), dims.end());
  tensor->mutable_float_data()->Add(values.begin(), values.end());
}

void OnnxModelBuilder::Ints(const std::string& name, const std::vector<int64_t>& values) {
  onnx::TensorProto* tensor = proto_.mutable_graph()->add_initializer();
  tensor->set_name(name);
  tensor->set_data_type(onnx::TensorProto::INT64);
  tensor->add_dims(std::ssize(values));
  tensor->mutable_int64_data()->Add(values.begin(), values.end());
}

void OnnxModelBuilder::IntScalar(const std::string& name, int64_t value) {
  Ints(name, {value});
  proto_.mutable_graph()->mutable_initializer()->rbegin()->clear_dims();
}

void OnnxModelBuilder::Codes(const std::string& name, onnx::TensorProto::DataType type,
                             const std::vector<int64_t>& dims, const std::vector<int>& values) {
  onnx::TensorProto* tensor = proto_.mutable_graph()->add_initializer();
  tensor->set_name(name);
  tensor->set_data_type(type);
  tensor->mutable_dims()->Add(dims.begin(), dims.end());
  for (const int value : values) tensor->mutable_raw_data()->push_back(static_cast<char>(value));
}

void OnnxModelBuilder::Metadata(const std::string& key, const std::string& value) {
  onnx::StringStringEntryProto* entry = proto_.add_metadata_props();
  entry->set_key(key);
  entry->set_value(value);
}

absl::StatusOr<Model> OnnxModelBuilder::Import() const {
  const std::string bytes = Bytes();
  return ImportOnnx(std::as_bytes(std::span(bytes)), "test");
}

std::vector<float> OnnxModelBuilder::Run(const std::vector<float>& x) const {
  const absl::StatusOr<Model> model = Import();
  if (!model.ok()) {
    ADD_FAILURE() << model.status();
    return {};
  }
  const Graph& graph = model->graph;
  const Shape& shape = graph.value(graph.inputs[0]).shape;
  const Tensor input = Tensor::Of<float>(shape.WithOuter(std::ssize(x) / shape.elements()), x);
  const TensorView views[] = {input.View()};
  const absl::StatusOr<std::vector<Tensor>> outputs = FloatExecutor(graph, nullptr).Run(views);
  if (!outputs.ok()) {
    ADD_FAILURE() << outputs.status();
    return {};
  }
  const Tensor& y = outputs->front();
  if (y.type() == DataType::kInt64) return {y.Span<int64_t>().begin(), y.Span<int64_t>().end()};
  return {y.Span<float>().begin(), y.Span<float>().end()};
}

std::string OnnxModelBuilder::OutputShape() const {
  const absl::StatusOr<Model> model = Import();
  return model.ok() ? model->graph.value(model->graph.outputs[0]).shape.ToString() : model.status().ToString();
}

std::vector<float> Counting(int count, float from) {
  std::vector<float> values(static_cast<size_t>(count));
  std::iota(values.begin(), values.end(), from);
  return values;
}

}  // namespace bitstage
