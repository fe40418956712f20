// Bits into bytes and back, least significant bit first.
//
// The writer never writes and the reader never reads outside its span. A reader asked for more than there is gives
// zeros and remembers: check Ended() once behind a loop in place of a check a symbol.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace bitstage {

class BitReader {
 public:
  BitReader() = default;
  explicit BitReader(std::span<const std::byte> bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  // Bits that Peek() holds at least after Refill(), where the stream has as many.
  static constexpr int kRefilledBits = 56;

  void Refill() {
    if (end_ - at_ >= 8) {
      uint64_t word = 0;
      std::memcpy(&word, at_, sizeof(word));
      bits_ |= word << count_;
      at_ += (63 - count_) >> 3;
      count_ |= kRefilledBits;
    } else {
      for (; at_ != end_ && count_ < kRefilledBits; count_ += 8) bits_ |= std::to_integer<uint64_t>(*at_++) << count_;
    }
  }
  [[nodiscard]] uint64_t Peek() const { return bits_; }
  // n <= 56; n > 0 bits that are not there become zeros.
  void Consume(int n) {
    bits_ >>= n;
    count_ -= n;
  }

  // True if exactly the whole stream was consumed but for up to seven zero bits.
  [[nodiscard]] bool Ended() const { return at_ == end_ && count_ >= 0 && count_ < 8 && bits_ == 0; }
  // True if more was consumed than there was.
  [[nodiscard]] bool Overrun() const { return count_ < 0; }

 private:
  const std::byte* at_ = nullptr;
  const std::byte* end_ = nullptr;
  uint64_t bits_ = 0;
  int64_t count_ = 0;  // of bits_ that are valid; negative after an overrun
};

class BitWriter {
 public:
  explicit BitWriter(std::span<std::byte> bytes) : begin_(bytes.data()), at_(begin_), end_(begin_ + bytes.size()) {}

  // value < 2^n, n <= 32.
  void Write(uint32_t value, int n) {
    bits_ |= static_cast<uint64_t>(value) << count_;
    count_ += n;
    if (count_ >= 32) Flush(4);
  }
  // Writes what is left, filled up with zeros; the number of bytes written in all. Requires that the span had room.
  size_t Finish() {
    Flush((count_ + 7) / 8);
    return static_cast<size_t>(at_ - begin_);
  }

 private:
  void Flush(int bytes) {
    const auto fitting = static_cast<size_t>(std::min<std::ptrdiff_t>(bytes, end_ - at_));
    std::memcpy(at_, &bits_, fitting);
    at_ += fitting;
    bits_ >>= 8 * bytes;
    count_ -= 8 * bytes;
  }

  std::byte* begin_;
  std::byte* at_;
  std::byte* end_;
  uint64_t bits_ = 0;
  int count_ = 0;
};

}  // namespace bitstage
