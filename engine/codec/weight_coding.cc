#include "engine/codec/weight_coding.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "engine/base/checked_math.h"
#include "engine/base/status_macros.h"
#include "engine/codec/byte_coding.h"

namespace bitstage {
namespace {

constexpr size_t kTernaryPerByte = 5;
constexpr int kTernaryBytes = 243;  // 3^5
constexpr size_t kMostPerGroup = 8;

// A group is the codes that one byte holds whole: five ternary ones as digits, else as many fields of `bits` bits as
// fit, the first lowest. Packed codes are groups where no bit of a byte is left over; coded ones are always groups.
size_t CodesPerGroup(Codebook codebook, int bits) {
  return codebook == Codebook::kTernary ? kTernaryPerByte : static_cast<size_t>(8 / bits);
}
int GroupWidth(Codebook codebook, int bits) { return codebook == Codebook::kTernary ? 8 : 8 / bits * bits; }

// A binary code c is the bit (c + 1) / 2, a ternary one the digit c + 1; others are two's complement.
int FieldOf(Codebook codebook, int bits, int8_t code) {
  switch (codebook) {
    case Codebook::kBinary: return (code + 1) / 2;
    case Codebook::kTernary: return code + 1;
    case Codebook::kUniform: break;
  }
  return code & ((1 << bits) - 1);
}
int8_t CodeOf(Codebook codebook, int bits, int field) {
  switch (codebook) {
    case Codebook::kBinary: return static_cast<int8_t>(2 * field - 1);
    case Codebook::kTernary: return static_cast<int8_t>(field - 1);
    case Codebook::kUniform: break;
  }
  const int sign = 1 << (bits - 1);
  return static_cast<int8_t>((field ^ sign) - sign);
}
int FieldBase(Codebook codebook, int bits) { return codebook == Codebook::kTernary ? 3 : 1 << bits; }

std::vector<uint8_t> Groups(const WeightCodes& weights) {
  const size_t per_group = CodesPerGroup(weights.codebook, weights.bits);
  const int base = FieldBase(weights.codebook, weights.bits);
  const std::span<const int8_t> codes = weights.codes;
  std::vector<uint8_t> groups;
  groups.reserve(codes.size() / per_group + 1);
  for (size_t begin = 0; begin < codes.size(); begin += per_group) {
    int group = 0;
    for (size_t i = std::min(begin + per_group, codes.size()); i-- > begin;) {
      group = group * base + FieldOf(weights.codebook, weights.bits, codes[i]);
    }
    groups.push_back(static_cast<uint8_t>(group));
  }
  return groups;
}

// Codes and a group's worth of slack.
size_t UngroupedBytes(size_t groups, size_t per_group) { return groups * per_group + kMostPerGroup; }

// DATA_LOSS for a group that no codes give and for codes behind the last one. Replaces what is in `codes`; the groups
// may be the last bytes of what it holds, UngroupedBytes of them: codes are written no faster than groups are read.
absl::Status Ungroup(Codebook codebook, int bits, size_t count, std::span<const uint8_t> groups,
                     std::vector<int8_t>& codes) {
  const size_t per_group = CodesPerGroup(codebook, bits);
  const int base = FieldBase(codebook, bits);
  std::array<std::array<int8_t, kMostPerGroup>, 256> codes_of{};
  for (int group = 0; group < 256; ++group) {
    for (size_t i = 0, rest = static_cast<size_t>(group); i < per_group; ++i, rest /= static_cast<size_t>(base)) {
      codes_of[static_cast<size_t>(group)][i] = CodeOf(codebook, bits, static_cast<int>(rest) % base);
    }
  }
  const int groups_end = codebook == Codebook::kTernary ? kTernaryBytes : 1 << GroupWidth(codebook, bits);
  uint8_t largest = 0;
  for (const uint8_t group : groups) largest = std::max(largest, group);
  if (largest >= groups_end) {
    const auto at = std::find_if(groups.begin(), groups.end(), [&](uint8_t group) { return group >= groups_end; });
    return absl::DataLossError(
        absl::StrCat("byte ", at - groups.begin(), " is ", int{*at}, ", expected below ", groups_end));
  }
  codes.resize(std::max(codes.size(), UngroupedBytes(groups.size(), per_group)));
  int8_t* to = codes.data();
  for (const uint8_t group : groups) {
    std::memcpy(to, codes_of[group].data(), kMostPerGroup);
    to += per_group;
  }
  // An absent field is 0.
  const int8_t absent = CodeOf(codebook, bits, 0);
  if (std::any_of(codes.begin() + static_cast<ptrdiff_t>(count),
                  codes.begin() + static_cast<ptrdiff_t>(groups.size() * per_group),
                  [&](int8_t code) { return code != absent; })) {
    return absl::DataLossError(absl::StrCat("byte ", groups.size() - 1, " has bits or digits after the last code"));
  }
  codes.resize(count);
  return absl::OkStatus();
}

// Fields of a width that does not divide 8, dense, across the borders of bytes.
void AppendDense(int bits, std::span<const int8_t> codes, std::string& bytes) {
  const uint32_t mask = (1u << bits) - 1;
  uint32_t pending = 0;
  int pending_bits = 0;
  for (const int8_t code : codes) {
    pending |= (static_cast<uint32_t>(code) & mask) << pending_bits;
    for (pending_bits += bits; pending_bits >= 8; pending_bits -= 8, pending >>= 8) {
      bytes.push_back(static_cast<char>(pending));
    }
  }
  if (pending_bits > 0) bytes.push_back(static_cast<char>(pending));
}

absl::Status UnpackDense(int bits, size_t count, std::span<const std::byte> packed, std::vector<int8_t>& codes) {
  const uint32_t mask = (1u << bits) - 1;
  codes.resize(count);
  uint32_t pending = 0;
  int pending_bits = 0;
  size_t next = 0;
  for (int8_t& code : codes) {
    if (pending_bits < bits) {
      pending |= std::to_integer<uint32_t>(packed[next++]) << pending_bits;
      pending_bits += 8;
    }
    code = CodeOf(Codebook::kUniform, bits, static_cast<int>(pending & mask));
    pending >>= bits;
    pending_bits -= bits;
  }
  if (pending == 0) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("byte ", packed.size() - 1, " has bits after the last code"));
}

bool IsPackedInGroups(Codebook codebook, int bits) { return GroupWidth(codebook, bits) == 8; }

}  // namespace

std::optional<int64_t> PackedBytes(Codebook codebook, int bits, int64_t count) {
  if (codebook == Codebook::kTernary) {
    return count / static_cast<int64_t>(kTernaryPerByte) + (count % static_cast<int64_t>(kTernaryPerByte) != 0 ? 1 : 0);
  }
  const std::optional<int64_t> total = CheckedMul(count, bits);
  return total ? std::optional<int64_t>(*total / 8 + (*total % 8 != 0 ? 1 : 0)) : std::nullopt;
}

void AppendPacked(const WeightCodes& weights, std::string& bytes) {
  if (!IsPackedInGroups(weights.codebook, weights.bits)) return AppendDense(weights.bits, weights.codes, bytes);
  const std::vector<uint8_t> groups = Groups(weights);
  bytes.append(groups.begin(), groups.end());
}

bool AppendCoded(const WeightCodes& weights, std::string& bytes) {
  const auto count = static_cast<int64_t>(weights.codes.size());
  const auto packed = static_cast<size_t>(*PackedBytes(weights.codebook, weights.bits, count));
  const std::string coded = EncodeBytes(Groups(weights), GroupWidth(weights.codebook, weights.bits), packed);
  bytes += coded;
  return !coded.empty();
}

int64_t StoredBytes(const WeightCodes& weights) {
  std::string bytes;
  if (!AppendCoded(weights, bytes)) AppendPacked(weights, bytes);
  return static_cast<int64_t>(bytes.size() + weights.scale.size() * sizeof(float) + weights.alpha.size());
}

absl::Status Unpack(Codebook codebook, int bits, int64_t count, std::span<const std::byte> packed,
                    std::vector<int8_t>& codes) {
  if (!IsPackedInGroups(codebook, bits)) return UnpackDense(bits, static_cast<size_t>(count), packed, codes);
  return Ungroup(codebook, bits, static_cast<size_t>(count),
                 {reinterpret_cast<const uint8_t*>(packed.data()), packed.size()}, codes);
}

absl::Status Decode(Codebook codebook, int bits, int64_t count, std::span<const std::byte> coded,
                    std::vector<int8_t>& codes) {
  const auto per_group = static_cast<int64_t>(CodesPerGroup(codebook, bits));
  const int64_t groups = count / per_group + (count % per_group != 0 ? 1 : 0);
  uint8_t* room = nullptr;
  BITSTAGE_RETURN_IF_ERROR(DecodeBytes(coded, GroupWidth(codebook, bits), groups, [&](size_t bytes) {
    const size_t in_all = UngroupedBytes(bytes, static_cast<size_t>(per_group));
    codes.resize(in_all);
    room = reinterpret_cast<uint8_t*>(codes.data()) + in_all - bytes;
    return room;
  }));
  return Ungroup(codebook, bits, static_cast<size_t>(count), {room, static_cast<size_t>(groups)}, codes);
}

}  // namespace bitstage
