#include "engine/codec/byte_coding.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "engine/base/checked_math.h"
#include "engine/base/status_macros.h"
#include "engine/codec/huffman.h"
#include "engine/codec/kernel_choice.h"
#include "engine/codec/run_table.h"
#include "engine/codec/tables.h"

namespace bitstage {
namespace {

using codec::CellTables;

// Symbols stand in rows of so many, the last row filled up with zeros: the kernels' channels.
constexpr int64_t kRow = 64;
constexpr int64_t kLeastLaneRows = 2;
constexpr size_t kTail = 4;  // zeros behind the stream, so that readers may fetch words
constexpr int64_t kMostSymbols = int64_t{1} << 31;
constexpr uint8_t kZeros[kRow] = {};

// How symbols stand in lanes.
struct Lanes {
  explicit Lanes(int64_t symbols)
      : rows(DivideRoundUp(symbols, kRow)),
        lane_rows(std::max(DivideRoundUp(rows, codec::kMaxLanes), kLeastLaneRows)),
        count(DivideRoundUp(rows, lane_rows)) {}
  int64_t rows, lane_rows, count;
};

size_t TableBytes(int width) { return (size_t{1} << width) / 2; }
size_t StreamAt(int width, const Lanes& lanes) { return TableBytes(width) + 4 * static_cast<size_t>(lanes.count); }

// One table of single symbols for all channels, compiled.
struct Compiled {
  Compiled(std::span<const uint8_t> lengths, int symbol_width)
      : width(static_cast<uint8_t>(symbol_width)),
        index_bits(*std::max_element(lengths.begin(), lengths.end())),
        bits(kRow, width),
        encode(lengths.size()),
        decode(size_t{1} << index_bits) {
    codec::FillEncode(lengths, encode.data());
    codec::FillDecode(lengths, width, 0, false, index_bits, decode.data());
    std::copy(lengths.begin(), lengths.end(), lengths_of);
  }
  [[nodiscard]] CellTables view() const {
    CellTables tables{};
    tables.channels = kRow;
    tables.uniform = true;
    tables.tables = 1;
    tables.longest = index_bits;
    tables.index_bits = index_bits;
    tables.stride_bits = width;
    tables.bits_of = bits.data();
    tables.shift_of = kZeros;
    tables.group_of = kZeros;
    tables.encode = encode.data();
    tables.decode = decode.data();
    tables.lengths = lengths_of;
    return tables;
  }

  uint8_t width;
  int index_bits;
  std::vector<uint8_t> bits;
  std::vector<codec::EncodeEntry> encode;
  std::vector<codec::DecodeEntry> decode;
  uint8_t lengths_of[256] = {};
};

void Append(std::string& bytes, uint32_t value) {
  for (int i = 0; i < 4; ++i) bytes.push_back(static_cast<char>(value >> (8 * i) & 0xff));
}

template <typename... Parts>
absl::Status Lost(const Parts&... parts) {
  return absl::DataLossError(absl::StrCat("coded bytes: ", parts...));
}

}  // namespace

std::string EncodeBytes(std::span<const uint8_t> symbols, int width, size_t packed_bytes) {
  const auto count = static_cast<int64_t>(symbols.size());
  if (count == 0 || count > kMostSymbols) return {};
  const Lanes lanes(count);
  std::vector<uint8_t> padded(symbols.begin(), symbols.end());
  padded.resize(static_cast<size_t>(lanes.rows * kRow));
  std::vector<uint64_t> counts(size_t{1} << width);
  for (const uint8_t symbol : padded) ++counts[symbol];
  if (std::count(counts.begin(), counts.end(), 0) + 1 >= static_cast<std::ptrdiff_t>(counts.size())) return {};
  const std::vector<uint8_t> lengths = *HuffmanLengths(counts, kMaxCodeLength);

  const auto stream_bytes = static_cast<size_t>((CodedBits(counts, lengths) + 7) / 8);
  const size_t size = StreamAt(width, lanes) + stream_bytes + kTail;
  if (size >= packed_bytes) return {};

  std::string bytes;
  bytes.reserve(size);
  for (size_t s = 0; s < lengths.size(); s += 2) bytes.push_back(static_cast<char>(lengths[s] | lengths[s + 1] << 4));
  const Compiled compiled(lengths, width);
  constexpr size_t kSlack = 64 + 2 * kRow + 8;  // what an encoder may write beyond its limit
  std::vector<uint8_t> stream(stream_bytes + kSlack);
  codec::BitSink sink = {stream.data(), 0, 0};
  uint32_t lane_bits[codec::kMaxLanes];
  const codec::CellKernels& kernels = *codec::ChosenKernels().value_or(codec::SupportedKernels().back());
  kernels.encode_plain(compiled.view(), padded.data(), lanes.rows, lanes.lane_rows, stream.data() + stream_bytes, &sink,
                       lane_bits);
  if (sink.count > 0) *sink.at = static_cast<uint8_t>(sink.bits);
  for (int64_t lane = 0; lane < lanes.count; ++lane) Append(bytes, lane_bits[lane]);
  bytes.append(reinterpret_cast<const char*>(stream.data()), stream_bytes);
  bytes.append(kTail, '\0');
  return bytes;
}

absl::StatusOr<std::vector<uint8_t>> DecodeBytes(std::span<const std::byte> coded, int width, int64_t count) {
  std::vector<uint8_t> symbols;
  BITSTAGE_RETURN_IF_ERROR(DecodeBytes(coded, width, count, [&](size_t bytes) {
    symbols.resize(bytes);
    return symbols.data();
  }));
  symbols.resize(static_cast<size_t>(count));
  return symbols;
}

absl::Status DecodeBytes(std::span<const std::byte> coded, int width, int64_t count,
                         absl::FunctionRef<uint8_t*(size_t bytes)> room) {
  if (count < 1 || count > kMostSymbols) return Lost(count, " symbols, expected 1 to ", kMostSymbols);
  const Lanes lanes(count);
  const size_t stream_at = StreamAt(width, lanes);
  if (coded.size() < stream_at + kTail) return Lost("end within the table or the lanes' lengths");
  const auto* const bytes = reinterpret_cast<const uint8_t*>(coded.data());
  const size_t stream_bytes = coded.size() - stream_at - kTail;
  if (stream_bytes < static_cast<size_t>(DivideRoundUp(count, 8))) {
    return Lost(stream_bytes, " bytes for ", count, " symbols");
  }

  std::vector<uint8_t> lengths(size_t{1} << width);
  for (size_t s = 0; s < lengths.size(); ++s) lengths[s] = bytes[s / 2] >> (s % 2 * 4) & 15;
  BITSTAGE_RETURN_IF_ERROR(ValidateLengths(lengths));
  if (std::count(lengths.begin(), lengths.end(), 0) + 1 == static_cast<std::ptrdiff_t>(lengths.size())) {
    return absl::InvalidArgumentError("Huffman table: a single symbol, which needs no code");
  }
  std::vector<int64_t> lane_at = {0};
  for (int64_t lane = 0; lane < lanes.count; ++lane) {
    uint32_t length = 0;
    std::memcpy(&length, bytes + TableBytes(width) + 4 * lane, sizeof(length));
    lane_at.push_back(lane_at.back() + length);
  }
  const int64_t end = lane_at.back();
  if (static_cast<uint64_t>(DivideRoundUp(end, 8)) != stream_bytes) {
    return Lost("lanes of ", end, " bits, but ", stream_bytes, " bytes of codes");
  }
  const uint8_t last = bytes[stream_at + stream_bytes - 1];
  if (end % 8 != 0 && last >> (end % 8) != 0) return Lost("bits behind the last code are not 0");
  if (std::any_of(coded.end() - kTail, coded.end(), [](std::byte b) { return b != std::byte{0}; })) {
    return Lost("the bytes behind the codes are not 0");
  }

  const Compiled compiled(lengths, width);
  uint8_t* const symbols = room(static_cast<size_t>(lanes.rows * kRow));
  std::vector<uint64_t> runs(size_t{1} << codec::kRunBits);
  codec::FillRuns(compiled.decode.data(), compiled.index_bits, runs.data());
  CellTables tables = compiled.view();
  tables.runs = runs.data();
  if (!codec::PortableKernels().decode_plain(tables, bytes + stream_at, lane_at.data(), lanes.count, lanes.lane_rows,
                                             lanes.rows, symbols)) {
    return Lost("a lane does not end where the next one begins");
  }
  if (std::any_of(symbols + count, symbols + lanes.rows * kRow, [](uint8_t s) { return s != 0; })) {
    return Lost("symbols behind the last one are not 0");
  }
  return absl::OkStatus();
}

}  // namespace bitstage
