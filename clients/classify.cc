#include <chrono>
#include <cmath>
#include <iostream>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "clients/commands.h"
#include "clients/images.h"
#include "engine/base/status_macros.h"
#include "engine/base/table.h"

namespace bitstage::client {
namespace {

struct Class {
  double logit = 0;
  std::string index;
  std::string label;
};

// The elements "value:index[:label]" of a classification output, best first.
absl::StatusOr<std::vector<Class>> ParseClasses(const inference::ModelInferResponse& response) {
  const auto malformed = [] { return absl::DataLossError("the server's classification could not be understood"); };
  if (response.raw_output_contents_size() != 1) return malformed();
  absl::string_view rest = response.raw_output_contents(0);
  std::vector<Class> classes;
  while (!rest.empty()) {
    if (rest.size() < 4) return malformed();
    size_t length = 0;
    for (int i = 3; i >= 0; --i) length = length << 8 | static_cast<uint8_t>(rest[static_cast<size_t>(i)]);
    rest.remove_prefix(4);
    if (length > rest.size()) return malformed();
    const std::vector<std::string> parts = absl::StrSplit(rest.substr(0, length), absl::MaxSplits(':', 2));
    rest.remove_prefix(length);
    Class found;
    if (parts.size() < 2 || !absl::SimpleAtod(parts[0], &found.logit)) return malformed();
    found.index = parts[1];
    found.label = parts.size() > 2 ? parts[2] : "";
    classes.push_back(std::move(found));
  }
  if (classes.empty()) return malformed();
  return classes;
}

// softmax over all classes.
std::vector<double> Probabilities(const std::vector<Class>& classes) {
  double sum = 0;
  std::vector<double> p;
  for (const Class& c : classes) sum += p.emplace_back(std::exp(c.logit - classes[0].logit));
  for (double& x : p) x /= sum;
  return p;
}

}  // namespace

absl::Status RunClassify(const Connection& connection, const Arguments& arguments) {
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t top, arguments.Int("top", 5, 1, 1000));
  BITSTAGE_ASSIGN_OR_RETURN(const std::string model, connection.ResolveModel(arguments.Get("model")));
  BITSTAGE_ASSIGN_OR_RETURN(const auto metadata, connection.ModelMetadata(model));
  if (metadata.inputs_size() != 1 || metadata.outputs_size() < 1 || metadata.outputs(0).shape_size() < 2) {
    return absl::FailedPreconditionError(absl::StrCat("model '", model, "' does not classify one image"));
  }
  for (const std::string& path : ImagePaths(arguments)) {
    BITSTAGE_ASSIGN_OR_RETURN(const std::string encoded, ReadImageFile(path));
    inference::ModelInferRequest request = ImageRequest(model, metadata.inputs(0).name(), encoded);
    // Every class, so that the logits can become probabilities here.
    auto* output = request.add_outputs();
    output->set_name(metadata.outputs(0).name());
    (*output->mutable_parameters())["classification"].set_int64_param(metadata.outputs(0).shape(1));
    const auto start = std::chrono::steady_clock::now();
    const absl::StatusOr<inference::ModelInferResponse> response = connection.Infer(request);
    const std::chrono::duration<double, std::milli> latency = std::chrono::steady_clock::now() - start;
    if (!response.ok()) {
      return absl::Status(response.status().code(), absl::StrCat("image '", path, "': ", response.status().message()));
    }
    BITSTAGE_ASSIGN_OR_RETURN(const std::vector<Class> classes, ParseClasses(*response));
    const std::vector<double> probabilities = Probabilities(classes);
    std::cout << path << "  (" << model << " version " << response->model_version() << ", "
              << absl::StrFormat("%.1f ms", latency.count()) << ")\n";
    Table table({{"probability", Align::kRight}, {"class", Align::kRight}, {"label", Align::kLeft, 80}});
    for (size_t i = 0; i < classes.size() && i < static_cast<size_t>(top); ++i) {
      table.AddRow({absl::StrFormat("%.1f %%", 100 * probabilities[i]), classes[i].index, classes[i].label});
    }
    table.Print(std::cout, /*bold=*/false);
  }
  return absl::OkStatus();
}

}  // namespace bitstage::client
