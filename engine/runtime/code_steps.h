// Steps on codes without weights: sums, pools, tables.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "engine/graph/ops.h"
#include "engine/kernels/kernel_table.h"
#include "engine/runtime/code_layout.h"
#include "engine/runtime/step.h"

namespace bitstage {

// a + b. All three have one shape and HasChannels().
std::unique_ptr<Step> MakeAddStep(const kernels::KernelTable& table, const CodeOperand& a, const CodeOperand& b,
                                  const CodeOperand& output, const std::optional<Clamp>& clamp);

// Rank-3 input; a global pool may have an output of rank 1. A maximum needs one grid on both sides.
std::unique_ptr<Step> MakePoolStep(const kernels::KernelTable& table, const Pool& pool, const CodeOperand& input,
                                   const CodeOperand& output);

// u becomes table[u]. `tables` holds 256 codes for all channels, or 256 for each channel in turn.
std::unique_ptr<Step> MakeTableStep(std::vector<uint8_t> tables, const CodeOperand& input, const CodeOperand& output);

}  // namespace bitstage
