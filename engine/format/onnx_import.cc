#include "engine/format/onnx_import.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/base/sha256.h"
#include "engine/base/status_macros.h"
#include "engine/format/onnx_operators.h"
#include "engine/format/onnx_preprocess.h"
#include "engine/format/onnx_reader.h"
#include "engine/format/onnx_translation.h"

namespace bitstage {
namespace {

// The constants of the graph and those computed on the way (dequantized and transposed weights, shapes) may take this
// much, and a multiple of the file.
// file.
constexpr int64_t kFoldBytes = int64_t{64} << 20;
constexpr int64_t kFoldBytesPerFileByte = 16;

// Inputs as graph values. All carry the same batch, which is 1 where it is free.
absl::Status AddInputs(const OnnxModel& model, OnnxImportState& state) {
  std::optional<int64_t> batch;
  for (const OnnxInput& input : model.inputs) {
    const auto refuse = [&](auto... parts) {
      return absl::InvalidArgumentError(absl::StrCat("graph input '", input.name, "': ", parts...));
    };
    if (input.dims.empty()) return refuse("has no dimensions; the first must be the batch");
    Shape shape;
    for (size_t axis = 1; axis < input.dims.size(); ++axis) {
      if (input.dims[axis] < 0) return refuse("dimension ", axis, " is free; only the batch (dimension 0) may be");
      shape.Append(input.dims[axis]);
    }
    const int64_t own = input.dims[0] < 0 ? 1 : input.dims[0];
    if (batch.value_or(own) != own) return refuse("has a batch of ", own, ", another input has ", *batch);
    batch = own;
    if (absl::Status status = CheckOnnxShape(shape.WithOuter(own)); !status.ok()) return refuse(status.message());
    const ValueId id =
        state.graph.AddValue({state.value_names.Take(input.name), shape, DataType::kFloat32, std::nullopt});
    state.graph.inputs.push_back(id);
    if (!state.values.emplace(input.name, OnnxValue{nullptr, id, std::nullopt}).second)
      return refuse("the name occurs twice");
  }
  if (!batch) return absl::InvalidArgumentError("graph: has no input");
  state.batch = *batch;
  return absl::OkStatus();
}

absl::Status TranslateNode(const OnnxNode& node, OnnxImportState& state) {
  OnnxTranslation translation(state, node);
  const OnnxOperator* op = node.domain.empty() ? FindOnnxOperator(node.op_type) : nullptr;
  if (op == nullptr || state.opset < op->first_opset || state.opset > op->last_opset) {
    return translation.Unsupported(
        absl::StrCat("this operator", node.domain.empty() ? "" : absl::StrCat(" of domain '", node.domain, "'"),
                     op == nullptr ? " is not supported"
                                   : absl::StrCat(" is supported in opsets ", op->first_opset, " to ", op->last_opset),
                     "; supported are: ", absl::StrJoin(SupportedOnnxOperators(), ", ")));
  }
  BITSTAGE_RETURN_IF_ERROR(op->translate(translation));
  return translation.CheckAllAttributesRead();
}

// Outputs keep ONNX's names, also where the node that made them was only an alias (Identity, Dropout).
absl::Status AddOutputs(const OnnxModel& model, OnnxImportState& state) {
  for (const std::string& name : model.outputs) {
    const auto found = state.values.find(name);
    if (found == state.values.end()) {
      return absl::InvalidArgumentError(absl::StrCat("graph output '", name, "': is made by no node"));
    }
    const OnnxValue value = found->second;
    if (value.constant != nullptr || value.codes) {
      return absl::UnimplementedError(absl::StrCat(
          "graph output '", name, "': is ", value.codes ? "quantized" : "a constant", ", expected an activation"));
    }
    Graph& graph = state.graph;
    ValueId id = value.activation;
    const auto is_taken = [&](const std::vector<ValueId>& ids) {
      return std::find(ids.begin(), ids.end(), id) != ids.end();
    };
    if (is_taken(graph.inputs) || is_taken(graph.outputs)) {
      Value copy = graph.value(id);
      copy.name = state.value_names.Take(copy.name == name ? absl::StrCat(name, "/output") : name);
      const ValueId output = graph.AddValue(std::move(copy));
      graph.nodes.push_back({state.node_names.Take(absl::StrCat(name, "/copy")), Unary{}, {id}, output});
      id = output;
    } else if (graph.value(id).name != name) {
      graph.value(id).name = state.value_names.Take(name);
    }
    graph.outputs.push_back(id);
  }
  return absl::OkStatus();
}

absl::Status ReadMetadata(const OnnxModel& source, Model& model) {
  if (const auto found = source.metadata.find("preprocess"); found != source.metadata.end()) {
    BITSTAGE_ASSIGN_OR_RETURN(model.preprocessing,
                              ParseOnnxPreprocess(found->second, model.graph.value(model.graph.inputs[0]).shape));
  }
  if (const auto found = source.metadata.find("class_offset"); found != source.metadata.end()) {
    if (!absl::SimpleAtoi(found->second, &model.class_offset) || model.class_offset < 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "metadata 'class_offset': '", absl::CHexEscape(found->second.substr(0, 40)), "' is not a count"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Model> Import(std::span<const std::byte> bytes, absl::string_view name) {
  BITSTAGE_ASSIGN_OR_RETURN(OnnxModel source, ReadOnnx(bytes));
  OnnxImportState state(source.opset, kFoldBytes + kFoldBytesPerFileByte * static_cast<int64_t>(bytes.size()));
  for (auto& [key, constant] : source.initializers)
    state.values.emplace(key, OnnxValue{std::move(constant), -1, std::nullopt});
  BITSTAGE_RETURN_IF_ERROR(AddInputs(source, state));
  for (const OnnxNode& node : source.nodes) BITSTAGE_RETURN_IF_ERROR(TranslateNode(node, state));
  BITSTAGE_RETURN_IF_ERROR(AddOutputs(source, state));
  Model model;
  model.name = std::string(name);
  model.graph = std::move(state.graph);
  BITSTAGE_RETURN_IF_ERROR(Validate(model.graph));
  BITSTAGE_RETURN_IF_ERROR(ReadMetadata(source, model));
  return model;
}

absl::Status Prefixed(const absl::Status& status, absl::string_view prefix) {
  return absl::Status(status.code(), absl::StrCat(prefix, ": ", status.message()));
}

absl::StatusOr<std::vector<std::byte>> ReadWhole(const std::string& path) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) return absl::NotFoundError("no such file");
  if (!std::filesystem::is_regular_file(status)) return absl::InvalidArgumentError("is not a regular file");
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  std::ifstream file(path, std::ios::binary);
  if (error || !file) return absl::PermissionDeniedError("cannot be opened for reading");
  if (size >= std::uintmax_t{1} << 31) return absl::InvalidArgumentError("has 2 GiB or more, which no ONNX model has");
  std::vector<std::byte> bytes(size);
  if (!file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size))) {
    return absl::DataLossError("could not be read to its end");
  }
  return bytes;
}

}  // namespace

absl::StatusOr<Model> ImportOnnx(std::span<const std::byte> bytes, absl::string_view name) {
  absl::StatusOr<Model> model = Import(bytes, name);
  if (!model.ok()) return Prefixed(model.status(), name);
  return model;
}

absl::StatusOr<Model> ImportOnnxFile(const std::string& path) {
  const absl::StatusOr<std::vector<std::byte>> bytes = ReadWhole(path);
  if (!bytes.ok()) return Prefixed(bytes.status(), path);
  const std::filesystem::path file(path);
  // Collections name the folder, not the file.
  const bool generic = file.stem() == "model" && file.has_parent_path() && !file.parent_path().filename().empty();
  absl::StatusOr<Model> model = Import(*bytes, generic ? file.parent_path().filename().string() : file.stem().string());
  if (!model.ok()) return Prefixed(model.status(), path);
  model->provenance.source_file = file.filename().string();
  model->provenance.source_sha256 = Sha256Hex(*bytes);
  return model;
}

}  // namespace bitstage
