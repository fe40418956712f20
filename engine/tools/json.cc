#include "engine/tools/json.h"

namespace bitstage {

void PrintJsonLine(const Json& json, std::ostream& out) {
  out << json.dump(-1, ' ', false, Json::error_handler_t::replace) << std::endl;
}

}  // namespace bitstage
