// MappedBuffer: zeros from the system on a page boundary, for arenas: pages take memory once they are written, and go
// back when the buffer goes, however the heap lies. Kernels may read AlignedBuffer's kAlignment bytes past its end.
#pragma once

#include <cstddef>
#include <memory>

namespace bitstage {

class MappedBuffer {
 public:
  // Throws std::bad_alloc.
  explicit MappedBuffer(size_t size);

  [[nodiscard]] std::byte* data() { return data_.get(); }
  [[nodiscard]] const std::byte* data() const { return data_.get(); }
  [[nodiscard]] size_t size() const { return size_; }
  // Takes the first `bytes` of that memory now, so that nobody waits for them later.
  void Populate(size_t bytes);
  // What it takes of the system's memory once all is written: whole pages.
  [[nodiscard]] size_t taken() const;

 private:
  struct Unmap {
    size_t bytes;
    void operator()(std::byte* memory) const;
  };
  size_t size_;
  std::unique_ptr<std::byte, Unmap> data_;
};

}  // namespace bitstage
