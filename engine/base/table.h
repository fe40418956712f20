// Table: text in aligned columns, for people.
//
//   Table table({{"layer", Align::kLeft, 40}, {"bytes", Align::kRight}});
//   table.AddRow({"conv1", "1,728"});
//   table.Print(console.out, console.out_is_terminal);
#pragma once

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

namespace bitstage {

enum class Align : uint8_t { kLeft, kRight };

struct Column {
  std::string title;
  Align align = Align::kLeft;
  size_t max_width = 1000;  // longer cells lose their middle: "layer1.0…weight"
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // Requires one cell a column.
  void AddRow(std::vector<std::string> cells);
  // A line between two rows.
  void AddRule() { rows_.emplace_back(); }
  // With `bold` the titles are bold, by an escape sequence.
  void Print(std::ostream& out, bool bold) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;  // empty: a rule
};

// "1,234,567".
std::string Thousands(int64_t number);

}  // namespace bitstage
