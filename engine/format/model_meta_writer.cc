#include <algorithm>

#include "engine/codec/weight_coding.h"
#include "engine/format/model_enums.h"
#include "engine/format/model_format.h"
#include "engine/format/model_meta.h"
#include "engine/format/model_ops.h"

namespace bitstage {
namespace {

using namespace model_enums;

void AppendFloats(std::span<const float> values, std::string& bytes) {
  bytes.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
}

void AppendBytes(const std::vector<uint8_t>& values, std::string& bytes) { bytes.append(values.begin(), values.end()); }

void Write(const Value& value, pb::Value& proto) {
  proto.set_name(value.name);
  WriteShape(value.shape, *proto.mutable_shape());
  proto.set_type(ToProto(kDataTypes, value.type));
  if (!value.grid) return;
  pb::Grid& grid = *proto.mutable_grid();
  grid.set_zero_point(static_cast<uint32_t>(value.grid->zero_point));
  grid.mutable_step()->Assign(value.grid->step.begin(), value.grid->step.end());
  AppendBytes(value.grid->bits, *grid.mutable_bits());
  AppendBytes(value.grid->shift, *grid.mutable_shift());
}

void Write(const Constant& constant, ModelBytes& bytes, pb::Constant& proto) {
  proto.set_name(constant.name);
  WriteShape(constant.shape(), *proto.mutable_shape());
  if (constant.values) {
    proto.mutable_floats()->set_offset(bytes.floats.size());
    AppendFloats(constant.values->Span<float>(), bytes.floats);
    return;
  }
  const WeightCodes& weights = *constant.codes;
  pb::Codes& codes = *proto.mutable_codes();
  codes.set_codebook(ToProto(kCodebooks, weights.codebook));
  codes.set_bits(static_cast<uint32_t>(weights.bits));
  codes.set_scale_kind(ToProto(kScaleKinds, weights.kind));
  AppendBytes(weights.alpha, *codes.mutable_alpha());
  codes.set_offset(bytes.weights.size());
  codes.set_huffman(AppendCoded(weights, bytes.weights));
  if (codes.huffman()) {
    bytes.version = std::max(bytes.version, model_format::kCodedVersion);
  } else {
    AppendPacked(weights, bytes.weights);
  }
  codes.set_size(bytes.weights.size() - codes.offset());
  codes.set_scale_offset(bytes.floats.size());
  codes.set_scale_count(weights.scale.size());
  AppendFloats(weights.scale, bytes.floats);
}

void Write(const Graph& graph, ModelBytes& bytes, pb::Graph& proto) {
  for (const Value& value : graph.values) Write(value, *proto.add_values());
  for (const Constant& constant : graph.constants) Write(constant, bytes, *proto.add_constants());
  for (const Node& node : graph.nodes) {
    pb::Node& to = *proto.add_nodes();
    to.set_name(node.name);
    to.mutable_inputs()->Assign(node.inputs.begin(), node.inputs.end());
    to.set_output(static_cast<uint32_t>(node.output));
    WriteOp(node.op, to);
  }
  proto.mutable_inputs()->Assign(graph.inputs.begin(), graph.inputs.end());
  proto.mutable_outputs()->Assign(graph.outputs.begin(), graph.outputs.end());
}

void Write(const Preprocessing& preprocessing, pb::Preprocessing& proto) {
  proto.set_color(ToProto(kColorOrders, preprocessing.color));
  proto.set_geometry(ToProto(kGeometries, preprocessing.geometry));
  proto.set_width(preprocessing.width);
  proto.set_height(preprocessing.height);
  proto.set_resize_shorter(preprocessing.resize_shorter);
  proto.set_pad_value(preprocessing.pad_value);
  proto.set_scale(preprocessing.scale);
  proto.mutable_mean()->Assign(preprocessing.mean.begin(), preprocessing.mean.end());
  proto.mutable_std()->Assign(preprocessing.std.begin(), preprocessing.std.end());
}

void Write(const Provenance& provenance, pb::Provenance& proto) {
  proto.set_source_file(provenance.source_file);
  proto.set_source_sha256(provenance.source_sha256);
  proto.set_command(provenance.command);
  proto.set_tool_version(provenance.tool_version);
  for (const std::string& note : provenance.notes) proto.add_notes(note);
}

void Write(const CodeTables& tables, pb::CodeTables& to) {
  to.set_pairs(tables.pairs);
  for (const std::vector<uint8_t>& lengths : tables.lengths) AppendBytes(lengths, *to.add_lengths());
  AppendBytes(tables.group_of_channel, *to.mutable_group_of_channel());
  AppendBytes(tables.of_context, *to.mutable_of_context());
}

}  // namespace

ModelBytes SerializeModel(const Model& model) {
  ModelBytes bytes;
  pb::Model proto;
  proto.set_name(model.name);
  Write(model.graph, bytes, *proto.mutable_graph());
  if (model.preprocessing) Write(*model.preprocessing, *proto.mutable_preprocessing());
  for (const std::string& label : model.labels) proto.add_labels(label);
  proto.set_class_offset(model.class_offset);
  Write(model.provenance, *proto.mutable_provenance());
  if (model.stage) {
    proto.mutable_stage()->set_index(model.stage->index);
    proto.mutable_stage()->set_count(model.stage->count);
    proto.mutable_stage()->set_pipeline_id(model.stage->pipeline_id);
  }
  for (const auto& [value, tables] : model.boundary_tables) {
    pb::BoundaryTables& to = *proto.add_boundary_tables();
    to.set_value(value);
    if (!tables.plain.empty()) Write(tables.plain, *to.mutable_plain());
    if (!tables.contexts.empty()) Write(tables.contexts, *to.mutable_contexts());
    to.set_preferred(ToProto(kFrameCodings, tables.preferred));
    to.set_plain_bits(tables.plain_bits);
    to.set_contexts_bits(tables.contexts_bits);
  }
  proto.SerializeToString(&bytes.meta);
  return bytes;
}

}  // namespace bitstage
