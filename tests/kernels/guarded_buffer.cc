#include "tests/kernels/guarded_buffer.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "engine/base/checked_math.h"

namespace bitstage::kernels {

GuardedBuffer::GuardedBuffer(int64_t size) : GuardedBuffer({}, size) {}

GuardedBuffer::GuardedBuffer(std::span<const uint8_t> bytes, int64_t size) : size_(size) {
  const int64_t page = sysconf(_SC_PAGESIZE);
  const int64_t accessible = RoundUp(size, page);
  mapped_ = accessible + page;
  void* map = mmap(nullptr, static_cast<size_t>(mapped_), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED) std::abort();
  map_ = static_cast<uint8_t*>(map);
  if (mprotect(map_ + accessible, static_cast<size_t>(page), PROT_NONE) != 0) std::abort();
  begin_ = map_ + accessible - size;
  const auto given = std::min(static_cast<size_t>(size), bytes.size());
  if (given > 0) std::memcpy(begin_, bytes.data(), given);
}

GuardedBuffer::~GuardedBuffer() { munmap(map_, static_cast<size_t>(mapped_)); }

}  // namespace bitstage::kernels
