#include <gmock/gmock.h>

#include <functional>
#include <limits>

#include "tests/graph/graph_builder.h"

namespace bitstage {
namespace {

using ::testing::HasSubstr;

// conv → clamp → global average → fully connected, with a quantized convolution.
Graph SmallGraph() {
  GraphBuilder b;
  const ValueId x = b.Input({2, 6, 6});
  Conv conv = b.MakeConv({2, 6, 6}, 4, 3, 1, 1);
  conv.weights =
      b.Codes({{4, 2, 3, 3}, Codebook::kUniform, 4, ScaleKind::kLayer, std::vector<int8_t>(72, 3), {0.5f}, {}});
  const ValueId y = b.Add(conv, {x});
  b.graph().value(x).grid = Grid{128, {0.1f, 0.2f}, {8}, {0}};
  b.graph().value(y).grid = Grid{0, {0.1f}, {4}, {0}};
  const ValueId z = b.Add(Unary{UnaryKind::kClamp, 0, std::numeric_limits<float>::infinity()}, {y});
  const ValueId mean = b.Add(GlobalAveragePool{false}, {z});
  return b.Finish({b.Add(b.MakeFullyConnected(4, 3), {mean})});
}

struct Damage {
  const char* story;
  std::function<void(Graph&)> apply;
  const char* message;
};

TEST(ValidateTest, GraphsThatContradictThemselvesAreRefusedByName) {
  const float kNan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<Damage> damages = {
      {"an input id out of range", [](Graph& g) { g.nodes[1].inputs[0] = 77; }, "node 'n1' (Clamp): input is value 77"},
      {"a negative id", [](Graph& g) { g.nodes[1].inputs[0] = -1; }, "input is value -1"},
      {"nodes out of order", [](Graph& g) { std::swap(g.nodes[1], g.nodes[2]); }, "not made by an earlier node"},
      {"a node that reads its own output", [](Graph& g) { g.nodes[1].inputs[0] = g.nodes[1].output; },
       "not made by an earlier node"},
      {"two nodes with one output", [](Graph& g) { g.nodes[1].output = g.nodes[0].output; }, "assigned twice"},
      {"an output id out of range", [](Graph& g) { g.nodes[3].output = 50; }, "output is value 50"},
      {"a value that nobody makes",
       [](Graph& g) {
         g.AddValue({"orphan", {1}, DataType::kFloat32, {}});
       },
       "'orphan' is made by no node"},
      {"a shape that is not the inferred one",
       [](Graph& g) {
         g.values[2].shape = {4, 6, 5};
       },
       "declared as 4x6x5"},
      {"a type that is not the inferred one", [](Graph& g) { g.values[2].type = DataType::kInt64; },
       "declared as INT64"},
      {"an empty shape",
       [](Graph& g) {
         g.values[0].shape = {2, 0, 6};
       },
       "is empty"},
      {"a negative extent",
       [](Graph& g) {
         g.values[0].shape = {2, -6, -6};
       },
       "negative extent"},
      {"a rank beyond the limit", [](Graph& g) { g.values[0].shape = {1, 1, 1, 1, 1, 1, 1, 1, 1}; }, "rank 9"},
      {"elements beyond the limit",
       [](Graph& g) {
         g.values[0].shape = {1 << 20, 1 << 20, 1 << 30};
       },
       "elements"},
      {"no inputs", [](Graph& g) { g.inputs.clear(); }, "no input"},
      {"an input twice", [](Graph& g) { g.inputs.push_back(g.inputs[0]); }, "assigned twice"},
      {"no outputs", [](Graph& g) { g.outputs.clear(); }, "no output"},
      {"an output twice", [](Graph& g) { g.outputs.push_back(g.outputs[0]); }, "graph output twice"},
      {"an unknown output", [](Graph& g) { g.outputs[0] = 9; }, "graph output is value 9"},
      {"a value without a name", [](Graph& g) { g.values[1].name.clear(); }, "value 1 has no name"},
      {"two values of one name", [](Graph& g) { g.values[1].name = g.values[0].name; }, "two values are named 'v0'"},
      {"two nodes of one name", [](Graph& g) { g.nodes[1].name = g.nodes[0].name; }, "two nodes are named 'n0'"},
      {"two constants of one name", [](Graph& g) { g.constants[1].name = g.constants[0].name; }, "two constants"},
      {"a constant that is not finite", [=](Graph& g) { g.constants[1].values->Span<float>()[2] = kNan; },
       "element 2 is nan"},
      {"a constant with values and codes", [](Graph& g) { g.constants[1].codes = g.constants[2].codes; },
       "either values or codes"},
      {"a constant with nothing", [](Graph& g) { g.constants[1].values.reset(); }, "either values or codes"},
      {"codes outside their codebook", [](Graph& g) { g.constants[2].codes->codes[5] = 9; }, "code 9"},
      {"a grid with too many steps",
       [](Graph& g) {
         g.values[1].grid->step = {1, 1, 1};
       },
       "grid.step has 3 entries"},
      {"a grid with a step of zero", [](Graph& g) { g.values[1].grid->step = {0}; }, "grid.step of channel 0"},
      {"a grid of nine bits", [](Graph& g) { g.values[1].grid->bits = {9}; }, "9 bits"},
      {"a clamp of NaN", [=](Graph& g) { std::get<Unary>(g.nodes[1].op).alpha = kNan; }, "clamp from nan"},
      {"codes where floats belong", [](Graph& g) { std::get<Conv>(g.nodes[0].op).bias = 2; }, "expected floats"},
      {"a window that is not the kernel's",
       [](Graph& g) {
         std::get<Conv>(g.nodes[0].op).window.kernel = {5, 3};
       },
       "expected O x 2 x 5 x 3"},
  };
  for (const Damage& damage : damages) {
    SCOPED_TRACE(damage.story);
    Graph graph = SmallGraph();
    damage.apply(graph);
    const absl::Status status = Validate(graph);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(damage.message));
  }
}

TEST(ValidateTest, WeightsThatCanOverflowTheAccumulatorAreRefused) {
  // 255 · 127 · n reaches 2^31 between n = 66311 and 66312.
  for (const int64_t inputs : {66311, 66312}) {
    GraphBuilder b;
    const ValueId x = b.Input({inputs});
    FullyConnected fc;
    fc.weights = b.Codes({{2, inputs}, Codebook::kUniform, 8, ScaleKind::kChannel, {}, {1, 1}, {}});
    b.graph().constant(fc.weights).codes->codes.assign(static_cast<size_t>(2 * inputs), -127);
    b.graph().outputs = {b.Add(fc, {x})};
    const absl::Status status = Validate(b.graph());
    if (inputs == 66311) {
      EXPECT_TRUE(status.ok()) << status;
    } else {
      EXPECT_THAT(std::string(status.message()), HasSubstr("output 0 can overflow its accumulator"));
    }
  }
}

TEST(ValidateTest, ArgMaxGivesIndicesThatOnlyMovementMayTake) {
  GraphBuilder b;
  const ValueId x = b.Input({4, 2, 2});
  const ValueId index = b.Add(ArgMax{0, true, false}, {x});
  const ValueId flat = b.Add(Reshape{{4}}, {index});
  b.graph().value(flat).type = DataType::kInt64;
  b.graph().outputs = {flat};
  EXPECT_TRUE(Validate(b.graph()).ok()) << Validate(b.graph());
  b.graph().outputs = {b.Add(Softmax{0}, {flat})};
  EXPECT_THAT(std::string(Validate(b.graph()).message()), HasSubstr("has type INT64, expected FP32"));
}

TEST(ValidateTest, AStepPerChannelMustBeAlongTheAxisThatIsSummed) {
  for (const bool flat : {true, false}) {
    GraphBuilder b;
    const ValueId x = b.Input(flat ? Shape{3} : Shape{3, 3});
    b.graph().value(x).grid = Grid{0, {0.1f, 0.2f, 0.3f}, {8}, {0}};
    FullyConnected fc;
    fc.weights = b.Codes({{2, 3}, Codebook::kUniform, 2, ScaleKind::kLayer, {1, 0, 1, -1, 1, 1}, {0.5f}, {}});
    b.graph().outputs = {b.Add(fc, {x})};
    EXPECT_EQ(Validate(b.graph()).ok(), flat) << Validate(b.graph());
  }
}

TEST(ValidateTest, NetworksThatWouldRunForHoursAreRefused) {
  GraphBuilder b;
  const ValueId x = b.Input({1, 40000, 40000});
  Conv conv;
  conv.window = {{1000, 1000}, {1, 1}, {1, 1}, {500, 500}, {499, 499}, false};
  conv.weights = b.Random({1, 1, 1000, 1000});
  b.graph().outputs = {b.Add(conv, {x})};
  EXPECT_THAT(std::string(Validate(b.graph()).message()), HasSubstr("multiply-accumulates"));
}

TEST(GraphTest, CloneSharesNothing) {
  const Graph graph = SmallGraph();
  Graph copy = graph.Clone();
  ASSERT_TRUE(Validate(copy).ok());
  copy.constants[1].values->Span<float>()[0] += 1;
  copy.nodes[0].name = "other";
  EXPECT_NE(copy.constants[1].values->Span<float>()[0], graph.constants[1].values->Span<float>()[0]);
  EXPECT_EQ(graph.nodes[0].name, "n0");
}

}  // namespace
}  // namespace bitstage
