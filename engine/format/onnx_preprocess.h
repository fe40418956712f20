// The metadata entry `preprocess` of this project's model zoo: a JSON object that says how pixels become the input.
//
//   color     "RGB", "BGR" or "gray"
//   formula   linear in the 8-bit value x: "(x/255 - mean)/std", "x/127.5 - 1", "(x-128)/128", "x - mean", "x*0.0039",
//   "x";
//             a remark in parentheses may follow
//   mean, std arrays, where the formula names them
//   size      the input's side, for networks of photos
//   geometry  absent: the usual centre crop where `size` is given, else stretched; or a sentence with "longer side" and
//             "N-filled" (letterbox), or with "square crop"
#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/tensor/preprocessing.h"
#include "engine/tensor/shape.h"

namespace bitstage {

// `input`: C x H x W of the network. INVALID_ARGUMENT naming the field.
absl::StatusOr<Preprocessing> ParseOnnxPreprocess(absl::string_view json, const Shape& input);

}  // namespace bitstage
