// WeightCodes: a low-bit weight tensor, one family from binary to 8 bits.
//
// Codebooks are symmetric (SYQ, arXiv 1807.00301 §3):
//     binary {−1,+1} · ternary {−1,0,+1} · uniform b bits {−(2^(b−1)−1) … 2^(b−1)−1}, b = 2…8
// A weight is   w = scale · alpha · code:
//     kind     scale            alpha (positive integers <= 127, one a subgroup of the kernel)
//     layer    1                none
//     channel  one per output   none
//     row      1 or per output  one per kernel row
//     pixel    1 or per output  one per kernel position
// alpha is an integer so that alpha · code is exact in s8 (Validate refuses |alpha · code| > 127): the kernels multiply
// the folded weight and the output transform needs one float scale per output channel, whatever the kind. (So a batch
// norm behind SYQ codes costs nothing: its factors are the scales.)
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "engine/tensor/shape.h"

namespace bitstage {

enum class Codebook : uint8_t { kBinary, kTernary, kUniform };
enum class ScaleKind : uint8_t { kLayer, kChannel, kRow, kPixel };

absl::string_view Name(Codebook codebook);  // "binary", "ternary", "uniform"
absl::string_view Name(ScaleKind kind);     // "layer", "channel", "row", "pixel"

struct WeightCodes {
  Shape shape;  // O x I/groups x KH x KW, or O x I of a fully connected layer
  Codebook codebook = Codebook::kUniform;
  int bits = 8;  // width of a uniform code; 1 for binary, 2 for ternary
  ScaleKind kind = ScaleKind::kChannel;
  std::vector<int8_t> codes;   // row-major, as `shape`
  std::vector<float> scale;    // 1 or O entries, positive
  std::vector<uint8_t> alpha;  // KH entries (row), KH·KW entries (pixel), else empty

  [[nodiscard]] int MaxMagnitude() const { return codebook == Codebook::kUniform ? (1 << (bits - 1)) - 1 : 1; }
  [[nodiscard]] float ScaleOf(int64_t output) const {
    return scale.size() == 1 ? scale[0] : scale[static_cast<size_t>(output)];
  }
  // alpha of the kernel position (y, x); 1 where the kind has none.
  [[nodiscard]] int AlphaOf(int64_t y, int64_t x) const;
  // alpha · code for every weight, row-major: what kernels multiply.
  [[nodiscard]] std::vector<int8_t> Folded() const;
  // scale · alpha · code for every weight, row-major.
  [[nodiscard]] std::vector<float> Dequantized() const;
  // Bits that one weight takes at rest: 1, 1.6 (five ternary codes to a byte) or `bits`.
  [[nodiscard]] double BitsAtRest() const;
};

absl::Status Validate(const WeightCodes& weights);
// The share of it that does not look at `codes`, which may be absent.
absl::Status ValidateWithoutCodes(const WeightCodes& weights);

}  // namespace bitstage
