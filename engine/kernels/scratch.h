// Scratch: hands out pieces of a kernel's scratch memory. The same walk over a null base gives the bytes it takes.
//
// Not for files that are compiled with vector flags: its code is inline.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bitstage::kernels {

class Scratch {
 public:
  explicit Scratch(std::byte* base) : base_(base) {}

  // `count` elements on a 64-byte boundary (where the base is on one); null over a null base.
  template <typename T>
  T* Take(int64_t count) {
    T* piece = base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + bytes_);
    bytes_ += (static_cast<size_t>(count) * sizeof(T) + 63) / 64 * 64;
    return piece;
  }

  [[nodiscard]] size_t bytes() const { return bytes_; }

 private:
  std::byte* base_;
  size_t bytes_ = 0;
};

}  // namespace bitstage::kernels
