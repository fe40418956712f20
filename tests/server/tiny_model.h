// A model whose answers can be told in the head: the sum of each colour's pixels, and which is the highest.
//
// Input "image" FP32 3 x 4 x 4 (pixels 0 to 255 as they are; pictures are stretched to 4 x 4); outputs "scores" FP32 3
// and "class" INT64 1; labels red, green, blue.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "engine/graph/model.h"

namespace bitstage::server {

Model TinyModel();

// TinyModel in a file, its folders made.
absl::Status WriteTinyModel(const std::string& path);

}  // namespace bitstage::server
