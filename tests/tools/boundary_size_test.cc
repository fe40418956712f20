// What the block outputs of a real network cost on the wire: static tables made from some images, whole frames of
// single others, headers and checksums included.
#include <gtest/gtest.h>

#include <numeric>

#include "engine/codec/frame.h"
#include "engine/compression/boundary_statistics.h"
#include "engine/data/batch.h"
#include "engine/data/dataset.h"
#include "engine/format/onnx_import.h"
#include "engine/quant/activation_grids.h"
#include "engine/quant/dqa.h"
#include "engine/reference/float_executor.h"
#include "tests/support/shared_data.h"

namespace bitstage {
namespace {

constexpr double kSlowLink = 100;  // Mbit/s: the smallest tables, those for contexts too

// The outputs of residual blocks (a ReLU behind an addition), or of fire modules (a concatenation).
std::vector<bool> IsBlockOutput(const Graph& graph) {
  std::vector<bool> is_sum(graph.values.size());
  std::vector<bool> is_block(graph.values.size());
  for (const Node& node : graph.nodes) {
    if (std::holds_alternative<Binary>(node.op)) is_sum[static_cast<size_t>(node.output)] = true;
    const bool is_relu_of_sum = std::holds_alternative<Unary>(node.op) && is_sum[static_cast<size_t>(node.inputs[0])];
    if (is_relu_of_sum || std::holds_alternative<Concat>(node.op)) is_block[static_cast<size_t>(node.output)] = true;
  }
  return is_block;
}

std::vector<std::vector<Tensor>> BlockOutputs(const Model& model, const std::string& images, int64_t count) {
  const Dataset data = *Dataset::Open(images);
  const Graph& graph = model.graph;
  const std::vector<bool> is_block = IsBlockOutput(graph);
  std::vector<std::vector<Tensor>> outputs;  // [boundary][batch]
  std::vector<int> number(graph.values.size(), -1);
  for (int64_t begin = 0; begin < count; begin += 20) {
    std::vector<int64_t> indices(20);
    std::iota(indices.begin(), indices.end(), begin);
    const Tensor batch = *LoadBatch(data, indices, *model.preprocessing, nullptr);
    const std::vector<TensorView> inputs = {batch.View()};
    const auto result = FloatExecutor(graph, nullptr).Run(inputs, [&](ValueId id, Tensor& value) {
      if (!is_block[static_cast<size_t>(id)]) return;
      int& n = number[static_cast<size_t>(id)];
      if (n < 0) {
        n = static_cast<int>(outputs.size());
        outputs.emplace_back();
      }
      Tensor copy(DataType::kFloat32, value.shape());
      std::copy_n(value.Span<float>().begin(), value.shape().elements(), copy.Span<float>().begin());
      outputs[static_cast<size_t>(n)].push_back(std::move(copy));
    });
    EXPECT_TRUE(result.ok()) << result.status();
  }
  return outputs;
}

std::vector<Histogram> Histograms(const std::vector<Tensor>& batches) {
  const int64_t channels = batches[0].shape()[1];
  std::vector<Histogram> histograms(static_cast<size_t>(channels));
  for (const Tensor& batch : batches) {
    const int64_t inner = batch.shape().InnerElements(1);
    for (int64_t row = 0; row < batch.shape()[0] * channels; ++row) {
      histograms[static_cast<size_t>(row % channels)].Add(
          batch.Span<float>().subspan(static_cast<size_t>(row * inner), static_cast<size_t>(inner)));
    }
  }
  return histograms;
}

std::vector<uint8_t> CodesOf(const Grid& grid, const std::vector<Tensor>& batches) {
  std::vector<uint8_t> codes;
  for (const Tensor& batch : batches) {
    const int64_t channels = batch.shape()[1];
    const int64_t inner = batch.shape().InnerElements(1);
    const size_t begin = codes.size();
    codes.resize(begin + static_cast<size_t>(batch.shape().elements()));
    for (int64_t row = 0; row < batch.shape()[0] * channels; ++row) {
      EncodeToGrid(grid, row % channels,
                   batch.Span<float>().subspan(static_cast<size_t>(row * inner), static_cast<size_t>(inner)),
                   codes.data() + begin + row / channels * channels * inner + row % channels, channels);
    }
  }
  return codes;
}

Shape ImageOf(const std::vector<Tensor>& batches) {
  const Shape& shape = batches[0].shape();
  return {shape[2], shape[3], shape[1]};
}

// Bits an element over all boundaries, a frame an image, each element counting alike.
double BitsAnElement(const std::vector<std::vector<Tensor>>& calibration, const std::vector<std::vector<Tensor>>& test,
                     int bits, FrameCoding coding) {
  double wire = 0;
  double elements = 0;
  for (size_t b = 0; b < calibration.size(); ++b) {
    const Grid grid = UnsignedGrid(Histograms(calibration[b]), bits, StepKind::kChannel, {});
    const Shape image = ImageOf(calibration[b]);
    const std::vector<uint8_t> known = CodesOf(grid, calibration[b]);
    const auto known_images = static_cast<int64_t>(known.size()) / image.elements();
    const BoundaryTables tables = MakeBoundaryTables(grid, image, known_images, known, kSlowLink);
    const FrameBoundary boundary = *FrameBoundary::Create("block", image, grid, tables);
    const std::vector<uint8_t> codes = CodesOf(grid, test[b]);
    std::vector<uint8_t> decoded(static_cast<size_t>(image.elements()));
    for (size_t at = 0; at < codes.size(); at += decoded.size()) {
      const std::span<const uint8_t> one = std::span(codes).subspan(at, decoded.size());
      const std::string frame = *EncodeFrame(boundary, 1, one, {coding});
      EXPECT_EQ(CodingOf(frame), coding);
      EXPECT_TRUE(DecodeFrame(frame, boundary, 1, decoded).ok());
      EXPECT_TRUE(std::equal(one.begin(), one.end(), decoded.begin()));
      wire += 8.0 * static_cast<double>(frame.size());
      elements += static_cast<double>(one.size());
    }
  }
  return wire / elements;
}

struct Bound {
  int bits;
  FrameCoding coding;
  double most;
};

void ExpectWithin(const std::string& onnx, const std::string& calibration_images, const std::string& test_images,
                  int64_t images, std::initializer_list<Bound> bounds) {
  const auto model = ImportOnnxFile(onnx);
  ASSERT_TRUE(model.ok()) << model.status();
  const auto calibration = BlockOutputs(*model, calibration_images, images);
  const auto test = BlockOutputs(*model, test_images, images);
  ASSERT_GE(calibration.size(), 8u);
  for (const Bound& bound : bounds) {
    const double bits = BitsAnElement(calibration, test, bound.bits, bound.coding);
    std::printf("n = %d, %s: %.3f bits an element\n", bound.bits, std::string(Name(bound.coding)).c_str(), bits);
    EXPECT_LE(bits, bound.most) << Name(bound.coding) << ", n = " << bound.bits;
  }
}

TEST(BoundarySize, ResNet20sBlockOutputs) {
  ExpectWithin(BITSTAGE_SHARED_OR_SKIP("data/models/cifar10_resnet20/model.onnx"),
               BITSTAGE_SHARED_OR_SKIP("data/cifar10/data_batch_1_first4000.bin"),
               BITSTAGE_SHARED_OR_SKIP("data/cifar10/test_batch_first800.bin"), 200,
               {{3, FrameCoding::kPlain, 2.37},
                {4, FrameCoding::kPlain, 3.03},
                {3, FrameCoding::kContexts, 1.75},
                {4, FrameCoding::kContexts, 2.35}});
}

TEST(BoundarySize, SqueezeNetsFireModules) {
  ExpectWithin(BITSTAGE_SHARED_OR_SKIP("data/models/imagenet_squeezenet_v1.1/model.onnx"),
               BITSTAGE_SHARED_OR_SKIP("data/imagenet/samples_orig_300.tar"),
               BITSTAGE_SHARED_OR_SKIP("data/imagenet/val227_1000.tar"), 20,
               {{3, FrameCoding::kPlain, 1.62}, {4, FrameCoding::kPlain, 1.96}});
}

// The DQA paper's (3, 3): an image's own scales, half of the channels important, a Huffman code for each one's shifting
// error.
TEST(BoundarySize, ThePapersFormatAtBatchOne) {
  const auto model = ImportOnnxFile(BITSTAGE_SHARED_OR_SKIP("data/models/cifar10_resnet20/model.onnx"));
  ASSERT_TRUE(model.ok()) << model.status();
  double wire = 0;
  double beside = 0;
  int splits = 0;
  int frames = 0;
  double elements = 0;
  for (const std::vector<Tensor>& batches :
       BlockOutputs(*model, BITSTAGE_SHARED_OR_SKIP("data/cifar10/test_batch_first800.bin"), 100)) {
    const Shape image = ImageOf(batches);
    const int64_t channels = image[2];
    for (const Tensor& batch : batches) {
      for (int64_t n = 0; n < batch.shape()[0]; ++n) {
        Tensor one(DataType::kFloat32, {1, channels, image[0], image[1]});
        const auto values = batch.Span<float>().subspan(static_cast<size_t>(n * image.elements()),
                                                        static_cast<size_t>(image.elements()));
        std::copy(values.begin(), values.end(), one.Span<float>().begin());
        std::vector<double> largest;
        ImportantChannels important(static_cast<size_t>(channels));
        const std::vector<Tensor> alone = [&] {
          std::vector<Tensor> list;
          list.push_back(std::move(one));
          return list;
        }();
        for (const Histogram& histogram : Histograms(alone)) largest.push_back(std::max(histogram.MaxAbs(), 1e-6));
        // Which half is important changes the size little: here the one with the largest scales.
        std::vector<size_t> order(largest.size());
        std::iota(order.begin(), order.end(), size_t{0});
        std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return largest[a] > largest[b]; });
        for (size_t i = 0; i < order.size() / 2; ++i) important[order[i]] = 1;
        const Grid grid = LiteralDqaGrid(largest, important, 3, 3);
        const FrameBoundary boundary = *FrameBoundary::Create("block", image, grid, {});
        const std::vector<uint8_t> codes = CodesOf(grid, alone);
        const std::string frame = *EncodeFrame(boundary, 1, codes, {FrameCoding::kSplit});
        splits += CodingOf(frame) == FrameCoding::kSplit ? 1 : 0;  // stored where that is shorter
        frames += 1;
        wire += 8.0 * static_cast<double>(frame.size());
        // What the paper sends beside, and this format does not: a scale of 32 bits a channel, and a tree of about 74
        // bits for each important one in place of 24 bits of lengths.
        beside += 32.0 * static_cast<double>(channels) + (74 - 24) * static_cast<double>(channels / 2);
        elements += static_cast<double>(codes.size());
      }
    }
  }
  std::printf("split (3, 3): %.3f bits an element, %.3f with the paper's scales and trees\n", wire / elements,
              (wire + beside) / elements);
  EXPECT_GT(splits, frames * 9 / 10);
  EXPECT_NEAR((wire + beside) / elements, 4.61, 0.05);
}

}  // namespace
}  // namespace bitstage
