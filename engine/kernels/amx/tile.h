// The tile instructions that the kernels use, by inline assembly. Only for files compiled with AMX flags.
//
// Register numbers are template arguments. Every load and store clobbers memory and all are volatile: tile loads must
// see what vector code stored before, and g++ 12's intrinsics tell the compiler neither that nor how much of the
// configuration ldtilecfg reads.
//
// The processor raises #UD on any mistake here: no configuration, shapes of a product that do not fit (rows of C and A,
// columns of C and B, A's columns / 4 and B's rows). tests/kernels/amx_emulator.h does the same.
#pragma once

#include <cstdint>

namespace bitstage::kernels::amx {
namespace {

// The memory operand of ldtilecfg (Intel SDM volume 1, 18.3).
struct alignas(64) TileShapes {
  uint8_t palette;
  uint8_t start_row;
  uint8_t reserved[14];
  uint16_t column_bytes[16];
  uint8_t rows[16];
};
static_assert(sizeof(TileShapes) == 64);

// Zeroes all tiles.
__attribute__((always_inline)) inline void ConfigureTiles(const TileShapes& shapes) {
  __asm__ volatile("ldtilecfg %0" : : "m"(shapes) : "memory");
}

__attribute__((always_inline)) inline void ReleaseTiles() { __asm__ volatile("tilerelease" : : : "memory"); }

template <int kTile>
__attribute__((always_inline)) inline void ZeroTile() {
  __asm__ volatile("tilezero %%tmm%c0" : : "i"(kTile));
}

template <int kTile>
__attribute__((always_inline)) inline void LoadTile(const void* from, int64_t row_stride) {
  __asm__ volatile("tileloadd (%1,%2,1), %%tmm%c0" : : "i"(kTile), "r"(from), "r"(row_stride) : "memory");
}

template <int kTile>
__attribute__((always_inline)) inline void StoreTile(void* to, int64_t row_stride) {
  __asm__ volatile("tilestored %%tmm%c0, (%1,%2,1)" : : "i"(kTile), "r"(to), "r"(row_stride) : "memory");
}

// sums += codes (u8) · weights (s8), int32, exact.
template <int kSums, int kCodes, int kWeights>
__attribute__((always_inline)) inline void MultiplyTiles() {
  __asm__ volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSums), "i"(kCodes), "i"(kWeights));
}

}  // namespace
}  // namespace bitstage::kernels::amx
