#include "engine/kernels/kernel_table.h"

#include "engine/kernels/reference/reference.h"

namespace bitstage::kernels {
namespace {

constexpr const ConvKernel* kReferenceConvs[] = {&reference::kConv};

constexpr KernelTable kReferenceTable = {
    Isa::kReference, kReferenceConvs, reference::Add, reference::MaxPool, reference::AveragePool, nullptr,
};

}  // namespace

const ConvKernel& KernelTable::ChooseConv(const ConvShape& shape, int max_code, int max_weight) const {
  for (const ConvKernel* kernel : convs) {
    if (kernel->supports(shape, max_code, max_weight)) return *kernel;
  }
  return *convs.back();
}

const KernelTable& TableFor(Isa) { return kReferenceTable; }

}  // namespace bitstage::kernels
