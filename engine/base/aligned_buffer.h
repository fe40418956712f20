// AlignedBuffer owns zero-initialised bytes on a 64-byte boundary: arenas, packed weights, tensors.
//
// Move-only. Not thread-safe for writing; concurrent reads are fine.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <span>

namespace bitstage {

inline constexpr size_t kAlignment = 64;

class AlignedBuffer {
 public:
  AlignedBuffer() = default;

  // Every kernel may read (never write) up to kAlignment bytes past size(); they are allocated and zero.
  explicit AlignedBuffer(size_t size) : size_(size) {
    const size_t capacity = (size + 2 * kAlignment - 1) / kAlignment * kAlignment;
    void* memory = std::aligned_alloc(kAlignment, capacity);
    if (memory == nullptr) throw std::bad_alloc();
    std::memset(memory, 0, capacity);
    data_.reset(static_cast<std::byte*>(memory));
  }

  [[nodiscard]] std::byte* data() { return data_.get(); }
  [[nodiscard]] const std::byte* data() const { return data_.get(); }
  [[nodiscard]] size_t size() const { return size_; }

  template <typename T>
  [[nodiscard]] T* As() {
    return reinterpret_cast<T*>(data_.get());
  }
  template <typename T>
  [[nodiscard]] const T* As() const {
    return reinterpret_cast<const T*>(data_.get());
  }

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  std::unique_ptr<std::byte, Free> data_;
  size_t size_ = 0;
};

}  // namespace bitstage
