#include "engine/report/html.h"

#include <gtest/gtest.h>

#include "engine/report/svg.h"

namespace bitstage::report {
namespace {

TEST(EscapeTest, LeavesNothingThatCouldEndAnElementOrAnAttribute) {
  EXPECT_EQ(Escape("<b a=\"1\" c='2'>&amp;"), "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;amp;");
}

TEST(EscapeTest, KeepsUtf8AndReplacesWhatIsNone) {
  EXPECT_EQ(Escape("größe ∑ 🐈"), "größe ∑ 🐈");
  EXPECT_EQ(Escape("a\xFFz"), "a\xEF\xBF\xBDz");
  EXPECT_EQ(Escape("\xC0\xAF"), "\xEF\xBF\xBD\xEF\xBF\xBD");          // overlong
  EXPECT_EQ(Escape("\xED\xA0\x80").find('\xED'), std::string::npos);  // a surrogate
  EXPECT_EQ(Escape("\xE2\x82"), "\xEF\xBF\xBD\xEF\xBF\xBD");          // cut short
  EXPECT_EQ(Escape(std::string("a\0b\x1B", 4)),
            "a\xEF\xBF\xBD"
            "b\xEF\xBF\xBD");
  EXPECT_EQ(Escape("two\nlines"), "two lines");
}

TEST(NumbersTest, ReadAsPeopleWriteThem) {
  EXPECT_EQ(Percent(0.91875), "91.88 %");
  EXPECT_EQ(Points(0.0025), "+0.25");
  EXPECT_EQ(Points(-0.01), "−1.00");
  EXPECT_EQ(Points(-0.00001), "0.00");
  EXPECT_EQ(Kilobytes(999), "999 B");
  EXPECT_EQ(Kilobytes(54321), "54.3 KB");
  EXPECT_EQ(Kilobytes(154752), "155 KB");
  EXPECT_EQ(Kilobytes(1234567), "1.23 MB");
}

TEST(ShortNameTest, LosesItsMiddleAndKeepsTheWholeAsATooltip) {
  EXPECT_EQ(ShortName("conv1", 10), "<span title=\"conv1\">conv1</span>");
  EXPECT_EQ(ShortName("layer1.0.conv1.weight", 10), "<span title=\"layer1.0.conv1.weight\">lay…weight</span>");
  // Never half a character.
  EXPECT_EQ(ShortName("ääääääääää", 7).find("\xEF\xBF\xBD"), std::string::npos);
}

TEST(ScaleTest, MapsEndsToEndsAndTicksAreRound) {
  const Scale linear = Scale::Linear(0, 50, 100, 0);
  EXPECT_EQ(linear(0), 100);
  EXPECT_EQ(linear(50), 0);
  EXPECT_EQ(linear.Ticks(5), (std::vector<double>{0, 10, 20, 30, 40, 50}));
  const Scale logarithmic = Scale::Logarithmic(80, 1200, 0, 1);
  EXPECT_EQ(logarithmic(80), 0);
  EXPECT_NEAR(logarithmic(1200), 1, 1e-12);
  EXPECT_EQ(logarithmic.Ticks(5), (std::vector<double>{100, 200, 500, 1000}));
}

TEST(SvgTest, EscapesTextsAndTooltipsAndSaysWhatItIs) {
  Svg svg(10, 20, "<title>", "a & b");
  svg.Rect(1, 2, 3, 4, "bar", "\"x\"");
  svg.Text(0, 0, "<t>", "tick");
  EXPECT_EQ(
      svg.Finish("wide"),
      "<svg class=\"wide\" viewBox=\"0 0 10 20\" role=\"img\" aria-label=\"&lt;title&gt;. a &amp; b\"><rect x=\"1\" "
      "y=\"2\" width=\"3\" height=\"4\" class=\"bar\"><title>&quot;x&quot;</title></rect><text x=\"0\" y=\"0\" "
      "class=\"tick\" text-anchor=\"start\">&lt;t&gt;</text></svg>\n");
}

}  // namespace
}  // namespace bitstage::report
