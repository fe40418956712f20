#include "engine/codec/tables.h"

#include <algorithm>
#include <bit>

#include "engine/base/refuse.h"
#include "engine/codec/contexts.h"
#include "engine/codec/huffman.h"
#include "engine/codec/run_table.h"

namespace bitstage {
namespace {

constexpr size_t kMaxTables = 255;

bool SameForm(const Grid& grid, int64_t a, int64_t b) {
  return grid.BitsOf(a) == grid.BitsOf(b) && grid.ShiftOf(a) == grid.ShiftOf(b);
}

// group_of_channel and of_context; `channel_of` becomes a channel of each group, -1 where it has none.
absl::Status CheckGroups(const CodeTables& tables, const Grid& grid, int64_t channels,
                         std::vector<int64_t>& channel_of) {
  if (tables.group_of_channel.size() != static_cast<size_t>(channels)) {
    return Refuse("group_of_channel has ", tables.group_of_channel.size(), " entries, expected ", channels);
  }
  channel_of.assign(tables.lengths.size(), -1);
  const bool has_contexts = !tables.of_context.empty();
  for (int64_t c = 0; c < channels; ++c) {
    const size_t group = tables.group_of_channel[static_cast<size_t>(c)];
    if (!has_contexts && group >= tables.lengths.size()) {
      return Refuse("group_of_channel ", c, " is ", group, " of ", tables.lengths.size(), " tables");
    }
    if (!has_contexts && channel_of[group] < 0) channel_of[group] = c;
    if (const int64_t like = has_contexts ? 0 : channel_of[group]; !SameForm(grid, like, c)) {
      return Refuse("group ", group, " holds channel ", c, ", which has other bits or shift than channel ", like);
    }
    if (tables.pairs && 2 * grid.BitsOf(c) > 8) return Refuse("pairs in channel ", c, " of ", grid.BitsOf(c), " bits");
  }
  if (!has_contexts) return absl::OkStatus();
  const auto groups =
      static_cast<size_t>(1 + *std::max_element(tables.group_of_channel.begin(), tables.group_of_channel.end()));
  const size_t expected = groups * static_cast<size_t>(codec::ContextCount(grid.BitsOf(0), tables.pairs));
  if (tables.of_context.size() != expected) {
    return Refuse("of_context has ", tables.of_context.size(), " entries, expected ", expected);
  }
  for (const uint8_t table : tables.of_context) {
    if (table >= tables.lengths.size()) {
      return Refuse("of_context names table ", int{table}, " of ", tables.lengths.size());
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Validate(const CodeTables& tables, const Grid& grid, int64_t channels) {
  if (tables.lengths.empty() || tables.lengths.size() > kMaxTables) {
    return Refuse("lengths has ", tables.lengths.size(), " tables, expected 1 to ", kMaxTables);
  }
  std::vector<int64_t> channel_of;
  if (const absl::Status status = CheckGroups(tables, grid, channels, channel_of); !status.ok()) return status;
  for (size_t t = 0; t < tables.lengths.size(); ++t) {
    const std::vector<uint8_t>& lengths = tables.lengths[t];
    const int64_t channel = tables.of_context.empty() ? channel_of[t] : 0;
    if (channel < 0) return Refuse("lengths ", t, " belongs to no channel");
    const size_t cells = size_t{1} << ((tables.pairs ? 2 : 1) * grid.BitsOf(channel));
    if (lengths.size() != cells) return Refuse("lengths ", t, " has ", lengths.size(), " cells, expected ", cells);
    if (std::find(lengths.begin(), lengths.end(), 0) != lengths.end()) {
      return Refuse("lengths ", t, " leaves a cell without a code");
    }
    if (const absl::Status status = ValidateLengths(lengths); !status.ok()) {
      return Refuse("lengths ", t, ": ", status.message());
    }
  }
  return absl::OkStatus();
}

namespace codec {

namespace {

// The low 16 bits, the lowest highest.
uint32_t Reversed(uint32_t bits) {
  bits = (bits & 0x5555) << 1 | (bits >> 1 & 0x5555);
  bits = (bits & 0x3333) << 2 | (bits >> 2 & 0x3333);
  bits = (bits & 0x0f0f) << 4 | (bits >> 4 & 0x0f0f);
  return (bits & 0xff) << 8 | bits >> 8;
}

}  // namespace

void FillEncode(std::span<const uint8_t> lengths, EncodeEntry* encode) {
  const bool single = std::count(lengths.begin(), lengths.end(), 0) + 1 == static_cast<std::ptrdiff_t>(lengths.size());
  std::fill_n(encode, lengths.size(), EncodeEntry{0, 0});
  if (single) return;
  uint32_t next[kMaxCodeLength + 2] = {};  // codes of a length, the first bit highest
  for (const uint8_t length : lengths) ++next[length + 1];
  next[1] = 0;
  for (int length = 2; length <= kMaxCodeLength; ++length) next[length] = (next[length] + next[length - 1]) << 1;
  for (size_t cell = 0; cell < lengths.size(); ++cell) {
    const int length = lengths[cell];
    if (length == 0) continue;
    encode[cell] = {static_cast<uint16_t>(Reversed(next[length]++) >> (16 - length)), static_cast<uint16_t>(length)};
  }
}

namespace {

uint64_t HighCode(const EncodeEntry& entry) { return uint64_t{entry.bits} << (-entry.length & 63); }

}  // namespace

size_t EncodeHighEntries(int bits, bool pairs) {
  return size_t{1} << (pairs || bits <= kMaxBitsOfTwo ? 2 * bits : bits);
}

void FillEncodeHigh(const EncodeEntry* encode, int bits, bool pairs, uint64_t* high) {
  if (pairs || bits > kMaxBitsOfTwo) {
    std::transform(encode, encode + EncodeHighEntries(bits, pairs), high,
                   [](const EncodeEntry& entry) { return HighCode(entry) | entry.length; });
    return;
  }
  const uint32_t symbols = 1u << bits;
  uint64_t code_of[1 << kMaxBitsOfTwo];
  uint64_t length_of[1 << kMaxBitsOfTwo];
  for (uint32_t s = 0; s < symbols; ++s) {
    code_of[s] = HighCode(encode[s]);
    length_of[s] = encode[s].length;
  }
  for (uint32_t b = 0; b < symbols; ++b) {
    uint64_t* const of_b = high + (b << bits);
    const uint64_t second = code_of[b];
    const uint64_t length = length_of[b];
    for (uint32_t a = 0; a < symbols; ++a) of_b[a] = (code_of[a] >> length | second) + (length_of[a] + length);
  }
}

void FillDecode(std::span<const uint8_t> lengths, int bits, int shift, bool pairs, int index_bits,
                DecodeEntry* decode) {
  EncodeEntry codes[kMaxCellsPerTable];
  FillEncode(lengths, codes);
  const uint32_t mask = (1u << bits) - 1;
  for (size_t cell = 0; cell < lengths.size(); ++cell) {
    if (lengths[cell] == 0) continue;
    const auto first = static_cast<uint8_t>((cell & mask) << shift);
    const auto second = static_cast<uint8_t>(pairs ? (cell >> bits) << shift : 0);
    const DecodeEntry entry = {static_cast<uint8_t>(codes[cell].length), first, second, static_cast<uint8_t>(cell)};
    for (uint32_t i = codes[cell].bits; i < 1u << index_bits; i += 1u << entry.length) decode[i] = entry;
  }
}

CompiledTables::CompiledTables(const CodeTables& tables, const Grid& grid, int64_t channels)
    : pairs_(tables.pairs),
      tables_(static_cast<int>(tables.lengths.size())),
      group_(tables.group_of_channel),
      of_context_(tables.of_context) {
  std::vector<int64_t> channel_of(tables.lengths.size(), 0);
  for (int64_t c = 0; c < channels; ++c) {
    bits_.push_back(static_cast<uint8_t>(grid.BitsOf(c)));
    shift_.push_back(static_cast<uint8_t>(grid.ShiftOf(c)));
    off_mask_.push_back(static_cast<uint8_t>(~(((1 << bits_.back()) - 1) << shift_.back())));
    uniform_ = uniform_ && SameForm(grid, 0, c);
    if (of_context_.empty()) channel_of[group_[static_cast<size_t>(c)]] = c;
  }
  size_t cells = 0;
  for (const std::vector<uint8_t>& lengths : tables.lengths) {
    cells = std::max(cells, lengths.size());
    longest_ = std::max<int>(longest_, *std::max_element(lengths.begin(), lengths.end()));
  }
  index_bits_ = std::max(longest_, kLeastIndexBits);
  stride_bits_ = std::bit_width(cells - 1);
  if (!of_context_.empty()) contexts_ = ContextCount(bits_[0], pairs_);
  lengths_.resize(tables.lengths.size() << stride_bits_);
  encode_.resize(lengths_.size());
  decode_.resize(tables.lengths.size() << index_bits_);
  for (size_t t = 0; t < tables.lengths.size(); ++t) {
    const std::vector<uint8_t>& lengths = tables.lengths[t];
    std::copy(lengths.begin(), lengths.end(), lengths_.begin() + static_cast<std::ptrdiff_t>(t << stride_bits_));
    FillEncode(lengths, &encode_[t << stride_bits_]);
    FillDecode(lengths, grid.BitsOf(channel_of[t]), grid.ShiftOf(channel_of[t]), pairs_, index_bits_,
               &decode_[t << index_bits_]);
  }
  if (!pairs_ && contexts_ != 0) {
    for (const DecodeEntry& entry : decode_) {
      decode_symbols_.push_back(static_cast<uint16_t>(entry.length | entry.first << 8));
    }
  }
  if (tables_ == 1 && !pairs_ && contexts_ == 0) {
    runs_.resize(size_t{1} << kRunBits);
    FillRuns(decode_.data(), index_bits_, runs_.data());
  }
  if (tables_ == 1 && uniform_ && contexts_ == 0) {
    encode_high_.resize(EncodeHighEntries(bits_[0], pairs_));
    FillEncodeHigh(encode_.data(), bits_[0], pairs_, encode_high_.data());
  } else if (uniform_ && contexts_ == 0 && encode_.size() <= kMaxCellsPerTable) {
    for (const EncodeEntry& entry : encode_) encode_high_.push_back(HighCode(entry) | entry.length);
    for (const uint8_t group : group_) entry_of_.push_back(static_cast<uint8_t>(group << stride_bits_));
  }
}

CellTables CompiledTables::view() const {
  return {.channels = static_cast<int64_t>(group_.size()),
          .pairs = pairs_,
          .uniform = uniform_,
          .tables = tables_,
          .longest = longest_,
          .index_bits = index_bits_,
          .stride_bits = stride_bits_,
          .bits_of = bits_.data(),
          .shift_of = shift_.data(),
          .off_mask = off_mask_.data(),
          .group_of = group_.data(),
          .encode = encode_.data(),
          .decode = decode_.data(),
          .decode_symbols = decode_symbols_.empty() ? nullptr : decode_symbols_.data(),
          .lengths = lengths_.data(),
          .of_context = of_context_.empty() ? nullptr : of_context_.data(),
          .contexts = contexts_,
          .runs = runs_.empty() ? nullptr : runs_.data(),
          .encode_high = encode_high_.empty() ? nullptr : encode_high_.data(),
          .entry_of = entry_of_.empty() ? nullptr : entry_of_.data()};
}

}  // namespace codec
}  // namespace bitstage
