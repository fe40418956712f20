// What is not an ONNX model, lies about itself, or asks for what we do not have: refused with a story.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <random>

#include "absl/strings/str_cat.h"
#include "engine/format/onnx_import.h"
#include "tests/format/onnx_model_builder.h"

namespace bitstage {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

absl::Status Refusal(const std::string& bytes) {
  return ImportOnnx(std::as_bytes(std::span(bytes)), "net.onnx").status();
}

OnnxModelBuilder SmallNetwork() {
  OnnxModelBuilder model(13, {0, 2, 4, 4});
  model.Floats("w", {3, 2, 3, 3}, Counting(54));
  model.Floats("f", {3, 5}, Counting(15));
  model.Node("Conv", {"x", "w"}, {"c"}).Ints("pads", {1, 1, 1, 1}).Name("conv1");
  model.Node("Relu", {"c"}, {"r"});
  model.Node("GlobalAveragePool", {"r"}, {"g"});
  model.Node("Flatten", {"g"}, {"v"});
  model.Node("Gemm", {"v", "f"}, {"y"});
  return model;
}

TEST(OnnxHostileTest, WhatIsNotAModelIsRefused) {
  EXPECT_THAT(Refusal("").message(), AllOf(HasSubstr("net.onnx"), HasSubstr("empty")));
  EXPECT_THAT(Refusal("GIF89a, surely not a network").message(), HasSubstr("is not an ONNX model"));
  EXPECT_THAT(ImportOnnxFile("/no/such/net.onnx").status().message(), HasSubstr("/no/such/net.onnx: no such file"));
  EXPECT_EQ(ImportOnnxFile("/no/such/net.onnx").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ImportOnnxFile(std::filesystem::temp_directory_path().string()).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(OnnxHostileTest, EveryTruncationIsRefused) {
  // The opset stands last here: no cut leaves a whole model.
  const std::string bytes = SmallNetwork().Bytes();
  for (size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_FALSE(Refusal(bytes.substr(0, length)).ok()) << length << " of " << bytes.size() << " bytes";
  }
  EXPECT_TRUE(Refusal(bytes).ok());
}

TEST(OnnxHostileTest, FlippedBitsNeverCrash) {
  const std::string bytes = SmallNetwork().Bytes();
  std::mt19937 random(1);
  int refused = 0;
  for (int trial = 0; trial < 4000; ++trial) {
    std::string damaged = bytes;
    for (int flips = 1 + static_cast<int>(random() % 3); flips > 0; --flips) {
      damaged[random() % damaged.size()] ^= static_cast<char>(1 << random() % 8);
    }
    refused += Refusal(damaged).ok() ? 0 : 1;
  }
  EXPECT_GT(refused, 1000);
}

TEST(OnnxHostileTest, UnknownOperatorNamesNodeOpsetAndWhatThereIs) {
  OnnxModelBuilder model(17, {0, 2});
  model.Node("Frobnicate", {"x"}, {"y"}).Name("layer7");
  EXPECT_EQ(model.Refusal().code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(model.Refusal().message(),
              AllOf(HasSubstr("node 'layer7' (Frobnicate, opset 17)"), HasSubstr("Conv"), HasSubstr("Unsqueeze")));
}

TEST(OnnxHostileTest, OtherDomainsAndOpsetsAreRefused) {
  OnnxModelBuilder domain(13, {0, 2});
  domain.Node("Relu", {"x"}, {"y"});
  domain.proto().mutable_graph()->mutable_node(0)->set_domain("com.example");
  EXPECT_THAT(domain.Refusal().message(), HasSubstr("domain 'com.example'"));
  for (const int64_t opset : {8, 22}) {
    OnnxModelBuilder model(opset, {0, 2});
    EXPECT_EQ(model.Refusal().code(), absl::StatusCode::kUnimplemented);
    EXPECT_THAT(model.Refusal().message(), HasSubstr("supported are 9 to 21"));
  }
  OnnxModelBuilder early(13, {0, 2});
  early.Node("HardSwish", {"x"}, {"y"});
  EXPECT_THAT(early.Refusal().message(), HasSubstr("supported in opsets 14 to 21"));
}

TEST(OnnxHostileTest, UnknownAttributesAreRefused) {
  OnnxModelBuilder model(13, {0, 2});
  model.Node("Relu", {"x"}, {"y"}).Int("leak", 1);
  EXPECT_THAT(model.Refusal().message(), HasSubstr("attribute 'leak'"));
}

TEST(OnnxHostileTest, AttributesOfTheWrongTypeAreRefused) {
  OnnxModelBuilder model(13, {0, 2, 1, 1});
  model.Node("Flatten", {"x"}, {"y"}).Float("axis", 1);
  EXPECT_THAT(model.Refusal().message(), HasSubstr("attribute 'axis' is not of type INT"));
}

TEST(OnnxHostileTest, TensorsThatLieAboutTheirSizeAreRefused) {
  OnnxModelBuilder missing(13, {0, 2});
  missing.Floats("w", {1 << 14, 1 << 14}, {1, 2});
  EXPECT_THAT(missing.Refusal().message(), AllOf(HasSubstr("initializer 'w'"), HasSubstr("but float_data holds 2")));
  OnnxModelBuilder overflow(13, {0, 2});
  overflow.Floats("w", {int64_t{1} << 62, int64_t{1} << 62}, {1});
  EXPECT_THAT(overflow.Refusal().message(), HasSubstr("initializer 'w'"));
  OnnxModelBuilder hidden(13, {0, 2});
  hidden.Floats("w", {0, int64_t{1} << 62, int64_t{1} << 62}, {});
  EXPECT_THAT(hidden.Refusal().message(), HasSubstr("initializer 'w'"));
  OnnxModelBuilder negative(13, {0, 2});
  negative.Floats("w", {-1}, {1});
  EXPECT_THAT(negative.Refusal().message(), HasSubstr("initializer 'w'"));
}

TEST(OnnxHostileTest, CopiesOfSharedWeightsAreBounded) {
  OnnxModelBuilder model(13, {0, 512, 1, 1});
  model.Floats("w", {512, 512, 1, 1}, Counting(512 * 512));
  std::string value = "x";
  for (int i = 0; i < 100; ++i) {
    model.Node("Conv", {value, "w"}, {absl::StrCat("v", i)});
    value = absl::StrCat("v", i);
  }
  model.Node("Relu", {value}, {"y"});
  EXPECT_THAT(model.Refusal().message(), HasSubstr("are left for constants"));
}

TEST(OnnxHostileTest, ExternalDataAndSubgraphsAreRefused) {
  OnnxModelBuilder external(13, {0, 2});
  external.Floats("w", {1}, {1});
  external.proto().mutable_graph()->mutable_initializer(0)->set_data_location(onnx::TensorProto::EXTERNAL);
  EXPECT_THAT(external.Refusal().message(), HasSubstr("save the model as one file"));
  OnnxModelBuilder subgraph(13, {0, 2});
  subgraph.Node("If", {"x"}, {"y"});
  onnx::AttributeProto* branch = subgraph.proto().mutable_graph()->mutable_node(0)->add_attribute();
  branch->set_name("then_branch");
  branch->set_type(onnx::AttributeProto::GRAPH);
  EXPECT_THAT(subgraph.Refusal().message(), AllOf(HasSubstr("then_branch"), HasSubstr("no subgraphs")));
}

TEST(OnnxHostileTest, OrderAndSingleAssignmentAreHeld) {
  OnnxModelBuilder order(13, {0, 2});
  order.Node("Relu", {"later"}, {"y"});
  order.Node("Relu", {"x"}, {"later"});
  EXPECT_THAT(order.Refusal().message(), HasSubstr("input 0 ('later')"));
  OnnxModelBuilder twice(13, {0, 2});
  twice.Node("Relu", {"x"}, {"y"});
  twice.Node("Relu", {"x"}, {"y"});
  EXPECT_THAT(twice.Refusal().message(), HasSubstr("output 'y' is the name of an earlier value too"));
}

TEST(OnnxHostileTest, InputsMustBeFixedFloatImages) {
  OnnxModelBuilder free_side(13, {0, 3, 0, 0});
  free_side.Node("Relu", {"x"}, {"y"});
  EXPECT_THAT(free_side.Refusal().message(), HasSubstr("graph input 'x': dimension 2 is free"));
  OnnxModelBuilder huge(13, {0, int64_t{1} << 40, int64_t{1} << 40});
  huge.Node("Relu", {"x"}, {"y"});
  EXPECT_EQ(huge.Refusal().code(), absl::StatusCode::kInvalidArgument);
  OnnxModelBuilder integers(13, {0, 3});
  integers.proto().mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(
      onnx::TensorProto::INT64);
  EXPECT_THAT(integers.Refusal().message(), HasSubstr("element type INT64"));
}

TEST(OnnxHostileTest, OutputsMustBeComputed) {
  OnnxModelBuilder none(13, {0, 2});
  none.Node("Relu", {"x"}, {"z"});
  EXPECT_THAT(none.Refusal().message(), HasSubstr("graph output 'y'"));
  OnnxModelBuilder constant(13, {0, 2});
  constant.Floats("y", {2}, {1, 2});
  EXPECT_THAT(constant.Refusal().message(), HasSubstr("is a constant"));
}

TEST(OnnxHostileTest, NamesThatCannotBePrintedAreRefused) {
  for (const char* name : {"\x1b[2J", "\xff", "\xc3", "\xe2\x82z"}) {
    OnnxModelBuilder model(13, {0, 2});
    model.Node("Relu", {"x"}, {"y"}).Name(name);
    EXPECT_THAT(model.Refusal().message(), HasSubstr("control characters or broken UTF-8"));
  }
  OnnxModelBuilder umlaut(13, {0, 2});
  umlaut.Node("Relu", {"x"}, {"y"})
      .Name(
          "Gr\xc3\xb6\xc3\x9f"
          "e");
  EXPECT_TRUE(umlaut.Refusal().ok());
}

TEST(OnnxHostileTest, InfiniteWeightsAreRefused) {
  OnnxModelBuilder model(13, {0, 1});
  model.Floats("w", {1, 1}, {std::numeric_limits<float>::infinity()});
  model.Node("Gemm", {"x", "w"}, {"y"});
  EXPECT_THAT(model.Refusal().message(), HasSubstr("expected a finite number"));
}

TEST(OnnxOperatorTableTest, IsSortedSoThatLookupFindsAll) {
  const auto names = SupportedOnnxOperators();
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
}

}  // namespace
}  // namespace bitstage
