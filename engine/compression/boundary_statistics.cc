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

}  // namespace

BoundaryTables MakeBoundaryTables(const Grid& grid, const Shape& image, int64_t batch, std::span<const uint8_t> codes,
                                  double link_mbps) {
  const int64_t channels = image[image.rank() - 1];
  const int widest = WidestBits(grid, channels);
  BoundaryTables tables;
  CellCounts singles(grid, image, /*pairs=*/false);
  singles.Add(batch, codes);
  tables.plain = singles.Fit(widest <= kMaxBitsOfShortCodes ? kSingles : FitOptions{});
  double plain_bits = singles.BitsPerElement(tables.plain);
  if (2 * widest <= 8 && image.rank() == 3) {
    CellCounts pairs(grid, image, /*pairs=*/true);
    pairs.Add(batch, codes);
    CodeTables of_pairs = pairs.Fit(2 * widest <= 6 ? kPairs : kWidePairs);
    if (const double bits = pairs.BitsPerElement(of_pairs); bits < plain_bits) {
      plain_bits = bits;
      tables.plain = std::move(of_pairs);
    }
  }
  double contexts_bits = 0;
  if (link_mbps <= kMaxLinkForContexts && image.rank() == 3 && IsUniform(grid, channels)) {
    CellCounts counts(grid, image, tables.plain);
    counts.Add(batch, codes);
    tables.contexts = counts.Fit((tables.plain.pairs ? 2 : 1) * widest <= 6 ? kContexts : kWideContexts);
    contexts_bits = counts.BitsPerElement(tables.contexts);
  }
  double stored_bits = 0;
  for (int64_t c = 0; c < channels; ++c) stored_bits += grid.BitsOf(c) / static_cast<double>(channels);
  CodingMeasures measures;
  measures.stored.bits = stored_bits;
  measures.plain.bits = plain_bits;
  measures.contexts.bits = contexts_bits;
  const absl::StatusOr<const codec::CellKernels*> kernels = codec::ChosenKernels();
  SetCosts(kernels.ok() ? **kernels : codec::PortableKernels(), tables.plain.pairs,
           (tables.plain.pairs ? 2 : 1) * widest, measures);
  tables.preferred = ChooseCoding(measures, link_mbps);
  tables.plain_bits = static_cast<float>(plain_bits);
  tables.contexts_bits = static_cast<float>(contexts_bits);
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
