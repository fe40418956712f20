#include "engine/report/page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace bitstage::report {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kEvil[] = "</title></style><script>alert('x')</script>\"'&";

ModelReport SomeModel(const std::string& name) {
  return {.name = name,
          .file_bytes = 154752,
          .bits_per_weight = 3.68,
          .weights = 270896,
          .macs = 40000000,
          .accuracy = Accuracy{{0.91875, 0.8979, 0.9356}, 0.9975},
          .paired = Paired{{0.9875, 0.977, 0.993}, 3, 5, {0.0025, -0.0045, 0.0095}},
          .layers = {{name + "/conv", "Conv 3x3", "16x3x3x3", "uniform, channel", 4, "4 bits", 4, 300, 442368},
                     {name + "/fc", "FullyConnected", "10x64", "ternary, pixel", 1.6, "float", 0, 200, 640}},
          .boundaries = {{name + "/relu", "16x32x32", 16384, 4, 2.34, "plain"}},
          .activations = {{.name = name + "/relu",
                           .grid = "4 bits",
                           .low = 0,
                           .high = 3,
                           .bins = {5, 0, 2, 1},
                           .zeros = 0.5,
                           .clipped = 0.01,
                           .signal_to_noise_db = 20.5,
                           .levels = {{0, 0.2, 16, 12}, {0, 0.1, 16, 4}}}},
          .provenance = {"source: " + name}};
}

Report Everything(const std::string& word) {
  return {.title = word,
          .tool_version = word,
          .command = "report " + word,
          .data = "800 of " + word,
          .images = 800,
          .models = {SomeModel(word), SomeModel(word + " (2)")},
          .reference = FloatReport{word, 1096000, Accuracy{{0.91625, 0.895, 0.9334}, 0.9975}},
          .sensitivity_bits = 4,
          .sensitivity_images = 32,
          .sensitivities = {{word + "/conv", 0.004}, {word + "/fc", 0.0001}},
          .activation_images = 32,
          .changed_total = 2,
          .changed = {{word, "data:image/png;base64,AAAA", word, word, {{1, "other"}}}},
          .confusions = {{1, word, "other", 2}}};
}

size_t Count(const std::string& page, const std::string& what) {
  size_t count = 0;
  for (size_t at = page.find(what); at != std::string::npos; at = page.find(what, at + what.size())) ++count;
  return count;
}

// Every element that is opened is closed, in order.
void ExpectBalanced(const std::string& page) {
  const std::vector<std::string> empty = {"meta", "link", "img", "!DOCTYPE", "line", "path"};
  std::vector<std::string> open;
  for (size_t at = page.find('<'); at != std::string::npos; at = page.find('<', at + 1)) {
    const size_t end = page.find('>', at);
    ASSERT_NE(end, std::string::npos);
    const bool closes = page[at + 1] == '/';
    const size_t begin = at + 1 + (closes ? 1 : 0);
    const std::string tag = page.substr(begin, page.find_first_of(" >/", begin) - begin);
    if (closes) {
      ASSERT_FALSE(open.empty()) << "</" << tag << ">";
      ASSERT_EQ(open.back(), tag);
      open.pop_back();
    } else if (page[end - 1] != '/' && std::find(empty.begin(), empty.end(), tag) == empty.end()) {
      open.push_back(tag);
    }
    if (tag == "style" && !closes) at = page.find("</style", at) - 1;
  }
  EXPECT_TRUE(open.empty());
}

TEST(PageTest, IsWellFormedAndNeedsNothingElse) {
  const std::string page = RenderPage(Everything("ResNet-20"));
  ExpectBalanced(page);
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
  EXPECT_THAT(page, HasSubstr("name=\"viewport\""));
  EXPECT_THAT(page, HasSubstr("prefers-color-scheme:dark"));
  EXPECT_THAT(page, Not(HasSubstr("http:")));
  EXPECT_THAT(page, Not(HasSubstr("https:")));
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_EQ(page, RenderPage(Everything("ResNet-20")));
}

TEST(PageTest, ShowsTheFiguresWhereProgramsFindThem) {
  const std::string page = RenderPage(Everything("m"));
  EXPECT_THAT(page, HasSubstr("<td class=\"n\" data-figure=\"top1\">91.88 %<small>89.79 to 93.56</small></td>"));
  EXPECT_THAT(page, HasSubstr("<td class=\"n\" data-figure=\"agreement\">98.75 %"));
  EXPECT_THAT(page, HasSubstr("<td class=\"n\" data-figure=\"lost_won\">3 / 5</td>"));
  EXPECT_THAT(page, HasSubstr("<td class=\"n\" data-figure=\"difference\">+0.25<small>−0.45 to +0.95</small></td>"));
  EXPECT_THAT(page, HasSubstr("<td class=\"n\" data-figure=\"bits_per_weight\">3.68</td>"));
}

TEST(PageTest, EscapesEveryWordThatComesFromAFile) {
  const std::string page = RenderPage(Everything(kEvil));
  ExpectBalanced(page);
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, Not(HasSubstr("alert('x')")));
  // As the page with a harmless word, element for element.
  EXPECT_EQ(Count(page, "<"), Count(RenderPage(Everything("harmless")), "<"));
}

TEST(PageTest, HasATableBesideEveryChartAndWordsForEveryPicture) {
  const std::string page = RenderPage(Everything("m"));
  EXPECT_EQ(Count(page, "<svg "), Count(page, "role=\"img\" aria-label="));
  EXPECT_EQ(Count(page, "<img "), Count(page, " alt="));
  EXPECT_EQ(Count(page, "Table of 2 layers"), 2u);
  EXPECT_EQ(Count(page, "Table of 1 cut<"), 2u);
  EXPECT_THAT(page, HasSubstr("<th scope=\"row\"><span title=\"m/conv\">m/conv</span></th>"));
}

TEST(PageTest, LeavesOutWhatWasNotMeasuredAndSaysHowToHaveIt) {
  Report report = Everything("m");
  report.images = 0;
  report.data.clear();
  report.reference.reset();
  report.sensitivities.clear();
  report.changed.clear();
  report.confusions.clear();
  for (ModelReport& model : report.models) {
    model.accuracy.reset();
    model.paired.reset();
    model.activations.clear();
  }
  const std::string page = RenderPage(report);
  ExpectBalanced(page);
  EXPECT_THAT(page, HasSubstr("--data IMAGES"));
  EXPECT_THAT(page, Not(HasSubstr("top-1")));
  EXPECT_THAT(page, Not(HasSubstr("id=\"answers\"")));
  EXPECT_THAT(page, Not(HasSubstr("id=\"sensitivity\"")));
}

}  // namespace
}  // namespace bitstage::report
