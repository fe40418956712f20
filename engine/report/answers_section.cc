#include <algorithm>

#include "absl/strings/str_cat.h"
#include "engine/base/table.h"
#include "engine/report/html.h"
#include "engine/report/sections.h"

namespace bitstage::report {
namespace {

constexpr size_t kConfusionsShown = 12;  // of each model

// "lost", "won" or neither, for the colour and the words.
absl::string_view Outcome(const ChangedImage& image, const std::string& answer) {
  if (!image.truth) return "";
  if (image.float_answer == *image.truth) return "lost";
  if (answer == *image.truth) return "won";
  return "";
}

std::string Picture(const ChangedImage& image) {
  std::string html =
      absl::StrCat("<figure class=\"photo\"><img src=\"", Escape(image.picture), "\" alt=\"", Escape(image.name),
                   "\"><figcaption><b>", Escape(image.truth.value_or(image.name)), "</b>");
  absl::StrAppend(&html, "<span class=\"answer\">float: ", Escape(image.float_answer), "</span>");
  for (const ChangedImage::Answer& answer : image.answers) {
    const absl::string_view outcome = Outcome(image, answer.text);
    absl::StrAppend(&html, "<span class=\"answer ", outcome, "\">", Badge(answer.model), " ", Escape(answer.text),
                    outcome.empty()     ? ""
                    : outcome == "lost" ? " ✗"
                                        : " ✓",
                    "</span>");
  }
  return absl::StrCat(html, "</figcaption></figure>\n");
}

std::string Confusions(const Report& report, size_t model) {
  std::vector<const Confusion*> own;
  int64_t most = 1;
  for (const Confusion& confusion : report.confusions) {
    if (confusion.model == model) own.push_back(&confusion);
    most = std::max(most, confusion.count);
  }
  std::string html =
      absl::StrCat("<div class=\"confusion\"><h4>", Badge(model), " ", Escape(report.models[model].name), "</h4>\n");
  if (own.empty()) return html + "<p>answers as the float network does.</p></div>\n";
  html +=
      "<table><thead><tr><th scope=\"col\">float → this model</th><th scope=\"col\" "
      "class=\"n\">images</th></tr></thead>"
      "<tbody>\n";
  const size_t shown = std::min(own.size(), kConfusionsShown);
  for (size_t i = 0; i < shown; ++i) {
    absl::StrAppend(&html, "<tr><td>", Escape(own[i]->float_answer), " → ", Escape(own[i]->model_answer),
                    "</td><td class=\"n meter\"><i style=\"width:", 100 * own[i]->count / most, "%\"></i>",
                    own[i]->count, "</td></tr>\n");
  }
  html += "</tbody></table>\n";
  if (shown < own.size()) absl::StrAppend(&html, "<p class=\"note\">and ", own.size() - shown, " rarer ones</p>\n");
  return html + "</div>\n";
}

}  // namespace

std::string AnswersSection(const Report& report) {
  if (!report.reference || report.images == 0) return "";
  std::string html = absl::StrCat("<section id=\"answers\"><h2>Answers that changed</h2>\n<p>",
                                  Thousands(report.changed_total), " of ", Thousands(report.images),
                                  " images are answered otherwise by one of the models than by the float network");
  if (report.changed_total == 0) return html + ".</p></section>\n";
  absl::StrAppend(&html,
                  report.changed.size() < static_cast<size_t>(report.changed_total)
                      ? absl::StrCat("; ", report.changed.size(), " of them are shown")
                      : "",
                  ". ✗: right in float only, ✓: right in the low-bit model only. Numbers are the models'.</p>\n");
  html += "<div class=\"photos\">\n";
  for (const ChangedImage& image : report.changed) html += Picture(image);
  html += "</div>\n<h3>Which answers took whose place</h3>\n<div class=\"confusions\">\n";
  for (size_t model = 0; model < report.models.size(); ++model) html += Confusions(report, model);
  return html + "</div></section>\n";
}

}  // namespace bitstage::report
