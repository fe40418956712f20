#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/report/charts.h"
#include "engine/report/html.h"
#include "engine/report/svg.h"

namespace bitstage::report {
namespace {

struct Point {
  double bytes;
  Share top1;
};

// Top-1 with an interval: the paired one where there is a float network on the same images, which is narrower.
std::vector<Point> PointsOf(const Report& report) {
  std::vector<Point> points;
  for (const ModelReport& model : report.models) {
    Share top1 = model.accuracy->top1;
    if (model.paired && report.reference && report.reference->accuracy) {
      const double reference = report.reference->accuracy->top1.value;
      top1.low = reference + model.paired->difference.low;
      top1.high = reference + model.paired->difference.high;
    }
    points.push_back({static_cast<double>(model.file_bytes), top1});
  }
  return points;
}

// Models that no other beats in both: rising in size and accuracy.
std::vector<Point> Front(std::vector<Point> points) {
  std::sort(points.begin(), points.end(), [](const Point& a, const Point& b) {
    return std::pair(a.bytes, -a.top1.value) < std::pair(b.bytes, -b.top1.value);
  });
  std::vector<Point> front;
  for (const Point& point : points) {
    if (front.empty() || point.top1.value > front.back().top1.value) front.push_back(point);
  }
  return front;
}

class Drawing {
 public:
  Drawing(const Report& report, bool narrow)
      : report_(report),
        points_(PointsOf(report)),
        narrow_(narrow),
        width_(narrow ? 360 : 760),
        height_(narrow ? 300 : 380),
        left_(narrow ? 46 : 58),
        bottom_(height_ - 46),
        right_(width_ - (narrow ? 14 : 24)),
        svg_(width_, height_, "Accuracy against file size", "The table of models holds the same numbers") {}

  std::string Draw() {
    const double reference = report_.reference && report_.reference->accuracy ? report_.reference->accuracy->top1.value
                                                                              : points_[0].top1.value;
    double low = reference, high = reference, least = points_[0].bytes, most = points_[0].bytes;
    for (const Point& point : points_) {
      low = std::min({low, point.top1.low, point.top1.value});
      high = std::max({high, point.top1.high, point.top1.value});
      least = std::min(least, point.bytes);
      most = std::max(most, point.bytes);
    }
    const double margin = std::max(0.06 * (high - low), 0.002);
    const Scale y = Scale::Linear(low - margin, std::min(high + margin, 1.0 + margin), bottom_, 20);
    const Scale x = Scale::Logarithmic(least / 1.18, most * (narrow_ ? 1.18 : 1.4), left_, right_);
    Axes(x, y);
    if (report_.reference && report_.reference->accuracy) {
      svg_.Line(left_, y(reference), right_, y(reference), "reference");
      svg_.Text(left_ + 4, y(reference) - 6, absl::StrCat("float ", Percent(reference)), "label muted");
    }
    std::string path;
    for (const Point& point : Front(points_)) {
      if (path.empty())
        absl::StrAppend(&path, "M", Coordinate(x(point.bytes)), " ", Coordinate(y(point.top1.value)));
      else
        absl::StrAppend(&path, "H", Coordinate(x(point.bytes)), "V", Coordinate(y(point.top1.value)));
    }
    svg_.Path(path, "front");
    for (const Point& point : points_) Interval(x(point.bytes), y(point.top1.low), y(point.top1.high));
    for (size_t i = 0; i < points_.size(); ++i) Dot(i, x(points_[i].bytes), y(points_[i].top1.value));
    if (!narrow_) Names(x, y);
    return svg_.Finish(narrow_ ? "narrow" : "wide");
  }

 private:
  void Axes(const Scale& x, const Scale& y) {
    for (const double tick : y.Ticks(7)) {
      svg_.Line(left_, y(tick), right_, y(tick), "rule");
      svg_.Text(left_ - 7, y(tick) + 4, absl::StrFormat("%g", std::round(1e4 * tick) / 100), "tick", Anchor::kEnd);
    }
    svg_.Text(2, 12, "top-1, %", "axis");
    svg_.Line(left_, bottom_, right_, bottom_, "base");
    double last = -1e9;
    for (const double tick : x.Ticks(narrow_ ? 3 : 5)) {
      if (x(tick) - last < 50) continue;
      last = x(tick);
      svg_.Line(x(tick), bottom_, x(tick), bottom_ + 5, "base");
      svg_.Text(x(tick), bottom_ + 19, Size(tick), "tick", Anchor::kMiddle);
    }
    svg_.Text(right_, height_ - 6, "file size", "axis", Anchor::kEnd);
  }

  static std::string Size(double bytes) {
    return bytes >= 1e6 ? absl::StrFormat("%g MB", bytes / 1e6) : absl::StrFormat("%g KB", bytes / 1e3);
  }

  void Interval(double x, double low, double high) {
    svg_.Line(x, low, x, high, "interval");
    svg_.Line(x - 4, low, x + 4, low, "interval");
    svg_.Line(x - 4, high, x + 4, high, "interval");
  }

  void Dot(size_t index, double x, double y) {
    const ModelReport& model = report_.models[index];
    svg_.Circle(x, y, 10, "dot",
                absl::StrCat(model.name, ": ", Percent(points_[index].top1.value), ", ", Kilobytes(model.file_bytes)));
    svg_.Text(x, y + 4, absl::StrCat(index + 1), "dot-number", Anchor::kMiddle);
  }

  // Each name on the first side of its dot where it covers nothing.
  void Names(const Scale& x, const Scale& y) {
    struct Box {
      double left, top, right, bottom;
    };
    std::vector<Box> taken;
    for (const Point& point : points_) {
      const double cx = x(point.bytes), cy = y(point.top1.value);
      taken.push_back({cx - 11, cy - 11, cx + 11, cy + 11});
    }
    for (size_t i = 0; i < points_.size(); ++i) {
      std::string name = report_.models[i].name;
      if (name.size() > 26) name = name.substr(0, 25) + "…";
      const double cx = x(points_[i].bytes), cy = y(points_[i].top1.value);
      const double length = 6.9 * static_cast<double>(name.size());
      const Box sides[] = {{cx + 15, cy - 9, cx + 15 + length, cy + 7},
                           {cx - 15 - length, cy - 9, cx - 15, cy + 7},
                           {cx - length / 2, cy - 29, cx + length / 2, cy - 13},
                           {cx - length / 2, cy + 13, cx + length / 2, cy + 29}};
      for (const Box& box : sides) {
        const bool inside = box.left >= left_ && box.right <= right_ && box.top >= 0 && box.bottom <= bottom_;
        const bool free = std::none_of(taken.begin(), taken.end(), [&](const Box& other) {
          return box.left < other.right && other.left < box.right && box.top < other.bottom && other.top < box.bottom;
        });
        if (!inside || !free) continue;
        taken.push_back(box);
        svg_.Text(box.left, box.bottom - 3, name, "label");
        break;
      }
    }
  }

  const Report& report_;
  const std::vector<Point> points_;
  const bool narrow_;
  const double width_, height_, left_, bottom_, right_;
  Svg svg_;
};

}  // namespace

std::string AccuracyChart(const Report& report) {
  return absl::StrCat(Drawing(report, false).Draw(), Drawing(report, true).Draw());
}

}  // namespace bitstage::report
