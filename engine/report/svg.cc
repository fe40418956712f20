#include "engine/report/svg.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/report/html.h"

namespace bitstage::report {
namespace {

absl::string_view AnchorName(Anchor anchor) {
  switch (anchor) {
    case Anchor::kMiddle: return "middle";
    case Anchor::kEnd: return "end";
    case Anchor::kStart: break;
  }
  return "start";
}

// The mark's end: closed, or around a tooltip.
std::string Closed(absl::string_view tag, absl::string_view tooltip) {
  if (tooltip.empty()) return "/>";
  return absl::StrCat("><title>", Escape(tooltip), "</title></", tag, ">");
}

}  // namespace

std::string Coordinate(double x) {
  std::string text = absl::StrFormat("%.2f", x);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text == "-0" ? "0" : text;
}

Svg::Svg(double width, double height, absl::string_view title, absl::string_view description)
    : body_(absl::StrCat("viewBox=\"0 0 ", Coordinate(width), " ", Coordinate(height), "\" role=\"img\" aria-label=\"",
                         Escape(title), ". ", Escape(description), "\">")) {}

void Svg::Line(double x1, double y1, double x2, double y2, absl::string_view cls) {
  absl::StrAppend(&body_, "<line x1=\"", Coordinate(x1), "\" y1=\"", Coordinate(y1), "\" x2=\"", Coordinate(x2));
  absl::StrAppend(&body_, "\" y2=\"", Coordinate(y2), "\" class=\"", cls, "\"/>");
}

void Svg::Rect(double x, double y, double width, double height, absl::string_view cls, absl::string_view tooltip) {
  absl::StrAppend(&body_, "<rect x=\"", Coordinate(x), "\" y=\"", Coordinate(y), "\" width=\"", Coordinate(width));
  absl::StrAppend(&body_, "\" height=\"", Coordinate(height), "\" class=\"", cls, "\"", Closed("rect", tooltip));
}

void Svg::Circle(double x, double y, double radius, absl::string_view cls, absl::string_view tooltip) {
  absl::StrAppend(&body_, "<circle cx=\"", Coordinate(x), "\" cy=\"", Coordinate(y), "\" r=\"", Coordinate(radius));
  absl::StrAppend(&body_, "\" class=\"", cls, "\"", Closed("circle", tooltip));
}

void Svg::Path(absl::string_view data, absl::string_view cls) {
  absl::StrAppend(&body_, "<path d=\"", data, "\" class=\"", cls, "\"/>");
}

void Svg::Text(double x, double y, absl::string_view text, absl::string_view cls, Anchor anchor) {
  absl::StrAppend(&body_, "<text x=\"", Coordinate(x), "\" y=\"", Coordinate(y), "\" class=\"", cls);
  absl::StrAppend(&body_, "\" text-anchor=\"", AnchorName(anchor), "\">", Escape(text), "</text>");
}

std::string Svg::Finish(absl::string_view cls) { return absl::StrCat("<svg class=\"", cls, "\" ", body_, "</svg>\n"); }

double Scale::operator()(double x) const {
  const double share =
      logarithmic_ ? std::log(x / low_) / std::log(high_ / low_) : (x - low_) / (high_ > low_ ? high_ - low_ : 1);
  return from_ + share * (to_ - from_);
}

std::vector<double> Scale::Ticks(int count) const {
  std::vector<double> ticks;
  constexpr double kSlack = 1e-9;
  if (logarithmic_) {
    // 1, 2, 5 of every power of ten; powers alone where those are too many.
    for (const bool fine : {true, false}) {
      ticks.clear();
      for (int power = static_cast<int>(std::floor(std::log10(low_))); power <= std::ceil(std::log10(high_)); ++power) {
        for (const double digit : {1.0, 2.0, 5.0}) {
          const double tick = digit * std::pow(10.0, power);
          if ((fine || digit == 1.0) && tick >= low_ * (1 - kSlack) && tick <= high_ * (1 + kSlack)) {
            ticks.push_back(tick);
          }
        }
      }
      if (static_cast<int>(ticks.size()) <= 2 * count) break;
    }
    return ticks;
  }
  const double raw = (high_ - low_) / std::max(count, 1);
  if (!(raw > 0)) return {low_};
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  double step = 10 * power;
  for (const double digit : {1.0, 2.0, 5.0}) {
    if (digit * power >= raw * (1 - kSlack)) {
      step = digit * power;
      break;
    }
  }
  for (double k = std::ceil(low_ / step - kSlack); k * step <= high_ + kSlack * step; ++k) {
    ticks.push_back(k * step + 0.0);  // not −0
  }
  return ticks;
}

}  // namespace bitstage::report
