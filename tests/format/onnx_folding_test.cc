// Shape arithmetic as PyTorch exports it, constants of every kind, and quantized constants and activations.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/format/onnx_model_builder.h"

namespace bitstage {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::HasSubstr;
using ::testing::Pointwise;

TEST(OnnxFoldingTest, FlattenBySizes) {
  OnnxModelBuilder model(11, {0, 2, 3});
  model.IntScalar("zero", 0);
  model.Ints("rest", {-1});
  model.Node("Shape", {"x"}, {"s"});
  model.Node("Gather", {"s", "zero"}, {"n"});
  model.Node("Unsqueeze", {"n"}, {"n1"}).Ints("axes", {0});
  model.Node("Concat", {"n1", "rest"}, {"t"}).Int("axis", 0);
  model.Node("Reshape", {"x", "t"}, {"y"});
  EXPECT_EQ(model.OutputShape(), "6");
}

TEST(OnnxFoldingTest, PaddingAsPyTorchReordersIt) {
  OnnxModelBuilder model(11, {0, 1, 2, 2});
  model.Ints("four", {4});
  model.Ints("pads", {1, 0, 0, 1});  // left, right, top, bottom
  model.Ints("pairs", {-1, 2});
  model.Ints("flat", {-1});
  model.Ints("start", {-1});
  model.Ints("end", {INT64_MIN + 1});
  model.Ints("axis", {0});
  onnx::TensorProto* zero = model.Node("ConstantOfShape", {"four"}, {"z"}).Tensor("value");
  zero->set_data_type(onnx::TensorProto::INT64);
  zero->add_dims(1);
  zero->add_int64_data(0);
  model.Node("Concat", {"pads", "z"}, {"c"}).Int("axis", 0);
  model.Node("Reshape", {"c", "pairs"}, {"r"});
  model.Node("Slice", {"r", "start", "end", "axis", "start"}, {"reversed"});
  model.Node("Transpose", {"reversed"}, {"t"}).Ints("perm", {1, 0});
  model.Node("Reshape", {"t", "flat"}, {"f"});
  model.Node("Cast", {"f"}, {"p"}).Int("to", onnx::TensorProto::INT64);
  model.Node("Pad", {"x", "p"}, {"y"});
  EXPECT_THAT(model.Run({1, 2, 3, 4}), ElementsAre(0, 1, 2, 0, 3, 4, 0, 0, 0));
}

TEST(OnnxFoldingTest, ResizeToTwiceTheShape) {
  OnnxModelBuilder model(13, {0, 1, 1, 2});
  model.Ints("two", {2});
  model.Ints("four", {4});
  model.Ints("zero", {0});
  model.Floats("factor", {2}, {1, 2});
  model.Node("Shape", {"x"}, {"s"});
  model.Node("Slice", {"s", "two", "four", "zero"}, {"hw"});
  model.Node("Cast", {"hw"}, {"f"}).Int("to", onnx::TensorProto::FLOAT);
  model.Node("Mul", {"f", "factor"}, {"m"});
  model.Node("Floor", {"m"}, {"fl"});
  model.Node("Cast", {"fl"}, {"i"}).Int("to", onnx::TensorProto::INT64);
  model.Node("Slice", {"s", "zero", "two", "zero"}, {"nc"});
  model.Node("Concat", {"nc", "i"}, {"size"}).Int("axis", 0);
  model.Node("Resize", {"x", "", "", "size"}, {"y"});
  EXPECT_THAT(model.Run({1, 2}), ElementsAre(1, 1, 2, 2));
}

TEST(OnnxFoldingTest, IntegerOverflowAndDivisionByZeroAreRefused) {
  for (const auto& [op, value] : {std::pair<std::string, int64_t>{"Add", INT64_MAX}, {"Div", 0}}) {
    OnnxModelBuilder model(13, {0, 1});
    model.Ints("a", {INT64_MAX});
    model.Ints("b", {value});
    model.Node(op, {"a", "b"}, {"c"});
    model.Node("Reshape", {"x", "c"}, {"y"});
    EXPECT_THAT(model.Refusal().message(), HasSubstr("overflow or division by zero")) << op;
  }
}

TEST(OnnxFoldingTest, HugeComputedConstantsAreRefused) {
  OnnxModelBuilder model(13, {0, 1});
  model.Ints("s", {1 << 14, 1 << 14});
  model.Node("ConstantOfShape", {"s"}, {"c"});
  model.Node("Relu", {"x"}, {"y"});
  EXPECT_EQ(model.Refusal().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(model.Refusal().message(), HasSubstr("are left for constants"));
}

TEST(OnnxFoldingTest, IndicesOutsideTheAxisAreRefused) {
  OnnxModelBuilder model(13, {0, 1});
  model.IntScalar("i", 2);
  model.Node("Shape", {"x"}, {"s"});
  model.Node("Gather", {"s", "i"}, {"g"});
  model.Node("Relu", {"x"}, {"y"});
  EXPECT_THAT(model.Refusal().message(), HasSubstr("index 2 of an axis of 2"));
}

TEST(OnnxConstantTest, ElementTypesBecomeFloats) {
  const auto multiply = [](onnx::TensorProto::DataType type, const std::string& raw) {
    OnnxModelBuilder model(13, {0, 1});
    onnx::TensorProto* tensor = model.Node("Constant", {}, {"c"}).Tensor("value");
    tensor->set_data_type(type);
    tensor->add_dims(1);
    tensor->set_raw_data(raw);
    model.Node("Mul", {"x", "c"}, {"y"});
    return model.Run({2})[0];
  };
  EXPECT_EQ(multiply(onnx::TensorProto::FLOAT16, std::string("\x00\xbe", 2)), -3);  // -1.5
  EXPECT_EQ(multiply(onnx::TensorProto::FLOAT16, std::string("\x01\x00", 2)), std::ldexp(1.0f, -23));
  EXPECT_EQ(multiply(onnx::TensorProto::BFLOAT16, std::string("\x20\x40", 2)), 5);            // 2.5
  EXPECT_EQ(multiply(onnx::TensorProto::DOUBLE, std::string("\0\0\0\0\0\0\x10\x40", 8)), 8);  // 4
}

TEST(OnnxQuantizationTest, WeightCodesAreFoldedByChannel) {
  OnnxModelBuilder model(13, {0, 1, 1, 1});
  model.Codes("w", onnx::TensorProto::INT8, {2, 1, 1, 1}, {-3, 5});
  model.Floats("s", {2}, {0.5f, 2});
  model.Codes("z", onnx::TensorProto::INT8, {2}, {1, 0});
  model.Node("DequantizeLinear", {"w", "s", "z"}, {"wf"}).Int("axis", 0);
  model.Node("Conv", {"x", "wf"}, {"y"});
  EXPECT_THAT(model.Run({1}), ElementsAre(-2, 10));
}

TEST(OnnxQuantizationTest, CodesAndZeroPointMustBeOfOneIntegerType) {
  OnnxModelBuilder wide(13, {0, 1});
  wide.Ints("w", {INT64_MIN});
  wide.Floats("s", {}, {1});
  wide.Ints("z", {1});
  wide.Node("DequantizeLinear", {"w", "s", "z"}, {"f"});
  wide.Node("Relu", {"x"}, {"y"});
  EXPECT_THAT(wide.Refusal().message(), HasSubstr("codes of type INT64"));
  OnnxModelBuilder mixed(13, {0, 1});
  mixed.Codes("w", onnx::TensorProto::INT8, {1}, {1});
  mixed.Floats("s", {}, {1});
  mixed.Codes("z", onnx::TensorProto::UINT8, {}, {1});
  mixed.Node("DequantizeLinear", {"w", "s", "z"}, {"f"});
  mixed.Node("Relu", {"x"}, {"y"});
  EXPECT_THAT(mixed.Refusal().message(), HasSubstr("with a zero point of type UINT8"));
}

TEST(OnnxQuantizationTest, PairsOnActivationsRoundAndClamp) {
  OnnxModelBuilder model(13, {0, 4});
  model.Floats("s", {}, {0.5f});
  model.Codes("z", onnx::TensorProto::UINT8, {}, {10});
  model.Node("QuantizeLinear", {"x", "s", "z"}, {"q"});
  model.Node("DequantizeLinear", {"q", "s", "z"}, {"y"});
  // Halves go to the even code; codes stop at 0 and 255.
  EXPECT_THAT(model.Run({0.25f, 0.75f, -100, 1000}), ElementsAre(0, 1, -5, 122.5f));
}

TEST(OnnxQuantizationTest, SignedCodesByChannel) {
  OnnxModelBuilder model(13, {0, 2, 1, 1});
  model.Floats("s", {2}, {1, 0.25f});
  model.Codes("z", onnx::TensorProto::INT8, {2}, {0, 0});
  model.Node("QuantizeLinear", {"x", "s", "z"}, {"q"});
  model.Node("DequantizeLinear", {"q", "s", "z"}, {"y"});
  EXPECT_THAT(model.Run({-200, 1.3f}), Pointwise(FloatNear(1e-6f), {-128.0f, 1.25f}));
}

TEST(OnnxQuantizationTest, CodesAreForDequantizeLinearAlone) {
  OnnxModelBuilder used(13, {0, 1});
  used.Floats("s", {}, {1});
  used.Node("QuantizeLinear", {"x", "s"}, {"q"});
  used.Node("Relu", {"q"}, {"y"});
  EXPECT_THAT(used.Refusal().message(), HasSubstr("expected a DequantizeLinear first"));
  OnnxModelBuilder other(13, {0, 1});
  other.Floats("s", {}, {1});
  other.Floats("t", {}, {2});
  other.Node("QuantizeLinear", {"x", "s"}, {"q"});
  other.Node("DequantizeLinear", {"q", "t"}, {"y"});
  EXPECT_THAT(other.Refusal().message(), HasSubstr("differ from those of the QuantizeLinear"));
}

}  // namespace
}  // namespace bitstage
