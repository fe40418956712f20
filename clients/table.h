// Table: rows of text in aligned columns.
#pragma once

#include <ostream>
#include <string>
#include <vector>

namespace bitstage::client {

class Table {
 public:
  // Columns whose title begins with '>' are aligned right (the mark is not printed).
  explicit Table(std::vector<std::string> titles);
  // Requires as many cells as titles.
  void Add(std::vector<std::string> cells);
  void Print(std::ostream& out) const;

 private:
  std::vector<std::string> titles_;
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace bitstage::client
