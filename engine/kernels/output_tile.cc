#include "engine/kernels/output_tile.h"

namespace bitstage::kernels {

OutputTransform From(const OutputTransform& transform, int64_t channel) {
  OutputTransform from = transform;
  from.mult += channel;
  from.add += channel;
  if (from.residual_mult != nullptr) from.residual_mult += channel;
  from.low += channel;
  from.high += channel;
  if (from.shift != nullptr) from.shift += channel;
  from.lanes = 0;
  if (from.low_codes != nullptr) from.low_codes += channel;
  if (from.high_codes != nullptr) from.high_codes += channel;
  return from;
}

OutputTile TileAt(const ConvCall& call, int64_t pixel, int64_t channel) {
  OutputTile tile = {};
  tile.transform = From(call.transform, channel);
  tile.residual_pixel_stride = call.residual_pixel_stride;
  if (call.residual != nullptr) tile.residual = call.residual + pixel * call.residual_pixel_stride + channel;
  tile.output_pixel_stride = call.output_pixel_stride;
  const int64_t element = pixel * call.output_pixel_stride + channel;
  if (call.transform.to_float) {
    tile.output = static_cast<float*>(call.output) + element;
  } else {
    tile.output = static_cast<uint8_t*>(call.output) + element;
  }
  return tile;
}

}  // namespace bitstage::kernels
