// Intersection over union of label maps, how well two agree, and how sure that is.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "absl/functional/function_ref.h"
#include "engine/data/metrics.h"
#include "engine/image/label_map.h"

namespace bitstage {

// For every pixel the channel with the largest value, the lowest of equals: channels x pixels floats become pixels
// labels. Requires 1 <= channels <= 256 and scores.size() a multiple of it.
std::vector<uint8_t> ArgMaxMap(std::span<const float> scores, int channels);

// A label for every label: how a network's classes become those of the ground truth.
using LabelTable = std::array<uint8_t, 256>;

// `predicted` becomes `label`, all others 0: for networks that know one class only.
LabelTable OnlyClass(uint8_t predicted, uint8_t label);
void Relabel(std::span<uint8_t> map, const LabelTable& table);

// Counts over any number of images. A pixel whose truth is kIgnoreLabel does not count, whatever was predicted.
class IouCounts {
 public:
  // Maps of equally many pixels; returns false, counting nothing, where they are not.
  [[nodiscard]] bool Add(std::span<const uint8_t> truth, std::span<const uint8_t> predicted);
  IouCounts& operator+=(const IouCounts& more);
  IouCounts& operator-=(const IouCounts& some);  // that were added before

  // Of one class over all images; nullopt where it was neither present nor predicted.
  [[nodiscard]] std::optional<double> Iou(uint8_t label) const;
  // The mean over those of `labels` that have one; 0 where none has.
  [[nodiscard]] double MeanIou(std::span<const uint8_t> labels) const;
  // Over all classes that the truth holds, 0 (background) included.
  [[nodiscard]] double MeanIou() const;
  [[nodiscard]] bool InTruth(uint8_t label) const { return counts_[label].truth != 0; }
  // Share of the counted pixels that were right.
  [[nodiscard]] double PixelAccuracy() const;

 private:
  void Add(const IouCounts& other, int sign);

  struct Count {
    int64_t truth = 0;
    int64_t predicted = 0;
    int64_t both = 0;
  };
  std::array<Count, 256> counts_{};
};

// Of all images.
IouCounts Sum(std::span<const IouCounts> images);

// Interval of 95 % of iou(all candidates) − iou(all references), image by image on the same ones, as far as chance
// chose the images: the jackknife's (Tukey 1958), of the differences that are found with one image left out. [−1, 1]
// for less than two images.
Interval IouDifferenceInterval(std::span<const IouCounts> reference, std::span<const IouCounts> candidate,
                               absl::FunctionRef<double(const IouCounts&)> iou);

// On how many pixels two maps agree, those without a truth included.
struct PixelAgreement {
  int64_t pixels = 0;
  int64_t agreeing = 0;

  // Requires maps of equally many pixels.
  void Add(std::span<const uint8_t> reference, std::span<const uint8_t> candidate);
  [[nodiscard]] double Share() const {
    return pixels == 0 ? 0.0 : static_cast<double>(agreeing) / static_cast<double>(pixels);
  }
};

}  // namespace bitstage
