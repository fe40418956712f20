#include "engine/compression/boundary_statistics.h"

#include <utility>
#include <vector>

#include "engine/base/status_macros.h"
#include "engine/codec/boundary.h"
#include "engine/graph/partition.h"
#include "engine/reference/float_executor.h"

namespace bitstage {
namespace {

// Code lengths that the tables of one value may take in the model file, a byte each: a table a channel for narrow
// codes, one a width for the rest.
constexpr int64_t kMaxTableBytes = 1024;

int64_t TableCount(const SymbolCounts& counts, const Grid& grid, int64_t channels) {
  int64_t symbols = 0;
  for (int64_t c = 0; c < channels; ++c) symbols += grid.MaxSymbol(c) + 1;
  return symbols <= kMaxTableBytes ? counts.BestTableCount() : WidthClasses(grid, channels);
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

absl::StatusOr<std::map<std::string, BoundaryTables>> MeasureBoundaryTables(const Graph& graph, const Tensor& images,
                                                                            ThreadPool* pool) {
  std::vector<bool> wanted(graph.values.size(), false);
  for (const ValueId id : CutCandidates(graph)) wanted[static_cast<size_t>(id)] = true;
  std::map<std::string, BoundaryTables> tables;
  absl::Status status;
  const std::vector<TensorView> inputs = {images.View()};
  BITSTAGE_ASSIGN_OR_RETURN(
      const std::vector<Tensor> outputs,
      FloatExecutor(graph, pool, /*snap_to_grids=*/true).Run(inputs, [&](ValueId id, Tensor& value) {
        if (!wanted[static_cast<size_t>(id)] || !status.ok()) return;
        const Grid& grid = *graph.value(id).grid;
        SymbolCounts counts(grid, value.shape()[1]);
        counts.Add(CodesInLayout(grid, value));
        absl::StatusOr<std::vector<std::vector<uint8_t>>> lengths =
            counts.Tables(TableCount(counts, grid, value.shape()[1]));
        if (!lengths.ok()) {
          status = lengths.status();
          return;
        }
        tables[graph.value(id).name] = BoundaryTables{*std::move(lengths)};
      }));
  BITSTAGE_RETURN_IF_ERROR(status);
  return tables;
}

}  // namespace bitstage
