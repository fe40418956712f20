#include "engine/runtime/code_layout.h"

namespace bitstage {

CodeLayout CodeLayout::Of(const Shape& shape) {
  switch (shape.rank()) {
    case 0: return {};
    case 1: return {.channels = shape[0]};
    case 3: return {.height = shape[1], .width = shape[2], .channels = shape[0]};
    default: return {.height = shape[0], .channels = shape.InnerElements(0), .grid_by_pixel = true};
  }
}

Shape CodeShape(const Shape& shape) { return shape.rank() == 3 ? Shape{shape[1], shape[2], shape[0]} : shape; }

}  // namespace bitstage
