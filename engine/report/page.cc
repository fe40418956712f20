#include "engine/report/page.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/base/table.h"
#include "engine/report/charts.h"
#include "engine/report/html.h"
#include "engine/report/sections.h"

namespace bitstage::report {
namespace {

// A cell of the table of models; data-figure names it for programs that read the page.
std::string Cell(absl::string_view figure, const std::string& text, absl::string_view note = {}) {
  return absl::StrCat("<td class=\"n\" data-figure=\"", figure, "\">", text,
                      note.empty() ? "" : absl::StrCat("<small>", note, "</small>"), "</td>");
}

std::string Range(const Share& share) { return absl::StrFormat("%.2f to %.2f", 100 * share.low, 100 * share.high); }

std::string FloatRow(const Report& report) {
  const FloatReport& reference = *report.reference;
  const std::optional<Accuracy>& accuracy = reference.accuracy;
  return absl::StrCat(
      "<tr class=\"float\" data-model=\"float\"><td></td><th scope=\"row\">", ShortName(reference.name, 40),
      " <small>float</small></th>", accuracy ? Cell("top1", Percent(accuracy->top1.value), Range(accuracy->top1)) : "",
      Cell("file_bytes", Kilobytes(reference.file_bytes)), Cell("bits_per_weight", "32"),
      report.images > 0 && accuracy ? Cell("difference", "") : "", report.images > 0 ? Cell("agreement", "") : "",
      accuracy ? absl::StrCat(Cell("lost_won", ""), Cell("top5", Percent(accuracy->top5))) : "", "</tr>\n");
}

std::string ModelRow(const Report& report, size_t index) {
  const ModelReport& model = report.models[index];
  const std::optional<Accuracy>& accuracy = model.accuracy;
  const std::optional<Paired>& paired = model.paired;
  std::string row =
      absl::StrCat("<tr data-model=\"", index, "\"><td>", Badge(index), "</td><th scope=\"row\"><a href=\"#model-",
                   index + 1, "\">", ShortName(model.name, 40), "</a></th>");
  if (accuracy) row += Cell("top1", Percent(accuracy->top1.value), Range(accuracy->top1));
  absl::StrAppend(&row, Cell("file_bytes", Kilobytes(model.file_bytes)),
                  Cell("bits_per_weight", absl::StrFormat("%.2f", model.bits_per_weight)));
  if (accuracy && paired) {
    const Share& difference = paired->difference;
    row += Cell("difference", Points(difference.value),
                absl::StrCat(Points(difference.low), " to ", Points(difference.high)));
  }
  if (paired) row += Cell("agreement", Percent(paired->agreement.value), Range(paired->agreement));
  if (accuracy && paired) row += Cell("lost_won", absl::StrCat(paired->lost, " / ", paired->won));
  if (accuracy) row += Cell("top5", Percent(accuracy->top5));
  return row + "</tr>\n";
}

std::string ModelTable(const Report& report) {
  const bool labelled = report.models[0].accuracy.has_value();
  const bool paired = report.models[0].paired.has_value();
  const auto title = [](absl::string_view text) {
    return absl::StrCat("<th scope=\"col\" class=\"n\">", text, "</th>");
  };
  std::string table = absl::StrCat("<table id=\"models\"><thead><tr><td></td><th scope=\"col\">model</th>",
                                   labelled ? title("top-1") : "", title("file"), title("bits a weight"),
                                   labelled && paired ? title("points to float") : "", paired ? title("agreement") : "",
                                   labelled && paired ? title("lost / won") : "", labelled ? title("top-5") : "",
                                   "</tr></thead><tbody>\n");
  if (report.reference) table += FloatRow(report);
  for (size_t i = 0; i < report.models.size(); ++i) table += ModelRow(report, i);
  return Scrolled(table + "</tbody></table>", "Models");
}

std::string Overview(const Report& report) {
  std::string html = "<section id=\"overview\"><h2>Accuracy against size</h2>\n";
  if (report.models[0].accuracy) {
    absl::StrAppend(&html, "<figure>", AccuracyChart(report), "<figcaption>",
                    report.models[0].paired
                        ? "Bars: 95 % intervals of the difference to the float network on the same images."
                        : "Bars: 95 % intervals.",
                    " The line joins the models that no other beats in size and accuracy.</figcaption></figure>\n");
  }
  html += ModelTable(report);
  if (report.data.empty()) {
    html += "<p class=\"note\">Without <code>--data IMAGES</code> nothing was run: no accuracy, no histograms.</p>\n";
  } else {
    absl::StrAppend(&html, "<p class=\"note\">On ", Escape(report.data),
                    ". Small print: 95 % intervals (Wilson; paired for differences). Lost / won: right in float only / "
                    "right in the low-bit model only.</p>\n");
    if (!report.reference) {
      html +=
          "<p class=\"note\">With <code>--float NET.onnx</code> the page also compares answers and measures "
          "sensitivities.</p>\n";
    }
  }
  return html + "</section>\n";
}

// The best that the page has to say, large.
std::string Headline(const Report& report) {
  const auto smallest = std::min_element(report.models.begin(), report.models.end(),
                                         [](const auto& a, const auto& b) { return a.file_bytes < b.file_bytes; });
  const auto fact = [](const std::string& value, const std::string& label) {
    return absl::StrCat("<div><dt>", label, "</dt><dd>", value, "</dd></div>\n");
  };
  std::string html = "<dl class=\"facts\">\n";
  if (report.models[0].accuracy) {
    const auto best = std::max_element(report.models.begin(), report.models.end(), [](const auto& a, const auto& b) {
      return std::pair(a.accuracy->top1.value, -a.file_bytes) < std::pair(b.accuracy->top1.value, -b.file_bytes);
    });
    html += fact(Percent(best->accuracy->top1.value), absl::StrCat("best top-1, ", ShortName(best->name, 24)));
  }
  if (report.reference && report.reference->accuracy) {
    html += fact(Percent(report.reference->accuracy->top1.value), "float top-1");
  }
  html += fact(Kilobytes(smallest->file_bytes), absl::StrCat("smallest file, ", ShortName(smallest->name, 24)));
  if (report.reference) {
    html += fact(absl::StrFormat("%.1f×", static_cast<double>(report.reference->file_bytes) /
                                              static_cast<double>(std::max<int64_t>(smallest->file_bytes, 1))),
                 "smaller than the float file");
  }
  return html + "</dl>\n";
}

std::string SensitivityNote(const Report& report) {
  if (report.sensitivities.empty()) return "";
  std::vector<const Sensitivity*> order;
  for (const Sensitivity& sensitivity : report.sensitivities) order.push_back(&sensitivity);
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) { return a->noise > b->noise; });
  const double most = std::max(order[0]->noise, 1e-30);
  std::string table =
      "<table><thead><tr><th scope=\"col\">layer</th><th scope=\"col\" class=\"n\">noise over "
      "margin</th></tr></thead><tbody>\n";
  for (const Sensitivity* sensitivity : order) {
    absl::StrAppend(
        &table, "<tr><th scope=\"row\">", ShortName(sensitivity->layer, 44),
        "</th><td class=\"n meter\"><i style=\"width:", absl::StrFormat("%.1f", 100 * sensitivity->noise / most),
        "%\"></i>", Short(sensitivity->noise), "</td></tr>\n");
  }
  return absl::StrCat(
      "<section id=\"sensitivity\"><h2>Sensitivity</h2>\n<p>The noise that rounding one layer of the float "
      "network alone to ",
      report.sensitivity_bits,
      " bits adds to the last feature vector, over the margin "
      "of the decision; ",
      report.sensitivity_images, " images. Layers at the top deserve more bits.</p>\n<details open><summary>",
      order.size(), " layers, the most sensitive first</summary>\n",
      Scrolled(absl::StrCat(table, "</tbody></table>"), "Sensitivity"), "</details></section>\n");
}

}  // namespace

std::string RenderPage(const Report& report) {
  std::string html = absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src "
      "data:\">\n<meta name=\"color-scheme\" content=\"light dark\">\n"
      "<link rel=\"icon\" href=\"data:,\">\n<title>",
      Escape(report.title), "</title>\n<style>", kStyle,
      "</style>\n</head>\n<body>\n<header><p class=\"brand\">bitstage "
      "report</p>\n<h1>",
      Escape(report.title), "</h1>\n");
  absl::StrAppend(&html, Headline(report), "</header>\n<main>\n", Overview(report), SensitivityNote(report),
                  "<section id=\"detail\" aria-label=\"Model by model\">\n");
  for (size_t i = 0; i < report.models.size(); ++i) html += ModelSection(report, i);
  absl::StrAppend(&html, "</section>\n", AnswersSection(report), "</main>\n<footer><p>Made by bitstage-model ",
                  Escape(report.tool_version), ": <code>", Escape(report.command),
                  "</code></p></footer>\n</body>\n</html>\n");
  return html;
}

}  // namespace bitstage::report
