// A hash of everything a graph computes with, names included.
#pragma once

#include <string>

#include "engine/graph/graph.h"

namespace bitstage {

// SHA-256 in hex. Equal for equal graphs, on every machine of one byte order; not a format: it may change between
// versions of this program.
std::string ContentHash(const Graph& graph);

}  // namespace bitstage
