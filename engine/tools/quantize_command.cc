// bitstage-model quantize: a float network and some images in, a low-bit model file out.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/base/progress.h"
#include "engine/base/status_macros.h"
#include "engine/base/thread_pool.h"
#include "engine/compression/compress.h"
#include "engine/data/batch.h"
#include "engine/data/dataset.h"
#include "engine/data/selection.h"
#include "engine/format/model_file.h"
#include "engine/graph/partition.h"
#include "engine/tools/command.h"
#include "engine/tools/json.h"
#include "engine/tools/load_model.h"
#include "engine/tools/model_summary.h"
#include "engine/tools/stopwatch.h"

namespace bitstage {
namespace {

// Activations that calibration may hold at once.
constexpr int64_t kCalibrationBytes = int64_t{600} << 20;
// Below, ranges and second moments are those of the images rather than the network's: nobody means that by accident.
constexpr int64_t kFewestImages = 16;

// One bar a phase.
class PhaseBars {
 public:
  void Show(const std::string& phase, int64_t done, int64_t total) {
    if (phase != phase_ || !bar_) {
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
    std::ifstream file(arguments.Get("recipe"));
    if (!file) return absl::NotFoundError(absl::StrCat("recipe ", arguments.Get("recipe"), ": cannot open"));
    BITSTAGE_ASSIGN_OR_RETURN(recipe, ParseRecipe(std::string(std::istreambuf_iterator<char>(file), {})));
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
  if (arguments.Has("menu")) {
    BITSTAGE_ASSIGN_OR_RETURN(recipe.menu, ParseMenu(arguments.Get("menu")));
  }
  BITSTAGE_RETURN_IF_ERROR(Validate(recipe));
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t images, arguments.Int("images", recipe.calibration_images, 1, 100000));
  recipe.calibration_images = static_cast<int>(images);
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t stages, arguments.Int("stages", recipe.stages, 2, kMaxStages));
  recipe.stages = static_cast<int>(stages);
  const bool moves_activations = recipe.budget && recipe.budget->kind == BudgetKind::kMilliseconds;
  if (moves_activations && arguments.Has("activations")) {
    return absl::InvalidArgumentError(
        "a budget of time chooses the widths of activations too: leave --activations out");
  }
  if (arguments.Has("link")) {
    if (!absl::SimpleAtod(arguments.Get("link"), &recipe.link_mbps) || !(recipe.link_mbps > 0)) {
      return absl::InvalidArgumentError("--link expects a positive number of Mbit/s");
    }
  }
  return recipe;
}

// Normal deviates, for networks whose weights are random too.
Tensor RandomImages(const Shape& image, int64_t count, uint64_t seed) {
  Tensor images(DataType::kFloat32, image.WithOuter(count));
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal;
  for (float& x : images.Span<float>()) x = normal(random);
  return images;
}

absl::StatusOr<Tensor> CalibrationImages(const Arguments& arguments, const Recipe& recipe, const Model& model,
                                         ThreadPool* pool) {
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t capacity, CalibrationCapacity(model, kCalibrationBytes));
  const int64_t count = std::min<int64_t>(recipe.calibration_images, capacity);
  if (model.graph.inputs.size() != 1) {
    return absl::UnimplementedError(absl::StrCat("the network has ", model.graph.inputs.size(), " inputs, expected 1"));
  }
  const std::string source = arguments.Get("calibration");
  if (source == "random") return RandomImages(model.graph.value(model.graph.inputs[0]).shape, count, recipe.seed);
  if (!model.preprocessing) {
    return absl::FailedPreconditionError(
        "the network does not declare its preprocessing (metadata 'preprocess'): images cannot calibrate it");
  }
  BITSTAGE_ASSIGN_OR_RETURN(const Dataset data, Dataset::Open(source));
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t begin, arguments.Int("calibration-begin", 0, 0, data.size() - 1));
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t end, arguments.Int("calibration-end", data.size(), begin + 1, data.size()));
  if (arguments.Has("images") ? end - begin < recipe.calibration_images : end - begin < kFewestImages) {
    return absl::InvalidArgumentError(
        absl::StrCat("--calibration ", source, ": ", end - begin, " images are too few, expected ",
                     arguments.Has("images") ? absl::StrCat("the ", recipe.calibration_images, " of --images")
                                             : absl::StrCat("at least ", kFewestImages, " (or fewer by --images)")));
  }
  std::vector<int64_t> indices = RandomSubset(end - begin, count, recipe.seed);
  for (int64_t& index : indices) index += begin;
  return LoadBatch(data, indices, *model.preprocessing, pool);
}

absl::Status RunQuantize(const Arguments& arguments, Console& console) {
  BITSTAGE_ASSIGN_OR_RETURN(const Recipe recipe, RecipeFrom(arguments));
  BITSTAGE_ASSIGN_OR_RETURN(Model model, LoadModel(arguments.positional()[0]));
  if (arguments.Has("class-names")) BITSTAGE_RETURN_IF_ERROR(SetClassNames(arguments.Get("class-names"), model));
  if (arguments.Has("name")) model.name = arguments.Get("name");
  ThreadPool pool(AvailableCpus());
  BITSTAGE_ASSIGN_OR_RETURN(const Tensor images, CalibrationImages(arguments, recipe, model, &pool));
  PhaseBars bars;
  EngineStopwatch stopwatch;
  BITSTAGE_ASSIGN_OR_RETURN(
      Model quantized,
      Compress(
          model, images, recipe, &pool,
          [&](const std::string& phase, int64_t done, int64_t total) { bars.Show(phase, done, total); }, &stopwatch));
  quantized.provenance.command = absl::StrCat("quantize ", arguments.recorded());
  quantized.provenance.tool_version = std::string(ToolVersion());
  const std::string output = arguments.Get("output");
  BITSTAGE_RETURN_IF_ERROR(WriteModelFile(quantized, output));
  const ModelSummary summary = Summarize(quantized);
  const double bits_per_weight = summary.bits_per_weight;
  std::error_code error;
  const auto file_bytes = static_cast<int64_t>(std::filesystem::file_size(output, error));
  console.out << output << ": " << absl::StrFormat("%.2f", bits_per_weight) << " bits a weight, " << file_bytes
              << " bytes; " << DescribeCodes(summary.codes) << '\n';
  Json json = {{"bits_per_weight", bits_per_weight}, {"file_bytes", file_bytes}};
  if (recipe.budget && recipe.budget->kind == BudgetKind::kMilliseconds) {
    BITSTAGE_ASSIGN_OR_RETURN(const StepTimes times, stopwatch.Time(quantized));
    json["measured_ms"] = times.total_ms;
    for (const std::string& note : quantized.provenance.notes) {
      if (absl::StrContains(note, " predicted ")) console.out << note << '\n';
    }
    console.out << absl::StrFormat("one image takes %.4g ms on one thread of this CPU (the least of many), of %.4g\n",
                                   times.total_ms, recipe.budget->amount);
  }
  if (arguments.Has("json")) PrintJsonLine(json, console.out);
  return absl::OkStatus();
}

}  // namespace

Command QuantizeCommand() {
  return {
      .name = "quantize",
      .synopsis = "NET.onnx|F.bitstage --calibration PATH|random -o M.bitstage",
      .summary = "Turn a float network into a low-bit model.",
      .details =
          "--weights      adaptive (a width a layer; the default), uniform:BITS[:channel|layer], "
          "inner:BITS[:channel|layer]\n"
          "               (8 bits in first, last and depthwise layers),\n"
          "               syq:binary|ternary[:pixel|row|layer] (pixel/14, row/14: alphas to 14, the fastest 3 x 3 "
          "convolutions)\n"
          "--activations  uniform:BITS[/CODE], dqa:N[+M][/CODE], dqa-paper:N[+M], adaptive:BITS[/CODE] (widths by "
          "measured\n"
          "               sensitivity, BITS an element on average; 3.5, say); CODE: the bits of a code, shifts "
          "included\n"
          "               (8; 6 for the fastest 3 x 3 convolutions)\n"
          "--budget       of adaptive weights: '4.5 bits', '300 KB', '1.2 MB', '-0.5 points', 'noise 0.05'; widths\n"
          "               of activations too: '2 ms' (one image, one thread, this CPU), '900 wire bytes' (that an\n"
          "               image sends between the stages of --stages)\n"
          "--menu         what adaptive weights choose from, layer by layer, by measured noise: rates (codes for\n"
          "               entropy coding; the default), 2 to 8 (bits; 2,3,4,5,6,8 are the default under a budget of "
          "time),\n"
          "               uniform:BITS:layer, syq:binary|ternary[:pixel|row|layer]; 'syq:ternary:pixel/14,2,3,4', say\n"
          "PATH           a CIFAR-10 or MNIST file, a folder or a tar of JPEG and PNG images\n"
          "A recipe file is a JSON object of the same names; flags win over it.",
      .flags = {{.name = "calibration",
                 .value = "PATH",
                 .help = "images that show what activations look like",
                 .required = true},
                {.name = "calibration-begin", .value = "N", .help = "take them from the N-th image on (0)"},
                {.name = "calibration-end", .value = "N", .help = "… up to before the N-th"},
                {.name = "weights", .value = "HOW", .help = "how weights are coded"},
                {.name = "activations", .value = "HOW", .help = "how activations are coded"},
                {.name = "budget", .value = "AMOUNT", .help = "what adaptive widths may cost"},
                {.name = "menu", .value = "ENTRIES", .help = "what adaptive weights choose from"},
                {.name = "recipe", .value = "FILE", .help = "all of these from a file"},
                {.name = "images", .value = "N", .help = "how many images calibrate (1000, as memory allows)"},
                {.name = "link",
                 .value = "MBIT/S",
                 .help = "the link between stages that frames are chosen for (10000)"},
                {.name = "stages", .value = "K", .help = "into which partition will cut it, for wire bytes (2)"},
                {.name = "class-names", .value = "FILE", .help = "a text file, one class a line, kept as labels"},
                {.name = "name", .value = "NAME", .help = "the model's name, where the file's will not do"},
                {.name = "output", .letter = 'o', .value = "FILE", .help = "the model to write", .required = true},
                {.name = "json", .help = "print one JSON object as the last line"}},
      .min_positional = 1,
      .max_positional = 1,
      .run = RunQuantize};
}

}  // namespace bitstage
