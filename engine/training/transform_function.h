// The output transform of a low-bit layer for libtorch: norm, residual, clamp and rounding, forwards and backwards.
//
// Signals between layers are the u8 codes of docs/integer-arithmetic.md as whole numbers in floats (the sums of a
// convolution below 2^24 are therefore exact, whatever their order), channels last. Gradients are those of codes.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/graph/ops.h"
#include "engine/training/transform_loops.h"

namespace bitstage {

// The output side of a layer.
struct OutputSide {
  bool to_codes = false;
  int zero_point = 0;
  int bits = 8;
  std::optional<Clamp> clamp;
};

// Where normalised values come from.
enum class NormMode : uint8_t {
  kBatch,    // this batch's moments; running moments follow
  kRunning,  // the running moments
};

// Running moments of a layer's real sums.
struct RunningMoments {
  std::vector<double> mean, variance;
  double momentum = 0.1;  // share of the newest batch
};

struct TransformSettings {
  OutputSide output;
  NormMode mode = NormMode::kRunning;
  bool normalise = false;    // false: y = γ · X + β
  std::vector<double> unit;  // X = unit · acc: scale of the weights times the input's step; one, or one a channel
  double input_step = 1;     // the part of `unit` that is the input's step
  double residual_step = 1;
  int residual_zero = 0;
  StepGradient step_gradient = StepGradient::kLearnRounding;
  bool learn_step = true;
};

inline constexpr double kNormEpsilon = 1e-5;

// A layer as it is served: scale and bias in float, as the model file holds them; scale may be negative here (export
// moves the sign to the codes, which changes no bit).
struct ServedLayer {
  std::vector<float> scale, bias;
};
ServedLayer Served(const TransformSettings& settings, std::span<const float> gamma, std::span<const float> beta,
                   std::span<const double> mean, std::span<const double> variance);

// Sets low, high and the flags of `coefficients` for `channels` channels of an output with this step.
void SetLimits(const OutputSide& output, double step, size_t channels, TransformCoefficients& coefficients);

// u = transform(norm(acc) [+ residual]).  gamma, beta: [C].  log_step: a scalar, undefined where the output has no
// grid.  residual: undefined or of acc's shape.  In kBatch the moments of `running` are updated.
at::Tensor TransformOutput(const at::Tensor& acc, const at::Tensor& gamma, const at::Tensor& beta,
                           const at::Tensor& residual, const at::Tensor& log_step, const TransformSettings& settings,
                           RunningMoments* running);

// The same with given factors: t = mult · a + residual_mult · b + add (adding and pooling of codes).
at::Tensor Requantize(const at::Tensor& a, const at::Tensor& b, const at::Tensor& log_step, float mult,
                      float residual_mult, float add, const TransformSettings& settings);

// The step that a log step stands for.
float StepOf(const at::Tensor& log_step);

}  // namespace bitstage
