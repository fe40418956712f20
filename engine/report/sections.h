// The page's larger parts.
#pragma once

#include <string>

#include "engine/report/report.h"

namespace bitstage::report {

extern const char kStyle[];

std::string ModelSection(const Report& report, size_t index);
// The images whose answer changed, with pictures, and which answers took whose place.
std::string AnswersSection(const Report& report);

// A model's number as the charts show it.
std::string Badge(size_t index);
// <div class="scroll">: a table that may be wider than a phone, which is then moved under a finger or by the keyboard.
std::string Scrolled(const std::string& table, const std::string& label);

}  // namespace bitstage::report
