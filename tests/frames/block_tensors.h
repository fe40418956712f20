// Real boundary tensors: the outputs of a network's blocks, run by FloatExecutor on real images and quantized.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/tensor/grid.h"
#include "engine/tensor/shape.h"

namespace bitstage {

struct BlockTensor {
  std::string name;
  Shape shape;  // of one image in code layout
  Grid grid;
  std::vector<uint8_t> calibration;  // codes of the images that calibrate, in code layout
  std::vector<uint8_t> codes;        // of others
};

struct BlockImages {
  int calibration;  // a data set's first
  int coded = 1;    // those behind them
};

// Every block output of the network (an ONNX file) on the unsigned grid of `bits` bits, a step a channel by MSE.
absl::StatusOr<std::vector<BlockTensor>> BlockTensors(const std::string& network, const std::string& images, int bits,
                                                      BlockImages count);

}  // namespace bitstage
