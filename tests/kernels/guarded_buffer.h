// GuardedBuffer: bytes that end where an inaccessible page begins, so that a kernel that touches one byte too many ends
// the test. Begins on a 64-byte boundary where the size is a multiple of 64.
#pragma once

#include <cstdint>
#include <span>

namespace bitstage::kernels {

class GuardedBuffer {
 public:
  // Of zeros; of the first bytes of `bytes`, followed by zeros.
  explicit GuardedBuffer(int64_t size);
  GuardedBuffer(std::span<const uint8_t> bytes, int64_t size);
  ~GuardedBuffer();
  GuardedBuffer(const GuardedBuffer&) = delete;
  GuardedBuffer& operator=(const GuardedBuffer&) = delete;

  [[nodiscard]] int64_t size() const { return size_; }
  template <typename T>
  [[nodiscard]] T* As() const {
    return reinterpret_cast<T*>(begin_);
  }

 private:
  int64_t size_;
  int64_t mapped_;
  uint8_t* map_;
  uint8_t* begin_;
};

}  // namespace bitstage::kernels
