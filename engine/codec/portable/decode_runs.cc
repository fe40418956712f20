// Single symbols by one table, several a look-up: the fastest way without byte permutes over 512 bits.

#include <algorithm>
#include <bit>
#include <cstring>

#include "engine/codec/portable/kernels.h"
#include "engine/codec/run_table.h"

namespace bitstage::codec::portable {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr int kTogether = 4;  // lanes whose chains of look-ups overlap
constexpr int kLookups = 5;   // of a refill: 5 · 11 bits of 57
constexpr uint64_t kIndexMask = (uint64_t{1} << kRunBits) - 1;

struct Lane {
  int64_t at;  // bits from the stream's beginning
  uint8_t* to;
  uint8_t* end;
};

class Decoder {
 public:
  Decoder(const CellTables& tables, const uint8_t* stream, int64_t end)
      : runs_(tables.runs), tables_(tables), stream_(stream), last_byte_((end + 7) / 8 + 4 - 8) {}

  // Until one of the lanes is nearly done.
  template <int lanes>
  void Fast(Lane* lane) const {
    int64_t at[lanes];
    uint8_t* to[lanes];
    for (int l = 0; l < lanes; ++l) {
      at[l] = lane[l].at;
      to[l] = lane[l].to;
    }
    const auto goes_on = [&] {
      bool all = true;
      for (int l = 0; l < lanes; ++l) {
        all &= lane[l].end - to[l] >= kLookups * kMaxRun && at[l] >> 3 <= last_byte_;
      }
      return all;
    };
    while (goes_on()) {
      uint64_t word[lanes];
      uint64_t used[lanes] = {};
      for (int l = 0; l < lanes; ++l) {
        std::memcpy(&word[l], stream_ + (at[l] >> 3), 8);
        word[l] >>= at[l] & 7;
      }
#pragma GCC unroll 5
      for (int i = 0; i < kLookups; ++i) {
#pragma GCC unroll 8
        for (int l = 0; l < lanes; ++l) {
          const uint64_t run = runs_[word[l] & kIndexMask];
          const auto symbols = static_cast<uint32_t>(run);
          std::memcpy(to[l], &symbols, sizeof(symbols));
          word[l] >>= run >> 32 & 63;
          used[l] += run >> 32;
          to[l] += run >> 40;
        }
      }
      for (int l = 0; l < lanes; ++l) at[l] += static_cast<int64_t>(used[l] & 0xff);
    }
    for (int l = 0; l < lanes; ++l) {
      lane[l].at = at[l];
      lane[l].to = to[l];
    }
  }

  // The rest, with care: never writes beyond the lane, never reads beyond what may be read.
  void Finish(Lane& lane) const {
    while (lane.end - lane.to >= kMaxRun) {
      const uint64_t run = runs_[Word(lane) & kIndexMask];
      const auto symbols = static_cast<uint32_t>(run);
      std::memcpy(lane.to, &symbols, sizeof(symbols));
      lane.at += static_cast<int64_t>(run >> 32 & 0xff);
      lane.to += run >> 40;
    }
    while (lane.to < lane.end) {
      const DecodeEntry entry = tables_.decode[Word(lane) & ((1u << tables_.index_bits) - 1)];
      lane.at += entry.length;
      *lane.to++ = entry.first;
    }
  }

 private:
  // At least 25 bits are true ones in front of the stream's end; a lane that ran away gets some others.
  [[nodiscard]] uint64_t Word(const Lane& lane) const {
    const int64_t byte = std::min(lane.at >> 3, last_byte_);
    uint64_t word = 0;
    std::memcpy(&word, stream_ + byte, 8);
    return word >> ((lane.at - 8 * byte) & 63);
  }

  const uint64_t* runs_;
  const CellTables& tables_;
  const uint8_t* stream_;
  int64_t last_byte_;  // from where eight bytes may be read
};

}  // namespace

bool DecodeRuns(const CellTables& tables, const uint8_t* stream, const int64_t* lane_at, int64_t lanes,
                int64_t lane_rows, int64_t pixels, uint8_t* codes) {
  const Decoder decoder(tables, stream, lane_at[lanes]);
  const int64_t lane_codes = lane_rows * tables.channels;
  const int64_t all_codes = pixels * tables.channels;
  bool ends = true;
  for (int64_t first = 0; first < lanes; first += kTogether) {
    Lane lane[kTogether];
    const auto some = static_cast<int>(std::min<int64_t>(kTogether, lanes - first));
    for (int l = 0; l < some; ++l) {
      const int64_t begin = (first + l) * lane_codes;
      lane[l] = {lane_at[first + l], codes + begin, codes + std::min(begin + lane_codes, all_codes)};
    }
    if (some == kTogether) {
      decoder.Fast<kTogether>(lane);
    }
    for (int l = 0; l < some; ++l) {
      decoder.Fast<1>(lane + l);
      decoder.Finish(lane[l]);
      ends = ends && lane[l].at == lane_at[first + l + 1];
    }
  }
  return ends;
}

}  // namespace bitstage::codec::portable
