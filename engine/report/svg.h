// Svg: drawings made of a few kinds of marks; colours and fonts are the page's classes (style.cc).
//
//   Svg svg(720, 360, "Accuracy against size", "Top-1 of six models between 88 and 283 KB");
//   svg.Line(0, 10, 100, 10, "rule");
//   svg.Text(50, 20, "200 KB", "tick", Anchor::kMiddle);
//   html += svg.Finish("wide");
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace bitstage::report {

enum class Anchor { kStart, kMiddle, kEnd };

class Svg {
 public:
  // Title and description are what a screen reader says; both are escaped, as is every text and tooltip.
  Svg(double width, double height, absl::string_view title, absl::string_view description);

  void Line(double x1, double y1, double x2, double y2, absl::string_view cls);
  void Rect(double x, double y, double width, double height, absl::string_view cls, absl::string_view tooltip = {});
  void Circle(double x, double y, double radius, absl::string_view cls, absl::string_view tooltip = {});
  void Path(absl::string_view data, absl::string_view cls);
  void Text(double x, double y, absl::string_view text, absl::string_view cls, Anchor anchor = Anchor::kStart);

  // Escaped classes are the caller's own words. Call once.
  std::string Finish(absl::string_view cls);

 private:
  std::string body_;
};

// A number of an SVG attribute: at most two decimals.
std::string Coordinate(double x);

// From data to pixels: linear, or of the logarithm.
class Scale {
 public:
  static Scale Linear(double low, double high, double from, double to) { return {low, high, from, to, false}; }
  // Requires 0 < low < high.
  static Scale Logarithmic(double low, double high, double from, double to) { return {low, high, from, to, true}; }

  [[nodiscard]] double operator()(double x) const;
  // About `count` round numbers within the range, rising.
  [[nodiscard]] std::vector<double> Ticks(int count) const;

 private:
  Scale(double low, double high, double from, double to, bool logarithmic)
      : low_(low), high_(high), from_(from), to_(to), logarithmic_(logarithmic) {}

  double low_, high_, from_, to_;
  bool logarithmic_;
};

}  // namespace bitstage::report
