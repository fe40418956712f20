#include "engine/tools/cycle_counter.h"

#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace bitstage {

CycleCounter::CycleCounter() {
  perf_event_attr attributes{};
  attributes.type = PERF_TYPE_HARDWARE;
  attributes.size = sizeof(attributes);
  attributes.config = PERF_COUNT_HW_CPU_CYCLES;
  attributes.exclude_kernel = 1;
  attributes.exclude_hv = 1;
  file_ = static_cast<int>(syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC));
}

CycleCounter::~CycleCounter() {
  if (file_ >= 0) close(file_);
}

std::optional<int64_t> CycleCounter::Cycles() const {
  int64_t cycles = 0;
  if (file_ < 0 || read(file_, &cycles, sizeof(cycles)) != sizeof(cycles)) return std::nullopt;
  return cycles;
}

}  // namespace bitstage
