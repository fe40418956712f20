#include "server/pipeline/stage_boundary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bitstage::server {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Codes of 4 bits, C x H x W = 2 x 3 x 5, in and out.
Model Stage() {
  Model model;
  const Grid grid{.bits = {4}};
  const ValueId in = model.graph.AddValue({"in", Shape{2, 3, 5}, DataType::kFloat32, grid});
  const ValueId out = model.graph.AddValue({"out", Shape{2, 3, 5}, DataType::kFloat32, grid});
  model.graph.inputs = {in};
  model.graph.outputs = {out};
  return model;
}

v1::StageIdentity Identity(const Model& model, const std::string& pipeline = "p", int index = 1) {
  return IdentityOf("net", StageInfo{index, 2, pipeline}, index, *InputBoundary(model));
}

TEST(StageBoundary, IsTheOnlyValueInCodeLayout) {
  const absl::StatusOr<FrameBoundary> boundary = InputBoundary(Stage());
  ASSERT_TRUE(boundary.ok()) << boundary.status();
  EXPECT_EQ(boundary->name(), "in");
  EXPECT_EQ(boundary->image_shape(), (Shape{3, 5, 2}));
  EXPECT_NE(boundary->identity(), OutputBoundary(Stage())->identity());
}

TEST(StageBoundary, RefusesStagesWithoutOne) {
  Model two = Stage();
  two.graph.outputs.push_back(two.graph.inputs[0]);
  EXPECT_TRUE(absl::IsFailedPrecondition(OutputBoundary(two).status()));
  Model floats = Stage();
  floats.graph.values[0].grid.reset();
  EXPECT_TRUE(absl::IsFailedPrecondition(InputBoundary(floats).status()));
}

TEST(StageIdentity, OnlyTheSameStageIsMet) {
  EXPECT_TRUE(CheckIdentity(Identity(Stage()), Identity(Stage())).ok());
  Model other_grid = Stage();
  other_grid.graph.values[0].grid->bits = {5};
  for (const v1::StageIdentity& found :
       {Identity(Stage(), "q"), Identity(Stage(), "p", 2), Identity(other_grid), v1::StageIdentity()}) {
    const absl::Status status = CheckIdentity(Identity(Stage()), found);
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << found.ShortDebugString();
  }
}

TEST(StageIdentity, ARefusalNamesBoth) {
  const absl::Status status = CheckIdentity(Identity(Stage(), "p"), Identity(Stage(), "q", 2));
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("expects stage 1 of model 'net', pipeline 'p'"),
                    HasSubstr("found stage 2 of model 'net', pipeline 'q'"), HasSubstr("boundary 'in'")));
}

}  // namespace
}  // namespace bitstage::server
