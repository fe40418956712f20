#include <algorithm>
#include <array>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "engine/base/checked_math.h"
#include "engine/base/status_macros.h"
#include "engine/image/image.h"
#include "engine/image/label_map.h"
#include "engine/image/resample.h"

namespace bitstage {
namespace {

// A side of a network's input is far below this; a product of three such sides fits in int64.
constexpr int kMaxInputSide = 1 << 16;

absl::Status Check(const Preprocessing& preprocessing) {
  const auto bad = [](auto&&... parts) {
    return absl::InvalidArgumentError(absl::StrCat("preprocessing: ", parts...));
  };
  if (preprocessing.width < 1 || preprocessing.height < 1 || preprocessing.width > kMaxInputSide ||
      preprocessing.height > kMaxInputSide) {
    return bad("input of ", preprocessing.width, " x ", preprocessing.height, " pixels");
  }
  if (preprocessing.resize_shorter < 0 || preprocessing.resize_shorter > kMaxInputSide) {
    return bad("resize_shorter is ", preprocessing.resize_shorter);
  }
  if (preprocessing.pad_value < 0 || preprocessing.pad_value > 255)
    return bad("pad_value is ", preprocessing.pad_value);
  if (!std::isfinite(preprocessing.scale)) return bad("scale is not finite");
  const size_t channels = static_cast<size_t>(preprocessing.channels());
  for (const std::vector<float>* values : {&preprocessing.mean, &preprocessing.std}) {
    const absl::string_view name = values == &preprocessing.mean ? "mean" : "std";
    if (values->size() != 1 && values->size() != channels) {
      return bad(name, " has ", values->size(), " entries; expected 1 or ", channels);
    }
    for (const float value : *values) {
      if (!std::isfinite(value) || (values == &preprocessing.std && value == 0.0f)) return bad(name, " holds ", value);
    }
  }
  return absl::OkStatus();
}

absl::Status Check(const Image& image, int channels) {
  const std::optional<int64_t> size = CheckedProduct(std::array<int64_t, 3>{image.width, image.height, image.channels});
  if (image.width < 1 || image.height < 1 || image.channels != channels || !size ||
      image.pixels.size() != static_cast<size_t>(*size)) {
    return absl::InvalidArgumentError(absl::StrCat("image: expected ", channels, " channels, got ", image.width, " x ",
                                                   image.height, " x ", image.channels, " in ", image.pixels.size(),
                                                   " bytes"));
  }
  return absl::OkStatus();
}

// a · b / c, rounded to nearest, at least 1.
int Scaled(int a, int b, int c) {
  return static_cast<int>(std::clamp<int64_t>((int64_t{a} * b + c / 2) / c, 1, INT32_MAX));
}

AxisMapping Centred(int source, int size, int count) { return {0, source, size, (size - count) / 2, count}; }

struct ImageGeometry {
  AxisMapping x;
  AxisMapping y;
};

ImageGeometry CenterCrop(int width, int height, const Preprocessing& preprocessing) {
  const int shorter = std::min(width, height);
  const bool covers = width >= preprocessing.width && height >= preprocessing.height;
  if (covers && shorter <= preprocessing.resize_shorter) {
    return {Centred(width, width, preprocessing.width), Centred(height, height, preprocessing.height)};
  }
  // The factor resize_shorter / shorter, or whatever larger one it takes to cover the crop.
  int target = preprocessing.resize_shorter;
  int source = shorter;
  for (const auto& [wanted, side] : {std::pair{preprocessing.width, width}, std::pair{preprocessing.height, height}}) {
    if (int64_t{wanted} * source > int64_t{target} * side) {
      target = wanted;
      source = side;
    }
  }
  return {Centred(width, std::max(Scaled(width, target, source), preprocessing.width), preprocessing.width),
          Centred(height, std::max(Scaled(height, target, source), preprocessing.height), preprocessing.height)};
}

ImageGeometry Letterbox(int width, int height, const Preprocessing& preprocessing) {
  const bool wide = int64_t{width} * preprocessing.height >= int64_t{height} * preprocessing.width;
  const int scaled_width = wide ? preprocessing.width : Scaled(width, preprocessing.height, height);
  const int scaled_height = wide ? Scaled(height, preprocessing.width, width) : preprocessing.height;
  return {{0, width, scaled_width, 0, std::min(scaled_width, preprocessing.width)},
          {0, height, scaled_height, 0, std::min(scaled_height, preprocessing.height)}};
}

ImageGeometry GeometryOf(int width, int height, const Preprocessing& preprocessing) {
  switch (preprocessing.geometry) {
    case Geometry::kStretch: break;
    case Geometry::kCenterCrop: return CenterCrop(width, height, preprocessing);
    case Geometry::kLetterbox: return Letterbox(width, height, preprocessing);
    case Geometry::kCropSquare: {
      const int side = std::min(width, height);
      return {{(width - side) / 2, side, preprocessing.width, 0, preprocessing.width},
              {(height - side) / 2, side, preprocessing.height, 0, preprocessing.height}};
    }
  }
  return {Centred(width, preprocessing.width, preprocessing.width),
          Centred(height, preprocessing.height, preprocessing.height)};
}

// (x · scale − mean) / std for the 256 values of x.
std::array<float, 256> NormalisationTable(const Preprocessing& preprocessing, size_t channel) {
  const auto of = [channel](const std::vector<float>& values) {
    return values.size() == 1 ? values[0] : values[channel];
  };
  std::array<float, 256> table;
  for (size_t x = 0; x < table.size(); ++x) {
    table[x] = (static_cast<float>(x) * preprocessing.scale - of(preprocessing.mean)) / of(preprocessing.std);
  }
  return table;
}

absl::Status CheckOutput(size_t size, int64_t channels, const Preprocessing& preprocessing) {
  const int64_t expected = channels * preprocessing.width * preprocessing.height;
  if (size == static_cast<size_t>(expected)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("preprocessing: output of ", size, " elements; expected ", channels,
                                                 "x", preprocessing.height, "x", preprocessing.width));
}

}  // namespace

absl::Status PreprocessInto(const Image& image, const Preprocessing& preprocessing, std::span<float> output) {
  BITSTAGE_RETURN_IF_ERROR(Check(preprocessing));
  BITSTAGE_RETURN_IF_ERROR(Check(image, preprocessing.channels()));
  BITSTAGE_RETURN_IF_ERROR(CheckOutput(output.size(), preprocessing.channels(), preprocessing));
  const ImageGeometry geometry = GeometryOf(image.width, image.height, preprocessing);
  // Networks fed by a cropped square were trained on Lanczos reductions (resample.h has the measurements).
  const Filter filter = preprocessing.geometry == Geometry::kCropSquare ? Filter::kLanczos3 : Filter::kTriangle;
  const Image placed = Resample(image, geometry.x, geometry.y, filter);

  const size_t channels = static_cast<size_t>(image.channels);
  const size_t width = static_cast<size_t>(preprocessing.width);
  const size_t plane = width * static_cast<size_t>(preprocessing.height);
  const size_t placed_width = static_cast<size_t>(placed.width);
  for (size_t c = 0; c < channels; ++c) {
    const std::array<float, 256> table = NormalisationTable(preprocessing, c);
    const std::span<float> target = output.subspan(c * plane, plane);
    if (placed_width * static_cast<size_t>(placed.height) != plane) {
      std::fill(target.begin(), target.end(), table[static_cast<size_t>(preprocessing.pad_value)]);
    }
    const uint8_t* source = placed.pixels.data() + c;
    for (size_t y = 0; y < static_cast<size_t>(placed.height); ++y) {
      for (size_t x = 0; x < placed_width; ++x, source += channels) target[y * width + x] = table[*source];
    }
  }
  return absl::OkStatus();
}

absl::Status PreprocessLabelMapInto(const Image& map, const Preprocessing& preprocessing, std::span<uint8_t> output) {
  BITSTAGE_RETURN_IF_ERROR(Check(preprocessing));
  BITSTAGE_RETURN_IF_ERROR(Check(map, 1));
  BITSTAGE_RETURN_IF_ERROR(CheckOutput(output.size(), 1, preprocessing));
  const ImageGeometry geometry = GeometryOf(map.width, map.height, preprocessing);
  const Image placed = ResampleNearest(map, geometry.x, geometry.y);
  std::fill(output.begin(), output.end(), kIgnoreLabel);
  const size_t placed_width = static_cast<size_t>(placed.width);
  for (size_t y = 0; y < static_cast<size_t>(placed.height); ++y) {
    std::copy_n(&placed.pixels[y * placed_width], placed_width, &output[y * static_cast<size_t>(preprocessing.width)]);
  }
  return absl::OkStatus();
}

}  // namespace bitstage
