#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/report/charts.h"
#include "engine/report/html.h"
#include "engine/report/svg.h"

namespace bitstage::report {
namespace {

constexpr double kPanelGap = 34;
constexpr double kTallest = 8;  // bits; floats are drawn as tall and marked

absl::string_view BarClass(const Layer& layer) {
  if (absl::StartsWith(layer.codes, "ternary")) return "bar ternary";
  if (absl::StartsWith(layer.codes, "binary")) return "bar binary";
  if (absl::StartsWith(layer.codes, "float")) return "bar float";
  return "bar";
}

// The panels of one model, one column a layer.
class Drawing {
 public:
  Drawing(const Report& report, const ModelReport& model, bool narrow)
      : model_(model),
        left_(narrow ? 46 : 58),
        right_((narrow ? 360 : 760) - 8.0),
        narrow_(narrow),
        slot_((right_ - left_) / static_cast<double>(std::max<size_t>(model.layers.size(), 1))),
        bits_height_(narrow ? 130 : 150),
        other_height_(narrow ? 70 : 80) {
    for (const Sensitivity& sensitivity : report.sensitivities) noise_[sensitivity.layer] = sensitivity.noise;
    has_noise_ = std::any_of(model.layers.begin(), model.layers.end(),
                             [&](const Layer& layer) { return noise_.contains(layer.name); });
  }

  std::string Draw() {
    const double height =
        24 + bits_height_ + kPanelGap + other_height_ + (has_noise_ ? kPanelGap + other_height_ : 0) + 24;
    svg_.emplace(narrow_ ? 360 : 760, height, absl::StrCat("Bits of every layer of ", model_.name),
                 "The table of layers holds the same numbers");
    double bottom = 24 + bits_height_;
    BitsPanel(bottom);
    bottom += kPanelGap + other_height_;
    BytesPanel(bottom);
    if (has_noise_) {
      bottom += kPanelGap + other_height_;
      NoisePanel(bottom);
    }
    Numbers(bottom);
    return svg_->Finish(narrow_ ? "narrow" : "wide");
  }

 private:
  [[nodiscard]] double Left(size_t layer) const { return left_ + slot_ * static_cast<double>(layer) + slot_ * 0.12; }
  [[nodiscard]] double Width() const { return slot_ * 0.76; }

  // Rules with numbers and the panel's title above.
  void Panel(const Scale& y, double top, double bottom, const std::vector<double>& ticks, absl::string_view title) {
    for (const double tick : ticks) {
      svg_->Line(left_, y(tick), right_, y(tick), "rule");
      svg_->Text(left_ - 7, y(tick) + 4, Short(tick), "tick", Anchor::kEnd);
    }
    svg_->Text(2, top - 9, title, "axis");
    svg_->Line(left_, bottom, right_, bottom, "base");
  }

  void BitsPanel(double bottom) {
    const Scale y = Scale::Linear(0, kTallest, bottom, bottom - bits_height_);
    Panel(y, bottom - bits_height_, bottom, {2, 4, 6, 8}, "bits a weight (columns) and an activation (dots)");
    for (size_t i = 0; i < model_.layers.size(); ++i) {
      const Layer& layer = model_.layers[i];
      const double top = y(std::min(layer.bits, kTallest));
      svg_->Rect(Left(i), top, Width(), bottom - top, BarClass(layer),
                 absl::StrCat(i + 1, ". ", layer.name, ": ", Short(layer.bits), " bits, ", layer.codes, "; output ",
                              layer.activation));
    }
    for (size_t i = 0; i < model_.layers.size(); ++i) {
      if (model_.layers[i].activation_bits == 0) continue;
      svg_->Circle(Left(i) + Width() / 2, y(model_.layers[i].activation_bits), std::clamp(slot_ / 4, 1.6, 4.0),
                   "activation");
    }
  }

  void BytesPanel(double bottom) {
    double most = 1;
    for (const Layer& layer : model_.layers) most = std::max(most, static_cast<double>(layer.bytes));
    const double unit = 1e3;
    const Scale y = Scale::Linear(0, most / unit, bottom, bottom - other_height_);
    Panel(y, bottom - other_height_, bottom, y.Ticks(3), "kilobytes");
    for (size_t i = 0; i < model_.layers.size(); ++i) {
      const Layer& layer = model_.layers[i];
      const double top = y(static_cast<double>(layer.bytes) / unit);
      svg_->Rect(Left(i), top, Width(), bottom - top, "bar bytes",
                 absl::StrCat(i + 1, ". ", layer.name, ": ", Kilobytes(layer.bytes)));
    }
  }

  void NoisePanel(double bottom) {
    double least = 1e9, most = 0;
    for (const auto& [layer, noise] : noise_) {
      if (!(noise > 0)) continue;
      least = std::min(least, noise);
      most = std::max(most, noise);
    }
    if (most == 0) return;
    const Scale y = Scale::Logarithmic(least / 1.5, most * 1.2, bottom, bottom - other_height_);
    Panel(y, bottom - other_height_, bottom, y.Ticks(3), "sensitivity: noise over margin, alone at equal bits");
    for (size_t i = 0; i < model_.layers.size(); ++i) {
      const auto found = noise_.find(model_.layers[i].name);
      if (found == noise_.end() || !(found->second > 0)) continue;
      const double top = y(found->second);
      svg_->Rect(Left(i), top, Width(), bottom - top, "bar noise",
                 absl::StrCat(i + 1, ". ", model_.layers[i].name, ": ", Short(found->second)));
    }
  }

  void Numbers(double bottom) {
    const auto every = static_cast<size_t>(std::ceil(22 / slot_));
    for (size_t i = 0; i < model_.layers.size(); i += std::max<size_t>(every, 1)) {
      svg_->Text(Left(i) + Width() / 2, bottom + 17, absl::StrCat(i + 1), "tick", Anchor::kMiddle);
    }
  }

  const ModelReport& model_;
  const double left_, right_;
  const bool narrow_;
  const double slot_, bits_height_, other_height_;
  std::map<std::string, double> noise_;
  bool has_noise_ = false;
  std::optional<Svg> svg_;
};

}  // namespace

std::string LayerChart(const Report& report, const ModelReport& model) {
  return absl::StrCat(Drawing(report, model, false).Draw(), Drawing(report, model, true).Draw());
}

}  // namespace bitstage::report
