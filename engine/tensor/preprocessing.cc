#include "engine/tensor/preprocessing.h"

namespace bitstage {

absl::string_view Name(ColorOrder color) {
  switch (color) {
    case ColorOrder::kRgb: return "RGB";
    case ColorOrder::kBgr: return "BGR";
    case ColorOrder::kGray: return "gray";
  }
  return "?";
}

absl::string_view Name(Geometry geometry) {
  switch (geometry) {
    case Geometry::kStretch: return "stretch";
    case Geometry::kCenterCrop: return "center_crop";
    case Geometry::kCropSquare: return "crop_square";
    case Geometry::kLetterbox: return "letterbox";
  }
  return "?";
}

}  // namespace bitstage
