#include "engine/base/table.h"

#include <gtest/gtest.h>

#include <limits>
#include <sstream>

namespace bitstage {
namespace {

std::string Print(const Table& table, bool bold = false) {
  std::ostringstream out;
  table.Print(out, bold);
  return out.str();
}

TEST(TableTest, AlignsByCharactersNotBytes) {
  Table table({{"name"}, {"n", Align::kRight}, {"unit"}});
  table.AddRow({"é", "1", "µs"});
  table.AddRow({"abcdef", "1,000", ""});
  table.AddRule();
  table.AddRow({"", "", "x"});
  EXPECT_EQ(Print(table),
            "name        n  unit\n"
            "é           1  µs\n"
            "abcdef  1,000\n"
            "───────────────────\n"
            "               x\n");
}

TEST(TableTest, ShortensLongCellsInTheMiddleWithoutCuttingACharacter) {
  Table table({{"n", Align::kLeft, 6}, {"m"}});
  table.AddRow({"abcdefghij", "1"});
  table.AddRow({"éééééééééé", "2"});
  table.AddRow({"abcdef", "3"});
  EXPECT_EQ(Print(table),
            "n       m\n"
            "abc…ij  1\n"
            "ééé…éé  2\n"
            "abcdef  3\n");
}

TEST(TableTest, UsesNoEscapeSequenceUnlessBold) {
  const Table table({{"title"}});
  EXPECT_EQ(Print(table), "title\n");
  EXPECT_EQ(Print(table, true), "\x1b[1mtitle\x1b[0m\n");
}

TEST(TableTest, GroupsDigits) {
  EXPECT_EQ(Thousands(0), "0");
  EXPECT_EQ(Thousands(999), "999");
  EXPECT_EQ(Thousands(1000), "1,000");
  EXPECT_EQ(Thousands(-123456), "-123,456");
  EXPECT_EQ(Thousands(std::numeric_limits<int64_t>::min()), "-9,223,372,036,854,775,808");
}

}  // namespace
}  // namespace bitstage
