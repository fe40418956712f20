#include "tests/server/tiny_model.h"

#include <filesystem>

#include "engine/format/model_file.h"

namespace bitstage::server {

Model TinyModel() {
  constexpr int64_t kPixels = 16;
  const Grid pixels;  // step 1, zero 0, 8 bits: a pixel is its own code
  Model model;
  model.name = "tiny";
  Graph& graph = model.graph;
  const ValueId image = graph.AddValue({"image", Shape{3, 4, 4}, DataType::kFloat32, pixels});
  const ValueId flat = graph.AddValue({"flat", Shape{3 * kPixels}, DataType::kFloat32, pixels});
  const ValueId scores = graph.AddValue({"scores", Shape{3}, DataType::kFloat32, std::nullopt});
  const ValueId best = graph.AddValue({"class", Shape{1}, DataType::kInt64, std::nullopt});

  WeightCodes weights;
  weights.shape = Shape{3, 3 * kPixels};
  weights.kind = ScaleKind::kLayer;
  weights.scale = {1.0f};
  for (int64_t color = 0; color < 3; ++color) {
    for (int64_t i = 0; i < 3 * kPixels; ++i) weights.codes.push_back(i / kPixels == color ? 1 : 0);
  }
  const ConstantId sums = graph.AddConstant({"sums", std::nullopt, std::move(weights)});
  graph.nodes.push_back({"flatten", Reshape{Shape{3 * kPixels}}, {image}, flat});
  graph.nodes.push_back({"sum", FullyConnected{.weights = sums, .bias = kNoConstant, .clamp = {}}, {flat}, scores});
  graph.nodes.push_back({"best", ArgMax{.axis = 0, .keep_dims = true, .select_last = false}, {scores}, best});
  graph.inputs = {image};
  graph.outputs = {scores, best};

  model.preprocessing = Preprocessing{};
  model.preprocessing->width = 4;
  model.preprocessing->height = 4;
  model.labels = {"red", "green", "blue"};
  return model;
}

absl::Status WriteTinyModel(const std::string& path) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  return WriteModelFile(TinyModel(), path);
}

}  // namespace bitstage::server
