// The constants of a .bitstage file. The codes of weights stay as they lie in WEIGHTS until they are wanted: in a byte
// each they take several times the file.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/format/model_container.h"
#include "engine/graph/model.h"

namespace bitstage::model::v1 {
class Graph;
}

namespace bitstage {

// Of one constant; empty where that is of floats.
struct PackedCodes {
  bool huffman = false;
  std::span<const std::byte> bytes;  // of the file
};

struct PackedModel {
  Model model;                     // without the codes of its weights
  std::vector<PackedCodes> codes;  // by ConstantId

  // The codes of a constant, checked, to `weights`, whose other members are the constant's. Thread-safe. DATA_LOSS or
  // INVALID_ARGUMENT, naming the constant.
  absl::Status Unpack(ConstantId id, WeightCodes& weights) const;
};

// Adds the constants to `graph`. INVALID_ARGUMENT naming constant and field; allocates no more than a small multiple of
// the sections' sizes.
absl::StatusOr<std::vector<PackedCodes>> ReadConstants(const model::v1::Graph& proto, const ModelSections& sections,
                                                       Graph& graph);

}  // namespace bitstage
