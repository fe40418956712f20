// The eleven networks of the shared folder: imported, run in float on real images, compared with reference outputs.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/data/dataset.h"
#include "engine/format/onnx_import.h"
#include "engine/reference/float_executor.h"
#include "tests/support/npz.h"
#include "tests/support/shared_data.h"

namespace bitstage {
namespace {

struct Network {
  const char* name;
  const char* images;
  const char* reference;  // the array in ref.npz
  int64_t count;          // images to run
};

constexpr Network kNetworks[] = {
    {"cifar10_resnet8", "cifar10/test_batch_first800.bin", "logits", 40},
    {"cifar10_resnet20", "cifar10/test_batch_first800.bin", "logits", 40},
    {"cifar10_resnet20_proj", "cifar10/test_batch_first800.bin", "logits", 40},
    {"cifar10_resnet32", "cifar10/test_batch_first800.bin", "logits", 40},
    {"cifar10_resnet56", "cifar10/test_batch_first800.bin", "logits", 40},
    {"mnist_lenet", "mnist/t10k-images-idx3-ubyte.gz", "logits_first64", 64},
    {"imagenet_mobilenet_v1_0.25_224", "imagenet/val227_1000.tar", "logits_first16", 16},
    {"imagenet_mobilenet_v2_1.0_224_q8", "imagenet/val227_1000.tar", "logits_first16", 4},
    {"imagenet_squeezenet_v1.1", "imagenet/val227_1000.tar", "logits_first16", 16},
    {"seg_unet_person_128", "voc/voc_person_120.tar", "output_first4", 4},
    {"seg_deeplabv3_mnv2_voc_q8", "voc/voc_person_120.tar", "output_first4", 2},
};

class OnnxNetworksTest : public ::testing::TestWithParam<Network> {};

// The first images, decoded and preprocessed as the model declares.
absl::StatusOr<Tensor> Inputs(const Model& model, const std::string& path, int64_t count) {
  absl::StatusOr<Dataset> images = Dataset::Open(path);
  if (!images.ok()) return images.status();
  const Shape& shape = model.graph.value(model.graph.inputs[0]).shape;
  Tensor inputs(DataType::kFloat32, shape.WithOuter(count));
  const auto size = static_cast<size_t>(shape.elements());
  for (int64_t i = 0; i < count; ++i) {
    const absl::StatusOr<Image> image = images->Load(i, model.preprocessing->color);
    if (!image.ok()) return image.status();
    const std::span<float> input = inputs.Span<float>().subspan(static_cast<size_t>(i) * size, size);
    if (absl::Status status = PreprocessInto(*image, *model.preprocessing, input); !status.ok()) return status;
  }
  return inputs;
}

void ExpectNear(std::span<const float> found, std::span<const float> expected) {
  const auto [low, high] = std::minmax_element(expected.begin(), expected.end());
  float largest = 0;
  for (size_t i = 0; i < found.size(); ++i) largest = std::max(largest, std::abs(found[i] - expected[i]));
  EXPECT_LE(largest, 1e-4f * (*high - *low)) << "the outputs' range is " << *high - *low;
}

TEST_P(OnnxNetworksTest, OutputsAgreeWithTheReference) {
  const Network& network = GetParam();
  const std::string folder = BITSTAGE_SHARED_OR_SKIP(std::string("data/models/") + network.name);
  const std::string images = BITSTAGE_SHARED_OR_SKIP(std::string("data/") + network.images);
  const absl::StatusOr<Model> model = ImportOnnxFile(folder + "/model.onnx");
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->name, network.name);
  EXPECT_EQ(model->provenance.source_sha256.size(), 64u);
  ASSERT_TRUE(model->preprocessing.has_value());
  const absl::StatusOr<Tensor> inputs = Inputs(*model, images, network.count);
  ASSERT_TRUE(inputs.ok()) << inputs.status();
  ThreadPool pool(AvailableCpus());
  const TensorView views[] = {inputs->View()};
  const absl::StatusOr<std::vector<Tensor>> outputs = FloatExecutor(model->graph, &pool).Run(views);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  const absl::StatusOr<Tensor> reference = ReadNpz(folder + "/ref.npz", network.reference);
  ASSERT_TRUE(reference.ok()) << reference.status();
  const Tensor& output = outputs->front();
  const size_t elements = static_cast<size_t>(output.shape().elements());
  ASSERT_GE(static_cast<size_t>(reference->shape().elements()), elements);
  if (output.type() == DataType::kFloat32) {
    ExpectNear(output.Span<float>(), reference->Span<float>().first(elements));
  } else {
    const auto expected = reference->Span<uint8_t>().first(elements);
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), output.Span<int64_t>().begin())) << "a label differs";
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, OnnxNetworksTest, ::testing::ValuesIn(kNetworks), [](const auto& test) {
  std::string name = test.param.name;
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
});

}  // namespace
}  // namespace bitstage
