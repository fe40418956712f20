// The sections of a .bitstage file and the Model they stand for.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "engine/format/model_constants.h"
#include "engine/format/model_container.h"
#include "engine/format/model_format.h"
#include "engine/graph/model.h"

namespace bitstage {

struct ModelBytes {
  std::string meta;
  std::string weights;
  std::string floats;
  uint32_t version = model_format::kFirstVersion;  // the oldest whose readers understand them
};

// Requires a graph that Validate takes. Equal models give equal bytes.
ModelBytes SerializeModel(const Model& model);

// All but the codes of weights is checked. INVALID_ARGUMENT or DATA_LOSS naming section and field. Allocates no more
// than a small multiple of the sections' sizes, which must stay where they are while codes are unpacked.
absl::StatusOr<PackedModel> DeserializeModel(const ModelSections& sections);

}  // namespace bitstage
