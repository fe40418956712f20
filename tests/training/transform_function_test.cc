#include "engine/training/transform_function.h"

#include <gtest/gtest.h>

namespace bitstage {
namespace {

// Without rounding everything is a true derivative: compared with finite differences, norm and residual included.
TEST(TransformOutput, GradientsEqualFiniteDifferences) {
  at::manual_seed(3);
  for (const NormMode mode : {NormMode::kBatch, NormMode::kRunning}) {
    const at::Tensor acc = (at::randn({3, 5, 4, 2}) * 40).requires_grad_(true);
    const at::Tensor residual = (at::randn({3, 5, 4, 2}) * 5 + 3).requires_grad_(true);
    const at::Tensor gamma = (at::rand({5}) + 0.5).requires_grad_(true);
    const at::Tensor beta = at::randn({5}).requires_grad_(true);
    const at::Tensor weigh = at::randn({3, 5, 4, 2});
    TransformSettings settings;
    settings.output.clamp = Clamp{-1.5f, 2.5f};
    settings.mode = mode;
    settings.normalise = true;
    settings.unit = {0.05};
    settings.input_step = 0.5;
    settings.residual_step = 0.25;
    settings.residual_zero = 2;
    const auto loss = [&] {
      RunningMoments running{.mean = {0.1, 0.2, 0.3, -0.1, 0}, .variance = {2, 3, 4, 3, 5}};
      return (TransformOutput(acc, gamma, beta, residual, {}, settings, &running) * weigh).sum();
    };
    loss().backward();
    for (const at::Tensor& x : {acc, residual, gamma, beta}) {
      int64_t wrong = 0;
      for (int64_t i = 0; i < x.numel(); ++i) {
        float& value = x.data_ptr<float>()[i];
        const float before = value;
        const float h = x.numel() == 5 ? 2e-3f : 2e-2f;
        value = before + h;
        const double up = loss().item<float>();
        value = before - h;
        const double down = loss().item<float>();
        value = before;
        const double expected = (up - down) / (2 * h);
        const double found = x.grad().contiguous().data_ptr<float>()[i];
        wrong += std::abs(found - expected) > 0.02 * std::abs(expected) + 0.02;
      }
      // An element whose clamp switches within h may differ.
      EXPECT_LE(wrong, x.numel() / 20) << "of " << x.numel();
    }
  }
}

}  // namespace
}  // namespace bitstage
