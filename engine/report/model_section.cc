#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/base/table.h"
#include "engine/report/charts.h"
#include "engine/report/html.h"
#include "engine/report/sections.h"

namespace bitstage::report {
namespace {

constexpr size_t kNameLength = 44;
constexpr size_t kActivationsAtFirst = 8;

std::string Layers(const Report& report, const ModelReport& model) {
  if (model.layers.empty()) return "";
  std::string html = absl::StrCat(
      "<h3>Layers</h3>\n<p class=\"sub\">", Escape(model.codes), "</p>\n<figure>", LayerChart(report, model),
      "<figcaption>In the order of execution. <span class=\"key\"><i class=\"swatch\"></i>uniform</span> "
      "<span class=\"key\"><i class=\"swatch ternary\"></i>ternary</span> "
      "<span class=\"key\"><i class=\"swatch binary\"></i>binary</span> "
      "<span class=\"key\"><i class=\"swatch round\"></i>activations</span></figcaption></figure>\n");
  std::string table =
      "<table><thead><tr><th scope=\"col\" class=\"n\">#</th><th scope=\"col\">layer</th><th scope=\"col\">op</th>"
      "<th scope=\"col\">weights</th><th scope=\"col\" class=\"n\">bits</th><th scope=\"col\">codes</th>"
      "<th scope=\"col\">activation</th><th scope=\"col\" class=\"n\">bytes</th><th scope=\"col\" class=\"n\">MACs</th>"
      "<th scope=\"col\" class=\"n\">sensitivity</th></tr></thead><tbody>\n";
  for (size_t i = 0; i < model.layers.size(); ++i) {
    const Layer& layer = model.layers[i];
    const auto found = std::find_if(report.sensitivities.begin(), report.sensitivities.end(),
                                    [&](const Sensitivity& sensitivity) { return sensitivity.layer == layer.name; });
    absl::StrAppend(&table, "<tr><td class=\"n\">", i + 1, "</td><th scope=\"row\">",
                    ShortName(layer.name, kNameLength), "</th><td>", Escape(layer.op), "</td><td>",
                    Escape(layer.weights), "</td><td class=\"n\">", Short(layer.bits), "</td><td>");
    absl::StrAppend(&table, Escape(layer.codes), "</td><td>", Escape(layer.activation), "</td><td class=\"n\">",
                    Thousands(layer.bytes), "</td><td class=\"n\">", Thousands(layer.macs), "</td><td class=\"n\">",
                    found == report.sensitivities.end() ? "" : Short(found->noise), "</td></tr>\n");
  }
  absl::StrAppend(&html, "<details><summary>Table of ", Counted(static_cast<int64_t>(model.layers.size()), "layer"),
                  "</summary>\n", Scrolled(absl::StrCat(table, "</tbody></table>"), "Layers"), "</details>\n");
  return html;
}

std::string Card(const Activation& activation) {
  return absl::StrCat("<figure class=\"card\"><figcaption>", ShortName(activation.name, 30), "</figcaption>",
                      HistogramChart(activation), "<p>", Escape(activation.grid), " · ",
                      absl::StrFormat("%.0f %%", 100 * activation.zeros), " zeros · ", Short(100 * activation.clipped),
                      " % clipped · ", absl::StrFormat("%.1f dB", activation.signal_to_noise_db), "</p></figure>\n");
}

std::string Activations(const Report& report, const ModelReport& model) {
  if (model.activations.empty()) return "";
  std::string html = absl::StrCat(
      "<h3>Activations and their grids</h3>\n<p class=\"note\">What the low-bit network computes before it rounds, on ",
      report.activation_images,
      " images; heights are logarithmic, exact zeros left out. Shaded: what the grid reaches. Ticks beneath: its "
      "levels, a row for each group of channels (only some where they are closer than the eye tells). dB: signal over "
      "the noise of rounding.</p>\n<div class=\"cards\">\n");
  const size_t shown = std::min(kActivationsAtFirst, model.activations.size());
  for (size_t i = 0; i < shown; ++i) html += Card(model.activations[i]);
  html += "</div>\n";
  if (shown < model.activations.size()) {
    absl::StrAppend(&html, "<details><summary>", model.activations.size() - shown,
                    " more activations</summary>\n<div class=\"cards\">\n");
    for (size_t i = shown; i < model.activations.size(); ++i) html += Card(model.activations[i]);
    html += "</div></details>\n";
  }
  return html;
}

std::string Wire(const ModelReport& model) {
  if (model.boundaries.empty()) return "";
  std::string html = absl::StrCat(
      "<h3>On the wire</h3>\n<figure>", WireChart(model),
      "<figcaption>What one image sends where the model is cut into stages there, from the input to the answer; coded: "
      "with Huffman tables from the calibration.</figcaption></figure>\n");
  std::string table =
      "<table><thead><tr><th scope=\"col\" class=\"n\">#</th><th scope=\"col\">cut at</th><th scope=\"col\">shape</th>"
      "<th scope=\"col\" class=\"n\">elements</th><th scope=\"col\" class=\"n\">bits stored</th>"
      "<th scope=\"col\" class=\"n\">coded</th><th scope=\"col\" class=\"n\">bytes an image</th>"
      "<th scope=\"col\">frames</th></tr></thead><tbody>\n";
  for (size_t i = 0; i < model.boundaries.size(); ++i) {
    const Boundary& boundary = model.boundaries[i];
    const double bits = boundary.coded_bits ? *boundary.coded_bits : boundary.stored_bits;
    absl::StrAppend(&table, "<tr><td class=\"n\">", i + 1, "</td><th scope=\"row\">",
                    ShortName(boundary.name, kNameLength), "</th><td>", Escape(boundary.shape), "</td><td class=\"n\">",
                    Thousands(boundary.elements), "</td><td class=\"n\">",
                    absl::StrFormat("%.2f", boundary.stored_bits));
    absl::StrAppend(&table, "</td><td class=\"n\">",
                    boundary.coded_bits ? absl::StrFormat("%.2f", *boundary.coded_bits) : "", "</td><td class=\"n\">",
                    Thousands(std::lround(static_cast<double>(boundary.elements) * bits / 8)), "</td><td>",
                    Escape(boundary.coding), "</td></tr>\n");
  }
  absl::StrAppend(&html, "<details><summary>Table of ", Counted(static_cast<int64_t>(model.boundaries.size()), "cut"),
                  "</summary>\n", Scrolled(absl::StrCat(table, "</tbody></table>"), "Cuts"), "</details>\n");
  return html;
}

}  // namespace

std::string Badge(size_t index) { return absl::StrCat("<span class=\"badge\">", index + 1, "</span>"); }

std::string Scrolled(const std::string& table, const std::string& label) {
  return absl::StrCat("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"", Escape(label), "\">", table,
                      "</div>\n");
}

std::string ModelSection(const Report& report, size_t index) {
  const ModelReport& model = report.models[index];
  std::string html =
      absl::StrCat("<details class=\"model\" id=\"model-", index + 1, "\"", index == 0 ? " open" : "",
                   ">\n<summary><h2>", Badge(index), " ", Escape(model.name), "</h2> <span class=\"sub\">",
                   absl::StrFormat("%.2f bits a weight · ", model.bits_per_weight), Kilobytes(model.file_bytes),
                   "</span></summary>\n");
  absl::StrAppend(&html, Layers(report, model), Activations(report, model), Wire(model));
  if (!model.provenance.empty()) {
    html += "<h3>Where it comes from</h3>\n<ul class=\"plain\">\n";
    for (const std::string& line : model.provenance) absl::StrAppend(&html, "<li>", Escape(line), "</li>\n");
    html += "</ul>\n";
  }
  return html + "</details>\n";
}

}  // namespace bitstage::report
