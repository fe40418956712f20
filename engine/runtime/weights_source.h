// WeightsSource: the codes of weights while a model is compiled: the model's own, or read a layer at a time.
// WeightsRoom: where one thread reads them to.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/graph/graph.h"

namespace bitstage {

class WeightsRoom {
 private:
  friend class WeightsSource;
  // More than glibc's malloc ever takes from a heap: pages take memory once they are written, and go back with the
  // room. A heap would keep them: that of a thread is not trimmed.
  static constexpr size_t kOwnMapping = size_t{40} << 20;
  WeightCodes weights_;
};

class WeightsSource {
 public:
  using Read = std::function<absl::Status(ConstantId, WeightCodes&)>;  // CompileOptions::read_codes

  // Both must outlive the source. `read` is empty where the graph has codes.
  WeightsSource(const Graph& graph, const Read& read) : graph_(graph), read_(read) {}

  // The constant's weights with their codes: in the graph, or in `room` until that is used again.
  [[nodiscard]] absl::StatusOr<const WeightCodes*> Get(ConstantId id, WeightsRoom& room) const {
    const WeightCodes& weights = *graph_.constant(id).codes;
    if (!read_) return &weights;
    std::vector<int8_t> codes = std::move(room.weights_.codes);
    codes.reserve(WeightsRoom::kOwnMapping);
    room.weights_ = weights;
    room.weights_.codes = std::move(codes);
    if (const absl::Status status = read_(id, room.weights_); !status.ok()) return status;
    return &room.weights_;
  }

 private:
  const Graph& graph_;
  const Read& read_;
};

}  // namespace bitstage
