#include "engine/format/onnx_reader.h"

#include <algorithm>
#include <limits>
#include <set>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/format/onnx_tensor.h"
#include "proto/onnx.pb.h"

namespace bitstage {
namespace {

// Generous for any image network; what is over them is damaged or hostile.
constexpr int kMaxNodes = 50'000;
constexpr int kMaxInitializers = 200'000;
constexpr int kMaxTerminals = 64;  // graph inputs or outputs
constexpr int kMaxEdges = 4096;    // inputs or outputs of a node
constexpr int kMaxAttributes = 64;
constexpr int kMaxListAttribute = 65'536;
constexpr size_t kMaxNameBytes = 1024;
constexpr size_t kMaxMetadataBytes = 1 << 20;

absl::Status CheckCount(int count, int limit, absl::string_view what) {
  if (count <= limit) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(what, ": ", count, " of them, at most ", limit, " are allowed"));
}

// UTF-8 in form (overlong encodings are let pass) without control characters: safe in messages, logs and JSON.
bool IsPrintable(absl::string_view text) {
  int continuations = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (continuations > 0) {
      if ((byte & 0xc0) != 0x80) return false;
      --continuations;
    } else if (byte >= 0x80) {
      if (byte < 0xc2 || byte > 0xf4) return false;
      continuations = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    } else if (byte < 0x20 || byte == 0x7f) {
      return false;
    }
  }
  return continuations == 0;
}

absl::Status CheckName(absl::string_view name, absl::string_view what) {
  if (name.size() > kMaxNameBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, ": a name of ", name.size(), " bytes, at most ", kMaxNameBytes, " are allowed"));
  }
  if (IsPrintable(name)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(what, ": control characters or broken UTF-8 in '", absl::CHexEscape(name), "'"));
}

absl::Status Prefixed(const absl::Status& status, absl::string_view prefix) {
  return absl::Status(status.code(), absl::StrCat(prefix, ": ", status.message()));
}

absl::StatusOr<OnnxConstant> ReadConstant(const onnx::TensorProto& proto, absl::string_view owner) {
  absl::StatusOr<Tensor> tensor = ReadOnnxTensor(proto);
  if (!tensor.ok()) return Prefixed(tensor.status(), owner);
  return std::make_shared<const Tensor>(*std::move(tensor));
}

absl::StatusOr<OnnxAttribute> ReadAttribute(const onnx::AttributeProto& proto, absl::string_view node) {
  BITSTAGE_RETURN_IF_ERROR(CheckName(proto.name(), absl::StrCat(node, ", attribute")));
  const std::string owner = absl::StrCat(node, ", attribute '", proto.name(), "'");
  OnnxAttribute attribute{proto.name(), int64_t{0}};
  switch (proto.type()) {
    case onnx::AttributeProto::INT: attribute.value = proto.i(); break;
    case onnx::AttributeProto::FLOAT: attribute.value = proto.f(); break;
    case onnx::AttributeProto::STRING: attribute.value = proto.s(); break;
    case onnx::AttributeProto::INTS:
      BITSTAGE_RETURN_IF_ERROR(CheckCount(proto.ints_size(), kMaxListAttribute, absl::StrCat(owner, ", entries")));
      attribute.value = std::vector<int64_t>(proto.ints().begin(), proto.ints().end());
      break;
    case onnx::AttributeProto::FLOATS:
      BITSTAGE_RETURN_IF_ERROR(CheckCount(proto.floats_size(), kMaxListAttribute, absl::StrCat(owner, ", entries")));
      attribute.value = std::vector<float>(proto.floats().begin(), proto.floats().end());
      break;
    case onnx::AttributeProto::TENSOR: {
      BITSTAGE_ASSIGN_OR_RETURN(attribute.value, ReadConstant(proto.t(), owner));
      break;
    }
    default:
      return absl::UnimplementedError(absl::StrCat(
          owner, ": type ", static_cast<int>(proto.type()),
          " is not supported (are: FLOAT, INT, STRING, TENSOR, FLOATS, INTS; no subgraphs, no sparse tensors)"));
  }
  return attribute;
}

absl::StatusOr<OnnxNode> ReadNode(const onnx::NodeProto& proto, int position) {
  OnnxNode node{proto.name(), proto.domain() == "ai.onnx" ? "" : proto.domain(), proto.op_type(), {}, {}, {}};
  const std::string place = absl::StrCat("node ", position);
  for (const std::string* name : {&proto.name(), &proto.domain(), &proto.op_type()}) {
    BITSTAGE_RETURN_IF_ERROR(CheckName(*name, place));
  }
  if (node.op_type.empty()) return absl::InvalidArgumentError(absl::StrCat(place, ": has no op_type"));
  if (node.name.empty() && proto.output_size() > 0) node.name = proto.output(0);
  if (node.name.empty()) node.name = absl::StrCat(position);
  const std::string owner = absl::StrCat("node '", absl::CHexEscape(node.name), "' (", node.op_type, ")");
  BITSTAGE_RETURN_IF_ERROR(CheckCount(proto.input_size(), kMaxEdges, absl::StrCat(owner, ", inputs")));
  BITSTAGE_RETURN_IF_ERROR(CheckCount(proto.output_size(), kMaxEdges, absl::StrCat(owner, ", outputs")));
  BITSTAGE_RETURN_IF_ERROR(CheckCount(proto.attribute_size(), kMaxAttributes, absl::StrCat(owner, ", attributes")));
  if (proto.output_size() == 0) return absl::InvalidArgumentError(absl::StrCat(owner, ": has no output"));
  for (const std::string& name : proto.input())
    BITSTAGE_RETURN_IF_ERROR(CheckName(name, absl::StrCat(owner, ", input")));
  for (const std::string& name : proto.output()) {
    BITSTAGE_RETURN_IF_ERROR(CheckName(name, absl::StrCat(owner, ", output")));
  }
  node.inputs.assign(proto.input().begin(), proto.input().end());
  node.outputs.assign(proto.output().begin(), proto.output().end());
  for (const onnx::AttributeProto& attribute : proto.attribute()) {
    BITSTAGE_ASSIGN_OR_RETURN(OnnxAttribute read, ReadAttribute(attribute, owner));
    node.attributes.push_back(std::move(read));
  }
  return node;
}

absl::StatusOr<OnnxInput> ReadInput(const onnx::ValueInfoProto& proto) {
  const std::string owner = absl::StrCat("graph input '", proto.name(), "'");
  if (!proto.type().has_tensor_type()) return absl::UnimplementedError(absl::StrCat(owner, ": is not a dense tensor"));
  const onnx::TypeProto::Tensor& type = proto.type().tensor_type();
  if (type.elem_type() != onnx::TensorProto::FLOAT) {
    return absl::UnimplementedError(
        absl::StrCat(owner, ": element type ", OnnxTypeName(type.elem_type()), ", only FLOAT is supported"));
  }
  BITSTAGE_RETURN_IF_ERROR(CheckCount(type.shape().dim_size(), kMaxRank, absl::StrCat(owner, ", dimensions")));
  OnnxInput input{proto.name(), {}};
  for (const onnx::TensorShapeProto::Dimension& dim : type.shape().dim()) {
    const bool fixed = dim.value_case() == onnx::TensorShapeProto::Dimension::kDimValue && dim.dim_value() > 0;
    input.dims.push_back(fixed ? dim.dim_value() : -1);
  }
  return input;
}

absl::StatusOr<int64_t> ReadOpset(const onnx::ModelProto& proto) {
  for (const onnx::OperatorSetIdProto& set : proto.opset_import()) {
    if (!set.domain().empty() && set.domain() != "ai.onnx") continue;
    if (set.version() < kMinOnnxOpset || set.version() > kMaxOnnxOpset) {
      return absl::UnimplementedError(absl::StrCat("opset_import: opset ", set.version(), ", supported are ",
                                                   kMinOnnxOpset, " to ", kMaxOnnxOpset));
    }
    return set.version();
  }
  return absl::InvalidArgumentError("opset_import: names no version of the standard operators");
}

}  // namespace

absl::StatusOr<OnnxModel> ReadOnnx(std::span<const std::byte> bytes) {
  if (bytes.empty()) return absl::InvalidArgumentError("is empty, expected an ONNX model");
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max())) {
    return absl::InvalidArgumentError(absl::StrCat("has ", bytes.size(), " bytes, an ONNX model has less than 2 GiB"));
  }
  onnx::ModelProto proto;
  if (!proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) || !proto.has_graph()) {
    return absl::InvalidArgumentError("is not an ONNX model (or is truncated or damaged)");
  }
  const onnx::GraphProto& graph = proto.graph();
  OnnxModel model;
  BITSTAGE_ASSIGN_OR_RETURN(model.opset, ReadOpset(proto));
  BITSTAGE_RETURN_IF_ERROR(CheckCount(graph.node_size(), kMaxNodes, "graph nodes"));
  BITSTAGE_RETURN_IF_ERROR(CheckCount(graph.initializer_size(), kMaxInitializers, "graph initializers"));
  BITSTAGE_RETURN_IF_ERROR(CheckCount(graph.output_size(), kMaxTerminals, "graph outputs"));
  if (graph.sparse_initializer_size() > 0)
    return absl::UnimplementedError("graph: sparse initializers are not supported");

  std::set<absl::string_view> initializer_names;
  for (const onnx::TensorProto& tensor : graph.initializer()) {
    BITSTAGE_RETURN_IF_ERROR(CheckName(tensor.name(), "initializer"));
    const std::string owner = absl::StrCat("initializer '", tensor.name(), "'");
    if (!initializer_names.insert(tensor.name()).second) {
      return absl::InvalidArgumentError(absl::StrCat(owner, ": the name occurs twice"));
    }
    BITSTAGE_ASSIGN_OR_RETURN(OnnxConstant constant, ReadConstant(tensor, owner));
    model.initializers.emplace_back(tensor.name(), std::move(constant));
  }
  for (const onnx::ValueInfoProto& info : graph.input()) {
    if (initializer_names.contains(info.name())) continue;
    BITSTAGE_RETURN_IF_ERROR(CheckName(info.name(), "graph input"));
    BITSTAGE_ASSIGN_OR_RETURN(OnnxInput input, ReadInput(info));
    model.inputs.push_back(std::move(input));
    BITSTAGE_RETURN_IF_ERROR(CheckCount(static_cast<int>(model.inputs.size()), kMaxTerminals, "graph inputs"));
  }
  for (int i = 0; i < graph.node_size(); ++i) {
    BITSTAGE_ASSIGN_OR_RETURN(OnnxNode node, ReadNode(graph.node(i), i));
    model.nodes.push_back(std::move(node));
  }
  for (const onnx::ValueInfoProto& info : graph.output()) {
    BITSTAGE_RETURN_IF_ERROR(CheckName(info.name(), "graph output"));
    model.outputs.push_back(info.name());
  }
  for (const onnx::StringStringEntryProto& entry : proto.metadata_props()) {
    if (entry.value().size() > kMaxMetadataBytes) {
      return absl::InvalidArgumentError(
          absl::StrCat("metadata_props '", absl::CHexEscape(entry.key()), "': ", entry.value().size(), " bytes"));
    }
    model.metadata[entry.key()] = entry.value();
  }
  return model;
}

}  // namespace bitstage
