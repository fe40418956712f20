// An emulator of AMX for machines without it: tile instructions raise #UD there, and a handler of the SIGILL that comes
// of it decodes them from the program as it was compiled, executes them on tiles in memory and goes on behind. So what
// is tested is the very code that runs on a machine with AMX. It knows ldtilecfg, tilerelease, tilezero, tileloadd,
// tilestored and tdpbusd.
//
// Whatever real tiles would raise #UD or #GP on (Intel SDM volume 2: no configuration, a bad one, a tile that has no
// shape, shapes of a product that do not fit) ends the process with a message.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/isa.h"

namespace bitstage {

// SupportedIsas(), and the AMX tier where the CPU has all but the tiles, which are emulated from the first call on.
const std::vector<Isa>& TestedIsas();

// Is AMX emulated in this process (rather than real, or out of reach)?
bool AmxIsEmulated();

// Of the calling thread since it began, where emulated.
struct TileUse {
  bool configured;
  int64_t products;
  int64_t loads;
  int64_t stores;
  int64_t crossing_loads;  // loads with a row that crosses a cache line
};
TileUse EmulatedTileUse();

}  // namespace bitstage
