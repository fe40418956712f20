#include "engine/kernels/winograd_narrow.h"

#include <algorithm>
#include <cstring>

#include "engine/base/checked_math.h"
#include "engine/kernels/packed_weights.h"
#include "engine/kernels/padded_row.h"

namespace bitstage::kernels {
namespace {

constexpr int kMaxCode = 63;
constexpr int kMaxWeight = 14;
constexpr int64_t kPositions = 16;
constexpr int64_t kWeightBytes = kPositions * kNarrowChannels * kNarrowChannels * kNarrowTiles;  // of a block
constexpr int64_t kCorrections = 4 * kNarrowChannels;
static_assert(kNarrowBlockBytes == kWeightBytes + kCorrections * static_cast<int64_t>(sizeof(int32_t)));
constexpr int64_t kBandBytes = 16 << 10;  // of padded rows

constexpr int kG[4][3] = {{2, 0, 0}, {1, 1, 1}, {1, -1, 1}, {0, 0, 2}};
constexpr int kA[2][4] = {{1, 1, 1, 0}, {0, 1, -1, -1}};

// G·w·Gᵀ at a position of one 3 x 3 kernel.
int WeightAt(const int8_t* w, int64_t row, int64_t column) {
  int sum = 0;
  for (int64_t y = 0; y < 3; ++y) {
    for (int64_t x = 0; x < 3; ++x) sum += kG[row][y] * w[y * 3 + x] * kG[column][x];
  }
  return sum;
}

class Runner {
 public:
  Runner(NarrowFunction run, const ConvShape& shape, const ConvCall& call, Scratch& scratch)
      : run_(run),
        shape_(shape),
        call_(call),
        blocks_(shape.out_channels / kNarrowChannels),
        groups_(DivideRoundUp(shape.out_width, 2 * kNarrowTiles)),
        width_(groups_ * 2 * kNarrowTiles + 2),
        tile_rows_(std::clamp<int64_t>(kBandBytes / (width_ * kNarrowChannels) / 2 - 1, 1,
                                       DivideRoundUp(shape.out_height, 2))) {
    transform_ = PadTransform(call.transform, shape.out_channels, DivideRoundUp(shape.out_channels, 64) * 64, scratch);
    start_ = scratch.Take<int32_t>(blocks_ * kCorrections);
    tiles_ = scratch.Take<std::byte>(kNarrowScratch);
    rows_ = scratch.Take<uint8_t>((tile_rows_ * 2 + 2) * width_ * kNarrowChannels + 64);
  }

  void Run() {
    for (int64_t block = 0; block < blocks_; ++block) FillStart(block);
    const int64_t row_bytes = width_ * kNarrowChannels;
    for (int64_t y = call_.row_begin; y < call_.row_end; y += tile_rows_ * 2) {
      const int64_t end = std::min(y + tile_rows_ * 2, call_.row_end);
      for (int64_t row = 0; row < DivideRoundUp(end - y, 2) * 2 + 2; ++row) {
        CopyPaddedRow(shape_, call_, y - shape_.pad_top + row, width_, rows_ + row * row_bytes);
      }
      for (int64_t at = y; at < end; at += 2) RunTileRow(at, end, rows_ + (at - y) * row_bytes);
    }
  }

 private:
  void FillStart(int64_t block) {
    int32_t* start = start_ + block * kCorrections;
    std::memcpy(start, call_.packed_weights + block * kNarrowBlockBytes + kWeightBytes, kCorrections * sizeof(int32_t));
    for (int64_t i = 0; i < kCorrections; ++i) {
      start[i] += 4 * call_.acc_init[block * kNarrowChannels + i % kNarrowChannels];
    }
  }

  void RunTileRow(int64_t y, int64_t end, const uint8_t* input) const {
    NarrowTiles tiles;
    tiles.row_bytes = width_ * kNarrowChannels;
    tiles.blocks = blocks_;
    tiles.weights = call_.packed_weights;
    tiles.start = start_;
    tiles.transform = transform_;
    tiles.scratch = tiles_;
    tiles.rows = std::min<int64_t>(2, end - y);
    tiles.residual_pixel_stride = call_.residual_pixel_stride;
    tiles.output_pixel_stride = call_.output_pixel_stride;
    tiles.row_pixels = shape_.out_width;
    const int64_t element = call_.transform.to_float ? static_cast<int64_t>(sizeof(float)) : 1;
    constexpr int64_t kColumns = kNarrowGroups * 2 * kNarrowTiles;
    for (int64_t x = 0; x < shape_.out_width; x += kColumns) {
      const int64_t pixel = y * shape_.out_width + x;
      tiles.input = input + x * kNarrowChannels;
      tiles.columns = std::min(kColumns, shape_.out_width - x);
      tiles.groups = DivideRoundUp(tiles.columns, 2 * kNarrowTiles);
      tiles.residual = call_.residual == nullptr ? nullptr : call_.residual + pixel * call_.residual_pixel_stride;
      tiles.output = static_cast<std::byte*>(call_.output) + pixel * call_.output_pixel_stride * element;
      run_(tiles);
    }
  }

  NarrowFunction run_;
  const ConvShape& shape_;
  const ConvCall& call_;
  const int64_t blocks_;
  const int64_t groups_;  // of four tiles, in a row
  const int64_t width_;   // of the padded rows
  const int64_t tile_rows_;
  PaddedTransform transform_;
  int32_t* start_;
  std::byte* tiles_;
  uint8_t* rows_;
};

}  // namespace

bool NarrowSupports(const ConvShape& shape, int max_code, int max_weight) {
  return shape.groups == 1 && shape.kernel_height == 3 && shape.kernel_width == 3 && shape.stride_height == 1 &&
         shape.stride_width == 1 && shape.dilation_height == 1 && shape.dilation_width == 1 &&
         shape.in_channels == kNarrowChannels && shape.out_channels % kNarrowChannels == 0 && max_code <= kMaxCode &&
         max_weight <= kMaxWeight;
}

double NarrowCycles(const ConvShape& shape, double tile_cycles, double block_cycles) {
  const auto tiles =
      static_cast<double>(DivideRoundUp(shape.out_height, 2) * DivideRoundUp(shape.out_width, 2 * kNarrowTiles));
  return tiles * (tile_cycles + block_cycles * static_cast<double>(shape.out_channels / kNarrowChannels));
}

size_t NarrowPackedBytes(const ConvShape& shape) {
  return static_cast<size_t>(shape.out_channels / kNarrowChannels * kNarrowBlockBytes);
}

void NarrowPack(const ConvShape& shape, const int8_t* weights, std::byte* packed) {
  for (int64_t o = 0; o < shape.out_channels; ++o) {
    std::byte* block = packed + o / kNarrowChannels * kNarrowBlockBytes;
    auto* bytes = reinterpret_cast<int8_t*>(block);
    const int64_t lane = o % kNarrowChannels;
    int sums[kPositions] = {};
    for (int64_t i = 0; i < kNarrowChannels; ++i, weights += 9) {
      for (int64_t position = 0; position < kPositions; ++position) {
        const int weight = WeightAt(weights, position / 4, position % 4);
        sums[position] += weight;
        int8_t* of_tile = bytes + ((position * 4 + i / 4) * 4 + lane / 4) * 64 + lane % 4 * 4 + i % 4;
        for (int64_t tile = 0; tile < kNarrowTiles; ++tile) of_tile[tile * 16] = static_cast<int8_t>(weight);
      }
    }
    sums[5] = 0;  // the position that is not raised by 128
    for (int64_t pixel = 0; pixel < 4; ++pixel) {
      int32_t correction = 0;
      for (int64_t position = 0; position < kPositions; ++position) {
        correction -= 128 * kA[pixel / 2][position / 4] * kA[pixel % 2][position % 4] * sums[position];
      }
      std::memcpy(block + kWeightBytes + (pixel * kNarrowChannels + lane) * 4, &correction, sizeof(correction));
    }
  }
}

void NarrowScale(const ConvShape& shape, int factor, std::byte* packed) {
  for (int64_t block = 0; block < shape.out_channels / kNarrowChannels; ++block, packed += kNarrowBlockBytes) {
    ScaleWeights({reinterpret_cast<int8_t*>(packed), kWeightBytes}, factor);
    auto* corrections = reinterpret_cast<int32_t*>(packed + kWeightBytes);
    for (int64_t i = 0; i < kCorrections; ++i) corrections[i] *= factor;
  }
}

size_t NarrowScratchBytes(const ConvShape& shape) {
  Scratch scratch(nullptr);
  const ConvCall no_call = {};
  const Runner runner(nullptr, shape, no_call, scratch);
  return scratch.bytes();
}

void NarrowRun(NarrowFunction run, const ConvShape& shape, const ConvCall& call) {
  Scratch scratch(call.scratch);
  Runner(run, shape, call, scratch).Run();
}

}  // namespace bitstage::kernels
