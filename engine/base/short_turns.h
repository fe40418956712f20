// Short turns: what a thread that others wait for asks of the system's scheduler.
#pragma once

#include <cstdint>

namespace bitstage {

// Asks for turns of half a millisecond for the calling thread, once a thread: its share of the CPU stays what it was,
// but it gets a turn soon after it wakes, where a neighbour would else finish its own turn of some milliseconds first.
// Threads under real-time policies, and systems without such a wish (before Linux 6.12), stay as they are.
void PreferShortTurns();

// How long a turn of the calling thread is, in nanoseconds; 0 where the system does not say.
int64_t TurnNanoseconds();

}  // namespace bitstage
