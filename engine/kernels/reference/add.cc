#include <cmath>

#include "engine/kernels/reference/reference.h"

namespace bitstage::kernels::reference {

void Add(const AddCall& call) {
  for (int64_t pixel = 0; pixel < call.pixels; ++pixel) {
    const uint8_t* a = call.a + pixel * call.a_pixel_stride;
    const uint8_t* b = call.b + pixel * call.b_pixel_stride;
    uint8_t* output = call.output + pixel * call.output_pixel_stride;
    for (int64_t c = 0; c < call.channels; ++c) {
      float t = std::fma(static_cast<float>(a[c]), call.mult_a[c], call.transform.add[c]);
      t = std::fma(static_cast<float>(b[c]), call.transform.mult[c], t);
      output[c] = Code(call.transform, c, t);
    }
  }
}

}  // namespace bitstage::kernels::reference
