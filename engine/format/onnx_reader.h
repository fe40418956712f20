// From protobuf bytes to plain structs that later code need not doubt: every tensor has as many elements as its
// dimensions say, every attribute has a type we know, names are short and printable, counts are below the limits.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/tensor/tensor.h"

namespace bitstage {

// Shared because a constant often stands under several names and in several operators.
using OnnxConstant = std::shared_ptr<const Tensor>;

struct OnnxAttribute {
  std::string name;
  std::variant<int64_t, float, std::string, std::vector<int64_t>, std::vector<float>, OnnxConstant> value;
};

struct OnnxNode {
  std::string name;    // never empty: the first output's name, or its position, stands in
  std::string domain;  // empty for the standard operators
  std::string op_type;
  std::vector<std::string> inputs;  // an empty name: an optional input that is left out
  std::vector<std::string> outputs;
  std::vector<OnnxAttribute> attributes;
};

struct OnnxInput {
  std::string name;
  std::vector<int64_t> dims;  // with the batch; -1: free
};

struct OnnxModel {
  int64_t opset = 0;
  std::vector<OnnxNode> nodes;
  std::vector<std::pair<std::string, OnnxConstant>> initializers;
  std::vector<OnnxInput> inputs;  // float32, without those that are initializers
  std::vector<std::string> outputs;
  std::map<std::string, std::string> metadata;
};

inline constexpr int64_t kMinOnnxOpset = 9;
inline constexpr int64_t kMaxOnnxOpset = 21;

// INVALID_ARGUMENT or UNIMPLEMENTED (opset, element type, external data, subgraphs) naming the field and its owner.
absl::StatusOr<OnnxModel> ReadOnnx(std::span<const std::byte> bytes);

}  // namespace bitstage
