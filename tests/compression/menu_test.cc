// Menus of mixed codes: what is allotted from them, what is refused, and that what comes out is served as it was made.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "engine/codec/weight_coding.h"
#include "engine/compression/compress.h"
#include "engine/compression/lowering.h"
#include "engine/compression/precision.h"
#include "engine/quant/allocation.h"
#include "engine/runtime/executable.h"
#include "tests/graph/graph_builder.h"

namespace bitstage {
namespace {

using ::testing::HasSubstr;

constexpr char kSyq[] = "syq:binary:layer,syq:binary:row,syq:ternary:pixel/14,syq:ternary:layer";

// Three convolutions, one of them depthwise, and a classifier.
Model FloatModel() {
  GraphBuilder b(13);
  const auto relu = [&](ValueId x) { return b.Add(Unary{UnaryKind::kClamp, 0, 1e30f}, {x}); };
  const ValueId x = b.Input({3, 10, 10});
  const ValueId a = relu(b.Add(b.MakeConv({3, 10, 10}, 16, 3, 1, 1), {x}));
  const ValueId c = relu(b.Add(b.MakeConv({16, 10, 10}, 16, 3, 1, 1, 16), {a}));
  const ValueId d = relu(b.Add(b.MakeConv({16, 10, 10}, 24, 3, 1, 1), {c}));
  Model model;
  model.name = "small";
  model.graph = b.Finish({b.Add(b.MakeFullyConnected(24, 10), {b.Add(GlobalAveragePool{.keep_dims = false}, {d})})});
  return model;
}

Tensor Images() { return RandomTensor({40, 3, 10, 10}, 5); }

Recipe With(const std::string& menu, const std::string& budget = "") {
  Recipe recipe;
  if (!budget.empty()) recipe.budget = *ParseBudget(budget);
  recipe.menu = *ParseMenu(menu);
  return recipe;
}

std::vector<const WeightCodes*> CodesOf(const Graph& graph) {
  std::vector<const WeightCodes*> codes;
  for (const size_t node : WeightedNodes(graph)) {
    codes.push_back(&*graph.constant(WeightsOf(graph.nodes[node].op)).codes);
  }
  return codes;
}

int64_t Bytes(const Model& model) {
  int64_t bytes = 0;
  for (const WeightCodes* codes : CodesOf(model.graph)) bytes += StoredBytes(*codes);
  return bytes;
}

// Every way to choose one option a layer.
template <typename Visitor>
void ForEveryMix(const std::vector<LayerMenu>& menus, Visitor visit) {
  std::vector<size_t> choice(menus.size());
  for (size_t i = 0; i < menus.size();) {
    double bits = 0;
    double noise = 0;
    for (size_t layer = 0; layer < menus.size(); ++layer) {
      bits += menus[layer].options[choice[layer]].bits;
      noise += menus[layer].options[choice[layer]].noise;
    }
    visit(bits, noise);
    for (i = 0; i < menus.size() && ++choice[i] == menus[i].options.size(); ++i) choice[i] = 0;
  }
}

struct Mix {
  double bits = 0;
  double noise = 0;
};
Mix Of(const std::vector<LayerMenu>& menus, const std::vector<LayerPrecision>& precision) {
  Mix mix;
  for (size_t layer = 0; layer < menus.size(); ++layer) {
    const CodingOption& option = *std::ranges::find(menus[layer].options, precision[layer], &CodingOption::precision);
    mix.bits += option.bits;
    mix.noise += option.noise;
  }
  return mix;
}

class MeasuredMenu : public ::testing::Test {
 protected:
  void SetUp() override {
    graph_ = PreparedGraph(FloatModel()).value();
    const Tensor images = Images();
    calibration_ = Calibrate(graph_, images, nullptr, {}).value();
    const auto menus = MeasureMenus(graph_, calibration_, images, *ParseMenu(absl::StrCat(kSyq, ",2,3,4,6,8")),
                                    /*second_order_rounding=*/true, nullptr, {});
    ASSERT_TRUE(menus.ok()) << menus.status();
    menus_ = *menus;
  }

  Graph graph_;
  Calibration calibration_;
  std::vector<LayerMenu> menus_;
};

TEST_F(MeasuredMenu, HoldsEveryEntryWithWhatItTakes) {
  ASSERT_EQ(menus_.size(), 4u);
  for (const LayerMenu& menu : menus_) {
    ASSERT_EQ(menu.options.size(), 9u);
    EXPECT_EQ(menu.options[0].precision.codebook, Codebook::kBinary);
    EXPECT_EQ(menu.options[2].precision.max_alpha, 14);
    EXPECT_EQ(menu.options[4].precision, LayerPrecision{.bits = 2});
    const auto weights = static_cast<double>(menu.weights);
    EXPECT_LE(menu.options[0].bits, weights + 7 + 32) << "binary codes and one scale";
    EXPECT_LT(menu.options[0].bits, menu.options[8].bits);
    EXPECT_GT(menu.options[0].noise, menu.options[8].noise);
  }
}

TEST_F(MeasuredMenu, GivesTheBestOfAllMixesUnderEitherBudgetOrOneThatMeasurementCannotTellFromIt) {
  double smallest = HUGE_VAL;
  double largest = 0;
  ForEveryMix(menus_, [&](double bits, double) {
    smallest = std::min(smallest, bits);
    largest = std::max(largest, bits);
  });
  for (const double share : {0.03, 0.1, 0.3, 0.6}) {
    const double budget = smallest + share * (largest - smallest);
    const auto by_size = AllocateForSize(menus_, budget);
    ASSERT_TRUE(by_size.ok()) << by_size.status();
    const Mix sized = Of(menus_, *by_size);
    EXPECT_LE(sized.bits, budget);
    const auto by_noise = AllocateForNoise(menus_, sized.noise * 1.1);
    ASSERT_TRUE(by_noise.ok()) << by_noise.status();
    const Mix quiet = Of(menus_, *by_noise);
    EXPECT_LE(quiet.noise, sized.noise * 1.1);
    ForEveryMix(menus_, [&](double bits, double noise) {
      EXPECT_TRUE(bits > budget || noise >= sized.noise * (1 - kWorthwhile)) << bits << " " << noise;
      EXPECT_TRUE(noise > sized.noise * 1.1 || bits >= quiet.bits * (1 - kWorthwhile)) << bits << " " << noise;
    });
  }
}

TEST_F(MeasuredMenu, RefusesWhatItCannotMeetAndNamesWhatItCan) {
  const std::string small(AllocateForSize(menus_, 80).status().message());
  EXPECT_THAT(small, HasSubstr("10 bytes of weights are too few"));
  double least = 0;
  const size_t at = small.find("too few, ") + 9;
  ASSERT_TRUE(absl::SimpleAtod(small.substr(at, small.find(' ', at) - at), &least)) << small;
  EXPECT_TRUE(AllocateForSize(menus_, 8 * least).ok());

  EXPECT_THAT(std::string(AllocateForNoise(menus_, LeastNoise(menus_) / 2).status().message()),
              HasSubstr("is the least that the menu has"));
  EXPECT_TRUE(AllocateForNoise(menus_, LeastNoise(menus_)).ok());
}

TEST(Menu, IsAllThatLayersGetTheEdgesIncluded) {
  for (const char* budget : {"", "3 bits", "1.9 bits", "900 wire bytes"}) {
    const auto model =
        Compress(FloatModel(), Images(), With("syq:ternary:layer,syq:binary:pixel/14,5", budget), nullptr, {});
    ASSERT_TRUE(model.ok()) << budget << model.status();
    for (const WeightCodes* codes : CodesOf(model->graph)) {
      const bool ternary = codes->codebook == Codebook::kTernary && codes->kind == ScaleKind::kLayer;
      // A classifier's pixels are its one layer.
      const bool binary = codes->codebook == Codebook::kBinary &&
                          codes->kind == (codes->shape.rank() == 4 ? ScaleKind::kPixel : ScaleKind::kLayer) &&
                          std::ranges::all_of(codes->alpha, [](uint8_t alpha) { return alpha <= 14; });
      EXPECT_TRUE(ternary || binary || codes->bits == 5) << Name(codes->codebook) << " " << codes->bits;
    }
  }
}

TEST(Menu, OfMixedCodesKeepsASizeThatRatesAloneCannot) {
  int64_t weights = 0;
  const auto alone = Compress(FloatModel(), Images(), With("rates", "1.6 bits"), nullptr, {});
  EXPECT_EQ(alone.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(alone.status().message()), HasSubstr("bytes of weights are too few"));
  const auto mixed = Compress(FloatModel(), Images(), With(absl::StrCat("rates,", kSyq), "1.6 bits"), nullptr, {});
  ASSERT_TRUE(mixed.ok()) << mixed.status();
  for (const WeightCodes* codes : CodesOf(mixed->graph)) weights += codes->shape.elements();
  EXPECT_LE(8.0 * static_cast<double>(Bytes(*mixed)), 1.6 * static_cast<double>(weights));
}

// Whatever a layer's codes: every tier's logits are the reference tier's to the bit.
TEST(Menu, MixedModelsAreServedAsTheReferenceComputesThem) {
  for (const char* budget : {"2 bits", "3 bits", "5 bits"}) {
    auto model = Compress(FloatModel(), Images(), With(absl::StrCat(kSyq, ",8"), budget), nullptr, {});
    ASSERT_TRUE(model.ok()) << model.status();
    std::map<Codebook, int> books;
    for (const WeightCodes* codes : CodesOf(model->graph)) ++books[codes->codebook];
    EXPECT_GT(books.size(), 1u) << budget << ": not mixed";
    const auto shared = std::make_shared<const Model>(*std::move(model));
    const Tensor images = RandomTensor({6, 3, 10, 10}, 8);
    const std::vector<TensorView> inputs = {images.View()};
    std::vector<float> expected;
    for (const Isa isa : SupportedIsas()) {
      const auto executable = Executable::Compile(shared, {.isa = isa});
      ASSERT_TRUE(executable.ok()) << executable.status();
      Session session(*executable, 6, nullptr);
      ASSERT_TRUE(session.Run(6, inputs, Cancellation::None()).ok());
      const std::span<const float> found = session.Output(0).Span<float>();
      if (isa == Isa::kReference) {
        expected.assign(found.begin(), found.end());
        continue;
      }
      ASSERT_EQ(found.size(), expected.size());
      EXPECT_EQ(std::memcmp(found.data(), expected.data(), found.size_bytes()), 0) << budget << " " << Name(isa);
    }
    EXPECT_FALSE(expected.empty());
  }
}

TEST(Menu, GoesWithAdaptiveActivationsUnderEverySizeAndInPoints) {
  for (const char* budget : {"3 bits", "1.5 KB", "-20 points"}) {
    Recipe recipe = With(absl::StrCat("rates,", kSyq), budget);
    recipe.activations = *ParseActivations("adaptive:5");
    const auto model = Compress(FloatModel(), Images(), recipe, nullptr, {});
    ASSERT_TRUE(model.ok()) << budget << model.status();
    EXPECT_TRUE(recipe.budget->kind != BudgetKind::kBytes || Bytes(*model) <= 1500) << Bytes(*model);
    int narrow = 0;
    for (const Value& value : model->graph.values) narrow += value.grid && value.grid->BitsOf(0) < 8;
    EXPECT_GT(narrow, 0) << budget;
  }
  const auto refused = Compress(FloatModel(), Images(), With("syq:binary:layer", "noise 0.0001"), nullptr, {});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("noise 0.0001 cannot be kept"));
}

TEST(Menu, OfRatesOrForGivenCodesIsRefusedWhereItMakesNoSense) {
  Recipe timed = With("rates,2", "2 ms");
  EXPECT_THAT(std::string(Compress(FloatModel(), Images(), timed, nullptr, {}).status().message()),
              HasSubstr("a budget of time takes widths (2 to 8) and SYQ codes"));
  Recipe given = With("2,3");
  given.weights = *ParseWeights("uniform:4");
  EXPECT_THAT(std::string(Validate(given).message()), HasSubstr("a menu is for adaptive weights"));
  given.menu.clear();
  given.budget = *ParseBudget("3 bits");
  EXPECT_THAT(std::string(Validate(given).message()), HasSubstr("a budget is for adaptive weights"));
}

}  // namespace
}  // namespace bitstage
