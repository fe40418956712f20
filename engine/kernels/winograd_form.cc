#include "engine/kernels/winograd_form.h"

namespace bitstage::kernels {
namespace {

constexpr int kTaps = 9;

}  // namespace

void WriteWinogradCorrections(const WinogradForm& form, const ConvShape& shape, int64_t lanes, const int8_t* weights,
                              int32_t* corrections) {
  for (int64_t o = 0; o < shape.out_channels; ++o) {
    int32_t sum[kTaps] = {};  // over the input channels
    for (int64_t i = 0; i < shape.in_channels; ++i) {
      for (int32_t& tap : sum) tap += *weights++;
    }
    int64_t added[kWinogradPixels] = {};
    for (int position = 0; position < form.all_positions(); ++position) {
      const int row = position / form.positions;
      const int column = position % form.positions;
      int64_t with_offset = 0;
      for (int y = form.first_code[row]; y < form.first_code[row + 1]; ++y) {
        for (int x = form.first_code[column]; x < form.first_code[column + 1]; ++x) {
          if (!form.differs[y] && !form.differs[x]) continue;
          for (int tap = 0; tap < kTaps; ++tap) {
            with_offset +=
                form.from_weights[form.weight[y]][tap / 3] * form.from_weights[form.weight[x]][tap % 3] * sum[tap];
          }
        }
      }
      for (int pixel = 0; pixel < kWinogradPixels; ++pixel) {
        added[pixel] += form.to_outputs[pixel / 2][row] * form.to_outputs[pixel % 2][column] * with_offset;
      }
    }
    for (int pixel = 0; pixel < kWinogradPixels; ++pixel) {
      corrections[pixel * lanes + o] = static_cast<int32_t>(added[pixel]);
    }
  }
}

}  // namespace bitstage::kernels
