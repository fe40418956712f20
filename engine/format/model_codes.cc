#include "engine/format/model_codes.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "engine/base/checked_math.h"

namespace bitstage {
namespace {

constexpr size_t kTernaryPerByte = 5;
constexpr int kTernaryBytes = 243;  // 3^5

void AppendTernary(std::span<const int8_t> codes, std::string& bytes) {
  for (size_t begin = 0; begin < codes.size(); begin += kTernaryPerByte) {
    const std::span<const int8_t> group = codes.subspan(begin, std::min(kTernaryPerByte, codes.size() - begin));
    int byte = 0;
    for (size_t i = group.size(); i-- > 0;) byte = byte * 3 + group[i] + 1;
    bytes.push_back(static_cast<char>(byte));
  }
}

absl::StatusOr<std::vector<int8_t>> UnpackTernary(size_t count, std::span<const std::byte> packed) {
  std::vector<int8_t> codes;
  codes.reserve(packed.size() * kTernaryPerByte);
  for (size_t i = 0; i < packed.size(); ++i) {
    int byte = std::to_integer<int>(packed[i]);
    if (byte >= kTernaryBytes)
      return absl::DataLossError(absl::StrCat("byte ", i, " is ", byte, ", expected below 243"));
    for (size_t k = 0; k < kTernaryPerByte; ++k, byte /= 3) codes.push_back(static_cast<int8_t>(byte % 3 - 1));
  }
  // An absent digit is 0, which would be the code −1.
  if (std::any_of(codes.begin() + static_cast<ptrdiff_t>(count), codes.end(), [](int8_t c) { return c != -1; })) {
    return absl::DataLossError(absl::StrCat("byte ", packed.size() - 1, " has digits after the last code"));
  }
  codes.resize(count);
  return codes;
}

// Dense codes of `bits` bits, the first in the lowest. A binary code c is the bit (c + 1) / 2.
void AppendDense(Codebook codebook, int bits, std::span<const int8_t> codes, std::string& bytes) {
  const uint32_t mask = (1u << bits) - 1;
  uint32_t pending = 0;
  int pending_bits = 0;
  for (const int8_t code : codes) {
    const int field = codebook == Codebook::kBinary ? (code + 1) / 2 : code;
    pending |= (static_cast<uint32_t>(field) & mask) << pending_bits;
    for (pending_bits += bits; pending_bits >= 8; pending_bits -= 8, pending >>= 8) {
      bytes.push_back(static_cast<char>(pending));
    }
  }
  if (pending_bits > 0) bytes.push_back(static_cast<char>(pending));
}

absl::StatusOr<std::vector<int8_t>> UnpackDense(Codebook codebook, int bits, size_t count,
                                                std::span<const std::byte> packed) {
  const uint32_t mask = (1u << bits) - 1;
  std::vector<int8_t> codes(count);
  uint32_t pending = 0;
  int pending_bits = 0;
  size_t next = 0;
  for (int8_t& code : codes) {
    if (pending_bits < bits) {
      pending |= std::to_integer<uint32_t>(packed[next++]) << pending_bits;
      pending_bits += 8;
    }
    const uint32_t field = pending & mask;
    pending >>= bits;
    pending_bits -= bits;
    const uint32_t sign = 1u << (bits - 1);
    code = codebook == Codebook::kBinary ? static_cast<int8_t>(2 * static_cast<int>(field) - 1)
                                         : static_cast<int8_t>(static_cast<int>(field ^ sign) - static_cast<int>(sign));
  }
  if (pending != 0)
    return absl::DataLossError(absl::StrCat("byte ", packed.size() - 1, " has bits after the last code"));
  return codes;
}

}  // namespace

std::optional<int64_t> PackedBytes(Codebook codebook, int bits, int64_t count) {
  if (codebook == Codebook::kTernary) {
    return count / static_cast<int64_t>(kTernaryPerByte) + (count % static_cast<int64_t>(kTernaryPerByte) != 0 ? 1 : 0);
  }
  const std::optional<int64_t> total = CheckedMul(count, bits);
  return total ? std::optional<int64_t>(*total / 8 + (*total % 8 != 0 ? 1 : 0)) : std::nullopt;
}

void AppendPacked(const WeightCodes& weights, std::string& bytes) {
  if (weights.codebook == Codebook::kTernary) return AppendTernary(weights.codes, bytes);
  AppendDense(weights.codebook, weights.bits, weights.codes, bytes);
}

absl::StatusOr<std::vector<int8_t>> Unpack(Codebook codebook, int bits, int64_t count,
                                           std::span<const std::byte> packed) {
  if (codebook == Codebook::kTernary) return UnpackTernary(static_cast<size_t>(count), packed);
  return UnpackDense(codebook, bits, static_cast<size_t>(count), packed);
}

}  // namespace bitstage
