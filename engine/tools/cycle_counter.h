// CycleCounter: cycles that the calling thread spends in its own code, where the system lets a process count them.
#pragma once

#include <cstdint>
#include <optional>

namespace bitstage {

class CycleCounter {
 public:
  CycleCounter();
  ~CycleCounter();
  CycleCounter(const CycleCounter&) = delete;
  CycleCounter& operator=(const CycleCounter&) = delete;

  // Since the counter was made; nullopt where there is none.
  [[nodiscard]] std::optional<int64_t> Cycles() const;

 private:
  int file_;
};

}  // namespace bitstage
