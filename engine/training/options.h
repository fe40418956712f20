// TrainingOptions: everything that decides what a training run computes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/tensor/weight_codes.h"

namespace bitstage {

enum class ClipTraining : uint8_t { kLsq, kPact, kFixed };
enum class NormKind : uint8_t { kBatch, kNone };
enum class LossKind : uint8_t { kDistill, kLabels };
enum class OptimizerKind : uint8_t { kAdam, kSgd };
enum class ScheduleKind : uint8_t { kCosine, kStep };

struct TrainingOptions {
  // Weights: SYQ or uniform codes in all layers but the first, the last and depthwise ones, which have 8 bits.
  Codebook codebook = Codebook::kTernary;
  int weight_bits = 8;                      // kUniform: a scale an output channel, learned below 8 bits
  ScaleKind subgroups = ScaleKind::kPixel;  // kPixel, kRow or kLayer
  int max_alpha = 127;                      // largest folded weight: 14 keeps to exact Winograd kernels
  // η as a share of max|W| (the paper's 0.05), or of mean|W| (0.7: Li and Liu 2016, arXiv 1605.04711 §2.2).
  double eta_of_max = 0.05;
  double eta_of_mean = 0;  // > 0: in place of eta_of_max
  // The gradient of a weight whose code is 0: the paper's g, or α·g as for all others. The paper's is 1/α times (some
  // tens of times) that of its neighbours, which throws weights out of the zero again.
  bool scaled_zeros = false;

  // Activations: bits of each stage of the training, which take equal shares of it. {8, 6, 4}: progressively narrower.
  std::vector<int> activation_bits = {4};
  // How steps (of unsigned grids: clips) are learned. kLsq: Esser et al. 2020, arXiv 1902.08153 §2.1 · kPact: Choi et
  // al. 2018, arXiv 1805.06085 §3.
  ClipTraining clips = ClipTraining::kLsq;

  // kBatch: a batch norm behind every layer but the last, started at the float layer's mean and deviation and folded
  // into scales and biases at the end. In the last `frozen_share` of the images it is frozen: from then on the forward
  // pass is, bit for bit, what is served.
  NormKind norm = NormKind::kBatch;
  double frozen_share = 0.1;

  LossKind loss = LossKind::kDistill;
  double temperature = 4;

  OptimizerKind optimizer = OptimizerKind::kAdam;
  ScheduleKind schedule = ScheduleKind::kCosine;
  double learning_rate = 1e-3;
  double momentum = 0.9;      // kSgd
  double weight_decay = 0;    // decoupled, of the weights alone
  int64_t warmup_steps = 50;  // the rate rises from 0

  int64_t batch = 32;
  int64_t images = 80000;
  int64_t held_back = 500;  // of the first data set, never trained on
  int shift = 4;            // pixels that a picture may move in each direction
  bool flip = true;
  // Every image a mixture of two of its batch, in proportions drawn evenly, which the float network decides on too:
  // Zhang et al. 2018, arXiv 1710.09412, for distillation as Beyer et al. 2022, arXiv 2106.05237 §3. kDistill only.
  bool mix = false;
  uint64_t seed = 1;
  int threads = 1;

  [[nodiscard]] int64_t steps() const { return (images + batch - 1) / batch; }
};

// One line a field, in a fixed order: what a checkpoint must agree with.
std::string Fingerprint(const TrainingOptions& options);
// In words, for a model's provenance.
std::string Describe(const TrainingOptions& options);

// The rate of step 0 … steps − 1: a linear rise over the warm-up, then a cosine to 0, or tenths at 1/2 and 3/4.
double LearningRate(const TrainingOptions& options, int64_t step);
// Bits of the activations at a step.
int ActivationBits(const TrainingOptions& options, int64_t step);
// Whether batch norms are frozen at a step.
bool IsFrozen(const TrainingOptions& options, int64_t step);

}  // namespace bitstage
