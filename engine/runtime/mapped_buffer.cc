#include "engine/runtime/mapped_buffer.h"

#include <sys/mman.h>

#include <new>

#include "engine/base/aligned_buffer.h"

namespace bitstage {
namespace {

std::byte* Map(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return static_cast<std::byte*>(memory);
}

}  // namespace

MappedBuffer::MappedBuffer(size_t size) : size_(size), data_(Map(size + kAlignment), Unmap{size + kAlignment}) {}

void MappedBuffer::Unmap::operator()(std::byte* memory) const { munmap(memory, bytes); }

}  // namespace bitstage
