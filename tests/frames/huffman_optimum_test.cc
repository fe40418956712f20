// What calibrated tables cost beside the best there could be, on real tensors.
#include <gtest/gtest.h>

#include <cmath>

#include "engine/codec/boundary.h"
#include "engine/codec/huffman.h"
#include "engine/compression/boundary_statistics.h"
#include "engine/compression/coding_choice.h"
#include "tests/frames/block_tensors.h"
#include "tests/support/shared_data.h"

namespace bitstage {
namespace {

struct Bits {
  double coded = 0;    // by calibrated tables, codes of a limited length
  double optimum = 0;  // by the best prefix code of the very cells that each table codes, of any length
  double entropy = 0;  // of those cells
};

void Add(const BlockTensor& tensor, std::span<const uint8_t> codes, Bits& sum) {
  const auto calibration = static_cast<int64_t>(tensor.calibration.size()) / tensor.shape.elements();
  const BoundaryTables tables =
      MakeBoundaryTables(tensor.grid, tensor.shape, calibration, tensor.calibration, kMaxLinkForContexts);
  const auto boundary = FrameBoundary::Create(tensor.name, tensor.shape, tensor.grid, tables);
  ASSERT_TRUE(boundary.ok()) << boundary.status();
  const codec::CellTables view = boundary->plain().view();
  const size_t cells = size_t{1} << view.stride_bits;
  std::vector<uint32_t> counts(static_cast<size_t>(view.tables) * cells);
  codec::ReferenceKernels().count(view, codes.data(), static_cast<int64_t>(codes.size()) / boundary->channels(),
                                  counts.data());
  double coded = 0;
  for (size_t table = 0; table < static_cast<size_t>(view.tables); ++table) {
    const std::vector<uint64_t> of_table(counts.begin() + static_cast<std::ptrdiff_t>(table * cells),
                                         counts.begin() + static_cast<std::ptrdiff_t>((table + 1) * cells));
    coded += static_cast<double>(CodedBits(of_table, std::span(view.lengths + table * cells, cells)));
    sum.optimum += static_cast<double>(CodedBits(of_table, *HuffmanLengths(of_table, 32)));
    double all = 0;
    for (const uint64_t count : of_table) all += static_cast<double>(count);
    for (const uint64_t count : of_table) {
      if (count > 0) sum.entropy += static_cast<double>(count) * std::log2(all / static_cast<double>(count));
    }
  }
  sum.coded += coded;
}

TEST(HuffmanOptimum, StaticTablesComeWithinThreePercentOnTheBlocksOfRealNetworks) {
  const std::string network = BITSTAGE_SHARED_OR_SKIP("data/models/cifar10_resnet20/model.onnx");
  const std::string images = BITSTAGE_SHARED_OR_SKIP("data/cifar10/test_batch_first800.bin");
  for (const int bits : {3, 4, 5}) {
    const auto tensors = BlockTensors(network, images, bits, {.calibration = 48, .coded = 48});
    ASSERT_TRUE(tensors.ok()) << tensors.status();
    Bits own;     // the images that the tables were made from: what length limit and whole bits cost
    Bits others;  // and what it costs that they are other images
    for (const BlockTensor& tensor : *tensors) {
      Add(tensor, tensor.calibration, own);
      Add(tensor, tensor.codes, others);
    }
    EXPECT_LE(own.coded, 1.03 * own.entropy) << bits << " bits";
    EXPECT_LE(own.coded, 1.03 * own.optimum) << bits << " bits";
    EXPECT_LE(others.coded, 1.03 * others.optimum) << bits << " bits";
  }
}

}  // namespace
}  // namespace bitstage
