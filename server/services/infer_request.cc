#include "server/services/infer_request.h"

#include <algorithm>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/base/status_macros.h"
#include "server/observability/text.h"
#include "server/repository/repository_scan.h"
#include "server/services/tensor_contents.h"

namespace bitstage::server {
namespace {

using inference::InferParameter;
using InputTensor = inference::ModelInferRequest::InferInputTensor;
using OutputTensor = inference::ModelInferRequest::InferRequestedOutputTensor;
using Parameters = google::protobuf::Map<std::string, InferParameter>;

// Of the pixels of one image, so that every extent fits an int.
constexpr int64_t kMaxImageSide = 1 << 16;

absl::Status Invalid(const absl::AlphaNum& a, const absl::AlphaNum& b = "", const absl::AlphaNum& c = "",
                     const absl::AlphaNum& d = "") {
  return absl::InvalidArgumentError(absl::StrCat(a, b, c, d));
}

std::string Where(const InputTensor& input, const ModelInterface& model) {
  return absl::StrCat("input ", Quoted(input.name()), " for model ", Quoted(model.name));
}

// "[-1,3,224,224]"
std::string ShapeText(const Shape& per_image) { return absl::StrCat("[-1,", absl::StrJoin(per_image, ","), "]"); }

std::string ShapeText(const InputTensor& input) { return absl::StrCat("[", absl::StrJoin(input.shape(), ","), "]"); }

absl::Status CheckRequestParameters(const Parameters& parameters) {
  for (const auto& [key, value] : parameters) {
    if (absl::StartsWith(key, "triton_") && key != "triton_enable_empty_final_response") {
      return Invalid("parameter ", Quoted(key), " is unknown; names that begin with 'triton_' are reserved");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckNoSharedMemory(const Parameters& parameters, absl::string_view tensor) {
  for (const char* key : {"shared_memory_region", "shared_memory_offset", "shared_memory_byte_size"}) {
    if (parameters.contains(key)) {
      return absl::UnimplementedError(
          absl::StrCat("shared memory is not supported: parameter '", key, "' of ", Quoted(tensor)));
    }
  }
  return absl::OkStatus();
}

// The inputs of the message in the order of the model's.
absl::StatusOr<std::vector<int>> MatchInputs(const inference::ModelInferRequest& message, const ModelInterface& model) {
  std::vector<int> order(model.inputs.size(), -1);
  for (int i = 0; i < message.inputs_size(); ++i) {
    const std::string& name = message.inputs(i).name();
    const auto spec = std::find_if(model.inputs.begin(), model.inputs.end(),
                                   [&](const TensorSpec& candidate) { return candidate.name == name; });
    if (spec == model.inputs.end()) {
      return Invalid("unexpected inference input ", Quoted(name), " for model ", Quoted(model.name));
    }
    int& place = order[static_cast<size_t>(spec - model.inputs.begin())];
    if (place != -1) return Invalid("input ", Quoted(name), " is given twice for model ", Quoted(model.name));
    place = i;
    BITSTAGE_RETURN_IF_ERROR(CheckNoSharedMemory(message.inputs(i).parameters(), name));
  }
  for (size_t i = 0; i < order.size(); ++i) {
    if (order[i] == -1) {
      return Invalid(absl::StrCat("expected ", order.size(), " inputs but got ", message.inputs_size()),
                     " inputs for model ", Quoted(model.name),
                     absl::StrCat(". Missing: ", Quoted(model.inputs[i].name)));
    }
  }
  return order;
}

absl::Status CheckWhereDataIs(const inference::ModelInferRequest& message, const ModelInterface& model) {
  const int raw = message.raw_input_contents_size();
  for (int i = 0; i < message.inputs_size(); ++i) {
    const InputTensor& input = message.inputs(i);
    if (raw > 0 && input.has_contents()) {
      return Invalid("contents field must not be specified when using raw_input_contents for ",
                     absl::StrCat(Quoted(input.name()), " for model ", Quoted(model.name)));
    }
    if (raw > 0 ? i >= raw : !input.has_contents()) {
      return Invalid("unable to find data for input tensor ", Quoted(input.name()),
                     absl::StrCat(" for model ", Quoted(model.name)), " in request.");
    }
  }
  if (raw > message.inputs_size()) {
    return Invalid(absl::StrCat("got ", raw, " raw_input_contents for ", message.inputs_size(), " inputs for model "),
                   Quoted(model.name));
  }
  return absl::OkStatus();
}

// What any input's shape must be: positive extents, of which the first is the batch. Returns the number of elements.
absl::StatusOr<int64_t> CheckShape(const InputTensor& input, const ModelInterface& model) {
  if (input.shape_size() == 0 || input.shape_size() > kMaxRank) {
    return Invalid(absl::StrCat("shape of ", Where(input, model), " has ", input.shape_size(), " dimensions, 1 to "),
                   kMaxRank, " are possible");
  }
  for (const int64_t extent : input.shape()) {
    if (extent < 1) {
      return Invalid(absl::StrCat("shape of ", Where(input, model), " has the extent ", extent), " in ",
                     ShapeText(input), ": every extent of a request must be 1 or more");
    }
  }
  if (input.shape(0) > model.max_batch) {
    return Invalid(absl::StrCat("inference request batch-size must be <= ", model.max_batch, " for "),
                   Quoted(model.name), absl::StrCat(", got ", input.shape(0), " in ", Where(input, model)));
  }
  const std::optional<int64_t> elements = CheckedProduct(input.shape());
  if (!elements) return Invalid("shape of ", Where(input, model), " has more than 2^63 elements: ", ShapeText(input));
  return *elements;
}

absl::Status CheckTensorShape(const InputTensor& input, const TensorSpec& spec, const ModelInterface& model) {
  if (std::equal(input.shape().begin() + 1, input.shape().end(), spec.shape.begin(), spec.shape.end())) {
    return absl::OkStatus();
  }
  return Invalid("unexpected shape for ", Where(input, model), absl::StrCat(". Expected ", ShapeText(spec.shape)),
                 absl::StrCat(", got ", ShapeText(input)));
}

absl::Status CheckTakesImages(const InputTensor& input, size_t index, const ModelInterface& model) {
  if (model.TakesImages(index)) return absl::OkStatus();
  return Invalid(absl::StrCat("datatype ", input.datatype(), " (images) of ", Where(input, model)),
                 model.preprocessing ? " is not possible: the model preprocesses another input"
                                     : " is not possible: the model file declares no preprocessing",
                 "; send ", absl::StrCat(Name(model.inputs[index].type), " ", ShapeText(model.inputs[index].shape)));
}

absl::StatusOr<PixelImages> PixelShape(const InputTensor& input, const TensorSpec& spec, const ModelInterface& model) {
  PixelImages images;
  images.channels = model.preprocessing->channels();
  if (CheckTensorShape(input, spec, model).ok()) {
    images.channels_first = true;
    images.height = static_cast<int>(spec.shape[1]);
    images.width = static_cast<int>(spec.shape[2]);
    return images;
  }
  if (input.shape_size() != 4 || input.shape(3) != images.channels || input.shape(1) > kMaxImageSide ||
      input.shape(2) > kMaxImageSide) {
    return Invalid(absl::StrCat("unexpected shape for ", Where(input, model), ". Expected ", ShapeText(spec.shape)),
                   absl::StrCat(" or [-1,height,width,", images.channels, "] with sides up to ", kMaxImageSide),
                   ", got ", ShapeText(input));
  }
  images.height = static_cast<int>(input.shape(1));
  images.width = static_cast<int>(input.shape(2));
  return images;
}

absl::StatusOr<InputSource> ParseInput(const InputTensor& input, const TensorData& data, size_t index,
                                       const ModelInterface& model, InferenceRequest& request) {
  const TensorSpec& spec = model.inputs[index];
  const std::string where = Where(input, model);
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t elements, CheckShape(input, model));
  if (input.datatype() == std::string(Name(spec.type))) {
    BITSTAGE_RETURN_IF_ERROR(CheckTensorShape(input, spec, model));
    if (spec.type == DataType::kUInt8) {  // codes of a stage boundary
      BITSTAGE_ASSIGN_OR_RETURN(const auto codes, ByteElements(data, elements, where, request.converted));
      return TensorView{spec.type, spec.shape.WithOuter(input.shape(0)), codes.data()};
    }
    BITSTAGE_ASSIGN_OR_RETURN(const void* values,
                              FixedElements(data, input.datatype(), elements, SizeOf(spec.type), where));
    return TensorView{spec.type, spec.shape.WithOuter(input.shape(0)), values};
  }
  if (input.datatype() == "UINT8") {
    BITSTAGE_RETURN_IF_ERROR(CheckTakesImages(input, index, model));
    BITSTAGE_ASSIGN_OR_RETURN(PixelImages images, PixelShape(input, spec, model));
    BITSTAGE_ASSIGN_OR_RETURN(images.pixels, ByteElements(data, elements, where, request.converted));
    return images;
  }
  if (input.datatype() == "BYTES") {
    BITSTAGE_RETURN_IF_ERROR(CheckTakesImages(input, index, model));
    if (input.shape_size() > 2 || elements != input.shape(0)) {
      return Invalid("unexpected shape for ", where, ". Expected [-1] or [-1,1], got ", ShapeText(input));
    }
    BITSTAGE_ASSIGN_OR_RETURN(auto encoded, StringElements(data, elements, where));
    return EncodedImages{std::move(encoded)};
  }
  return Invalid(absl::StrCat("datatype of ", where, " is ", Quoted(input.datatype()), ", expected "), Name(spec.type),
                 model.TakesImages(index) ? ", UINT8 or BYTES" : "");
}

// The classes of an output: its one extent that is not 1.
std::optional<int64_t> ClassesOf(const TensorSpec& output) {
  int64_t classes = 1;
  for (const int64_t extent : output.shape) {
    if (extent != 1 && classes != 1) return std::nullopt;
    classes *= extent;
  }
  return output.type == DataType::kFloat32 ? std::optional(classes) : std::nullopt;
}

absl::StatusOr<RequestedOutput> ParseOutput(const OutputTensor& output, const ModelInterface& model) {
  const auto spec = std::find_if(model.outputs.begin(), model.outputs.end(),
                                 [&](const TensorSpec& candidate) { return candidate.name == output.name(); });
  if (spec == model.outputs.end()) {
    return Invalid("unexpected inference output ", Quoted(output.name()), " for model ", Quoted(model.name));
  }
  BITSTAGE_RETURN_IF_ERROR(CheckNoSharedMemory(output.parameters(), output.name()));
  RequestedOutput requested{static_cast<size_t>(spec - model.outputs.begin()), std::nullopt};
  const auto parameter = output.parameters().find("classification");
  if (parameter == output.parameters().end()) return requested;
  if (parameter->second.parameter_choice_case() != InferParameter::kInt64Param || parameter->second.int64_param() < 1) {
    return Invalid("parameter 'classification' of output ", Quoted(output.name()), " for model ",
                   absl::StrCat(Quoted(model.name), " must be an int64 of 1 or more"));
  }
  const std::optional<int64_t> classes = ClassesOf(*spec);
  if (!classes) {
    return Invalid("output ", Quoted(output.name()), " for model ",
                   absl::StrCat(Quoted(model.name), " has no classes: it is ", Name(spec->type), " ",
                                ShapeText(spec->shape), ", and classification takes FP32 of one extent"));
  }
  requested.classes = std::min(*classes, parameter->second.int64_param());
  return requested;
}

absl::Status ParseOutputs(const inference::ModelInferRequest& message, const ModelInterface& model,
                          InferenceRequest& request) {
  std::set<size_t> seen;
  for (const OutputTensor& output : message.outputs()) {
    BITSTAGE_ASSIGN_OR_RETURN(const RequestedOutput requested, ParseOutput(output, model));
    if (!seen.insert(requested.index).second) {
      return Invalid("output ", Quoted(output.name()), " is requested twice for model ", Quoted(model.name));
    }
    request.outputs.push_back(requested);
  }
  if (request.outputs.empty()) {
    for (size_t i = 0; i < model.outputs.size(); ++i) request.outputs.push_back({i, std::nullopt});
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::optional<int64_t>> RequestedVersion(absl::string_view text) {
  if (text.empty()) return std::nullopt;
  const std::optional<int64_t> version = ParseVersion(text);
  if (version) return version;
  return Invalid("failed to get model version from specified version string ", Quoted(text),
                 ": a version is a positive number in decimal digits without leading zeros");
}

absl::StatusOr<InferenceRequest> ParseInferRequest(const inference::ModelInferRequest& message,
                                                   const ModelInterface& model) {
  InferenceRequest request;
  BITSTAGE_RETURN_IF_ERROR(CheckRequestParameters(message.parameters()));
  BITSTAGE_ASSIGN_OR_RETURN(const std::vector<int> order, MatchInputs(message, model));
  BITSTAGE_RETURN_IF_ERROR(CheckWhereDataIs(message, model));
  BITSTAGE_RETURN_IF_ERROR(ParseOutputs(message, model, request));
  for (size_t i = 0; i < order.size(); ++i) {
    const InputTensor& input = message.inputs(order[i]);
    TensorData data;
    if (message.raw_input_contents_size() > 0) {
      data.raw = &message.raw_input_contents(order[i]);
    } else {
      data.typed = &input.contents();
    }
    BITSTAGE_ASSIGN_OR_RETURN(InputSource source, ParseInput(input, data, i, model, request));
    request.inputs.push_back(std::move(source));
    if (i > 0 && input.shape(0) != request.batch) {
      return Invalid("batch of ", Where(input, model), absl::StrCat(" is ", input.shape(0)),
                     absl::StrCat(", that of the inputs before it ", request.batch));
    }
    request.batch = input.shape(0);
  }
  return request;
}

}  // namespace bitstage::server
