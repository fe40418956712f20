// A command line run in this process, for tests of verbs.
#pragma once

#include <sstream>
#include <string>
#include <vector>

#include "engine/tools/command.h"

namespace bitstage {

struct CallResult {
  int exit_code = 0;
  std::string out;
  std::string err;
};

inline CallResult Call(const std::vector<Command>& commands, const std::vector<std::string>& words) {
  std::ostringstream out;
  std::ostringstream err;
  Console console{.out = out, .err = err};
  const int exit_code = RunProgram(commands, words, console);
  return {exit_code, out.str(), err.str()};
}

}  // namespace bitstage
