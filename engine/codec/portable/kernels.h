// The portable inner loops, each a member of CellKernels by its name: what faster tiers fall back to, too.
#pragma once

#include "engine/codec/cell_kernels.h"

namespace bitstage::codec::portable {

uint8_t OffGrid(const CellTables& tables, const uint8_t* codes, int64_t pixels);
void Count(const CellTables& tables, const uint8_t* codes, int64_t pixels, uint32_t* counts);
bool EncodePlain(const CellTables& tables, const uint8_t* codes, int64_t pixels, int64_t lane_rows,
                 const uint8_t* limit, BitSink* sink, uint32_t* lane_bits);
bool DecodePlain(const CellTables& tables, const uint8_t* stream, const int64_t* lane_at, int64_t lanes,
                 int64_t lane_rows, int64_t pixels, uint8_t* codes);
// The same for tables with runs.
bool DecodeRuns(const CellTables& tables, const uint8_t* stream, const int64_t* lane_at, int64_t lanes,
                int64_t lane_rows, int64_t pixels, uint8_t* codes);
bool EncodeContexts(const CellTables& tables, const uint8_t* codes, const RowBlock& block, const uint8_t* limit,
                    BitSink* sink, uint32_t* lane_bits);
bool DecodeContexts(const CellTables& tables, const uint8_t* stream, const int64_t* lane_at, const RowBlock& block,
                    uint8_t* codes);

}  // namespace bitstage::codec::portable
