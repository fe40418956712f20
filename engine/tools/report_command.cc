// bitstage-model report: models of one network on one page, for people.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/base/atomic_file.h"
#include "engine/base/status_macros.h"
#include "engine/base/table.h"
#include "engine/base/thread_pool.h"
#include "engine/compression/compress.h"
#include "engine/data/dataset.h"
#include "engine/data/selection.h"
#include "engine/report/page.h"
#include "engine/tools/command.h"
#include "engine/tools/json.h"
#include "engine/tools/load_model.h"
#include "engine/tools/report_measures.h"

namespace bitstage {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxModels = 24;
constexpr int64_t kActivationImages = 32;
constexpr int64_t kSensitivityImages = 32;
constexpr int64_t kSensitivityBytes = int64_t{300} << 20;
constexpr int kSensitivityBits = 4;

// File names without their folders and ".bitstage", made different where they are not.
std::vector<std::string> NamesOf(const std::vector<std::string>& paths) {
  std::vector<std::string> names;
  std::set<std::string> seen;
  for (const std::string& path : paths) {
    const fs::path file(path);
    std::string name = file.extension() == ".bitstage" ? file.stem().string() : file.filename().string();
    const std::string base = name;
    for (int k = 2; !seen.insert(name).second; ++k) name = absl::StrCat(base, " (", k, ")");
    names.push_back(name);
  }
  return names;
}

int64_t FileBytes(const std::string& path) {
  std::error_code error;
  const auto bytes = fs::file_size(path, error);
  return error ? 0 : static_cast<int64_t>(bytes);
}

absl::StatusOr<Model> LoadLowBit(const std::string& path) {
  BITSTAGE_ASSIGN_OR_RETURN(Model model, LoadModel(path));
  if (model.IsQuantized()) return model;
  return absl::InvalidArgumentError(
      absl::StrCat(path, " is a float model, and a report is about low-bit ones: name it with --float"));
}

absl::Status CheckFeedable(const Model& model, const std::string& path) {
  if (model.graph.inputs.size() != 1) {
    return absl::UnimplementedError(absl::StrCat(path, ": has ", model.graph.inputs.size(), " inputs, expected 1"));
  }
  if (model.stage && model.stage->count > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": is one stage of a pipeline, which images cannot be fed to; name the whole model"));
  }
  if (model.preprocessing) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(path,
                   ": declares no preprocessing, so images cannot be fed to it; without --data the page shows "
                   "what the file alone tells"));
}

// A work of many minutes must not end with a path that cannot be written.
absl::Status CheckWritable(const std::string& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) return absl::InvalidArgumentError(absl::StrCat(path, ": is a folder"));
  const fs::path folder = fs::path(path).parent_path();
  if (folder.empty() || fs::is_directory(folder, error)) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat(path, ": its folder does not exist"));
}

// What is read, and what becomes of it.
class Reporting {
 public:
  explicit Reporting(const Arguments& arguments) : arguments_(arguments), pool_(AvailableCpus()) {}

  absl::StatusOr<report::Report> Run() {
    BITSTAGE_RETURN_IF_ERROR(Load());
    if (arguments_.Has("data")) BITSTAGE_RETURN_IF_ERROR(Measure());
    return std::move(report_);
  }

 private:
  absl::Status Load() {
    const std::vector<std::string>& paths = arguments_.positional();
    const std::vector<std::string> names = NamesOf(paths);
    for (size_t i = 0; i < paths.size(); ++i) {
      BITSTAGE_ASSIGN_OR_RETURN(Model model, LoadLowBit(paths[i]));
      BITSTAGE_RETURN_IF_ERROR(Name(model));
      report_.models.push_back(DescribeModel(model, names[i], FileBytes(paths[i])));
      models_.push_back(std::make_shared<const Model>(std::move(model)));
    }
    if (arguments_.Has("float")) {
      const std::string path = arguments_.Get("float");
      BITSTAGE_ASSIGN_OR_RETURN(Model model, LoadModel(path));
      if (model.IsQuantized()) {
        return absl::InvalidArgumentError(
            absl::StrCat("--float ", path, " is a low-bit model, expected the network it was made from"));
      }
      BITSTAGE_RETURN_IF_ERROR(Name(model));
      report_.reference =
          report::FloatReport{.name = fs::path(path).filename().string(), .file_bytes = FileBytes(path)};
      float_ = std::make_shared<const Model>(std::move(model));
    }
    report_.title = arguments_.Get("title", models_[0]->name);
    report_.tool_version = std::string(ToolVersion());
    report_.command = absl::StrCat("report ", arguments_.recorded());
    return absl::OkStatus();
  }

  absl::Status Name(Model& model) const {
    return arguments_.Has("class-names") ? SetClassNames(arguments_.Get("class-names"), model) : absl::OkStatus();
  }

  absl::Status Measure() {
    for (size_t i = 0; i < models_.size(); ++i) {
      BITSTAGE_RETURN_IF_ERROR(CheckFeedable(*models_[i], arguments_.positional()[i]));
    }
    if (float_ != nullptr) BITSTAGE_RETURN_IF_ERROR(CheckFeedable(*float_, arguments_.Get("float")));
    BITSTAGE_ASSIGN_OR_RETURN(const int64_t first, arguments_.Int("skip", 0, 0, INT64_MAX));
    BITSTAGE_ASSIGN_OR_RETURN(const int64_t limit, arguments_.Int("limit", INT64_MAX, 1, INT64_MAX));
    BITSTAGE_ASSIGN_OR_RETURN(const int64_t pictures, arguments_.Int("pictures", 24, 0, 1000));
    Dataset::Options options;
    options.labels_path = arguments_.Get("labels");
    BITSTAGE_ASSIGN_OR_RETURN(const Dataset data, Dataset::Open(arguments_.Get("data"), options));
    const std::vector<int64_t> indices = Range(data.size(), first, limit);
    if (indices.empty()) return absl::InvalidArgumentError(absl::StrCat("--data: no images after the first ", first));
    report_.images = static_cast<int64_t>(indices.size());
    report_.data = absl::StrCat(Thousands(report_.images), " of ", data.Description());
    BITSTAGE_RETURN_IF_ERROR(MeasureAnswers(models_, float_, data, indices, pictures, &pool_, report_));

    const auto some = [&](int64_t count) {
      return std::vector<int64_t>(indices.begin(), indices.begin() + std::min(count, report_.images));
    };
    report_.activation_images = std::min(kActivationImages, report_.images);
    for (size_t i = 0; i < models_.size(); ++i) {
      BITSTAGE_ASSIGN_OR_RETURN(report_.models[i].activations,
                                MeasureActivations(*models_[i], data, some(kActivationImages), &pool_));
    }
    if (float_ == nullptr) return absl::OkStatus();
    BITSTAGE_ASSIGN_OR_RETURN(const int64_t capacity, CalibrationCapacity(*float_, kSensitivityBytes));
    const std::vector<int64_t> probes = some(std::min(kSensitivityImages, capacity));
    report_.sensitivity_bits = kSensitivityBits;
    report_.sensitivity_images = static_cast<int64_t>(probes.size());
    BITSTAGE_ASSIGN_OR_RETURN(report_.sensitivities,
                              MeasureReportSensitivities(*float_, data, probes, kSensitivityBits, &pool_));
    return absl::OkStatus();
  }

  const Arguments& arguments_;
  ThreadPool pool_;
  report::Report report_;
  std::vector<std::shared_ptr<const Model>> models_;
  std::shared_ptr<const Model> float_;
};

Json Figures(const report::Report& report) {
  Json models = Json::array();
  for (const report::ModelReport& model : report.models) {
    Json json = {{"name", model.name}, {"file_bytes", model.file_bytes}, {"bits_per_weight", model.bits_per_weight}};
    if (model.accuracy) {
      json["top1"] = model.accuracy->top1.value;
      json["top5"] = model.accuracy->top5;
    }
    if (model.paired) {
      json["agreement"] = model.paired->agreement.value;
      json["lost"] = model.paired->lost;
      json["won"] = model.paired->won;
    }
    models.push_back(std::move(json));
  }
  return {{"images", report.images}, {"changed", report.changed_total}, {"models", std::move(models)}};
}

absl::Status RunReport(const Arguments& arguments, Console& console) {
  const std::string output = arguments.Get("output");
  BITSTAGE_RETURN_IF_ERROR(CheckWritable(output));
  for (const char* flag : {"labels", "limit", "skip", "pictures"}) {
    if (arguments.Has(flag) && !arguments.Has("data")) return UsageError(absl::StrCat("--", flag, " needs --data"));
  }
  BITSTAGE_ASSIGN_OR_RETURN(const report::Report report, Reporting(arguments).Run());
  const std::string page = report::RenderPage(report);
  BITSTAGE_RETURN_IF_ERROR(WriteFileAtomically(std::as_bytes(std::span(page)), output));
  console.out << output << ": " << report.models.size() << (report.models.size() == 1 ? " model" : " models") << ", "
              << Thousands(static_cast<int64_t>(page.size())) << " bytes; open it in a browser\n";
  if (arguments.Has("json")) PrintJsonLine(Figures(report), console.out);
  return absl::OkStatus();
}

}  // namespace

Command ReportCommand() {
  return {
      .name = "report",
      .synopsis = "M.bitstage… -o PAGE.html [--data PATH] [--float NET.onnx]",
      .summary = "Draw low-bit models of one network on one self-contained page.",
      .details =
          "The page needs no network and no script: bits by layer, bytes on the wire at every cut; with --data\n"
          "accuracy against size and activation histograms; with --float also agreement, sensitivities and the\n"
          "images whose answer changed. PATH is a CIFAR-10 or MNIST file, a folder or a tar of JPEG and PNG images.",
      .flags = {{.name = "output", .letter = 'o', .value = "FILE", .help = "the page to write", .required = true},
                {.name = "data", .value = "PATH", .help = "images to measure on"},
                {.name = "labels",
                 .value = "FILE",
                 .help = "a CSV file: name, class (found beside the images otherwise)"},
                {.name = "float", .value = "NET.onnx", .help = "the network that the models were made from"},
                {.name = "class-names", .value = "FILE", .help = "a text file, one class a line"},
                {.name = "limit", .value = "N", .help = "at most so many images"},
                {.name = "skip", .value = "N", .help = "leave out the first N images"},
                {.name = "pictures", .value = "N", .help = "of images whose answer changed, at most (24)"},
                {.name = "title", .value = "TEXT", .help = "the page's title (the model's name)"},
                {.name = "json", .help = "print one JSON object as the last line"}},
      .min_positional = 1,
      .max_positional = kMaxModels,
      .run = RunReport};
}

}  // namespace bitstage
