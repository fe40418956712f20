// Models as a user names them: a .bitstage file or an ONNX file, told apart by content.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/base/thread_pool.h"
#include "engine/graph/model.h"
#include "engine/runtime/executable.h"

namespace bitstage {

// Errors name the file. A pool, where there is one, shares the unpacking of weights.
absl::StatusOr<Model> LoadModel(const std::string& path, ThreadPool* pool = nullptr);

// A .bitstage file made ready to run, layer by layer, so that its codes are never all in memory. FAILED_PRECONDITION
// for a float model, saying how to quantize it.
absl::StatusOr<std::shared_ptr<const Executable>> LoadExecutable(const std::string& path, ThreadPool* pool);

// Sets Model::labels from a text file of class names, one a line; a leading WordNet id ("n02123045 ") is dropped, and
// Model::class_offset names "background" are put in front. INVALID_ARGUMENT where their number is not the outputs'.
absl::Status SetClassNames(const std::string& path, Model& model);

}  // namespace bitstage
