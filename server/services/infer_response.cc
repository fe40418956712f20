#include "server/services/infer_response.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "absl/strings/str_format.h"

namespace bitstage::server {
namespace {

void AppendBytesElement(absl::string_view text, std::string& raw) {
  const uint32_t length = static_cast<uint32_t>(text.size());
  for (int shift = 0; shift < 32; shift += 8) raw.push_back(static_cast<char>(length >> shift & 0xFF));
  raw.append(text.data(), text.size());
}

}  // namespace

void AppendClassification(std::span<const float> values, int64_t k, std::span<const std::string> labels,
                          std::string& raw) {
  const auto rank = [&](size_t i) {
    return std::isnan(values[i]) ? -std::numeric_limits<float>::infinity() : values[i];
  };
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto end = order.begin() + static_cast<std::ptrdiff_t>(k);
  std::partial_sort(order.begin(), end, order.end(),
                    [&](size_t a, size_t b) { return rank(a) != rank(b) ? rank(a) > rank(b) : a < b; });
  for (auto index = order.begin(); index != end; ++index) {
    std::string text = absl::StrFormat("%f:%d", values[*index], *index);
    if (*index < labels.size()) absl::StrAppendFormat(&text, ":%s", labels[*index]);
    AppendBytesElement(text, raw);
  }
}

void FillInferResponse(const InferenceRequest& request, const ModelInterface& model,
                       std::span<const TensorView> outputs, inference::ModelInferResponse& response) {
  response.set_model_name(model.name);
  response.set_model_version(model.version);
  for (const RequestedOutput& requested : request.outputs) {
    const TensorView& view = outputs[requested.index];
    auto& output = *response.add_outputs();
    std::string& raw = *response.add_raw_output_contents();
    output.set_name(model.outputs[requested.index].name);
    if (requested.classes) {
      output.set_datatype("BYTES");
      output.add_shape(request.batch);
      output.add_shape(*requested.classes);
      const std::span<const float> values = view.Span<float>();
      const size_t classes = values.size() / static_cast<size_t>(request.batch);
      for (size_t begin = 0; begin < values.size(); begin += classes) {
        AppendClassification(values.subspan(begin, classes), *requested.classes, model.labels, raw);
      }
    } else {
      const absl::string_view datatype = Name(view.type);
      output.set_datatype(datatype.data(), datatype.size());
      for (const int64_t extent : view.shape) output.add_shape(extent);
      raw.assign(static_cast<const char*>(view.data), view.bytes());
    }
  }
}

}  // namespace bitstage::server
