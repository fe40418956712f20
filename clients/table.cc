#include "clients/table.h"

#include <algorithm>
#include <utility>

namespace bitstage::client {

Table::Table(std::vector<std::string> titles) : titles_(std::move(titles)) {
  for (std::string& title : titles_) {
    right_.push_back(!title.empty() && title[0] == '>');
    if (right_.back()) title.erase(0, 1);
  }
}

void Table::Add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }

void Table::Print(std::ostream& out) const {
  std::vector<size_t> width;
  for (const std::string& title : titles_) width.push_back(title.size());
  for (const auto& row : rows_) {
    for (size_t i = 0; i < width.size(); ++i) width[i] = std::max(width[i], row[i].size());
  }
  const auto print = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (size_t i = 0; i < cells.size(); ++i) {
      const std::string fill(width[i] - cells[i].size(), ' ');
      line += "  " + (right_[i] ? fill + cells[i] : cells[i] + fill);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out << line << '\n';
  };
  print(titles_);
  for (const auto& row : rows_) print(row);
}

}  // namespace bitstage::client
