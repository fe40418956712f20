// Random layers, seeded: shapes, codes, weights and output transforms whose results spread over the codes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/kernels/params.h"
#include "engine/kernels/words.h"
#include "tests/kernels/random.h"
#include "tests/kernels/random_transform.h"

namespace bitstage::kernels {

// A convolution with all it reads. `output` is what a kernel writes to: bytes of kUntouched, to be compared whole.
struct ConvCase {
  static constexpr uint8_t kUntouched = 0xa5;

  ConvShape shape = {};
  int max_code = 255;
  int max_weight = 127;
  uint8_t zero_point = 0;
  bool to_float = false;
  bool prepared = false;  // the kernel is told all that may be known beforehand of the output transform
  int64_t input_pixel_stride = 0;
  int64_t residual_pixel_stride = 0;
  int64_t output_pixel_stride = 0;
  int64_t row_begin = 0, row_end = 0;
  std::vector<uint8_t> input;
  std::vector<int8_t> weights;
  std::vector<int32_t> acc_init;
  std::vector<uint8_t> residual;
  TransformArrays transform;

  struct Bounds {
    int max_code;
    int max_weight;
    int weight_values = 0;  // different ones at a kernel position; 0: any count
  };

  // Fills everything behind a shape.
  static ConvCase Make(Random& random, const ConvShape& shape);
  static ConvCase Make(Random& random, const ConvShape& shape, const Bounds& bounds);
  [[nodiscard]] std::string Describe() const;
  // The words by which `kernel` turns accumulators into codes, if the case is prepared, it knows them, and they exist.
  [[nodiscard]] std::optional<Words> WordsFor(const ConvKernel& kernel) const;
  // A call's packed weights, acc_init and transform.
  struct Constants {
    std::vector<int32_t> acc_init;
    TransformArrays arrays;
    OutputTransform view;
    int max_weight;
  };
  // Packs the weights for `kernel`, and scales them where there are words.
  [[nodiscard]] Constants Prepare(const ConvKernel& kernel, std::byte* packed) const;
  // The output buffer after `kernel` ran on it.
  [[nodiscard]] std::vector<uint8_t> Run(const ConvKernel& kernel) const;
  // Whether every byte of `output` outside the rows and channels of the call is as it was.
  [[nodiscard]] bool OutsideIsUntouched(const std::vector<uint8_t>& output) const;
};

// A shape of any kind: dense, grouped, depthwise, fully connected; small enough for the slow reference.
ConvShape RandomShape(Random& random);
// 3 x 3, of any edges: small, now and then wide or high, with more padding or less than keeps its size.
ConvShape RandomThreeByThree(Random& random, int64_t stride);

}  // namespace bitstage::kernels
