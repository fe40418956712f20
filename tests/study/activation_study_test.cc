#include "engine/study/activation_study.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/graph/graph_builder.h"

namespace bitstage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// `blocks` 1 x 1 convolutions that hand two channels on, and another that keeps the last one's apart.
Graph PassThrough(int blocks) {
  GraphBuilder b(1);
  ValueId x = b.Input({2, 1, 4});
  for (int i = 0; i <= blocks; ++i) x = b.Add(b.MakeConv({2, 1, 4}, 2, 1, 1, 0), {x});
  Graph graph = b.Finish({x});
  for (const Node& node : graph.nodes) {
    const std::span<float> w = graph.constant(WeightsOf(node.op)).values->Span<float>();
    const float identity[] = {1, 0, 0, 1};
    std::copy(std::begin(identity), std::end(identity), w.begin());
    if (BiasOf(node.op) != kNoConstant) {
      for (float& bias : graph.constant(BiasOf(node.op)).values->Span<float>()) bias = 0;
    }
  }
  return graph;
}

// Channel 0 within 0…8, channel 1 within 0…80, so that scales must be found a channel.
Tensor Images() {
  const std::vector<float> values = {0, 1, 3.4f, 8, 0, 10, 34, 80};
  return Tensor::Of({1, 2, 1, 4}, std::span<const float>(values));
}

std::vector<float> Answers(const ActivationStudy& study, const BlockQuantizer& quantizer, const Tensor& images) {
  const auto z = study.Run(images, quantizer);
  EXPECT_TRUE(z.ok()) << z.status();
  return {z->Span<float>().begin(), z->Span<float>().end()};
}

class ActivationStudyTest : public ::testing::Test {
 protected:
  BlockQuantizer Prepare(const char* text, std::vector<int> labels = {}) {
    auto created = ActivationStudy::Create(graph_, Images(), std::move(labels), nullptr);
    EXPECT_TRUE(created.ok()) << created.status();
    study_.emplace(*std::move(created));
    auto quantizer = study_->Prepare(*ParseScheme(text), {});
    EXPECT_TRUE(quantizer.ok()) << quantizer.status();
    return *std::move(quantizer);
  }
  const Graph graph_ = PassThrough(1);
  std::optional<ActivationStudy> study_;
};

TEST_F(ActivationStudyTest, DirectRoundsToTheBatchsMaximumAChannel) {
  // Direct-3: steps 8/4 = 2 and 20, codes to 3: 8 → 6, 3.4 → 1.7 steps → 4, and ten times that.
  const BlockQuantizer quantizer = Prepare("direct:3");
  EXPECT_EQ(quantizer.nominal_bits, 3);
  EXPECT_THAT(Answers(*study_, quantizer, Images()), ElementsAre(0, 0, 4, 6, 0, 0, 40, 60));
  Tensor doubled = Images();
  for (float& x : doubled.Span<float>()) x *= 2;
  EXPECT_THAT(Answers(*study_, quantizer, doubled), ElementsAre(0, 0, 8, 12, 0, 0, 80, 120)) << "scales are online";
}

TEST_F(ActivationStudyTest, DqaGivesTheMoreBitsToTheChannelThatGainsMore) {
  // One of two channels: the second has the larger errors. Its step is 80/32 = 2.5: 34 → 35, 80 → 31 · 2.5.
  const BlockQuantizer quantizer = Prepare("dqa:3+3@0.5:gain");
  EXPECT_EQ(quantizer.nominal_bits, 4.5);
  EXPECT_THAT(Answers(*study_, quantizer, Images()), ElementsAre(0, 0, 4, 6, 0, 10, 35, 77.5f));
}

TEST_F(ActivationStudyTest, StaticGridsDoNotFollowTheBatch) {
  const BlockQuantizer quantizer = Prepare("unsigned:3:max:channel");
  Tensor doubled = Images();
  for (float& x : doubled.Span<float>()) x *= 2;
  const std::vector<float> answers = Answers(*study_, quantizer, doubled);
  EXPECT_NEAR(answers[3], 8, 1e-5) << "16 is clipped at the calibrated 8";
  EXPECT_NEAR(answers[7], 80, 1e-4);
}

TEST_F(ActivationStudyTest, NoiseMovesValuesByLessThanAStepAndIsTakenOutAgain) {
  const BlockQuantizer quantizer = Prepare("noisy:3");
  const std::vector<float> answers = Answers(*study_, quantizer, Images());
  EXPECT_NE(answers, Answers(*study_, Prepare("direct:3"), Images()));
  const std::vector<float> exact = {0, 1, 3.4f, 8, 0, 10, 34, 80};
  for (size_t i = 0; i < exact.size(); ++i) {
    const float step = i < 4 ? 2 : 20;
    // The largest value is clipped one step and may be off by the noise too.
    EXPECT_LE(std::abs(answers[i] - exact[i]), (exact[i] == exact[i / 4 * 4 + 3] ? 1.5f : 0.5f) * step + 1e-4f) << i;
  }
}

TEST_F(ActivationStudyTest, AdaptiveWidthsKeepWithinTheirBitsAndKeepTheMeansOfChannels) {
  const std::vector<float> exact = {0, 1, 3.4f, 8, 0, 10, 34, 80};
  double last = std::numeric_limits<double>::infinity();
  for (const auto& [text, bits] :
       {std::pair("adaptive:2", 2), std::pair("adaptive:3.9", 3), std::pair("adaptive:6", 6)}) {
    const BlockQuantizer quantizer = Prepare(text);
    EXPECT_LE(bits, quantizer.nominal_bits);
    EXPECT_LT(quantizer.nominal_bits, bits + 1);
    const std::vector<float> answers = Answers(*study_, quantizer, Images());
    EXPECT_NEAR(answers[0] + answers[1] + answers[2] + answers[3], 12.4, 1e-4) << text;
    EXPECT_NEAR(answers[4] + answers[5] + answers[6] + answers[7], 124, 1e-3) << text;
    double error = 0;
    for (size_t i = 0; i < exact.size(); ++i) error += (answers[i] - exact[i]) * (answers[i] - exact[i]);
    EXPECT_LT(error, last) << text;
    last = error;
  }
}

TEST_F(ActivationStudyTest, TheGreedyRankingRunsOnceAChannelAndNeedsLabels) {
  auto study = ActivationStudy::Create(graph_, Images(), {0}, nullptr);
  ASSERT_TRUE(study.ok()) << study.status();
  std::vector<std::pair<int64_t, int64_t>> seen;
  const auto note = [&](int64_t done, int64_t total) { seen.emplace_back(done, total); };
  ASSERT_TRUE(study->Prepare(*ParseScheme("dqa:3+3"), note).ok());
  EXPECT_THAT(seen, ElementsAre(std::pair<int64_t, int64_t>(1, 2), std::pair<int64_t, int64_t>(2, 2)));
  ASSERT_TRUE(study->Prepare(*ParseScheme("dqa:4+3"), note).ok());
  EXPECT_EQ(seen.size(), 2u) << "the ranking is kept";

  auto unlabelled = ActivationStudy::Create(graph_, Images(), {}, nullptr);
  ASSERT_TRUE(unlabelled.ok()) << unlabelled.status();
  const absl::Status status = unlabelled->Prepare(*ParseScheme("dqa:3+3"), {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("labelled"));
}

TEST(GreedyRankingTest, ABlockIsRankedBehindThoseBeforeItAsTheyWereLeft) {
  // The larger of two values that differ by little, in channel 1. Direct-3 makes of a channel's maximum 3/4 of it: the
  // first block's channel 1 must stay. Then 0.75 · 4.9 stands against 5, and nothing that the second block does to
  // either changes the answer: of equal ones the first. (Were the first block not quantized, it would be channel 1.)
  const Graph graph = PassThrough(2);
  const std::vector<float> values = {0, 0, 0, 4.9f, 0, 0, 0, 5};
  auto study = ActivationStudy::Create(graph, Tensor::Of({1, 2, 1, 4}, std::span<const float>(values)), {7}, nullptr);
  ASSERT_TRUE(study.ok()) << study.status();
  const auto quantizer = study->Prepare(*ParseScheme("dqa:3+3"), {});
  ASSERT_TRUE(quantizer.ok()) << quantizer.status();
  ASSERT_EQ(quantizer->blocks.size(), 2u);
  EXPECT_THAT(quantizer->blocks[0].important, ElementsAre(0, 1));
  EXPECT_THAT(quantizer->blocks[1].important, ElementsAre(1, 0));
}

}  // namespace
}  // namespace bitstage
