#include "tests/pipeline/small_network.h"

#include <gtest/gtest.h>

#include <limits>

#include "absl/strings/str_cat.h"
#include "engine/compression/compress.h"
#include "tests/graph/graph_builder.h"

namespace bitstage::server {

Model SmallNetwork() {
  GraphBuilder b(7);
  Shape shape{3, 24, 24};
  ValueId x = b.Input(shape);
  for (const auto& [outputs, stride] : {std::pair<int64_t, int64_t>{8, 1}, {16, 2}, {16, 1}, {32, 2}, {32, 1}}) {
    Conv conv = b.MakeConv(shape, outputs, 3, stride, 1);
    conv.clamp = Clamp{0, std::numeric_limits<float>::infinity()};
    x = b.Add(conv, {x});
    shape = b.graph().value(x).shape;
  }
  const ValueId logits = b.Add(b.MakeFullyConnected(shape[0], 10), {b.Add(GlobalAveragePool{false}, {x})});
  Model model;
  model.name = "net";
  model.graph = b.Finish({logits});
  for (int i = 0; i < 10; ++i) model.labels.push_back(absl::StrCat("c", i));

  Recipe recipe;
  recipe.weights = {.method = WeightMethod::kUniform, .bits = 4};
  recipe.activations = {ActivationMethod::kDqa, 4, 2, 0.5};
  const absl::StatusOr<Model> quantized =
      Compress(model, RandomTensor({16, 3, 24, 24}, 3), recipe, nullptr, [](const std::string&, int64_t, int64_t) {});
  EXPECT_TRUE(quantized.ok()) << quantized.status();
  return quantized->Clone();
}

}  // namespace bitstage::server
