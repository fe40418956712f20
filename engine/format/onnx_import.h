// ONNX import: from bytes nobody vouches for to a validated float Model.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/graph/model.h"

namespace bitstage {

// The operators that ImportOnnx takes, sorted, for messages and documentation.
std::span<const absl::string_view> SupportedOnnxOperators();

// Opsets 9 to 21. Shape arithmetic is folded, the batch dimension removed (see Shape); no other rewriting: run
// engine/graph/passes on the result. The metadata entry `preprocess` (JSON, as in the model zoo of this project)
// becomes Model::preprocessing. INVALID_ARGUMENT: not an ONNX model, inconsistent, or over a limit. UNIMPLEMENTED: an
// operator, attribute or opset we do not have; the message names node, operator, opset, and for operators the list of
// what is supported.
absl::StatusOr<Model> ImportOnnx(std::span<const std::byte> bytes, absl::string_view name);

// The same for a file; also fills Provenance::source_file and source_sha256. Errors name the file.
absl::StatusOr<Model> ImportOnnxFile(const std::string& path);

}  // namespace bitstage
