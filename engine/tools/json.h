// JSON as every verb's --json prints it.
#pragma once

#include <ostream>

#include <nlohmann/json.hpp>

namespace bitstage {

using Json = nlohmann::ordered_json;

// One object on one line, flushed. Text that is not UTF-8 is replaced, numbers that are not finite become null.
void PrintJsonLine(const Json& json, std::ostream& out);

}  // namespace bitstage
