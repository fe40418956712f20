#include "engine/codec/frame_split.h"

#include <algorithm>
#include <array>
#include <vector>

#include "engine/base/checked_math.h"
#include "engine/codec/bit_stream.h"
#include "engine/codec/huffman.h"

namespace bitstage::frame {
namespace {

constexpr int kMaxShiftingBits = 4;

// n and m of the grid's two forms; m = 0 where it is no such grid.
struct SplitForm {
  int n = 0;
  int m = 0;
};
SplitForm FormOf(const FrameBoundary& boundary) {
  if (boundary.forms() != 2) return {};
  const int wide = boundary.FormBits(0, false) > boundary.FormBits(1, false) ? 0 : 1;
  const int n = boundary.FormBits(1 - wide, false);
  const int m = boundary.FormBits(wide, false) - n;
  const bool fits =
      m >= 1 && m <= kMaxShiftingBits && boundary.FormShift(wide) == 0 && boundary.FormShift(1 - wide) == m;
  return fits ? SplitForm{n, m} : SplitForm{};
}

// Bits of a code length, and the longest it can say.
int LengthBits(int m) { return m <= 3 ? 3 : 4; }
int LongestCode(int m) { return m <= 3 ? 7 : kMaxCodeLength; }

}  // namespace

int64_t StoredBytes(const FrameBoundary& boundary, int64_t pixels) {
  return DivideRoundUp(pixels * boundary.pixel_bits(), 8);
}

void WriteStored(const FrameBoundary& boundary, std::span<const uint8_t> codes, std::byte* out) {
  const codec::CellTables tables = boundary.InlineTables(false);
  const int64_t channels = boundary.channels();
  const auto pixels = static_cast<int64_t>(codes.size()) / channels;
  BitWriter writer(std::span(out, static_cast<size_t>(StoredBytes(boundary, pixels))));
  const uint8_t* code = codes.data();
  for (int64_t pixel = 0; pixel < pixels; ++pixel) {
    for (int64_t c = 0; c < channels; ++c) {
      writer.Write(static_cast<uint32_t>(*code++ >> tables.shift_of[c]), tables.bits_of[c]);
    }
  }
  writer.Finish();
}

bool ReadStored(const FrameBoundary& boundary, std::span<const std::byte> payload, std::span<uint8_t> codes) {
  const codec::CellTables tables = boundary.InlineTables(false);
  const int64_t channels = boundary.channels();
  BitReader reader(payload);
  uint8_t* code = codes.data();
  for (int64_t pixel = static_cast<int64_t>(codes.size()) / channels; pixel > 0; --pixel) {
    for (int64_t c = 0; c < channels; ++c) {
      if (c % 4 == 0) reader.Refill();
      const uint64_t symbol = reader.Peek() & ((1u << tables.bits_of[c]) - 1);
      *code++ = static_cast<uint8_t>(symbol << tables.shift_of[c]);
      reader.Consume(tables.bits_of[c]);
    }
  }
  reader.Refill();
  return reader.Ended();
}

bool CanSplit(const FrameBoundary& boundary) { return FormOf(boundary).m > 0; }

int64_t WriteSplit(const FrameBoundary& boundary, std::span<const uint8_t> codes, std::span<std::byte> room) {
  const auto [n, m] = FormOf(boundary);
  const codec::CellTables tables = boundary.InlineTables(false);
  const auto channels = static_cast<size_t>(boundary.channels());
  const size_t symbols = size_t{1} << m;
  std::vector<std::vector<uint8_t>> lengths(channels);
  int64_t bits = static_cast<int64_t>(codes.size()) * n;
  for (size_t c = 0; c < channels; ++c) {
    if (tables.bits_of[c] == n) continue;
    std::array<uint64_t, 1 << kMaxShiftingBits> counts = {};
    for (size_t i = c; i < codes.size(); i += channels) ++counts[codes[i] & (symbols - 1)];
    lengths[c] = *HuffmanLengths(std::span(counts).first(symbols), LongestCode(m));
    bits += static_cast<int64_t>(symbols) * LengthBits(m);
    codec::EncodeEntry entries[1 << kMaxShiftingBits];
    codec::FillEncode(lengths[c], entries);
    for (size_t e = 0; e < symbols; ++e) bits += static_cast<int64_t>(counts[e]) * entries[e].length;
  }
  const int64_t bytes = DivideRoundUp(bits, 8);
  if (bytes > static_cast<int64_t>(room.size())) return -1;
  BitWriter writer(room.first(static_cast<size_t>(bytes)));
  for (size_t c = 0; c < channels; ++c) {
    const bool is_important = tables.bits_of[c] != n;
    codec::EncodeEntry entries[1 << kMaxShiftingBits] = {};
    if (is_important) {
      codec::FillEncode(lengths[c], entries);
      for (const uint8_t length : lengths[c]) writer.Write(length, LengthBits(m));
    }
    for (size_t i = c; i < codes.size(); i += channels) {
      writer.Write(static_cast<uint32_t>(codes[i] >> m), n);
      const codec::EncodeEntry entry = entries[codes[i] & (symbols - 1)];
      writer.Write(entry.bits, entry.length);
    }
  }
  writer.Finish();
  return bytes;
}

SplitResult ReadSplit(const FrameBoundary& boundary, std::span<const std::byte> payload, std::span<uint8_t> codes,
                      int64_t& channel) {
  const auto [n, m] = FormOf(boundary);
  const codec::CellTables tables = boundary.InlineTables(false);
  const auto channels = static_cast<size_t>(boundary.channels());
  const size_t symbols = size_t{1} << m;
  const int index_bits = LongestCode(m);
  BitReader reader(payload);
  codec::DecodeEntry entries[1 << kMaxCodeLength];
  for (size_t c = 0; c < channels; ++c) {
    channel = static_cast<int64_t>(c);
    const bool is_important = tables.bits_of[c] != n;
    if (is_important) {
      uint8_t lengths[1 << kMaxShiftingBits];
      for (size_t e = 0; e < symbols; ++e) {
        reader.Refill();
        lengths[e] = static_cast<uint8_t>(reader.Peek() & ((1u << LengthBits(m)) - 1));
        reader.Consume(LengthBits(m));
      }
      if (!ValidateLengths(std::span(lengths, symbols)).ok()) return SplitResult::kBadTable;
      codec::FillDecode(std::span(lengths, symbols), m, 0, false, index_bits, entries);
    }
    for (size_t i = c; i < codes.size(); i += channels) {
      reader.Refill();
      auto code = static_cast<uint32_t>(reader.Peek() & ((1u << n) - 1)) << m;
      reader.Consume(n);
      if (is_important) {
        const codec::DecodeEntry entry = entries[reader.Peek() & ((1u << index_bits) - 1)];
        code |= entry.first;
        reader.Consume(entry.length);
      }
      codes[i] = static_cast<uint8_t>(code);
    }
  }
  reader.Refill();
  return reader.Ended() ? SplitResult::kOk : SplitResult::kBadStream;
}

}  // namespace bitstage::frame
