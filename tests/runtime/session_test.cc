#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "engine/runtime/executable.h"
#include "tests/runtime/executable_testing.h"
#include "tests/runtime/random_network.h"

namespace bitstage {
namespace {

using testing::AllOf;
using testing::HasSubstr;

Graph SmallNetwork() { return RandomNetwork(7).Make(6, 8); }

absl::Status RunWith(const TensorView& view, int64_t batch, size_t inputs = 1) {
  Session session(CompileOrDie(ModelOf(SmallNetwork())), 2, nullptr);
  return session.Run(batch, std::vector<TensorView>(inputs, view), Cancellation::None());
}

TEST(SessionRefusalTest, NamesTheTensorWhatWasExpectedAndFound) {
  const Graph graph = SmallNetwork();
  const Shape shape = graph.value(graph.inputs[0]).shape;
  const Tensor good(DataType::kFloat32, shape.WithOuter(2));
  EXPECT_TRUE(RunWith(good.View(), 2).ok());

  const auto expect_refusal = [&](const absl::Status& status, const std::string& part) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(part));
  };
  expect_refusal(RunWith(good.View(), 2, 0), "0 inputs, expected 1");
  expect_refusal(RunWith(good.View(), 2, 2), "2 inputs, expected 1");
  expect_refusal(RunWith(good.View(), 0), "a batch of 0, expected 1 to 2");
  expect_refusal(RunWith(good.View(), 3), "a batch of 3, expected 1 to 2");
  expect_refusal(RunWith(good.View(), 1), "expected FP32 " + shape.WithOuter(1).ToString());
  const Tensor of_type(DataType::kInt64, shape.WithOuter(2));
  expect_refusal(RunWith(of_type.View(), 2), "input 'v0' is INT64");
  const Tensor of_shape(DataType::kFloat32, Shape{2, 1, 1, 1});
  expect_refusal(RunWith(of_shape.View(), 2), "is FP32 2x1x1x1");
  const Tensor without_batch(DataType::kFloat32, shape);
  expect_refusal(RunWith(without_batch.View(), 2), "is FP32 " + shape.ToString());
  expect_refusal(RunWith({DataType::kFloat32, shape.WithOuter(2), nullptr}, 2), "without data");
}

TEST(SessionTest, GoodRequestAfterARefusedOneGivesTheSameBits) {
  const auto model = ModelOf(SmallNetwork());
  Session session(CompileOrDie(model), 1, nullptr);
  const Tensor image = ImagesFor(model->graph, 1, 3);
  ASSERT_TRUE(session.Run(1, {{image.View()}}, Cancellation::None()).ok());
  const auto before = OutputBytes(session, 0, 0);
  EXPECT_FALSE(session.Run(1, {}, Cancellation::None()).ok());
  ASSERT_TRUE(session.Run(1, {{image.View()}}, Cancellation::None()).ok());
  EXPECT_EQ(OutputBytes(session, 0, 0), before);
}

TEST(SessionTest, CancellationIsAskedBeforeEveryStepAndStopsTheRun) {
  const auto model = ModelOf(SmallNetwork());
  const auto executable = CompileOrDie(model);
  Session session(executable, 1, nullptr);
  const Tensor image = ImagesFor(model->graph, 1, 3);
  size_t polls = 0;
  ASSERT_TRUE(session
                  .Run(1, {{image.View()}}, Cancellation([&] {
                         ++polls;
                         return absl::OkStatus();
                       }))
                  .ok());
  EXPECT_EQ(polls, executable->steps().size());

  const size_t last = polls;
  for (size_t stop = 1; stop <= last; ++stop) {
    polls = 0;
    const absl::Status status = session.Run(
        1, {{image.View()}},
        Cancellation([&] { return ++polls < stop ? absl::OkStatus() : absl::DeadlineExceededError("too late"); }));
    EXPECT_EQ(status, absl::DeadlineExceededError("too late"));
    EXPECT_EQ(polls, stop);
  }
}

TEST(SessionTest, ProfilingTimesEveryStepOnlyWhereAskedFor) {
  const auto model = ModelOf(SmallNetwork());
  const auto executable = CompileOrDie(model);
  Session session(executable, 1, nullptr);
  const Tensor image = ImagesFor(model->graph, 1, 3);
  ASSERT_TRUE(session.Run(1, {{image.View()}}, Cancellation::None()).ok());
  EXPECT_TRUE(session.StepNanoseconds().empty());
  session.EnableProfiling();
  ASSERT_TRUE(session.Run(1, {{image.View()}}, Cancellation::None()).ok());
  ASSERT_EQ(session.StepNanoseconds().size(), executable->steps().size());
  int64_t sum = 0;
  for (const int64_t step : session.StepNanoseconds()) sum += step;
  EXPECT_GT(sum, 0);
}

TEST(SessionTest, TwoSessionsOfOneExecutableShareAPool) {
  const auto model = ModelOf(RandomNetwork(202).Make(5, 32));
  const auto executable = CompileOrDie(model);
  ThreadPool pool(2);
  const Tensor images = ImagesFor(model->graph, 2, 3);
  const Shape shape = model->graph.value(model->graph.inputs[0]).shape;
  std::vector<std::vector<std::byte>> expected;
  for (int64_t i = 0; i < 2; ++i) {
    Session session(executable, 1, nullptr);
    const TensorView view{DataType::kFloat32, shape.WithOuter(1), images.Span<float>().data() + i * shape.elements()};
    ASSERT_TRUE(session.Run(1, {{view}}, Cancellation::None()).ok());
    expected.push_back(OutputBytes(session, 0, 0));
  }
  ThreadPool callers(2);
  callers.ParallelFor(2, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      Session session(executable, 1, &pool);
      const TensorView view{DataType::kFloat32, shape.WithOuter(1), images.Span<float>().data() + i * shape.elements()};
      for (int repeat = 0; repeat < 20; ++repeat) {
        ASSERT_TRUE(session.Run(1, {{view}}, Cancellation::None()).ok());
        ASSERT_EQ(OutputBytes(session, 0, 0), expected[static_cast<size_t>(i)]);
      }
    }
  });
}

// The graph of nodes [begin, end), fed by value `input` and giving value `output`. Ids stay; values of other nodes go.
Graph Part(const Graph& whole, size_t begin, size_t end, ValueId input, ValueId output) {
  Graph part = whole.Clone();
  part.nodes.assign(whole.nodes.begin() + static_cast<ptrdiff_t>(begin),
                    whole.nodes.begin() + static_cast<ptrdiff_t>(end));
  std::vector<ValueId> renamed(whole.values.size(), -1);
  part.values.clear();
  const auto keep = [&](ValueId& id) {
    ValueId& now = renamed[static_cast<size_t>(id)];
    if (now < 0) now = part.AddValue(whole.value(id));
    id = now;
  };
  part.inputs = {input};
  keep(part.inputs[0]);
  for (Node& node : part.nodes) {
    for (ValueId& id : node.inputs) keep(id);
    keep(node.output);
  }
  part.outputs = {output};
  keep(part.outputs[0]);
  return part;
}

// A chain of layers with a residual, so that it can be cut after any node that is not inside the residual.
Graph Chain() {
  GraphBuilder b(11);
  const auto weights = [&](const Shape& shape) { return b.Codes(PatternCodes(shape, 4, 0.05f)); };
  const auto with_grid = [&](ValueId id, Grid grid) {
    b.graph().value(id).grid = std::move(grid);
    return id;
  };
  const ValueId x = with_grid(b.Input({3, 8, 8}), {.zero_point = 128, .step = {4.0f / 255}});
  Conv conv = b.MakeConv({3, 8, 8}, 6, 3, 1, 1);
  conv.weights = weights({6, 3, 3, 3});
  conv.clamp = Clamp{0, 6};
  const Grid shifted = {.step = {0.02f}, .bits = {7, 5, 5, 5, 7, 5}, .shift = {0, 2, 2, 2, 0, 2}};
  const ValueId y = with_grid(b.Add(conv, {x}), shifted);
  Conv second = b.MakeConv({6, 8, 8}, 6, 3, 1, 1);
  second.weights = weights({6, 6, 3, 3});
  second.clamp = Clamp{0, 6};
  const ValueId z = with_grid(b.Add(second, {y, y}), shifted);
  const ValueId mean = with_grid(b.Add(GlobalAveragePool{false}, {z}), {.step = {0.01f}});
  const ValueId logits = b.Add(FullyConnected{weights({5, 6}), b.Random({5}), {}}, {mean});
  return b.Finish({logits});
}

TEST(StageTest, CutAnywhereAndFedWithCodesGivesTheBitsOfTheWhole) {
  const auto model = ModelOf(Chain());
  const Graph& graph = model->graph;
  const Tensor images = ImagesFor(graph, 3, 5);
  Session whole(CompileOrDie(model), 3, nullptr);
  ASSERT_TRUE(whole.Run(3, {{images.View()}}, Cancellation::None()).ok());
  for (size_t cut = 1; cut < graph.nodes.size(); ++cut) {
    const ValueId boundary = graph.nodes[cut - 1].output;
    const auto head = CompileOrDie(ModelOf(Part(graph, 0, cut, graph.inputs[0], boundary)));
    auto tail_model = std::make_shared<Model>();
    tail_model->graph = Part(graph, cut, graph.nodes.size(), boundary, graph.outputs[0]);
    tail_model->stage = StageInfo{1, 2, "test"};
    const auto tail = CompileOrDie(tail_model);
    ASSERT_TRUE(head != nullptr && tail != nullptr);
    EXPECT_EQ(head->outputs()[0].type, DataType::kUInt8);
    EXPECT_EQ(tail->inputs()[0].type, DataType::kUInt8);
    EXPECT_EQ(head->outputs()[0].shape, tail->inputs()[0].shape);

    Session first(head, 3, nullptr);
    Session second(tail, 3, nullptr);
    ASSERT_TRUE(first.Run(3, {{images.View()}}, Cancellation::None()).ok());
    const absl::Status status = second.Run(3, {{first.Output(0)}}, Cancellation::None());
    ASSERT_TRUE(status.ok()) << status;
    for (int64_t i = 0; i < 3; ++i) EXPECT_EQ(OutputBytes(second, 0, i), OutputBytes(whole, 0, i)) << "cut " << cut;
  }
}

TEST(StageTest, CodesThatAreNotOnTheGridAreRefused) {
  const Graph graph = Chain();
  const ValueId boundary = graph.nodes[0].output;  // channel 1: 5 bits shifted by 2
  Session session(CompileOrDie(ModelOf(Part(graph, 1, graph.nodes.size(), boundary, graph.outputs[0]))), 1, nullptr);
  Tensor codes(DataType::kUInt8, {1, 8, 8, 6});
  codes.Span<uint8_t>()[1] = 124;
  EXPECT_TRUE(session.Run(1, {{codes.View()}}, Cancellation::None()).ok());
  for (const uint8_t bad : {125, 128}) {
    codes.Span<uint8_t>()[7] = bad;
    const absl::Status status = session.Run(1, {{codes.View()}}, Cancellation::None());
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr(std::to_string(bad)), HasSubstr("byte 7"), HasSubstr("channel 1")));
  }
}

TEST(CompileTest, CodesReadLayerByLayerGiveTheSameBits) {
  ThreadPool pool(2);
  for (unsigned seed = 1; seed <= 12; ++seed) {
    const auto full = ModelOf(RandomNetwork(seed).Make(9, 10));
    Model slim = full->Clone();
    for (Constant& constant : slim.graph.constants) {
      if (constant.codes) constant.codes->codes.clear();
    }
    const CompileOptions options = {
        .isa = std::nullopt, .pool = &pool, .read_codes = [&](ConstantId id, auto& weights) {
          weights.codes = full->graph.constant(id).codes->codes;
          return absl::OkStatus();
        }};
    const auto read = Executable::Compile(std::make_shared<const Model>(std::move(slim)), options);
    ASSERT_TRUE(read.ok()) << read.status();
    const Tensor image = ImagesFor(full->graph, 1, seed);
    Session session(*read, 1, nullptr);
    Session expected(CompileOrDie(full), 1, nullptr);
    ASSERT_TRUE(session.Run(1, {{image.View()}}, Cancellation::None()).ok());
    ASSERT_TRUE(expected.Run(1, {{image.View()}}, Cancellation::None()).ok());
    for (size_t i = 0; i < full->graph.outputs.size(); ++i) {
      EXPECT_EQ(OutputBytes(session, i, 0), OutputBytes(expected, i, 0)) << "seed " << seed;
    }
  }
}

TEST(CompileRefusalTest, WhatCannotBeReadIsNotCompiled) {
  const auto model = ModelOf(RandomNetwork(1).Make(9, 10));
  const absl::Status lost = absl::DataLossError("constant 'w': byte 3");
  const auto read_codes = [&](ConstantId, WeightCodes&) { return lost; };
  EXPECT_EQ(Executable::Compile(model, {.isa = std::nullopt, .pool = nullptr, .read_codes = read_codes}).status(),
            lost);
}

TEST(CompileRefusalTest, FloatModelsAreToldToBeQuantizedFirst) {
  GraphBuilder b;
  const ValueId x = b.Input({3, 4, 4});
  b.graph().value(x).grid = Grid{};
  const auto model = ModelOf(b.Finish({b.Add(b.MakeConv({3, 4, 4}, 2, 1, 1, 0), {x})}));
  const absl::Status status = Executable::Compile(model, {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("node 'n0'"), HasSubstr("quantize the model first")));
}

TEST(CompileRefusalTest, InputsWithoutAGridAreNamed) {
  GraphBuilder b;
  const ValueId x = b.Input({3, 4, 4});
  const auto model = ModelOf(b.Finish({b.Add(Unary{}, {x})}));
  const absl::Status status = Executable::Compile(model, {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("input 'v0' has no activation grid"));
}

TEST(CompileRefusalTest, GraphsThatFailValidationAreRefused) {
  Graph graph = Chain();
  graph.value(graph.outputs[0]).shape = {6};
  EXPECT_EQ(Executable::Compile(ModelOf(std::move(graph)), {}).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace bitstage
