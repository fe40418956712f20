// Models as a user names them: a .bitstage file or an ONNX file, told apart by content.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/base/thread_pool.h"
#include "engine/graph/model.h"

namespace bitstage {

// Errors name the file. A pool, where there is one, shares the unpacking of weights.
absl::StatusOr<Model> LoadModel(const std::string& path, ThreadPool* pool = nullptr);

// Sets Model::labels from a text file of class names, one a line; a leading WordNet id ("n02123045 ") is dropped, and
// Model::class_offset names "background" are put in front. INVALID_ARGUMENT where their number is not the outputs'.
absl::Status SetClassNames(const std::string& path, Model& model);

}  // namespace bitstage
