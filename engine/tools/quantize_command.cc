// bitstage-model quantize: a float network and some images in, a low-bit model file out.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/base/progress.h"
#include "engine/base/status_macros.h"
#include "engine/base/thread_pool.h"
#include "engine/compression/compress.h"
#include "engine/format/model_file.h"
#include "engine/tools/command.h"
#include "engine/tools/image_batches.h"
#include "engine/tools/load_model.h"
#include "engine/tools/model_summary.h"
#include "engine/tools/text_file.h"

namespace bitstage {
namespace {

// Activations that calibration may hold at once.
constexpr int64_t kCalibrationBytes = int64_t{600} << 20;

// One bar a phase.
class PhaseBars {
 public:
  void Show(const std::string& phase, int64_t done, int64_t total) {
    if (phase != phase_) {
      phase_ = phase;
      done_ = 0;
      bar_.emplace(phase, total, Progress::StandardError());
    }
    bar_->Advance(done - done_);
    done_ = done;
    if (done == total) bar_.reset();
  }

 private:
  std::string phase_;
  int64_t done_ = 0;
  std::optional<Progress> bar_;
};

absl::StatusOr<Recipe> RecipeFrom(const Arguments& arguments) {
  Recipe recipe;
  if (arguments.Has("recipe")) {
    BITSTAGE_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(arguments.Get("recipe")));
    BITSTAGE_ASSIGN_OR_RETURN(recipe, ParseRecipe(text));
  }
  if (arguments.Has("weights")) {
    BITSTAGE_ASSIGN_OR_RETURN(recipe.weights, ParseWeights(arguments.Get("weights")));
  }
  if (arguments.Has("activations")) {
    BITSTAGE_ASSIGN_OR_RETURN(recipe.activations, ParseActivations(arguments.Get("activations")));
  }
  if (arguments.Has("budget")) {
    BITSTAGE_ASSIGN_OR_RETURN(recipe.budget, ParseBudget(arguments.Get("budget")));
  }
  if (recipe.budget && recipe.weights.method != WeightMethod::kAdaptive) {
    return absl::InvalidArgumentError("a budget is for adaptive weights; these have their width given");
  }
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t images, arguments.Int("images", recipe.calibration_images, 1, 100000));
  recipe.calibration_images = static_cast<int>(images);
  return recipe;
}

absl::Status RunQuantize(const Arguments& arguments, Console& console) {
  BITSTAGE_ASSIGN_OR_RETURN(const Recipe recipe, RecipeFrom(arguments));
  BITSTAGE_ASSIGN_OR_RETURN(Model model, LoadModel(arguments.positional()[0]));
  if (arguments.Has("labels")) {
    BITSTAGE_ASSIGN_OR_RETURN(model.labels, ReadClassNames(arguments.Get("labels")));
  }
  ThreadPool pool(AvailableCpus());
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t capacity, CalibrationCapacity(model, kCalibrationBytes));
  const int64_t count = std::min<int64_t>(recipe.calibration_images, capacity);
  std::string source;
  Tensor images;
  if (arguments.Get("calibration") == "random") {
    source = "random images";
    images = RandomImages(model, count, recipe.seed);
  } else {
    BITSTAGE_ASSIGN_OR_RETURN(const ImageBatches data, ImageBatches::Open(arguments.Get("calibration"), "", model));
    source = std::filesystem::path(arguments.Get("calibration")).filename().string();
    BITSTAGE_ASSIGN_OR_RETURN(images, data.LoadSpread(count, recipe.seed, &pool));
  }
  PhaseBars bars;
  BITSTAGE_ASSIGN_OR_RETURN(
      Model quantized, Compress(model, images, recipe, &pool, [&](const std::string& phase, int64_t done, int64_t total) {
        bars.Show(phase, done, total);
      }));
  quantized.provenance.command = absl::StrCat("bitstage-model quantize ", arguments.recorded());
  quantized.provenance.tool_version = std::string(ToolVersion());
  quantized.provenance.notes.push_back(absl::StrCat("calibrated on ", source));
  const std::string output = arguments.Get("output");
  BITSTAGE_RETURN_IF_ERROR(WriteModelFile(quantized, output));
  BITSTAGE_ASSIGN_OR_RETURN(const ModelSummary summary, Summarize(quantized, output));
  console.out << absl::StrFormat("%s: %.2f bits a weight, %d bytes\n", output, summary.bits_per_weight,
                                 summary.file_bytes);
  if (arguments.Has("json")) {
    console.out << nlohmann::json{{"bits_per_weight", summary.bits_per_weight}, {"file_bytes", summary.file_bytes}}.dump()
                << '\n';
  }
  return absl::OkStatus();
}

}  // namespace

Command QuantizeCommand() {
  return {.name = "quantize",
          .synopsis = "NET.onnx|F.bitstage --calibration PATH|random -o M.bitstage",
          .summary = "Turn a float network into a low-bit model.",
          .details =
              "--weights      adaptive (a width a layer; the default), uniform:BITS[:channel|layer],\n"
              "               syq:binary|ternary[:pixel|row|layer]\n"
              "--activations  uniform:BITS, dqa:N[+M], dqa-paper:N[+M]\n"
              "--budget       of adaptive weights: '4.5 bits', '300 KB', '1.2 MB', '-0.5 points', 'noise 0.05'\n"
              "PATH           a CIFAR-10 or MNIST file, a folder or a tar of JPEG and PNG images\n"
              "A recipe file is a JSON object of the same names; flags go before it.",
          .flags = {{.name = "calibration", .value = "PATH", .help = "images that show what activations look like", .required = true},
                    {.name = "weights", .value = "HOW", .help = "how weights are coded"},
                    {.name = "activations", .value = "HOW", .help = "how activations are coded"},
                    {.name = "budget", .value = "AMOUNT", .help = "what adaptive widths may cost"},
                    {.name = "recipe", .value = "FILE", .help = "all of these from a file"},
                    {.name = "images", .value = "N", .help = "how many images calibrate (100)"},
                    {.name = "labels", .value = "FILE", .help = "class names, one a line (a leading synset id is dropped)"},
                    {.name = "output", .letter = 'o', .value = "FILE", .help = "the model to write", .required = true},
                    {.name = "json", .help = "print one JSON object as the last line"}},
          .min_positional = 1,
          .max_positional = 1,
          .run = RunQuantize};
}

}  // namespace bitstage
