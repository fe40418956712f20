// Arrays that numpy saved, for tests against reference outputs.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "engine/tensor/tensor.h"

namespace bitstage {

// Array `name` of an .npz file (a zip of .npy, stored or deflated). Little-endian, C order, of type <f4, |u1 or <i2
// (which becomes INT32).
absl::StatusOr<Tensor> ReadNpz(const std::string& path, const std::string& name);

}  // namespace bitstage
