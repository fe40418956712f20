// The page: one HTML file that needs nothing else, no network and no script, light or dark as its reader's system is.
#pragma once

#include <string>

#include "engine/report/report.h"

namespace bitstage::report {

// The same bytes for the same report. Requires at least one model.
std::string RenderPage(const Report& report);

}  // namespace bitstage::report
