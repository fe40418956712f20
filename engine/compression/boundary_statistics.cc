#include "engine/compression/boundary_statistics.h"

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "engine/base/status_macros.h"
#include "engine/codec/kernel_choice.h"
#include "engine/codec/table_fitting.h"
#include "engine/compression/coding_choice.h"
#include "engine/graph/partition.h"
#include "engine/reference/float_executor.h"

namespace bitstage {
namespace {

// Tables of single symbols fit in a core's registers for up to 32 symbols, of pairs in its first-level cache.
constexpr FitOptions kSingles = {.max_tables = 8, .max_length = 8};
constexpr FitOptions kPairs = {.max_tables = 4, .max_length = 8};
constexpr FitOptions kWidePairs = {.max_tables = 4, .max_length = 11};
// With contexts, tables of 10 bits lose nothing to 11 for up to 64 cells, and take half the cache.
constexpr FitOptions kContexts = {.max_tables = 32, .max_length = 10};
constexpr FitOptions kWideContexts = {.max_tables = 32, .max_length = 11};
// Above, lengths of 8 bits cost too much.
constexpr int kMaxBitsOfShortCodes = 5;

int WidestBits(const Grid& grid, int64_t channels) {
  int widest = 0;
  for (int64_t c = 0; c < channels; ++c) widest = std::max(widest, grid.BitsOf(c));
  return widest;
}

bool IsUniform(const Grid& grid, int64_t channels) {
  for (int64_t c = 1; c < channels; ++c) {
    if (grid.BitsOf(c) != grid.BitsOf(0) || grid.ShiftOf(c) != grid.ShiftOf(0)) return false;
  }
  return true;
}

// The codes of a batch ([images] + C x H x W or C) in code layout: H x W x C an image.
std::vector<uint8_t> CodesInLayout(const Grid& grid, const Tensor& batch) {
  const Shape& shape = batch.shape();
  const int64_t channels = shape[1];
  const int64_t inner = shape.InnerElements(1);
  std::vector<uint8_t> codes(static_cast<size_t>(shape.elements()));
  const std::span<const float> values = batch.Span<float>();
  for (int64_t n = 0; n < shape[0]; ++n) {
    for (int64_t c = 0; c < channels; ++c) {
      EncodeToGrid(grid, c, values.subspan(static_cast<size_t>((n * channels + c) * inner), static_cast<size_t>(inner)),
                   codes.data() + n * channels * inner + c, channels);
    }
  }
  return codes;
}

struct PlainCandidate {
  CodeTables tables;
  CodingMeasure measure;
};

// Singles and, where they can be, pairs; by groups of channels, and by one table where all channels look alike.
std::vector<PlainCandidate> PlainCandidates(const Grid& grid, const Shape& image, int64_t batch,
                                            std::span<const uint8_t> codes, bool is_uniform,
                                            const codec::CellKernels& kernels) {
  const int widest = WidestBits(grid, image[image.rank() - 1]);
  std::vector<PlainCandidate> candidates;
  const auto add = [&](bool pairs, FitOptions options) {
    const int cell_bits = (pairs ? 2 : 1) * widest;
    CellCounts counts(grid, image, pairs);
    counts.Add(batch, codes);
    for (const bool one_table : {false, true}) {
      if (one_table && !is_uniform) continue;
      if (one_table) options.max_tables = 1;
      PlainCandidate& made = candidates.emplace_back();
      made.tables = counts.Fit(options);
      made.measure = {counts.BitsPerElement(made.tables), PlainCost(kernels, {pairs, one_table, cell_bits})};
    }
  };
  add(false, widest <= kMaxBitsOfShortCodes ? kSingles : FitOptions{});
  if (2 * widest <= 8 && image.rank() == 3) add(true, 2 * widest <= 6 ? kPairs : kWidePairs);
  return candidates;
}

}  // namespace

BoundaryTables MakeBoundaryTables(const Grid& grid, const Shape& image, int64_t batch, std::span<const uint8_t> codes,
                                  double link_mbps) {
  const int64_t channels = image[image.rank() - 1];
  const int widest = WidestBits(grid, channels);
  const bool is_uniform = IsUniform(grid, channels);
  const absl::StatusOr<const codec::CellKernels*> chosen = codec::ChosenKernels();
  const codec::CellKernels& kernels = chosen.ok() ? **chosen : codec::PortableKernels();
  const std::vector<PlainCandidate> candidates = PlainCandidates(grid, image, batch, codes, is_uniform, kernels);
  const auto least = [&](const auto& of) {
    return *std::min_element(candidates.begin(), candidates.end(),
                             [&](const PlainCandidate& a, const PlainCandidate& b) { return of(a) < of(b); });
  };
  const PlainCandidate fastest = least([&](const PlainCandidate& one) { return TimeOnLink(one.measure, link_mbps); });
  BoundaryTables tables = {.plain = fastest.tables, .contexts = {}};
  CodingMeasures measures;
  measures.plain = fastest.measure;
  if (link_mbps <= kMaxLinkForContexts && image.rank() == 3 && is_uniform) {
    const CodeTables smallest = least([](const PlainCandidate& one) { return one.measure.bits; }).tables;
    CellCounts counts(grid, image, smallest);
    counts.Add(batch, codes);
    tables.contexts = counts.Fit((smallest.pairs ? 2 : 1) * widest <= 6 ? kContexts : kWideContexts);
    measures.contexts = {counts.BitsPerElement(tables.contexts), ContextsCost(kernels, smallest.pairs)};
  }
  for (int64_t c = 0; c < channels; ++c) measures.stored.bits += grid.BitsOf(c) / static_cast<double>(channels);
  measures.stored.nanoseconds = StoredCost(kernels);
  tables.preferred = ChooseCoding(measures, link_mbps);
  tables.plain_bits = static_cast<float>(measures.plain.bits);
  tables.contexts_bits = static_cast<float>(measures.contexts.bits);
  return tables;
}

absl::StatusOr<std::map<std::string, BoundaryTables>> MeasureBoundaryTables(const Graph& graph, const Tensor& images,
                                                                            double link_mbps, ThreadPool* pool) {
  std::vector<bool> wanted(graph.values.size(), false);
  for (const ValueId id : CutCandidates(graph)) wanted[static_cast<size_t>(id)] = true;
  std::map<std::string, BoundaryTables> tables;
  const std::vector<TensorView> inputs = {images.View()};
  BITSTAGE_ASSIGN_OR_RETURN(
      const std::vector<Tensor> outputs,
      FloatExecutor(graph, pool, /*snap_to_grids=*/true).Run(inputs, [&](ValueId id, Tensor& value) {
        if (!wanted[static_cast<size_t>(id)]) return;
        const Grid& grid = *graph.value(id).grid;
        const Shape& shape = value.shape();
        const int64_t inner = shape.InnerElements(1);
        const Shape image = shape.rank() == 4 ? Shape{shape[2], shape[3], shape[1]}
                            : inner == 1      ? Shape{shape[1]}
                                              : Shape{1, inner, shape[1]};
        tables[graph.value(id).name] = MakeBoundaryTables(grid, image, shape[0], CodesInLayout(grid, value), link_mbps);
      }));
  return tables;
}

}  // namespace bitstage
