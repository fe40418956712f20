// What a network in training is worth on the images that are held back from training.
#pragma once

#include <optional>

namespace bitstage {

struct HeldBackScore {
  double agreement = 0;            // share of images decided as the float network decides them
  std::optional<double> accuracy;  // where there are labels
};

}  // namespace bitstage
