#include "engine/tools/load_model.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/format/model_file.h"
#include "engine/format/onnx_import.h"

namespace bitstage {
namespace {

// Of "n02123045 tabby, tabby cat": the id with its blank. 0 where there is none.
size_t WordNetIdLength(const std::string& line) {
  constexpr size_t kDigits = 8;
  if (line.size() <= kDigits + 1 || line[0] != 'n' || line[kDigits + 1] != ' ') return 0;
  const auto first = line.begin() + 1;
  return std::all_of(first, first + kDigits, absl::ascii_isdigit) ? kDigits + 2 : 0;
}

// false: perhaps ONNX.
absl::StatusOr<bool> HoldsModelFile(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": is a folder, expected a .bitstage or ONNX file"));
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot open"));
  std::array<char, 8> head{};
  file.read(head.data(), head.size());
  const auto read = static_cast<size_t>(file.gcount());
  return IsModelFile(std::as_bytes(std::span(head).first(read)));
}

absl::Status FloatModelError(const std::string& path) {
  return absl::FailedPreconditionError(absl::StrCat(
      path, " is a float model, and this takes a quantized one. Quantize it first: bitstage-model quantize ", path,
      " --calibration random -o M.bitstage"));
}

}  // namespace

absl::StatusOr<Model> LoadModel(const std::string& path, ThreadPool* pool) {
  BITSTAGE_ASSIGN_OR_RETURN(const bool is_model_file, HoldsModelFile(path));
  return is_model_file ? ReadModelFile(path, pool) : ImportOnnxFile(path);
}

absl::StatusOr<std::shared_ptr<const Executable>> LoadExecutable(const std::string& path, ThreadPool* pool) {
  BITSTAGE_ASSIGN_OR_RETURN(const bool is_model_file, HoldsModelFile(path));
  if (!is_model_file) {
    BITSTAGE_RETURN_IF_ERROR(ImportOnnxFile(path).status());
    return FloatModelError(path);
  }
  BITSTAGE_ASSIGN_OR_RETURN(const ModelFile file, ModelFile::Open(path));
  if (!file.model()->IsQuantized()) return FloatModelError(path);
  const auto read_codes = [&file](ConstantId id, WeightCodes& weights) { return file.ReadCodes(id, weights); };
  return Executable::Compile(file.model(), {.isa = std::nullopt, .pool = pool, .read_codes = read_codes});
}

absl::Status SetClassNames(const std::string& path, Model& model) {
  std::ifstream file(path);
  if (!file) return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot open"));
  std::vector<std::string> labels(static_cast<size_t>(std::max(model.class_offset, 0)), "background");
  for (std::string line; std::getline(file, line);) {
    absl::StripAsciiWhitespace(&line);
    if (!line.empty()) labels.push_back(line.substr(WordNetIdLength(line)));
  }
  const Value& output = model.graph.value(model.graph.outputs[0]);
  if (output.shape.rank() == 1 && output.shape[0] != static_cast<int64_t>(labels.size())) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", labels.size(),
                                                   " class names, background included, but '", output.name, "' has ",
                                                   output.shape[0], " outputs"));
  }
  model.labels = std::move(labels);
  return absl::OkStatus();
}

}  // namespace bitstage
