// The AVX-512 VBMI tier's inner loops, each a member of CellKernels by its name. These files are compiled for that tier
// alone; headers they share (cells.h, sink.h) hold their functions in unnamed namespaces, so that no linker can keep
// one for everybody.
#pragma once

#include "engine/codec/cell_kernels.h"

namespace bitstage::codec::avx512_vbmi {

// What takes over where registers do not help: few lanes, long codes.
const CellKernels& Fallback();

uint8_t OffGrid(const CellTables& tables, const uint8_t* codes, int64_t pixels);
void Count(const CellTables& tables, const uint8_t* codes, int64_t pixels, uint32_t* counts);
bool EncodePlain(const CellTables& tables, const uint8_t* codes, int64_t pixels, int64_t lane_rows,
                 const uint8_t* limit, BitSink* sink, uint32_t* lane_bits);
bool DecodePlain(const CellTables& tables, const uint8_t* stream, const int64_t* lane_at, int64_t lanes,
                 int64_t lane_rows, int64_t pixels, uint8_t* codes);
bool EncodeContexts(const CellTables& tables, const uint8_t* codes, const RowBlock& block, const uint8_t* limit,
                    BitSink* sink, uint32_t* lane_bits);
bool DecodeContexts(const CellTables& tables, const uint8_t* stream, const int64_t* lane_at, const RowBlock& block,
                    uint8_t* codes);

}  // namespace bitstage::codec::avx512_vbmi
