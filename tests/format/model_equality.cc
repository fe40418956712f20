#include <gtest/gtest.h>

#include <cstring>
#include <tuple>

#include "tests/format/model_samples.h"

namespace bitstage {
namespace {

// Structured bindings, so that a new field does not compile until it is compared.
#define BITSTAGE_TIE(type, ...)          \
  auto Tie(const type& op) {             \
    const auto& [__VA_ARGS__] = op;      \
    return std::make_tuple(__VA_ARGS__); \
  }
BITSTAGE_TIE(Conv, a, b, c, d, e)
BITSTAGE_TIE(ConvTranspose, a, b, c, d, e, f)
BITSTAGE_TIE(FullyConnected, a, b, c)
BITSTAGE_TIE(ChannelAffine, a, b)
BITSTAGE_TIE(Unary, a, b, c)
BITSTAGE_TIE(Binary, a, b)
BITSTAGE_TIE(BinaryConstant, a, b, c)
BITSTAGE_TIE(Concat, a)
BITSTAGE_TIE(Pool, a, b, c)
BITSTAGE_TIE(GlobalAveragePool, a)
BITSTAGE_TIE(Reshape, a)
BITSTAGE_TIE(Transpose, a)
BITSTAGE_TIE(Pad, a, b, c)
BITSTAGE_TIE(Slice, a, b, c)
BITSTAGE_TIE(Resize, a, b, c, d, e, f, g)
BITSTAGE_TIE(Softmax, a)
BITSTAGE_TIE(ArgMax, a, b, c)
BITSTAGE_TIE(FakeQuantize, a, b, c, d)
BITSTAGE_TIE(WeightCodes, a, b, c, d, e, f, g)
BITSTAGE_TIE(Provenance, a, b, c, d, e)
BITSTAGE_TIE(StageInfo, a, b, c)

void ExpectEqual(const Constant& actual, const Constant& expected) {
  EXPECT_EQ(actual.name, expected.name);
  ASSERT_EQ(actual.values.has_value(), expected.values.has_value()) << expected.name;
  ASSERT_EQ(actual.codes.has_value(), expected.codes.has_value()) << expected.name;
  if (expected.codes) {
    EXPECT_TRUE(Tie(*actual.codes) == Tie(*expected.codes)) << expected.name;
  }
  if (!expected.values) return;
  ASSERT_EQ(actual.values->shape().ToString(), expected.values->shape().ToString());
  EXPECT_EQ(std::memcmp(actual.values->data(), expected.values->data(), expected.values->bytes()), 0) << expected.name;
}

void ExpectEqual(const Graph& actual, const Graph& expected) {
  const auto& [values, constants, nodes, inputs, outputs] = expected;
  ASSERT_EQ(actual.values.size(), values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const auto& [name, shape, type, grid] = values[i];
    EXPECT_EQ(actual.values[i].name, name);
    EXPECT_EQ(actual.values[i].shape.ToString(), shape.ToString()) << name;
    EXPECT_EQ(actual.values[i].type, type) << name;
    EXPECT_TRUE(actual.values[i].grid == grid) << name;
  }
  ASSERT_EQ(actual.constants.size(), constants.size());
  for (size_t i = 0; i < constants.size(); ++i) ExpectEqual(actual.constants[i], constants[i]);
  ASSERT_EQ(actual.nodes.size(), nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    const auto& [name, op, node_inputs, output] = nodes[i];
    EXPECT_EQ(actual.nodes[i].name, name);
    ExpectEqual(actual.nodes[i].op, op);
    EXPECT_EQ(actual.nodes[i].inputs, node_inputs) << name;
    EXPECT_EQ(actual.nodes[i].output, output) << name;
  }
  EXPECT_EQ(actual.inputs, inputs);
  EXPECT_EQ(actual.outputs, outputs);
}

}  // namespace

void ExpectEqual(const Op& actual, const Op& expected) {
  ASSERT_EQ(actual.index(), expected.index()) << OpName(expected);
  std::visit(
      [&](const auto& op) {
        EXPECT_TRUE(Tie(std::get<std::decay_t<decltype(op)>>(actual)) == Tie(op)) << OpName(expected);
      },
      expected);
}

void ExpectEqual(const Model& actual, const Model& expected) {
  const auto& [name, graph, preprocessing, labels, class_offset, provenance, stage, boundary_tables] = expected;
  EXPECT_EQ(actual.name, name);
  ExpectEqual(actual.graph, graph);
  EXPECT_TRUE(actual.preprocessing == preprocessing);
  EXPECT_EQ(actual.labels, labels);
  EXPECT_EQ(actual.class_offset, class_offset);
  EXPECT_TRUE(Tie(actual.provenance) == Tie(provenance));
  ASSERT_EQ(actual.stage.has_value(), stage.has_value());
  if (stage) {
    EXPECT_TRUE(Tie(*actual.stage) == Tie(*stage));
  }
  ASSERT_EQ(actual.boundary_tables.size(), boundary_tables.size());
  for (const auto& [value, tables] : boundary_tables) {
    ASSERT_TRUE(actual.boundary_tables.contains(value)) << value;
    EXPECT_TRUE(actual.boundary_tables.at(value) == tables) << value;
  }
}

}  // namespace bitstage
