// A small convolutional network, quantized as `bitstage-model quantize` does, entropy tables of its cuts included.
#pragma once

#include "engine/graph/model.h"

namespace bitstage::server {

// "net": FP32 3 x 24 x 24 to FP32 10, labels c0 … c9; may be cut into four stages and more.
Model SmallNetwork();

}  // namespace bitstage::server
