#include "engine/graph/partition.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/sha256.h"
#include "engine/base/status_macros.h"
#include "engine/graph/constant_refs.h"
#include "engine/graph/content_hash.h"
#include "engine/graph/passes.h"

namespace bitstage {
namespace {

// A place between two nodes that only `value` crosses.
struct Cut {
  size_t end;  // nodes[0, end) run before it
  ValueId value;
  int64_t macs;  // of those nodes
  int64_t bits;  // of the value's symbols, before entropy coding
};

int64_t SymbolBits(const Value& value) {
  const int64_t channels = value.shape.rank() == 0 ? 1 : value.shape[0];
  int64_t bits = 0;
  for (int64_t c = 0; c < channels; ++c) bits += value.grid->BitsOf(c);
  return bits * (value.shape.elements() / channels);
}

std::vector<Cut> FindCuts(const Graph& graph) {
  // The node behind which a value is needed no more.
  std::vector<size_t> last_use(graph.values.size(), 0);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    for (const ValueId id : graph.nodes[i].inputs) last_use[static_cast<size_t>(id)] = i;
  }
  for (const ValueId id : graph.outputs) last_use[static_cast<size_t>(id)] = graph.nodes.size();

  std::vector<size_t> ending(graph.nodes.size() + 1, 0);  // live values by last use
  size_t live = 0;
  const auto begin_life = [&](ValueId id, size_t node) {
    const size_t last = last_use[static_cast<size_t>(id)];
    if (last <= node) return;
    ++live;
    ++ending[last];
  };
  for (const ValueId id : graph.inputs) {
    if (last_use[static_cast<size_t>(id)] == 0) continue;  // read by the first node at most
    begin_life(id, 0);
  }
  std::vector<Cut> cuts;
  int64_t macs = 0;
  for (size_t i = 0; i + 1 < graph.nodes.size(); ++i) {
    const ValueId output = graph.nodes[i].output;
    macs += MacsOf(graph, graph.nodes[i]);
    live -= ending[i];
    begin_life(output, i);
    // The last value made is the one that crosses, unless it is not needed behind the cut.
    const size_t last = last_use[static_cast<size_t>(output)];
    const Value& value = graph.value(output);
    if (live == 1 && last > i && last < graph.nodes.size() && value.grid) {
      cuts.push_back({i + 1, output, macs, SymbolBits(value)});
    }
  }
  return cuts;
}

// Picks `count` of the cuts by dynamic programming over the last cut taken. cost(previous, next) is what the stage
// between two cuts (indices; −1 the graph's begin, cuts.size() its end) adds, combined from left to right by `combine`.
template <typename Cost, typename Combine>
std::vector<size_t> BestCuts(size_t available, int count, Cost cost, Combine combine) {
  constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
  const auto n = static_cast<int>(available);
  // best[k][j]: k cuts taken, the last of them j (or the end of the graph for j = n).
  std::vector<std::vector<int64_t>> best(static_cast<size_t>(count) + 2, std::vector<int64_t>(available + 1, kNever));
  std::vector<std::vector<int>> from(best.size(), std::vector<int>(available + 1, -1));
  for (int j = 0; j <= n; ++j) best[1][static_cast<size_t>(j)] = cost(-1, j);
  for (size_t k = 2; k < best.size(); ++k) {
    for (int j = 0; j <= n; ++j) {
      for (int i = 0; i < j; ++i) {
        const int64_t before = best[k - 1][static_cast<size_t>(i)];
        const int64_t stage = before == kNever ? kNever : cost(i, j);
        if (stage == kNever) continue;
        const int64_t total = combine(before, stage);
        if (total < best[k][static_cast<size_t>(j)]) {
          best[k][static_cast<size_t>(j)] = total;
          from[k][static_cast<size_t>(j)] = i;
        }
      }
    }
  }
  std::vector<size_t> chosen;
  int at = n;
  for (size_t k = best.size() - 1; k >= 2; --k) {
    at = from[k][static_cast<size_t>(at)];
    chosen.push_back(static_cast<size_t>(at));
  }
  std::reverse(chosen.begin(), chosen.end());
  return chosen;
}

// First the smallest largest stage, then the fewest bits among all choices that keep to it.
std::vector<size_t> ChooseCuts(const Graph& graph, const std::vector<Cut>& cuts, int count) {
  int64_t all_macs = 0;
  for (const Node& node : graph.nodes) all_macs += MacsOf(graph, node);
  const auto macs = [&](int from, int to) {
    const int64_t end = static_cast<size_t>(to) == cuts.size() ? all_macs : cuts[static_cast<size_t>(to)].macs;
    return end - (from < 0 ? 0 : cuts[static_cast<size_t>(from)].macs);
  };
  const auto larger = [](int64_t a, int64_t b) { return std::max(a, b); };
  const std::vector<size_t> balanced = BestCuts(cuts.size(), count, macs, larger);
  int64_t limit = 0;
  for (size_t i = 0; i <= balanced.size(); ++i) {
    limit = std::max(limit, macs(i == 0 ? -1 : static_cast<int>(balanced[i - 1]),
                                 static_cast<int>(i == balanced.size() ? cuts.size() : balanced[i])));
  }
  const auto bits = [&](int from, int to) {
    if (macs(from, to) > limit) return std::numeric_limits<int64_t>::max();
    return static_cast<size_t>(to) == cuts.size() ? 0 : cuts[static_cast<size_t>(to)].bits;
  };
  return BestCuts(cuts.size(), count, bits, [](int64_t a, int64_t b) { return a + b; });
}

// Nodes [begin, end) with what they need.
Graph SliceOf(const Graph& graph, size_t begin, size_t end, std::vector<ValueId> inputs, std::vector<ValueId> outputs) {
  Graph slice;
  slice.values = graph.values;
  slice.nodes.assign(graph.nodes.begin() + static_cast<std::ptrdiff_t>(begin),
                     graph.nodes.begin() + static_cast<std::ptrdiff_t>(end));
  slice.inputs = std::move(inputs);
  slice.outputs = std::move(outputs);
  slice.constants.resize(graph.constants.size());
  for (Node& node : slice.nodes) {
    for (const ConstantId* id : ConstantRefs(node.op)) slice.constant(*id) = graph.constant(*id).Clone();
  }
  DropUnused(slice);
  return slice;
}

void CopyTables(const Model& model, const std::string& boundary, Model& stage) {
  const auto tables = model.boundary_tables.find(boundary);
  if (tables != model.boundary_tables.end()) stage.boundary_tables.insert(*tables);
}

}  // namespace

std::vector<ValueId> CutCandidates(const Graph& graph) {
  std::vector<ValueId> values;
  for (const Cut& cut : FindCuts(graph)) values.push_back(cut.value);
  return values;
}

absl::StatusOr<std::vector<Model>> Partition(const Model& model, int stages) {
  if (stages < 1 || stages > kMaxStages) {
    return absl::InvalidArgumentError(absl::StrCat(stages, " stages, expected 1 to ", kMaxStages));
  }
  if (model.stage) {
    return absl::FailedPreconditionError(
        absl::StrCat("the model is already stage ", model.stage->index, " of ", model.stage->count));
  }
  const Graph& graph = model.graph;
  const std::vector<Cut> cuts = FindCuts(graph);
  if (cuts.size() + 1 < static_cast<size_t>(stages)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the network can be cut at ", cuts.size(), " places, ", stages, " stages need ", stages - 1,
        model.IsQuantized() ? "" : "; only quantized values can cross a cut, and this model has float weights"));
  }
  const std::vector<size_t> chosen = ChooseCuts(graph, cuts, stages - 1);
  std::string identity = absl::StrCat(ContentHash(graph), " ", stages);
  for (const size_t cut : chosen) absl::StrAppend(&identity, " ", cuts[cut].end);
  const std::string pipeline_id = Sha256Hex(std::as_bytes(std::span(identity)));

  std::vector<Model> result;
  for (int i = 0; i < stages; ++i) {
    const Cut* before = i == 0 ? nullptr : &cuts[chosen[static_cast<size_t>(i - 1)]];
    const Cut* after = i == stages - 1 ? nullptr : &cuts[chosen[static_cast<size_t>(i)]];
    Model stage;
    stage.name = model.name;
    stage.provenance = model.provenance;
    stage.stage = StageInfo{i, stages, pipeline_id};
    stage.graph =
        SliceOf(graph, before == nullptr ? 0 : before->end, after == nullptr ? graph.nodes.size() : after->end,
                before == nullptr ? graph.inputs : std::vector{before->value},
                after == nullptr ? graph.outputs : std::vector{after->value});
    if (before == nullptr) stage.preprocessing = model.preprocessing;
    if (before != nullptr) CopyTables(model, graph.value(before->value).name, stage);
    if (after != nullptr) CopyTables(model, graph.value(after->value).name, stage);
    if (after == nullptr) {
      stage.labels = model.labels;
      stage.class_offset = model.class_offset;
    }
    BITSTAGE_RETURN_IF_ERROR(Validate(stage.graph));
    result.push_back(std::move(stage));
  }
  return result;
}

}  // namespace bitstage
