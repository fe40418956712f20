// WinogradForm: exact Winograd convolutions of 3 x 3 kernels by tiles of 2 x 2 outputs (Lavin and Gray, arXiv
// 1509.09308, §4.1), for strides of 1 and 2. A form is a product of two equal ones along one axis:
//
//     stride 1, F(2, 3): 4 inputs x, 4 products               stride 2, 5 inputs x, 5 products
//       c0 = x0 − x2    w0 = 2·g0          p0 = c0·w0           c0 = x0 − x2  w0 = g0       p0 = c0·w0 + c1·w1
//       c1 = x1 + x2    w1 = g0 + g1 + g2  p1 = c1·w1           c1 = x1       w1 = g1       p1 = c2·w2
//       c2 = x2 − x1    w2 = g0 − g1 + g2  p2 = c2·w2           c2 = x2       w2 = g0 + g2  p2 = c3·w1 + c4·w3
//       c3 = x3 − x1    w3 = 2·g2          p3 = c3·w3           c3 = x3       w3 = g2
//       2·y0 = p0 + p1 + p2                                     c4 = x4 − x2
//       2·y1 = p1 − p2 + p3                                     y0 = p0 + p1,  y1 = p1 + p2
//
// which makes 16 products for 36, or 25. In two dimensions c, w and p have an index each way; the sums of a p run over
// input channels and, where it has several products, over those. In integers all this is exact. In bytes: codes up to
// 63 make a c lie in −126 … 126, where it is a difference either way, and is then stored with an offset added; others
// are at most 252. What the offset adds to the outputs is known when weights are packed, and taken off where the sums
// of the corner positions start, which go to one output each.
#pragma once

#include <cstdint>

#include "engine/kernels/params.h"

namespace bitstage::kernels {

inline constexpr int kWinogradWeightPlanes = 16;
inline constexpr int kWinogradPixels = 4;    // outputs of a tile
inline constexpr int kMaxWinogradCodes = 5;  // along an axis

struct WinogradForm {
  int stride;
  int codes;                        // c's along an axis; as many inputs
  int positions;                    // p's along an axis
  int first_code[5];                // of a position, and of the one past the last
  int weight[kMaxWinogradCodes];    // of a code
  bool differs[kMaxWinogradCodes];  // a code is a difference
  int from_weights[4][3];           // w from g
  int to_outputs[2][4];             // y, times `scale`, from p
  int scale;
  int max_weight;  // whose transforms fit 7 bits and a sign

  [[nodiscard]] constexpr int code_planes() const { return codes * codes; }
  [[nodiscard]] constexpr int all_positions() const { return positions * positions; }
  // The position whose sums go to output `pixel` (row-major) alone, as they are.
  [[nodiscard]] constexpr int Corner(int pixel) const {
    return pixel / 2 * (positions - 1) * positions + pixel % 2 * (positions - 1);
  }
};

inline constexpr WinogradForm kWinogradByOne = {1,
                                                4,
                                                4,
                                                {0, 1, 2, 3, 4},
                                                {0, 1, 2, 3},
                                                {true, false, true, true},
                                                {{2, 0, 0}, {1, 1, 1}, {1, -1, 1}, {0, 0, 2}},
                                                {{1, 1, 1, 0}, {0, 1, -1, 1}},
                                                2,
                                                14};
inline constexpr WinogradForm kWinogradByTwo = {2,
                                                5,
                                                3,
                                                {0, 2, 3, 5},
                                                {0, 1, 2, 1, 3},
                                                {true, false, false, false, true},
                                                {{1, 0, 0}, {0, 1, 0}, {1, 0, 1}, {0, 0, 1}},
                                                {{1, 1, 0}, {0, 1, 1}},
                                                1,
                                                31};

// What an offset of 1 adds to each of a tile's four outputs, times scale²: [pixel][lanes].
void WriteWinogradCorrections(const WinogradForm& form, const ConvShape& shape, int64_t lanes, const int8_t* weights,
                              int32_t* corrections);

}  // namespace bitstage::kernels
