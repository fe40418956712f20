#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "absl/strings/str_cat.h"
#include "engine/base/refuse.h"
#include "engine/base/status_macros.h"
#include "engine/codec/tables.h"
#include "engine/format/model_constants.h"
#include "engine/format/model_enums.h"
#include "engine/format/model_format.h"
#include "engine/format/model_meta.h"
#include "engine/format/model_ops.h"

namespace bitstage {
namespace {

using namespace model_enums;

// `status` with `where` in front of its message.
template <typename... Parts>
absl::Status At(const absl::Status& status, const Parts&... where) {
  return absl::Status(status.code(), absl::StrCat(where..., ": ", status.message()));
}

std::vector<uint8_t> ToBytes(const std::string& bytes) { return {bytes.begin(), bytes.end()}; }

absl::StatusOr<Value> ReadValue(const pb::Value& proto) {
  Value value;
  value.name = proto.name();
  BITSTAGE_ASSIGN_OR_RETURN(value.shape, ReadShape(proto.shape(), "shape"));
  BITSTAGE_ASSIGN_OR_RETURN(value.type, FromProto(kDataTypes, proto.type(), "type"));
  if (!proto.has_grid()) return value;
  const pb::Grid& grid = proto.grid();
  if (grid.zero_point() > 255) return Refuse("grid.zero_point is ", grid.zero_point(), ", expected 0 to 255");
  value.grid = Grid{.zero_point = static_cast<int>(grid.zero_point()),
                    .step = {grid.step().begin(), grid.step().end()},
                    .bits = ToBytes(grid.bits()),
                    .shift = ToBytes(grid.shift())};
  return value;
}

absl::StatusOr<Node> ReadNode(const pb::Node& proto) {
  Node node;
  node.name = proto.name();
  for (const uint32_t input : proto.inputs()) {
    BITSTAGE_ASSIGN_OR_RETURN(const ValueId id, ReadIndex(input, "inputs"));
    node.inputs.push_back(id);
  }
  BITSTAGE_ASSIGN_OR_RETURN(node.output, ReadIndex(proto.output(), "output"));
  BITSTAGE_ASSIGN_OR_RETURN(node.op, ReadOp(proto));
  return node;
}

template <typename List>
absl::Status CheckCount(const List& list, absl::string_view field) {
  if (static_cast<size_t>(list.size()) <= model_format::kMaxGraphItems) return absl::OkStatus();
  return Refuse("META: graph.", field, " has ", list.size(), " entries, expected at most ",
                model_format::kMaxGraphItems);
}

absl::StatusOr<Graph> ReadGraph(const pb::Graph& proto, const ModelSections& sections,
                                std::vector<PackedCodes>& codes) {
  BITSTAGE_RETURN_IF_ERROR(CheckCount(proto.values(), "values"));
  BITSTAGE_RETURN_IF_ERROR(CheckCount(proto.constants(), "constants"));
  BITSTAGE_RETURN_IF_ERROR(CheckCount(proto.nodes(), "nodes"));
  BITSTAGE_RETURN_IF_ERROR(CheckCount(proto.inputs(), "inputs"));
  BITSTAGE_RETURN_IF_ERROR(CheckCount(proto.outputs(), "outputs"));
  Graph graph;
  for (const pb::Value& from : proto.values()) {
    absl::StatusOr<Value> value = ReadValue(from);
    if (!value.ok()) return At(value.status(), "META: value ", graph.values.size(), " '", from.name(), "'");
    graph.AddValue(*std::move(value));
  }
  BITSTAGE_ASSIGN_OR_RETURN(codes, ReadConstants(proto, sections, graph));
  for (const pb::Node& from : proto.nodes()) {
    absl::StatusOr<Node> node = ReadNode(from);
    if (!node.ok()) return At(node.status(), "META: node ", graph.nodes.size(), " '", from.name(), "'");
    graph.nodes.push_back(*std::move(node));
  }
  for (const uint32_t id : proto.inputs()) {
    BITSTAGE_ASSIGN_OR_RETURN(graph.inputs.emplace_back(), ReadIndex(id, "META: graph.inputs"));
  }
  for (const uint32_t id : proto.outputs()) {
    BITSTAGE_ASSIGN_OR_RETURN(graph.outputs.emplace_back(), ReadIndex(id, "META: graph.outputs"));
  }
  if (const absl::Status status = ValidateWithoutCodes(graph); !status.ok()) return At(status, "META: graph");
  return graph;
}

bool AreFinite(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); });
}

// `input` is the network's first input.
absl::StatusOr<Preprocessing> ReadPreprocessing(const pb::Preprocessing& proto, const Value& input) {
  Preprocessing result{.width = proto.width(),
                       .height = proto.height(),
                       .resize_shorter = proto.resize_shorter(),
                       .pad_value = proto.pad_value(),
                       .scale = proto.scale(),
                       .mean = {proto.mean().begin(), proto.mean().end()},
                       .std = {proto.std().begin(), proto.std().end()}};
  BITSTAGE_ASSIGN_OR_RETURN(result.color, FromProto(kColorOrders, proto.color(), "color"));
  BITSTAGE_ASSIGN_OR_RETURN(result.geometry, FromProto(kGeometries, proto.geometry(), "geometry"));
  const Shape expected{result.channels(), result.height, result.width};
  if (!(input.shape == expected)) {
    return Refuse("makes ", expected.ToString(), ", but input '", input.name, "' is ", input.shape.ToString());
  }
  const int shorter = std::min(result.width, result.height);
  const int least = result.geometry == Geometry::kCenterCrop ? shorter : 0;
  if (result.resize_shorter < least || result.resize_shorter > model_format::kMaxResizeShorter) {
    return Refuse("resize_shorter is ", result.resize_shorter, " for ", Name(result.geometry), " to ", result.width,
                  "x", result.height);
  }
  if (result.pad_value < 0 || result.pad_value > 255) return Refuse("pad_value is ", result.pad_value);
  if (!std::isfinite(result.scale)) return Refuse("scale is ", result.scale);
  const auto is_per_channel = [&](const std::vector<float>& values) {
    return values.size() == 1 || values.size() == static_cast<size_t>(result.channels());
  };
  if (!is_per_channel(result.mean) || !AreFinite(result.mean)) {
    return Refuse("mean has ", result.mean.size(), " entries, expected 1 or ", result.channels(), " finite numbers");
  }
  const bool divides = std::none_of(result.std.begin(), result.std.end(), [](float x) { return x == 0; });
  if (!is_per_channel(result.std) || !AreFinite(result.std) || !divides) {
    return Refuse("std has ", result.std.size(), " entries, expected 1 or ", result.channels(),
                  " finite numbers other than 0");
  }
  return result;
}

using ValuesByName = std::unordered_map<std::string, const Value*>;

CodeTables ReadCodeTables(const pb::CodeTables& proto) {
  CodeTables tables;
  tables.pairs = proto.pairs();
  for (const std::string& lengths : proto.lengths()) tables.lengths.push_back(ToBytes(lengths));
  tables.group_of_channel = ToBytes(proto.group_of_channel());
  tables.of_context = ToBytes(proto.of_context());
  return tables;
}

absl::Status ReadBoundaryTables(const pb::BoundaryTables& proto, const ValuesByName& values, Model& model) {
  const auto found = values.find(proto.value());
  if (found == values.end() || !found->second->grid) return Refuse("names no value that has a grid");
  const Value* const value = found->second;
  const int64_t channels = value->shape.rank() == 0 ? 1 : value->shape[0];
  BoundaryTables tables;
  if (proto.has_plain()) {
    tables.plain = ReadCodeTables(proto.plain());
    if (!tables.plain.of_context.empty()) return Refuse("plain: of_context is not empty");
    const absl::Status status = Validate(tables.plain, *value->grid, channels);
    if (!status.ok()) return At(status, "plain");
  }
  if (proto.has_contexts()) {
    tables.contexts = ReadCodeTables(proto.contexts());
    if (tables.contexts.of_context.empty()) return Refuse("contexts: of_context is empty");
    const absl::Status status = Validate(tables.contexts, *value->grid, channels);
    if (!status.ok()) return At(status, "contexts");
  }
  if (proto.preferred() != pb::FRAME_CODING_UNSPECIFIED) {
    BITSTAGE_ASSIGN_OR_RETURN(tables.preferred, FromProto(kFrameCodings, proto.preferred(), "preferred"));
  }
  tables.plain_bits = proto.plain_bits();
  tables.contexts_bits = proto.contexts_bits();
  if (!model.boundary_tables.emplace(proto.value(), std::move(tables)).second) return Refuse("is there twice");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<PackedModel> DeserializeModel(const ModelSections& sections) {
  pb::Model proto;
  if (!proto.ParseFromArray(sections.meta.data(), static_cast<int>(sections.meta.size()))) {
    return Refuse("META: not a message of bitstage.model.v1.Model, or a text in it is not UTF-8");
  }
  PackedModel packed;
  Model& model = packed.model;
  model.name = proto.name();
  BITSTAGE_ASSIGN_OR_RETURN(model.graph, ReadGraph(proto.graph(), sections, packed.codes));
  if (proto.has_preprocessing()) {
    absl::StatusOr<Preprocessing> preprocessing =
        ReadPreprocessing(proto.preprocessing(), model.graph.value(model.graph.inputs[0]));
    if (!preprocessing.ok()) return At(preprocessing.status(), "META: preprocessing");
    model.preprocessing = *std::move(preprocessing);
  }
  model.labels = {proto.labels().begin(), proto.labels().end()};
  model.class_offset = proto.class_offset();
  const pb::Provenance& provenance = proto.provenance();
  model.provenance = {.source_file = provenance.source_file(),
                      .source_sha256 = provenance.source_sha256(),
                      .command = provenance.command(),
                      .tool_version = provenance.tool_version(),
                      .notes = {provenance.notes().begin(), provenance.notes().end()}};
  if (proto.has_stage()) {
    const pb::Stage& stage = proto.stage();
    if (stage.index() < 0 || stage.index() >= stage.count()) {
      return Refuse("META: stage: index is ", stage.index(), " of ", stage.count());
    }
    model.stage = {.index = stage.index(), .count = stage.count(), .pipeline_id = stage.pipeline_id()};
  }
  ValuesByName values;
  for (const Value& value : model.graph.values) values.emplace(value.name, &value);
  for (const pb::BoundaryTables& tables : proto.boundary_tables()) {
    if (const absl::Status status = ReadBoundaryTables(tables, values, model); !status.ok()) {
      return At(status, "META: boundary_tables '", tables.value(), "'");
    }
  }
  return packed;
}

}  // namespace bitstage
