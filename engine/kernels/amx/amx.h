// The kernels of the AMX tier (amx_tile, amx_int8; avx512f, bw, dq, vl, vbmi, vnni beside them). What tiles do not help
// is left to the AVX-512 VNNI tier's kernels, which stand in the same table. Only for CPUs that SupportedIsas() says
// have it: the operating system must have granted the tiles.
//
// Tiles are configured when a kernel's run begins and released when it ends, so that threads, signal handlers and
// context switches meet no tile state outside of it.
//
// Designed from measurements made on a Sapphire Rapids class machine; this code itself has not been timed on one yet.
#pragma once

#include "engine/kernels/params.h"

namespace bitstage::kernels::amx {

// Dense convolution of any kernel, stride and dilation.
extern const ConvKernel kDirect;

}  // namespace bitstage::kernels::amx
