// bitstage-model run: what a model answers to images or to an array, for people and for checks.
#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/base/status_macros.h"
#include "engine/base/thread_pool.h"
#include "engine/data/file_bytes.h"
#include "engine/image/image.h"
#include "engine/tools/command.h"
#include "engine/tools/load_model.h"
#include "engine/tools/npy.h"
#include "engine/tools/predictor.h"

namespace bitstage {
namespace {

absl::Status Annotate(const std::string& path, const absl::Status& status) {
  return {status.code(), absl::StrCat(path, ": ", status.message())};
}

absl::StatusOr<Tensor> LoadImages(const std::vector<std::string>& paths, const Model& model) {
  if (!model.preprocessing) {
    return absl::FailedPreconditionError("the model declares no preprocessing; give it an array with --input");
  }
  const Shape& shape = model.graph.value(model.graph.inputs[0]).shape;
  Tensor images(DataType::kFloat32, shape.WithOuter(static_cast<int64_t>(paths.size())));
  const auto elements = static_cast<size_t>(shape.elements());
  for (size_t i = 0; i < paths.size(); ++i) {
    BITSTAGE_ASSIGN_OR_RETURN(const auto file, FileBytes::Open(paths[i], ImageLimits{}.max_encoded_bytes));
    const absl::StatusOr<Image> image = DecodeImage(file->bytes(), model.preprocessing->color);
    if (!image.ok()) return Annotate(paths[i], image.status());
    const absl::Status status =
        PreprocessInto(*image, *model.preprocessing, images.Span<float>().subspan(i * elements, elements));
    if (!status.ok()) return Annotate(paths[i], status);
  }
  return images;
}

// An array for one image may come without the batch's extent.
absl::StatusOr<Tensor> LoadArray(const std::string& path, const Model& model) {
  BITSTAGE_ASSIGN_OR_RETURN(Tensor array, ReadNpy(path));
  const Shape& shape = model.graph.value(model.graph.inputs[0]).shape;
  if (array.shape().rank() == shape.rank()) array.Reshape(array.shape().WithOuter(1));
  return array;
}

absl::StatusOr<Tensor> Predict(Predictor& predictor, const Tensor& inputs) {
  const int64_t count = inputs.shape()[0];
  const size_t bytes = inputs.bytes() / static_cast<size_t>(count);
  Tensor all;
  for (int64_t begin = 0; begin < count; begin += Predictor::kMaxBatch) {
    const int64_t size = std::min(Predictor::kMaxBatch, count - begin);
    Shape shape = inputs.shape();
    shape[0] = size;
    Tensor batch(inputs.type(), shape);
    std::memcpy(batch.data(), inputs.data() + static_cast<size_t>(begin) * bytes, batch.bytes());
    BITSTAGE_ASSIGN_OR_RETURN(const Tensor outputs, predictor.Run(batch));
    if (begin == 0) {
      Shape whole = outputs.shape();
      whole[0] = count;
      all = Tensor(outputs.type(), whole);
    }
    const size_t per_image = outputs.bytes() / static_cast<size_t>(size);
    std::memcpy(all.data() + static_cast<size_t>(begin) * per_image, outputs.data(), outputs.bytes());
  }
  return all;
}

void PrintTop(std::span<const float> logits, const Model& model, int64_t count, Console& console) {
  std::vector<size_t> order(logits.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return logits[a] > logits[b]; });
  order.resize(std::min(order.size(), static_cast<size_t>(count)));
  for (const size_t i : order) {
    console.out << absl::StrFormat("  %5d  %12.6g", i, logits[i]);
    if (i < model.labels.size()) console.out << "  " << model.labels[i];
    console.out << '\n';
  }
}

template <typename T>
void PrintRange(std::span<const T> values, Console& console) {
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  console.out << "  " << values.size() << " values from " << +*least << " to " << +*most << '\n';
}

void PrintAnswers(const Tensor& outputs, const std::vector<std::string>& images, const Model& model, int64_t top,
                  Console& console) {
  const int64_t count = outputs.shape()[0];
  const auto per_image = static_cast<size_t>(outputs.shape().elements() / count);
  for (int64_t n = 0; n < count; ++n) {
    const auto i = static_cast<size_t>(n);
    console.out << (images.empty() ? absl::StrCat("image ", n) : images[i]) << '\n';
    if (outputs.type() == DataType::kInt64) {
      PrintRange(outputs.Span<int64_t>().subspan(i * per_image, per_image), console);
    } else if (outputs.type() == DataType::kUInt8) {
      PrintRange(outputs.Span<uint8_t>().subspan(i * per_image, per_image), console);
    } else if (outputs.shape().rank() == 2) {
      PrintTop(outputs.Span<float>().subspan(i * per_image, per_image), model, top, console);
    } else {
      PrintRange(outputs.Span<float>().subspan(i * per_image, per_image), console);
    }
  }
}

absl::Status RunRun(const Arguments& arguments, Console& console) {
  if (arguments.Has("image") == arguments.Has("input")) return UsageError("give either --image or --input");
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t top, arguments.Int("top", 5, 1, 1'000'000));
  BITSTAGE_ASSIGN_OR_RETURN(Model model, LoadModel(arguments.positional()[0]));
  ThreadPool pool(AvailableCpus());
  BITSTAGE_ASSIGN_OR_RETURN(Predictor predictor, Predictor::Create(std::move(model), &pool));
  const std::vector<std::string> images = arguments.All("image");
  BITSTAGE_ASSIGN_OR_RETURN(const Tensor inputs, arguments.Has("input")
                                                     ? LoadArray(arguments.Get("input"), predictor.model())
                                                     : LoadImages(images, predictor.model()));
  BITSTAGE_ASSIGN_OR_RETURN(const Tensor outputs, Predict(predictor, inputs));
  PrintAnswers(outputs, images, predictor.model(), top, console);
  if (!arguments.Has("output")) return absl::OkStatus();
  return WriteNpy(outputs.View(), arguments.Get("output"));
}

}  // namespace

Command RunCommand() {
  return {.name = "run",
          .synopsis = "MODEL --image FILE… | --input X.npy [-o Y.npy]",
          .summary = "Run a model and print its first output.",
          .details =
              "MODEL is a .bitstage or an ONNX file. X.npy holds float32, [batch] + the input's shape or one image\n"
              "without the batch; for a later pipeline stage uint8 codes. Y.npy gets the output, bit for bit.",
          .flags = {{.name = "image", .value = "FILE", .help = "JPEG or PNG files", .many = true},
                    {.name = "input", .value = "X.npy", .help = "an array in place of images"},
                    {.name = "output", .letter = 'o', .value = "Y.npy", .help = "where to write the output"},
                    {.name = "top", .value = "N", .help = "print the N largest outputs (5)"}},
          .min_positional = 1,
          .max_positional = 1,
          .run = RunRun};
}

}  // namespace bitstage
