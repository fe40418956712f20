#include "engine/base/short_turns.h"

#ifdef __linux__
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace bitstage {

#ifdef __linux__
namespace {

constexpr uint64_t kTurn = 500'000;

// sched_setattr(2): glibc before 2.41 has neither the functions nor the type, and the kernel's header of the type
// cannot be included beside <sched.h>.
struct Attributes {
  uint32_t size;
  uint32_t policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime;  // of an ordinary thread the length of its turns, since Linux 6.12; 0 before
  uint64_t deadline;
  uint64_t period;
};
static_assert(sizeof(Attributes) == 48);

// All 0 where the system refuses.
Attributes Current() {
  Attributes attributes{};
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0) != 0) return {};
  return attributes;
}

bool AskForShortTurns() {
  Attributes wish = Current();
  if (wish.policy != SCHED_OTHER || wish.runtime <= kTurn) return false;
  wish.runtime = kTurn;
  return syscall(SYS_sched_setattr, 0, &wish, 0) == 0;
}

}  // namespace

void PreferShortTurns() {
  static thread_local const bool asked = AskForShortTurns();
  static_cast<void>(asked);
}

int64_t TurnNanoseconds() { return static_cast<int64_t>(Current().runtime); }
#else
void PreferShortTurns() {}
int64_t TurnNanoseconds() { return 0; }
#endif

}  // namespace bitstage
