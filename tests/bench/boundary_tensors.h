// Real boundary tensors: the outputs of a network's blocks, run by FloatExecutor on real images and quantized.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/tensor/grid.h"
#include "engine/tensor/shape.h"

namespace bitstage {

struct BoundaryTensor {
  std::string name;
  Shape shape;  // of one image in code layout
  Grid grid;
  std::vector<uint8_t> calibration;  // codes of `calibration_images`, in code layout
  std::vector<uint8_t> codes;        // of one other image
};

// Every block output of the network (an ONNX file) on the unsigned grid of `bits` bits, a step a channel by MSE. The
// data set's first `calibration_images` images calibrate, the one behind them is what is coded.
absl::StatusOr<std::vector<BoundaryTensor>> BlockTensors(const std::string& network, const std::string& images,
                                                         int bits, int calibration_images);

}  // namespace bitstage
