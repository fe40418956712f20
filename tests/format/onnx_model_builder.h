// OnnxModelBuilder: small ONNX models for tests, as bytes.
//
//   OnnxModelBuilder model(13, {1, 4});
//   model.Node("Gemm", {"x", "w"}, "y").Int("transB", 1);
//   model.Floats("w", {2, 4}, {…});
//   EXPECT_THAT(model.Run({1, 2, 3, 4}), ElementsAre(…));
//
// Models read "x" (float, batch free unless the first extent of the shape is set otherwise) and yield "y".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/graph/model.h"
#include "proto/onnx.pb.h"

namespace bitstage {

class OnnxNodeBuilder {
 public:
  explicit OnnxNodeBuilder(onnx::NodeProto* node) : node_(node) {}

  OnnxNodeBuilder& Int(const std::string& name, int64_t value);
  OnnxNodeBuilder& Float(const std::string& name, float value);
  OnnxNodeBuilder& String(const std::string& name, const std::string& value);
  OnnxNodeBuilder& Ints(const std::string& name, const std::vector<int64_t>& values);
  onnx::TensorProto* Tensor(const std::string& name);
  OnnxNodeBuilder& Name(const std::string& name);

 private:
  onnx::AttributeProto* Add(const std::string& name, onnx::AttributeProto::AttributeType type);
  onnx::NodeProto* node_;
};

class OnnxModelBuilder {
 public:
  // Extent 0 is a free one.
  OnnxModelBuilder(int64_t opset, const std::vector<int64_t>& input);

  OnnxNodeBuilder Node(const std::string& op, const std::vector<std::string>& inputs,
                       const std::vector<std::string>& outputs);
  void Floats(const std::string& name, const std::vector<int64_t>& dims, const std::vector<float>& values);
  void Ints(const std::string& name, const std::vector<int64_t>& values);
  void IntScalar(const std::string& name, int64_t value);
  // 8-bit codes: UINT8 or INT8.
  void Codes(const std::string& name, onnx::TensorProto::DataType type, const std::vector<int64_t>& dims,
             const std::vector<int>& values);
  void Metadata(const std::string& key, const std::string& value);

  [[nodiscard]] std::string Bytes() const { return proto_.SerializeAsString(); }
  [[nodiscard]] absl::StatusOr<Model> Import() const;
  // The error of an import that fails; OK where it does not.
  [[nodiscard]] absl::Status Refusal() const { return Import().status(); }
  // The output for one image (or a batch, where x has as many elements), floats or indices. Fails the test on an error.
  [[nodiscard]] std::vector<float> Run(const std::vector<float>& x) const;
  // The per-image shape of the output.
  [[nodiscard]] std::string OutputShape() const;

  onnx::ModelProto& proto() { return proto_; }

 private:
  onnx::ModelProto proto_;
};

// from, from + 1, … (count of them).
std::vector<float> Counting(int count, float from = 1);

}  // namespace bitstage
