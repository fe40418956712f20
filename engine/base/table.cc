#include "engine/base/table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace bitstage {
namespace {

constexpr const char* kGap = "  ";

bool BeginsCharacter(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) != 0x80; }

// Characters, not bytes: names and units may be UTF-8.
size_t Width(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), BeginsCharacter));
}

// The byte at which character `index` begins.
size_t ByteOf(const std::string& text, size_t index) {
  size_t at = 0;
  for (; at < text.size(); ++at) {
    if (BeginsCharacter(text[at]) && index-- == 0) break;
  }
  return at;
}

std::string Shortened(std::string text, size_t max_width) {
  const size_t width = Width(text);
  if (width <= max_width) return text;
  const size_t head = max_width / 2;
  const size_t tail = max_width - head - 1;
  return absl::StrCat(text.substr(0, ByteOf(text, head)), "…", text.substr(ByteOf(text, width - tail)));
}

std::string Padded(const std::string& text, size_t width, Align align) {
  const std::string blanks(width - Width(text), ' ');
  return align == Align::kLeft ? absl::StrCat(text, blanks) : absl::StrCat(blanks, text);
}

}  // namespace

void Table::AddRow(std::vector<std::string> cells) {
  for (size_t i = 0; i < cells.size(); ++i) cells[i] = Shortened(std::move(cells[i]), columns_[i].max_width);
  rows_.push_back(std::move(cells));
}

void Table::Print(std::ostream& out, bool bold) const {
  std::vector<size_t> widths;
  for (const Column& column : columns_) widths.push_back(Width(column.title));
  for (const std::vector<std::string>& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Width(row[i]));
  }
  const auto print_line = [&](const auto& cell_of) {
    std::string line;
    for (size_t i = 0; i < columns_.size(); ++i) {
      absl::StrAppend(&line, i == 0 ? "" : kGap, Padded(cell_of(i), widths[i], columns_[i].align));
    }
    return line.substr(0, line.find_last_not_of(' ') + 1);
  };
  const std::string titles = print_line([&](size_t i) { return columns_[i].title; });
  out << (bold ? "\x1b[1m" : "") << titles << (bold ? "\x1b[0m" : "") << "\n";
  for (const std::vector<std::string>& row : rows_) {
    if (row.empty()) {
      size_t total = 2 * (columns_.size() - 1);
      for (const size_t width : widths) total += width;
      for (size_t i = 0; i < total; ++i) out << "─";
      out << "\n";
      continue;
    }
    out << print_line([&](size_t i) { return row[i]; }) << "\n";
  }
}

std::string Thousands(int64_t number) {
  const std::string digits = absl::StrCat(number);
  std::string text;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && digits[i - 1] != '-' && (digits.size() - i) % 3 == 0) text.push_back(',');
    text.push_back(digits[i]);
  }
  return text;
}

}  // namespace bitstage
