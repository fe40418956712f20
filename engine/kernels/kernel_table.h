// KernelTable: the kernels of one instruction-set tier, chosen once when a model is compiled.
//
//   const KernelTable& table = TableFor(*ChooseIsa());
//   const ConvKernel& kernel = table.ChooseConv(shape, max_code, max_weight);
//
// Immutable and shared by all threads.
#pragma once

#include <span>

#include "engine/base/isa.h"
#include "engine/kernels/params.h"

namespace bitstage::kernels {

struct KernelTable {
  Isa isa;
  std::span<const ConvKernel* const> convs;  // the reference, which supports everything, is last
  void (*add)(const AddCall& call);
  void (*max_pool)(const PoolCall& call);
  void (*average_pool)(const PoolCall& call);
  void (*mean)(const MeanCall& call);
  void (*quantize)(const QuantizeCall& call);
  // C += A·B, row-major float32, A m x k, B k x n: every element is the fma chain over k in rising order from C's
  // value, so all tiers give the same bits.
  void (*sgemm)(int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b, int64_t ldb, float* c,
                int64_t ldc);

  // The kernel that promises the fewest cycles of those that support the layer; the first of equals.
  [[nodiscard]] const ConvKernel& ChooseConv(const ConvShape& shape, int max_code, int max_weight) const;
};

// Requires a tier of SupportedIsas().
const KernelTable& TableFor(Isa isa);

}  // namespace bitstage::kernels
