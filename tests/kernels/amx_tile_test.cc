// The tile instructions, real ones where the CPU has them, else the emulator's: the emulator is what the AMX kernels
// are tested by on machines without AMX, so it is tested by hand and against what the processor's manual says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "engine/kernels/amx/tile.h"
#include "tests/kernels/amx_emulator.h"

namespace bitstage::kernels::amx {
namespace {

using ::testing::ElementsAre;

class AmxTileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (TestedIsas().back() != Isa::kAmx) GTEST_SKIP() << "this CPU has neither AMX nor what its emulation needs";
  }
  void TearDown() override {
    if (TestedIsas().back() == Isa::kAmx) ReleaseTiles();
  }

  // Sums in tile 0, codes in 4, weights in 6.
  static TileShapes Shapes(int rows, int code_bytes, int columns) {
    TileShapes shapes = {};
    shapes.palette = 1;
    const auto set = [&](int tile, int tile_rows, int column_bytes) {
      shapes.rows[tile] = static_cast<uint8_t>(tile_rows);
      shapes.column_bytes[tile] = static_cast<uint16_t>(column_bytes);
    };
    set(0, rows, columns * 4);
    set(4, rows, code_bytes);
    set(6, code_bytes / 4, columns * 4);
    return shapes;
  }
};

TEST_F(AmxTileTest, ProductByHand) {
  ConfigureTiles(Shapes(2, 8, 3));
  // Two pixels of eight codes, 16 bytes apart.
  alignas(64) const uint8_t codes[32] = {1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 1};
  // Rows of terms 0-3 and 4-7 for three outputs.
  alignas(64) const int8_t weights[24] = {1, 1, 1, 1, -1, 0, 0, 0, -128, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 2, 127, 0, 0, 1};
  int32_t sums[2][4] = {{10, 20, 30, 40}, {50, 60, 70, 80}};
  LoadTile<0>(sums, 16);
  LoadTile<4>(codes, 16);
  LoadTile<6>(weights, 12);
  MultiplyTiles<0, 4, 6>();
  StoreTile<0>(sums, 16);
  EXPECT_THAT(sums[0], ElementsAre(10 + 36, 20 - 1 + 16, 30 - 128 + 5 * 127 + 8, 40));
  EXPECT_THAT(sums[1], ElementsAre(50 + 256, 60 - 255 + 2, 70 - 255 * 128 + 1, 80));
  ZeroTile<0>();
  StoreTile<0>(sums, 16);
  EXPECT_THAT(sums[1], ElementsAre(0, 0, 0, 80));
}

TEST_F(AmxTileTest, SumsWrapAroundAndDoNotSaturate) {
  ConfigureTiles(Shapes(1, 4, 1));
  alignas(64) const uint8_t codes[4] = {255, 255, 0, 0};
  alignas(64) const int8_t weights[4] = {127, 127, 0, 0};
  int32_t sum = 2147483647;
  LoadTile<0>(&sum, 64);
  LoadTile<4>(codes, 64);
  LoadTile<6>(weights, 64);
  MultiplyTiles<0, 4, 6>();
  StoreTile<0>(&sum, 64);
  EXPECT_EQ(sum, static_cast<int32_t>(2147483647u + 2 * 255 * 127));
}

// Tile 0 takes the whole of 16 rows; a negative and a zero stride are strides like others.
TEST_F(AmxTileTest, RowsAreAStrideApart) {
  ConfigureTiles(Shapes(16, 64, 16));
  int32_t from[16][16];
  for (int row = 0; row < 16; ++row) {
    for (int column = 0; column < 16; ++column) from[row][column] = row * 100 + column;
  }
  int32_t to[16][16] = {};
  LoadTile<0>(from[15], -64);
  StoreTile<0>(to, 64);
  for (int row = 0; row < 16; ++row) EXPECT_EQ(std::memcmp(to[row], from[15 - row], 64), 0) << row;
  LoadTile<0>(from[3], 0);
  StoreTile<0>(to, 64);
  for (const auto& row : to) EXPECT_EQ(std::memcmp(row, from[3], 64), 0);
}

TEST_F(AmxTileTest, EachThreadHasItsOwnTiles) {
  ConfigureTiles(Shapes(1, 4, 1));
  int32_t mine = 7;
  LoadTile<0>(&mine, 64);
  std::thread other([] {
    ConfigureTiles(Shapes(1, 4, 1));
    int32_t zero = 1;
    StoreTile<0>(&zero, 64);
    EXPECT_EQ(zero, 0);
    ReleaseTiles();
  });
  other.join();
  mine = 0;
  StoreTile<0>(&mine, 64);
  EXPECT_EQ(mine, 7);
}

using AmxTileDeathTest = AmxTileTest;

TEST_F(AmxTileDeathTest, WhatTheProcessorForbidsEndsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto configure = [](auto change) {
    TileShapes shapes = Shapes(16, 64, 16);
    change(shapes);
    ConfigureTiles(shapes);
  };
  const auto multiply = [&](auto change) {
    configure(change);
    MultiplyTiles<0, 4, 6>();
  };
  const auto nothing = [](TileShapes&) {};
  multiply(nothing);  // the shapes to begin with are right
  const auto zero_after_release = [&] {
    configure(nothing);
    ReleaseTiles();
    ZeroTile<0>();
  };
  const auto zero_without_shape = [&] {
    configure(nothing);
    ZeroTile<1>();
  };
  ReleaseTiles();
  EXPECT_DEATH(ZeroTile<0>(), "");
  EXPECT_DEATH(zero_after_release(), "");
  EXPECT_DEATH(zero_without_shape(), "");
  EXPECT_DEATH(multiply([](TileShapes& shapes) { shapes.rows[0] = 15; }), "");
  EXPECT_DEATH(multiply([](TileShapes& shapes) { shapes.rows[6] = 15; }), "");
  EXPECT_DEATH(multiply([](TileShapes& shapes) { shapes.column_bytes[6] = 60; }), "");
  EXPECT_DEATH(multiply([](TileShapes& shapes) { shapes.column_bytes[4] = 60; }), "");
  EXPECT_DEATH(configure([](TileShapes& shapes) { shapes.rows[0] = 17; }), "");
  EXPECT_DEATH(configure([](TileShapes& shapes) { shapes.column_bytes[0] = 65; }), "");
  EXPECT_DEATH(configure([](TileShapes& shapes) { shapes.palette = 2; }), "");
  EXPECT_DEATH(configure([](TileShapes& shapes) { shapes.reserved[3] = 1; }), "");
}

}  // namespace
}  // namespace bitstage::kernels::amx
