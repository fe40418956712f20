// Folding weights in training to the whole numbers that kernels multiply, forwards and backwards.
//
// Gradients are by the folded weight, as the transform behind it hands them down (transform_function.h).
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <span>
#include <vector>

#include "engine/quant/syq.h"
#include "engine/training/options.h"

namespace bitstage {

// What folding leaves for the transform and for export.
struct FoldedWeights {
  std::vector<int8_t> codes;
  std::vector<uint8_t> alpha;  // integer α of each subgroup; empty for uniform codes
  std::vector<double> scale;   // real weight = scale · folded weight: one, or one an output channel
};

struct SyqSettings {
  Codebook codebook = Codebook::kTernary;
  ScaleKind subgroups = ScaleKind::kPixel;
  int max_alpha = 127;
  double eta_of_max = 0.05;
  double eta_of_mean = 0;
  bool scaled_zeros = false;
};
SyqSettings SettingsOf(const TrainingOptions& options);

// α · code as whole numbers up to max_alpha, of the shape and in the memory format of a convolution's weights.
// Integer alphas: the largest α becomes max_alpha (1 where all are equal), the others the nearest whole number of its
// parts. Backwards as engine/quant/syq.h's SyqBackward.
at::Tensor FoldSyq(const at::Tensor& weights, const at::Tensor& alphas, const SyqSettings& settings,
                   FoldedWeights* folded);
// 8-bit codes with a scale an output channel that clips nothing; straight-through backwards.
at::Tensor FoldUniform(const at::Tensor& weights, FoldedWeights* folded);
// Codes of `bits` with learned scales, log_scales: [outputs]. Backwards as Esser et al. 2020, arXiv 1902.08153 §2.1:
// weights that are clipped learn nothing, scales learn from rounding errors and from what is clipped.
at::Tensor FoldLearned(const at::Tensor& weights, const at::Tensor& log_scales, int bits, FoldedWeights* folded);

// η by the settings, as SyqThreshold where nothing else is asked for.
double Threshold(std::span<const float> weights, const SyqSettings& settings);

}  // namespace bitstage
