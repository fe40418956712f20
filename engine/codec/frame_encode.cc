#include <algorithm>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/base/checked_math.h"
#include "engine/base/crc32c.h"
#include "engine/codec/bit_stream.h"
#include "engine/codec/frame.h"
#include "engine/codec/frame_format.h"
#include "engine/codec/frame_streams.h"

namespace bitstage {
namespace {

using frame::Mode;

// counts[table][symbol] over all codes; INVALID_ARGUMENT for a code that is not on the grid.
absl::StatusOr<std::vector<std::vector<uint64_t>>> CountSymbols(const FrameBoundary& boundary,
                                                                std::span<const uint8_t> codes) {
  const auto channels = static_cast<size_t>(boundary.channels());
  const TableAssignment& by_width = boundary.by_width();
  std::vector<std::vector<uint64_t>> counts(by_width.width.size(), std::vector<uint64_t>(256));
  const Grid& grid = boundary.grid();
  const bool is_uniform = grid.bits.size() == 1 && grid.shift.size() == 1;
  const auto off_grid = [&](size_t i) {
    const auto c = static_cast<int64_t>(i % channels);
    return absl::InvalidArgumentError(absl::StrCat("boundary '", boundary.name(), "': code ", codes[i], " at ", i,
                                                   " is not on the grid of channel ", c, " (", grid.BitsOf(c),
                                                   " bits shifted by ", grid.ShiftOf(c), ")"));
  };
  for (size_t i = 0, c = 0; i < codes.size(); ++i) {
    const auto channel = static_cast<int64_t>(is_uniform ? 0 : c);
    const int shift = grid.ShiftOf(channel);
    const int symbol = codes[i] >> shift;
    if (symbol << shift != codes[i] || symbol > grid.MaxSymbol(channel)) return off_grid(i);
    ++counts[by_width.of_channel[c]][static_cast<size_t>(symbol)];
    if (++c == channels) c = 0;
  }
  for (size_t t = 0; t < counts.size(); ++t) counts[t].resize(size_t{1} << by_width.width[t]);
  return counts;
}

// What a channel's codes are written by: entries[code >> shift].
struct ChannelEncoder {
  const EncodeEntry* entries;
  int shift;
};

std::vector<ChannelEncoder> ChannelEncoders(const FrameBoundary& boundary, const std::vector<uint16_t>& of_channel,
                                            const std::vector<std::vector<EncodeEntry>>& tables) {
  std::vector<ChannelEncoder> encoders;
  for (size_t c = 0; c < of_channel.size(); ++c) {
    encoders.push_back({tables[of_channel[c]].data(), boundary.grid().ShiftOf(static_cast<int64_t>(c))});
  }
  return encoders;
}

// Tables that write a symbol as it is, at its width.
std::vector<std::vector<EncodeEntry>> StoredTables(const TableAssignment& by_width) {
  std::vector<std::vector<EncodeEntry>> tables;
  for (const int width : by_width.width) {
    tables.emplace_back();
    for (int s = 0; s < 1 << width; ++s) {
      tables.back().push_back({static_cast<uint16_t>(s), static_cast<uint16_t>(width)});
    }
  }
  return tables;
}

int64_t BitsOf(std::span<const uint8_t> codes, const std::vector<ChannelEncoder>& encoders) {
  int64_t bits = 0;
  bool complete = true;
  for (size_t i = 0; i < codes.size();) {
    for (size_t c = 0; c < encoders.size(); ++c, ++i) {
      const int length = encoders[c].entries[codes[i] >> encoders[c].shift].length;
      complete &= length != 0;
      bits += length;
    }
  }
  return complete ? bits : -1;
}

void WriteStream(std::span<const uint8_t> codes, const std::vector<ChannelEncoder>& encoders, BitWriter& writer) {
  for (size_t i = 0; i < codes.size();) {
    for (const ChannelEncoder& encoder : encoders) {
      const EncodeEntry entry = encoder.entries[codes[i++] >> encoder.shift];
      writer.Write(entry.bits, entry.length);
    }
  }
}

template <typename T>
void Put(std::string& bytes, size_t at, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) bytes[at + i] = static_cast<char>(value >> (8 * i) & 0xff);
}

// How one frame is coded.
struct Choice {
  Mode mode = Mode::kStored;
  std::vector<ChannelEncoder> encoders;
  std::vector<std::vector<EncodeEntry>> own_tables;  // what encoders point to where they are not the boundary's
  std::vector<std::vector<uint8_t>> inline_lengths;
  size_t tables = 0;
  int64_t payload_bits = 0;

  [[nodiscard]] size_t InlineBytes() const {
    size_t bytes = 0;
    for (const std::vector<uint8_t>& lengths : inline_lengths) bytes += (lengths.size() + 1) / 2;
    return bytes;
  }
  [[nodiscard]] int64_t Bits() const { return payload_bits + static_cast<int64_t>(8 * InlineBytes()); }
};

Choice Stored(const FrameBoundary& boundary, const std::vector<std::vector<uint64_t>>& counts) {
  Choice choice;
  choice.own_tables = StoredTables(boundary.by_width());
  for (size_t t = 0; t < counts.size(); ++t) {
    for (const uint64_t count : counts[t]) {
      choice.payload_bits += static_cast<int64_t>(count) * boundary.by_width().width[t];
    }
  }
  choice.encoders = ChannelEncoders(boundary, boundary.by_width().of_channel, choice.own_tables);
  return choice;
}

Choice Inline(const FrameBoundary& boundary, const std::vector<std::vector<uint64_t>>& counts) {
  Choice choice;
  choice.mode = Mode::kInlineTables;
  choice.tables = counts.size();
  for (const std::vector<uint64_t>& of_table : counts) {
    choice.inline_lengths.push_back(*HuffmanLengths(of_table, kMaxCodeLength));
    choice.own_tables.push_back(EncodeTable(choice.inline_lengths.back()));
    choice.payload_bits += CodedBits(of_table, choice.inline_lengths.back());
  }
  choice.encoders = ChannelEncoders(boundary, boundary.by_width().of_channel, choice.own_tables);
  return choice;
}

Choice Static(const FrameBoundary& boundary, std::span<const uint8_t> codes) {
  Choice choice;
  choice.mode = Mode::kStaticTables;
  choice.tables = boundary.static_tables().encode.size();
  choice.encoders =
      ChannelEncoders(boundary, boundary.static_tables().assignment.of_channel, boundary.static_tables().encode);
  choice.payload_bits = BitsOf(codes, choice.encoders);
  return choice;
}

// The smallest of what `coding` allows; stored symbols are always there to fall back on.
Choice Choose(const FrameBoundary& boundary, std::span<const uint8_t> codes,
              const std::vector<std::vector<uint64_t>>& counts, FrameCoding coding) {
  Choice best = Stored(boundary, counts);
  if (coding == FrameCoding::kStored) return best;
  bool is_forced = coding == FrameCoding::kStatic;
  if (boundary.HasStaticTables() && coding != FrameCoding::kInline) {
    Choice with_static = Static(boundary, codes);
    if (with_static.payload_bits >= 0 && (is_forced || with_static.Bits() < best.Bits())) {
      best = std::move(with_static);
      if (is_forced) return best;
    }
  }
  is_forced = coding == FrameCoding::kInline;
  Choice with_inline = Inline(boundary, counts);
  if (is_forced || with_inline.Bits() < best.Bits()) best = std::move(with_inline);
  return best;
}

std::string Assemble(const FrameBoundary& boundary, int64_t batch, std::span<const uint8_t> codes, int64_t streams,
                     const Choice& choice) {
  const int rank = boundary.image_shape().rank() + 1;
  const size_t lengths_at = frame::kShapeAt + 4 * static_cast<size_t>(rank);
  const size_t tables_at = lengths_at + 4 * static_cast<size_t>(streams);
  const size_t header_bytes = tables_at + choice.InlineBytes();
  std::string bytes(header_bytes + static_cast<size_t>(choice.payload_bits / 8 + streams) + frame::kChecksumBytes,
                    '\0');

  std::memcpy(bytes.data(), frame::kMagic, sizeof(frame::kMagic));
  bytes[frame::kVersionAt] = static_cast<char>(frame::kVersion);
  bytes[frame::kModeAt] = static_cast<char>(choice.mode);
  bytes[frame::kRankAt] = static_cast<char>(rank);
  bytes[frame::kStreamsAt] = static_cast<char>(streams);
  Put(bytes, frame::kHeaderBytesAt, static_cast<uint16_t>(header_bytes));
  Put(bytes, frame::kTablesAt, static_cast<uint16_t>(choice.tables));
  Put(bytes, frame::kIdentityAt, boundary.identity());
  Put(bytes, frame::kShapeAt, static_cast<uint32_t>(batch));
  for (int axis = 1; axis < rank; ++axis) {
    Put(bytes, frame::kShapeAt + 4 * static_cast<size_t>(axis),
        static_cast<uint32_t>(boundary.image_shape()[axis - 1]));
  }
  size_t at = tables_at;
  for (const std::vector<uint8_t>& lengths : choice.inline_lengths) {
    for (size_t s = 0; s < lengths.size(); s += 2) {
      bytes[at++] = static_cast<char>(lengths[s] | (s + 1 < lengths.size() ? lengths[s + 1] << 4 : 0));
    }
  }
  const int64_t channels = boundary.channels();
  const int64_t pixels = static_cast<int64_t>(codes.size()) / channels;
  for (int64_t stream = 0; stream < streams; ++stream) {
    const frame::PixelRange range = frame::PixelsOfStream(pixels, streams, stream);
    BitWriter writer(std::as_writable_bytes(std::span(bytes)).subspan(at));
    WriteStream(
        codes.subspan(static_cast<size_t>(range.begin * channels), static_cast<size_t>(range.count() * channels)),
        choice.encoders, writer);
    const size_t written = writer.Finish();
    Put(bytes, lengths_at + 4 * static_cast<size_t>(stream), static_cast<uint32_t>(written));
    at += written;
  }
  bytes.resize(at + frame::kChecksumBytes);
  Put(bytes, frame::kFrameBytesAt, static_cast<uint32_t>(bytes.size()));
  Put(bytes, at, Crc32c(std::as_bytes(std::span(bytes)).first(at)));
  return bytes;
}

}  // namespace

absl::StatusOr<std::string> EncodeFrame(const FrameBoundary& boundary, int64_t batch, std::span<const uint8_t> codes,
                                        const FrameOptions& options) {
  const std::optional<int64_t> elements = CheckedMul(batch, boundary.image_elements());
  if (batch < 1 || !elements || *elements > frame::kMaxElements || static_cast<size_t>(*elements) != codes.size()) {
    return absl::InvalidArgumentError(absl::StrCat("boundary '", boundary.name(), "': ", codes.size(), " codes for ",
                                                   batch, " images of ", boundary.image_shape().ToString()));
  }
  const absl::StatusOr<std::vector<std::vector<uint64_t>>> counts = CountSymbols(boundary, codes);
  if (!counts.ok()) return counts.status();
  const Choice choice = Choose(boundary, codes, *counts, options.coding);
  const int64_t pixels = *elements / boundary.channels();
  const int64_t streams = std::min<int64_t>(std::clamp(options.streams, 1, frame::kMaxStreams), pixels);
  return Assemble(boundary, batch, codes, streams, choice);
}

}  // namespace bitstage
