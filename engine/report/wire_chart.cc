#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "engine/report/charts.h"
#include "engine/report/html.h"
#include "engine/report/svg.h"

namespace bitstage::report {
namespace {

double Bytes(const Boundary& boundary, double bits) { return static_cast<double>(boundary.elements) * bits / 8; }

std::string Draw(const ModelReport& model, bool narrow) {
  const double left = narrow ? 46 : 58, right = narrow ? 352 : 752, top = 24, bottom = narrow ? 184 : 214;
  Svg svg(narrow ? 360 : 760, bottom + 30, absl::StrCat("Bytes on the wire at every cut of ", model.name),
          "The table of cuts holds the same numbers");
  double most = 1;
  for (const Boundary& boundary : model.boundaries) most = std::max(most, Bytes(boundary, boundary.stored_bits));
  const double unit = 1e3;
  const Scale y = Scale::Linear(0, most / unit, bottom, top);
  for (const double tick : y.Ticks(4)) {
    svg.Line(left, y(tick), right, y(tick), "rule");
    svg.Text(left - 7, y(tick) + 4, Short(tick), "tick", Anchor::kEnd);
  }
  svg.Text(2, 12, "kilobytes an image: stored (outline), coded (filled)", "axis");
  const double slot = (right - left) / static_cast<double>(model.boundaries.size());
  const auto every = std::max<size_t>(static_cast<size_t>(std::ceil(22 / slot)), 1);
  for (size_t i = 0; i < model.boundaries.size(); ++i) {
    const Boundary& boundary = model.boundaries[i];
    const double x = left + slot * (static_cast<double>(i) + 0.12);
    const double stored = y(Bytes(boundary, boundary.stored_bits) / unit);
    svg.Rect(
        x, stored, slot * 0.76, bottom - stored, "bar stored",
        absl::StrCat(boundary.name, ": ", Kilobytes(std::lround(Bytes(boundary, boundary.stored_bits))), " stored"));
    if (boundary.coded_bits) {
      const double coded = y(Bytes(boundary, *boundary.coded_bits) / unit);
      svg.Rect(
          x, coded, slot * 0.76, bottom - coded, "bar",
          absl::StrCat(boundary.name, ": ", Kilobytes(std::lround(Bytes(boundary, *boundary.coded_bits))), " coded"));
    }
    if (i % every == 0) svg.Text(x + slot * 0.38, bottom + 17, absl::StrCat(i + 1), "tick", Anchor::kMiddle);
  }
  svg.Line(left, bottom, right, bottom, "base");
  return svg.Finish(narrow ? "narrow" : "wide");
}

}  // namespace

std::string WireChart(const ModelReport& model) { return absl::StrCat(Draw(model, false), Draw(model, true)); }

}  // namespace bitstage::report
