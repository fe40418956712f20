// Colour orders of decoded images.
#pragma once

#include "engine/image/image.h"

namespace bitstage {

// `image`, which is in order `from`, in order `to`. Colour becomes grey as luma (ITU-R BT.601), grey becomes three
// equal channels. Requires the channels of `from`.
Image InColorOrder(Image image, ColorOrder from, ColorOrder to);

}  // namespace bitstage
