#include "engine/runtime/mapped_buffer.h"

#include <sys/mman.h>
#include <unistd.h>

#include <new>

#include "engine/base/aligned_buffer.h"
#include "engine/base/checked_math.h"

namespace bitstage {
namespace {

std::byte* Map(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return static_cast<std::byte*>(memory);
}

}  // namespace

MappedBuffer::MappedBuffer(size_t size) : size_(size), data_(Map(size + kAlignment), Unmap{size + kAlignment}) {}

size_t MappedBuffer::taken() const {
  return static_cast<size_t>(RoundUp(static_cast<int64_t>(size_ + kAlignment), sysconf(_SC_PAGESIZE)));
}

void MappedBuffer::Populate(size_t bytes) {
#ifdef MADV_POPULATE_WRITE
  if (madvise(data(), bytes, MADV_POPULATE_WRITE) == 0) return;
#endif
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  for (size_t at = 0; at < bytes; at += page) data()[at] = std::byte{0};
}

void MappedBuffer::Unmap::operator()(std::byte* memory) const { munmap(memory, bytes); }

}  // namespace bitstage
