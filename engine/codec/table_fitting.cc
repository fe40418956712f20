#include "engine/codec/table_fitting.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "engine/base/checked_math.h"
#include "engine/codec/contexts.h"
#include "engine/codec/huffman.h"

namespace bitstage {
namespace {

constexpr int kMaxRounds = 10;

using Row = std::span<const uint64_t>;
using Lengths = std::vector<uint8_t>;

uint64_t Cost(Row counts, const Lengths& lengths) {
  uint64_t bits = 0;
  for (size_t cell = 0; cell < lengths.size(); ++cell) bits += counts[cell] * lengths[cell];
  return bits;
}

double MeanCell(Row counts) {
  double sum = 0;
  double count = 0;
  for (size_t cell = 0; cell < counts.size(); ++cell) {
    sum += static_cast<double>(counts[cell]) * static_cast<double>(cell);
    count += static_cast<double>(counts[cell]);
  }
  return count > 0 ? sum / count : 0;
}

// Puts `rows` together to at most `tables` tables; table_of[i] becomes the table of rows[i], counted from 0.
std::vector<Lengths> Cluster(std::span<const Row> rows, int tables, int limit, std::vector<size_t>& table_of) {
  // To begin with: equal shares of what was counted, ordered by the mean.
  std::vector<size_t> order(rows.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::vector<double> mean(rows.size());
  std::vector<uint64_t> weight(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    mean[i] = MeanCell(rows[i]);
    weight[i] = std::accumulate(rows[i].begin(), rows[i].end(), uint64_t{0});
  }
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return mean[a] < mean[b]; });
  const double total = static_cast<double>(std::accumulate(weight.begin(), weight.end(), uint64_t{0}));
  table_of.assign(rows.size(), 0);
  double before = 0;
  for (const size_t i : order) {
    table_of[i] =
        std::min(static_cast<size_t>(tables) - 1, static_cast<size_t>(total > 0 ? before / total * tables : 0));
    before += static_cast<double>(weight[i]);
  }

  std::vector<Lengths> lengths;
  for (int round = 0; round < kMaxRounds; ++round) {
    // Tables that nobody uses go.
    std::vector<size_t> number(static_cast<size_t>(tables), std::numeric_limits<size_t>::max());
    std::vector<std::vector<uint64_t>> sums;
    for (size_t i = 0; i < rows.size(); ++i) {
      size_t& n = number[table_of[i]];
      if (n == std::numeric_limits<size_t>::max()) {
        n = sums.size();
        sums.emplace_back(rows[0].size());
      }
      table_of[i] = n;
      for (size_t cell = 0; cell < rows[i].size(); ++cell) sums[n][cell] += rows[i][cell];
    }
    lengths.clear();
    for (const std::vector<uint64_t>& sum : sums) lengths.push_back(TablesFromHistogram(sum, limit));
    bool moved = false;
    for (size_t i = 0; round + 1 < kMaxRounds && i < rows.size(); ++i) {
      uint64_t best = Cost(rows[i], lengths[table_of[i]]);
      for (size_t t = 0; t < lengths.size(); ++t) {
        if (const uint64_t cost = Cost(rows[i], lengths[t]); cost < best) {
          best = cost;
          table_of[i] = t;
          moved = true;
        }
      }
    }
    if (!moved) break;
  }
  return lengths;
}

}  // namespace

CellCounts::CellCounts(Grid grid, const Shape& image_shape, bool pairs)
    : grid_(std::move(grid)),
      channels_(image_shape[image_shape.rank() - 1]),
      width_(image_shape.rank() == 3 ? image_shape[1] : 1),
      height_(image_shape.rank() == 3 ? image_shape[0] : 1),
      pairs_(pairs) {
  int width = 0;
  for (int64_t c = 0; c < channels_; ++c) width = std::max(width, grid_.BitsOf(c));
  stride_ = size_t{1} << (pairs_ ? 2 * width : width);
  counts_.resize(static_cast<size_t>(channels_) * stride_);
}

CellCounts::CellCounts(Grid grid, const Shape& image_shape, const CodeTables& plain)
    : CellCounts(std::move(grid), image_shape, plain.pairs) {
  group_of_channel_ = plain.group_of_channel;
  contexts_ = codec::ContextCount(grid_.BitsOf(0), pairs_);
  const size_t groups = 1 + size_t{*std::max_element(group_of_channel_.begin(), group_of_channel_.end())};
  counts_.assign(groups * static_cast<size_t>(contexts_) * stride_, 0);
}

void CellCounts::Add(int64_t batch, std::span<const uint8_t> codes) {
  elements_ += static_cast<int64_t>(codes.size());
  const int64_t lines = contexts_ > 0 ? batch * height_ : 1;
  const int64_t pixels = contexts_ > 0 ? width_ : batch * height_ * width_;
  const int64_t step = pairs_ ? 2 : 1;
  for (int64_t line = 0; line < lines; ++line) {
    const uint8_t* const row = codes.data() + line * pixels * channels_;
    const uint8_t* const above = line % height_ != 0 ? row - pixels * channels_ : nullptr;
    const auto symbol = [&](const uint8_t* at, int64_t pixel, int64_t c) {
      return pixel < pixels ? at[pixel * channels_ + c] >> grid_.ShiftOf(c) : 0;
    };
    for (int64_t x = 0; x < pixels; x += step) {
      for (int64_t c = 0; c < channels_; ++c) {
        const int cell = symbol(row, x, c) | (pairs_ ? symbol(row, x + 1, c) << grid_.BitsOf(c) : 0);
        auto key = static_cast<size_t>(c);
        if (contexts_ > 0) {
          int l = x > 0 ? symbol(row, x - 1, c) : 0;
          int u0 = l;
          int u1 = l;
          if (above != nullptr) {
            u0 = symbol(above, x, c);
            u1 = symbol(above, x + 1, c);
            if (x == 0) l = u0;
          }
          const int bits = grid_.BitsOf(c);
          const int k = pairs_ ? codec::PairContext(l, u0, u1, bits) : codec::SingleContext(l, u0, bits);
          key = static_cast<size_t>(group_of_channel_[static_cast<size_t>(c)] * contexts_ + k);
        }
        ++counts_[key * stride_ + static_cast<size_t>(cell)];
      }
    }
  }
}

std::vector<CellCounts::Class> CellCounts::Classes() const {
  const size_t rows = counts_.size() / stride_;
  std::vector<Class> classes;
  std::vector<std::pair<int, int>> forms;
  for (size_t row = 0; row < rows; ++row) {
    const int64_t c = contexts_ > 0 ? 0 : static_cast<int64_t>(row);
    const std::pair<int, int> form = {grid_.BitsOf(c), grid_.ShiftOf(c)};
    const auto found = std::find(forms.begin(), forms.end(), form);
    const auto index = static_cast<size_t>(found - forms.begin());
    if (found == forms.end()) {
      forms.push_back(form);
      classes.push_back({pairs_ ? 2 * form.first : form.first, {}});
    }
    classes[index].rows.push_back(row);
  }
  return classes;
}

CodeTables CellCounts::Fit(const FitOptions& options) const {
  const size_t rows = counts_.size() / stride_;
  std::vector<uint8_t> table_of_row(rows);
  CodeTables result = {.pairs = pairs_, .lengths = {}, .group_of_channel = {}, .of_context = {}};
  for (const Class& one : Classes()) {
    std::vector<Row> counts;
    for (const size_t row : one.rows) {
      counts.push_back(Row(counts_).subspan(row * stride_, size_t{1} << one.width));
    }
    const auto share = DivideRoundUp(static_cast<int64_t>(options.max_tables) * static_cast<int64_t>(one.rows.size()),
                                     static_cast<int64_t>(rows));
    const int limit = std::max(options.max_length, one.width);
    std::vector<size_t> table_of;
    const std::vector<Lengths> lengths = Cluster(counts, static_cast<int>(share), limit, table_of);
    for (size_t i = 0; i < one.rows.size(); ++i) {
      table_of_row[one.rows[i]] = static_cast<uint8_t>(result.lengths.size() + table_of[i]);
    }
    result.lengths.insert(result.lengths.end(), lengths.begin(), lengths.end());
  }
  if (contexts_ > 0) {
    result.group_of_channel = group_of_channel_;
    result.of_context = std::move(table_of_row);
  } else {
    result.group_of_channel = std::move(table_of_row);
  }
  return result;
}

double CellCounts::BitsPerElement(const CodeTables& tables) const {
  const std::vector<uint8_t>& table_of = contexts_ > 0 ? tables.of_context : tables.group_of_channel;
  uint64_t bits = 0;
  for (size_t row = 0; row < table_of.size(); ++row) {
    bits += Cost(Row(counts_).subspan(row * stride_, stride_), tables.lengths[table_of[row]]);
  }
  return elements_ > 0 ? static_cast<double>(bits) / static_cast<double>(elements_) : 0;
}

}  // namespace bitstage
