// The fastest way without wide registers.
#include "engine/codec/portable/kernels.h"
#include "engine/codec/portable/runs.h"

namespace bitstage::codec::portable {

bool DecodeRuns(const CellTables& tables, const uint8_t* stream, const int64_t* lane_at, int64_t lanes,
                int64_t lane_rows, int64_t pixels, uint8_t* codes) {
  constexpr int kTogether = 4;
  const RunDecoder decoder(tables, stream, lane_at[lanes]);
  const int64_t lane_codes = lane_rows * tables.channels;
  const int64_t all_codes = pixels * tables.channels;
  bool ends = true;
  for (int64_t first = 0; first < lanes; first += kTogether) {
    Chain lane[kTogether];
    const auto some = static_cast<int>(std::min<int64_t>(kTogether, lanes - first));
    for (int l = 0; l < some; ++l) {
      const int64_t begin = (first + l) * lane_codes;
      lane[l] = {lane_at[first + l], codes + begin, codes + std::min(begin + lane_codes, all_codes)};
    }
    if (some == kTogether) {
      decoder.Together<kTogether>(lane);
      decoder.Together<kTogether, 1>(lane);
    }
    for (int l = 0; l < some; ++l) {
      decoder.Finish(lane[l]);
      ends = ends && lane[l].at == lane_at[first + l + 1];
    }
  }
  return ends;
}

}  // namespace bitstage::codec::portable
