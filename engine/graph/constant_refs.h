// The constants an op refers to.
#pragma once

#include <type_traits>
#include <vector>

#include "engine/graph/ops.h"

namespace bitstage {

// Pointers to the ids in `op`, absent ones (kNoConstant) left out; valid while `op` holds the same operator.
inline std::vector<ConstantId*> ConstantRefs(Op& op) {
  std::vector<ConstantId*> ids = std::visit(
      [](auto& attributes) -> std::vector<ConstantId*> {
        using T = std::decay_t<decltype(attributes)>;
        if constexpr (std::is_same_v<T, Conv> || std::is_same_v<T, ConvTranspose> ||
                      std::is_same_v<T, FullyConnected>) {
          return {&attributes.weights, &attributes.bias};
        } else if constexpr (std::is_same_v<T, ChannelAffine>) {
          return {&attributes.scale, &attributes.shift};
        } else if constexpr (std::is_same_v<T, BinaryConstant>) {
          return {&attributes.constant};
        } else {
          return {};
        }
      },
      op);
  std::erase_if(ids, [](const ConstantId* id) { return *id == kNoConstant; });
  return ids;
}

}  // namespace bitstage
