#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "engine/report/charts.h"
#include "engine/report/html.h"
#include "engine/report/svg.h"

namespace bitstage::report {
namespace {

constexpr double kWidth = 260, kTop = 6, kBottom = 96, kLeft = 4, kRight = 256;
constexpr double kCombRow = 8;
constexpr size_t kMaxCombs = 4;
constexpr double kLeastGap = 2.5;  // pixels between two lines that can be told apart

}  // namespace

std::string HistogramChart(const Activation& activation) {
  const size_t combs = std::min(activation.levels.size(), kMaxCombs);
  const double height = kBottom + 8 + kCombRow * static_cast<double>(combs) + 16;
  Svg svg(kWidth, height, absl::StrCat("Histogram of ", activation.name),
          absl::StrCat(activation.grid, ", ", Percent(activation.zeros), " zeros"));
  const Scale x = Scale::Linear(activation.low, activation.high, kLeft, kRight);
  // The widest levels, shaded: what the grid reaches.
  double first = activation.high, last = activation.low;
  for (const Activation::Levels& levels : activation.levels) {
    first = std::min(first, levels.first);
    last = std::max(last, levels.first + levels.step * (levels.count - 1));
  }
  const double from = std::clamp(x(first), kLeft, kRight), to = std::clamp(x(last), kLeft, kRight);
  if (to > from) svg.Rect(from, kTop, to - from, kBottom - kTop, "reach");
  // Lines of the coarsest levels through the drawing, where they can be told apart; combs of all beneath.
  for (size_t row = 0; row < combs; ++row) {
    const Activation::Levels& levels = activation.levels[row];
    const double gap = x(activation.low + levels.step) - x(activation.low);
    const int every = gap > 0 ? std::max(1, static_cast<int>(std::exp2(std::ceil(std::log2(kLeastGap / gap))))) : 1;
    const double y = kBottom + 6 + kCombRow * static_cast<double>(row);
    std::string comb, lines;
    for (int k = 0; k < levels.count; k += every) {
      const double at = x(levels.first + k * levels.step);
      if (at < kLeft - 0.5 || at > kRight + 0.5) continue;
      absl::StrAppend(&comb, "M", Coordinate(at), " ", Coordinate(y), "v6");
      absl::StrAppend(&lines, "M", Coordinate(at), " ", kTop, "V", kBottom);
    }
    if (row == 0 && gap >= 2 * kLeastGap) svg.Path(lines, "level");
    svg.Path(comb, "comb");
  }
  double most = 1;
  for (const double count : activation.bins) most = std::max(most, count);
  const Scale y = Scale::Linear(0, std::log1p(most), kBottom, kTop);
  const double width = (kRight - kLeft) / static_cast<double>(std::max<size_t>(activation.bins.size(), 1));
  std::string outline = absl::StrCat("M", Coordinate(kLeft), " ", kBottom);
  for (size_t i = 0; i < activation.bins.size(); ++i) {
    absl::StrAppend(&outline, "V", Coordinate(y(std::log1p(activation.bins[i]))), "h", Coordinate(width));
  }
  svg.Path(absl::StrCat(outline, "V", kBottom, "Z"), "histogram");
  svg.Line(kLeft, kBottom, kRight, kBottom, "base");
  const double text = height - 3;
  if (activation.low < 0 && activation.high > 0 && x(0) > 50 && x(0) < 210) {
    svg.Text(x(0), text, "0", "tick", Anchor::kMiddle);
  }
  svg.Text(kLeft, text, Short(activation.low), "tick");
  svg.Text(kRight, text, Short(activation.high), "tick", Anchor::kEnd);
  return svg.Finish("small");
}

}  // namespace bitstage::report
