#include "engine/training/student.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/compression/compress.h"
#include "engine/graph/model.h"
#include "engine/runtime/executable.h"
#include "tests/graph/graph_builder.h"

namespace bitstage {
namespace {

// Residuals with and without a convolution to fuse into, depthwise and strided kernels, pools, a concatenation, slices
// and padding, a linear layer in between (a grid with a zero point), a classifier.
Model SmallNetwork() {
  GraphBuilder b(11);
  const ValueId x = b.Input({3, 12, 12});
  const auto relu = Clamp{0, std::numeric_limits<float>::infinity()};
  Conv first = b.MakeConv({3, 12, 12}, 8, 3, 1, 1);
  first.clamp = relu;
  const ValueId a = b.Add(first, {x});
  Conv inner = b.MakeConv({8, 12, 12}, 8, 3, 1, 1);
  inner.clamp = relu;
  const ValueId c = b.Add(b.MakeConv({8, 12, 12}, 8, 3, 1, 1), {b.Add(inner, {a})});  // linear
  const ValueId d = b.Add(Binary{BinaryKind::kAdd, relu}, {c, a});
  Pool pool;
  pool.window = {.kernel = {2, 2}, .stride = {2, 2}};
  const ValueId p = b.Add(pool, {d});
  Conv depthwise = b.MakeConv({8, 6, 6}, 8, 3, 1, 1, 8);
  depthwise.clamp = Clamp{0, 6};
  const ValueId e = b.Add(depthwise, {p});
  const ValueId both = b.Add(Concat{0}, {p, e});
  Conv down = b.MakeConv({16, 6, 6}, 12, 3, 2, 1);
  down.clamp = relu;
  const ValueId f = b.Add(down, {both});
  const ValueId g = b.Add(GlobalAveragePool{false}, {f});
  Model model;
  model.graph = b.Finish({b.Add(b.MakeFullyConnected(12, 5), {g})});
  return model;
}

class StudentTest : public testing::TestWithParam<std::tuple<Codebook, int, ScaleKind, NormKind>> {};

at::Tensor ToTorch(const Tensor& tensor) {
  const std::vector<int64_t> shape(tensor.shape().begin(), tensor.shape().end());
  return at::from_blob(const_cast<std::byte*>(tensor.data()), shape, at::kFloat).clone();
}

// What was trained is what is served: not near, but equal.
TEST_P(StudentTest, ForwardEqualsTheIntegerEngineBitForBit) {
  const Model model = SmallNetwork();
  TrainingOptions options;
  std::tie(options.codebook, options.weight_bits, options.subgroups, options.norm) = GetParam();
  const Graph graph = *PreparedGraph(model);
  const Tensor images = RandomTensor({40, 3, 12, 12}, 5);
  absl::StatusOr<std::unique_ptr<Student>> student = Student::Create(graph, images, options);
  ASSERT_TRUE(student.ok()) << student.status();
  // Factors of either sign: a negative one turns the codes of its channel.
  for (Parameter& parameter : (*student)->parameters()) {
    if (!parameter.name.ends_with("/gamma")) continue;
    for (int64_t i = 0; i < parameter.value.numel(); i += 3) parameter.value.data_ptr<float>()[i] *= -1;
  }
  const Tensor fresh = RandomTensor({16, 3, 12, 12}, 6);
  const at::Tensor own = (*student)->Forward(ToTorch(fresh), NormMode::kRunning).contiguous();

  auto served = std::make_shared<Model>(model.Clone());
  served->graph = (*student)->Export();
  ASSERT_TRUE(Validate(served->graph).ok()) << Validate(served->graph);
  const auto executable = Executable::Compile(served, {});
  ASSERT_TRUE(executable.ok()) << executable.status();
  Session session(*executable, 16, nullptr);
  ASSERT_TRUE(session.Run(16, std::vector<TensorView>{fresh.View()}, Cancellation::None()).ok());
  const std::span<const float> logits = session.Output(0).Span<float>();
  ASSERT_EQ(static_cast<size_t>(own.numel()), logits.size());
  EXPECT_THAT(std::vector<float>(own.data_ptr<float>(), own.data_ptr<float>() + own.numel()),
              testing::ElementsAreArray(logits));
}

INSTANTIATE_TEST_SUITE_P(All, StudentTest,
                         testing::Combine(testing::Values(Codebook::kBinary, Codebook::kTernary), testing::Values(8),
                                          testing::Values(ScaleKind::kPixel, ScaleKind::kRow, ScaleKind::kLayer),
                                          testing::Values(NormKind::kBatch, NormKind::kNone)));

INSTANTIATE_TEST_SUITE_P(Uniform, StudentTest,
                         testing::Combine(testing::Values(Codebook::kUniform), testing::Values(3, 8),
                                          testing::Values(ScaleKind::kChannel),
                                          testing::Values(NormKind::kBatch, NormKind::kNone)));

TEST(Student, TrainsEveryParameter) {
  const Model model = SmallNetwork();
  const Graph graph = *PreparedGraph(model);
  const Tensor images = RandomTensor({40, 3, 12, 12}, 5);
  for (const Codebook codebook : {Codebook::kTernary, Codebook::kUniform}) {
    TrainingOptions options;
    options.codebook = codebook;
    options.weight_bits = 3;
    auto student = *Student::Create(graph, images, options);
    student->Forward(ToTorch(images), NormMode::kBatch).square().sum().backward();
    for (const Parameter& parameter : student->parameters()) {
      ASSERT_TRUE(parameter.value.grad().defined()) << parameter.name;
      EXPECT_GT(parameter.value.grad().abs().max().item<float>(), 0) << parameter.name;
    }
  }
}

TEST(Student, ComesBackFromWhatItSaved) {
  const Model model = SmallNetwork();
  const Graph graph = *PreparedGraph(model);
  const Tensor images = RandomTensor({40, 3, 12, 12}, 5);
  auto trained = *Student::Create(graph, images, TrainingOptions());
  for (Parameter& parameter : trained->parameters()) parameter.value.data_ptr<float>()[0] += 0.25f;
  trained->Forward(ToTorch(images), NormMode::kBatch);
  const std::vector<CheckpointArray> saved = trained->Save();
  std::map<std::string, const std::vector<float>*> arrays;
  for (const CheckpointArray& array : saved) arrays[array.name] = &array.values;
  auto fresh = *Student::Create(graph, images, TrainingOptions());
  ASSERT_TRUE(fresh->Load(arrays).ok());
  EXPECT_TRUE(at::equal(fresh->Forward(ToTorch(images), NormMode::kRunning),
                        trained->Forward(ToTorch(images), NormMode::kRunning)));
  arrays.erase(saved[0].name);
  EXPECT_THAT(std::string(fresh->Load(arrays).message()), testing::HasSubstr(saved[0].name));
}

TEST(CheckTrainable, NamesTheNodeAndWhatIsSupported) {
  GraphBuilder b(1);
  const ValueId x = b.Input({3, 8, 8});
  const ValueId y = b.Add(Unary{UnaryKind::kHardSwish}, {b.Add(b.MakeConv({3, 8, 8}, 4, 3, 1, 1), {x})});
  const Graph graph = b.Finish({b.Add(b.MakeConv({4, 8, 8}, 4, 1, 1, 0), {y})});
  const absl::Status status = CheckTrainable(graph);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(status.message()),
              testing::AllOf(testing::HasSubstr(graph.nodes[1].name), testing::HasSubstr("HardSwish"),
                             testing::HasSubstr("supported are Conv")));
}

}  // namespace
}  // namespace bitstage
