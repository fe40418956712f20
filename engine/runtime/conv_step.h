// The steps of weighted layers: convolutions of all kinds, fully connected and transposed ones, on codes.
#pragma once

#include <memory>
#include <optional>
#include <span>

#include "engine/graph/ops.h"
#include "engine/kernels/kernel_table.h"
#include "engine/runtime/code_layout.h"
#include "engine/runtime/step.h"
#include "engine/tensor/weight_codes.h"

namespace bitstage {

struct ConvLayer {
  kernels::ConvShape shape;
  const WeightCodes* weights = nullptr;  // O x I/groups x KH x KW, or O x I for a 1 x 1 kernel
  bool flip_kernel = false;              // turn every kernel by 180 degrees: transposed convolutions
  std::span<const float> bias;           // O entries, or none
  std::optional<Clamp> clamp;
  CodeOperand input;
  std::optional<CodeOperand> residual;
  Place output;  // of codes, or of float32 H x W x C where `output_grid` is null
  const Grid* output_grid = nullptr;
};

// Chooses the kernel, packs the weights and computes the output transform. Keeps nothing of `layer` but copies.
std::unique_ptr<Step> MakeConvStep(const kernels::KernelTable& table, const ConvLayer& layer);

}  // namespace bitstage
