// The transforms of codes and weights of Winograd convolutions by one and by two, in bytes.
#pragma once

#include <cstdint>

#include "engine/kernels/winograd_conv.h"

namespace bitstage::kernels::avx512_vnni {

inline constexpr uint8_t kWinogradOffset = 128;  // its own negative

void TransformInputByOne(const WinogradInput& input);
void TransformInputByTwo(const WinogradInput& input);
void OpenByOne(const WinogradWeights& weights);
void OpenByTwo(const WinogradWeights& weights);

}  // namespace bitstage::kernels::avx512_vnni
