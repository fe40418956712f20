#include <array>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/base/checked_math.h"
#include "engine/base/status_macros.h"
#include "engine/codec/bit_stream.h"
#include "engine/codec/frame.h"
#include "engine/codec/frame_header.h"
#include "engine/codec/frame_streams.h"

namespace bitstage {
namespace {

using frame::Mode;

// What a channel's codes are read by: entries[next bits & mask].
struct ChannelDecoder {
  const DecodeEntry* entries;
  uint32_t mask;
  uint8_t shift;
  uint8_t max_symbol;
};

std::vector<ChannelDecoder> ChannelDecoders(const FrameBoundary& boundary, const std::vector<uint16_t>& of_channel,
                                            const std::vector<DecodeTable>& tables) {
  std::vector<ChannelDecoder> decoders;
  for (size_t i = 0; i < of_channel.size(); ++i) {
    const auto c = static_cast<int64_t>(i);
    const DecodeTable& table = tables[of_channel[i]];
    decoders.push_back({table.entries.data(), (1u << table.index_bits) - 1,
                        static_cast<uint8_t>(boundary.grid().ShiftOf(c)),
                        static_cast<uint8_t>(boundary.grid().MaxSymbol(c))});
  }
  return decoders;
}

// Tables that read a symbol as it is, at its width.
std::vector<DecodeTable> StoredTables(const TableAssignment& by_width) {
  std::vector<DecodeTable> tables;
  for (const int width : by_width.width) {
    DecodeTable table;
    table.index_bits = width;
    for (int s = 0; s < 1 << width; ++s)
      table.entries.push_back({static_cast<uint8_t>(s), static_cast<uint8_t>(width)});
    tables.push_back(std::move(table));
  }
  return tables;
}

absl::StatusOr<std::vector<DecodeTable>> InlineTables(std::span<const std::byte> nibbles,
                                                      const TableAssignment& by_width) {
  std::vector<DecodeTable> tables;
  for (const int width : by_width.width) {
    std::vector<uint8_t> lengths(size_t{1} << width);
    for (size_t s = 0; s < lengths.size(); ++s) {
      lengths[s] = std::to_integer<uint8_t>(nibbles[s / 2] >> (s % 2 * 4) & std::byte{15});
    }
    nibbles = nibbles.subspan((lengths.size() + 1) / 2);
    BITSTAGE_RETURN_IF_ERROR(ValidateLengths(lengths));
    tables.push_back(MakeDecodeTable(lengths));
  }
  return tables;
}

// A stream on its way to its pixels.
struct Lane {
  BitReader reader;
  uint8_t* out;
  int64_t pixels;
};

// Decodes `pixels` pixels of each of `lanes` streams side by side: one stream's next symbol waits for its last, so
// several keep the processor busy. False where a bit pattern is no code or a symbol is not on its channel's grid; the
// streams' ends are checked by the caller.
template <int lanes>
bool DecodePixels(Lane* lane, int64_t pixels, std::span<const ChannelDecoder> channels) {
  constexpr size_t kCodesPerRefill = BitReader::kRefilledBits / kMaxCodeLength;
  std::array<BitReader, lanes> reader;
  std::array<uint8_t*, lanes> out;
  for (int l = 0; l < lanes; ++l) {
    reader[l] = lane[l].reader;
    out[l] = lane[l].out;
  }
  bool is_valid = true;
  for (int64_t p = 0; p < pixels; ++p) {
    for (size_t c = 0; c < channels.size();) {
      for (int l = 0; l < lanes; ++l) reader[l].Refill();
      const size_t stop = std::min(channels.size(), c + kCodesPerRefill);
      for (; c < stop; ++c) {
        const ChannelDecoder channel = channels[c];
        for (int l = 0; l < lanes; ++l) {
          const DecodeEntry entry = channel.entries[reader[l].Peek() & channel.mask];
          reader[l].Consume(entry.length);
          is_valid &= entry.length != 0 && entry.symbol <= channel.max_symbol;
          *out[l]++ = static_cast<uint8_t>(entry.symbol << channel.shift);
        }
      }
    }
  }
  for (int l = 0; l < lanes; ++l) {
    lane[l].reader = reader[l];
    lane[l].out = out[l];
    lane[l].pixels -= pixels;
  }
  return is_valid;
}

bool DecodeLanes(std::span<Lane> lanes, std::span<const ChannelDecoder> channels) {
  constexpr size_t kTogether = 4;
  bool is_valid = true;
  for (size_t l = 0; l + kTogether <= lanes.size(); l += kTogether) {
    int64_t common = lanes[l].pixels;
    for (size_t i = 1; i < kTogether; ++i) common = std::min(common, lanes[l + i].pixels);
    is_valid &= DecodePixels<kTogether>(&lanes[l], common, channels);
  }
  for (Lane& lane : lanes) is_valid &= DecodePixels<1>(&lane, lane.pixels, channels);
  return is_valid;
}

absl::Status CheckEnds(std::span<const Lane> lanes, const FrameBoundary& boundary) {
  for (size_t l = 0; l < lanes.size(); ++l) {
    if (lanes[l].reader.Ended()) continue;
    return absl::DataLossError(
        absl::StrCat("frame for boundary '", boundary.name(), "': stream ", l,
                     lanes[l].reader.Overrun() ? " ends before its last code" : " has bits behind its last code"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status DecodeFrame(absl::string_view frame, const FrameBoundary& boundary, int64_t batch,
                         std::span<uint8_t> codes) {
  const std::optional<int64_t> elements = CheckedMul(batch, boundary.image_elements());
  if (batch < 1 || !elements || static_cast<size_t>(*elements) != codes.size()) {
    return absl::InvalidArgumentError(absl::StrCat("boundary '", boundary.name(), "': room for ", codes.size(),
                                                   " codes, ", batch, " images of ", boundary.image_shape().ToString(),
                                                   " expected"));
  }
  BITSTAGE_ASSIGN_OR_RETURN(const frame::Header header, frame::ParseHeader(frame, boundary));
  if (header.batch != batch) {
    return absl::InvalidArgumentError(
        absl::StrCat("frame for boundary '", boundary.name(), "' holds ", header.batch, " images, expected ", batch));
  }
  std::vector<DecodeTable> own_tables;
  if (header.mode == Mode::kStored) own_tables = StoredTables(boundary.by_width());
  if (header.mode == Mode::kInlineTables) {
    BITSTAGE_ASSIGN_OR_RETURN(own_tables, InlineTables(header.inline_lengths, boundary.by_width()));
  }
  const bool is_static = header.mode == Mode::kStaticTables;
  const std::vector<ChannelDecoder> channels = ChannelDecoders(
      boundary, is_static ? boundary.static_tables().assignment.of_channel : boundary.by_width().of_channel,
      is_static ? boundary.static_tables().decode : own_tables);

  const auto streams = static_cast<int64_t>(header.streams.size());
  const int64_t pixels = *elements / boundary.channels();
  std::vector<Lane> lanes;
  for (int64_t s = 0; s < streams; ++s) {
    const frame::PixelRange range = frame::PixelsOfStream(pixels, streams, s);
    lanes.push_back({BitReader(header.streams[static_cast<size_t>(s)]),
                     codes.data() + range.begin * boundary.channels(), range.count()});
  }
  const bool is_valid = DecodeLanes(lanes, channels);
  BITSTAGE_RETURN_IF_ERROR(CheckEnds(lanes, boundary));
  if (!is_valid) {
    return absl::DataLossError(
        absl::StrCat("frame for boundary '", boundary.name(), "' holds a code that no symbol of its channel has"));
  }
  return absl::OkStatus();
}

}  // namespace bitstage
