// Ops: one attribute struct per operator, in per-image terms (no batch dimension; axis 0 is the channel).
//
// Shapes: activations of 2-D networks are C x H x W; a fully connected layer maps … x I to … x O.
// An op never stores shapes it can derive; engine/graph/shape_inference derives them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "engine/tensor/shape.h"

namespace bitstage {

using ValueId = int32_t;
using ConstantId = int32_t;
inline constexpr ConstantId kNoConstant = -1;

// A sliding window over H x W. Output extent = floor((in + before + after − dilation·(kernel−1) − 1) / stride) + 1,
// or ceil with `ceil_mode` (pooling only; a window that would start in the padding after the image is dropped).
struct Window {
  std::array<int64_t, 2> kernel = {1, 1};  // height, width
  std::array<int64_t, 2> stride = {1, 1};
  std::array<int64_t, 2> dilation = {1, 1};
  std::array<int64_t, 2> pad_before = {0, 0};  // top, left
  std::array<int64_t, 2> pad_after = {0, 0};   // bottom, right
  bool ceil_mode = false;

  friend bool operator==(const Window&, const Window&) = default;
};

// A clamp fused into the op that produces a value: ReLU is {0, inf}, ReLU6 {0, 6}.
struct Clamp {
  float low = 0;
  float high = 0;
  friend bool operator==(const Clamp&, const Clamp&) = default;
};

// inputs: x, [residual of the output's shape, added before `clamp`]. Weights O x I/groups x KH x KW, bias O.
struct Conv {
  Window window;
  int64_t groups = 1;
  ConstantId weights = kNoConstant;
  ConstantId bias = kNoConstant;
  std::optional<Clamp> clamp;
};

// inputs: x. Weights O x I/groups x KH x KW, as Conv's (ONNX puts I first; the importer transposes). Output extent =
// stride·(in−1) + dilation·(kernel−1) + 1 + output_padding − pad_before − pad_after.
struct ConvTranspose {
  Window window;
  std::array<int64_t, 2> output_padding = {0, 0};
  int64_t groups = 1;
  ConstantId weights = kNoConstant;
  ConstantId bias = kNoConstant;
  std::optional<Clamp> clamp;
};

// inputs: x. Acts on the last axis. Weights O x I, bias O.
struct FullyConnected {
  ConstantId weights = kNoConstant;
  ConstantId bias = kNoConstant;
  std::optional<Clamp> clamp;
};

// y = x · scale[c] + shift[c]: batch normalization at inference, and per-channel constants.
struct ChannelAffine {
  ConstantId scale = kNoConstant;
  ConstantId shift = kNoConstant;
};

enum class UnaryKind : uint8_t { kIdentity, kClamp, kLeakyRelu, kSigmoid, kHardSigmoid, kHardSwish, kTanh };

// kClamp: low = alpha, high = beta · kLeakyRelu: slope alpha below 0 · kHardSigmoid: clamp(alpha·x + beta, 0, 1) ·
// kHardSwish: x · clamp(x/6 + 1/2, 0, 1).
struct Unary {
  UnaryKind kind = UnaryKind::kIdentity;
  float alpha = 0;
  float beta = 0;
};

enum class BinaryKind : uint8_t { kAdd, kSub, kMul };

// inputs: a, b, of equal shapes or broadcast as numpy does (per-image shapes), then clamped.
struct Binary {
  BinaryKind kind = BinaryKind::kAdd;
  std::optional<Clamp> clamp;
};

// input: x, combined with a constant that broadcasts to x's shape. constant_first: c − x in place of x − c.
struct BinaryConstant {
  BinaryKind kind = BinaryKind::kAdd;
  ConstantId constant = kNoConstant;
  bool constant_first = false;
};

struct Concat {
  int axis = 0;
};

enum class PoolKind : uint8_t { kMax, kAverage };

struct Pool {
  PoolKind kind = PoolKind::kMax;
  Window window;
  bool count_include_pad = false;  // kAverage only
};

// Mean over H and W of C x H x W; C x 1 x 1 or, without keep_dims, C.
struct GlobalAveragePool {
  bool keep_dims = true;
};

struct Reshape {
  Shape shape;
};

struct Transpose {
  std::vector<int> permutation;  // output axis i is input axis permutation[i]
};

// Constant padding; entries may not be negative.
struct Pad {
  std::vector<int64_t> before;  // one entry an axis
  std::vector<int64_t> after;
  float value = 0;
};

// out[i] = in[begin + i·step] along every axis; steps are positive.
struct Slice {
  std::vector<int64_t> begin;
  std::vector<int64_t> step;
  std::vector<int64_t> extent;  // of the output
};

enum class ResizeMode : uint8_t { kNearest, kLinear };
enum class ResizeCoordinates : uint8_t { kHalfPixel, kPytorchHalfPixel, kAlignCorners, kAsymmetric };
enum class ResizeRounding : uint8_t { kRoundPreferFloor, kRoundPreferCeil, kFloor, kCeil };  // kNearest only

// C x H x W to C x height x width. scale_*: output/input ratio as the source stated it (it enters the coordinates).
struct Resize {
  ResizeMode mode = ResizeMode::kNearest;
  ResizeCoordinates coordinates = ResizeCoordinates::kHalfPixel;
  ResizeRounding rounding = ResizeRounding::kRoundPreferFloor;
  int64_t height = 0;
  int64_t width = 0;
  float scale_height = 1;
  float scale_width = 1;
};

struct Softmax {
  int axis = 0;
};

// Output int64. The first of equal maxima, or the last.
struct ArgMax {
  int axis = 0;
  bool keep_dims = true;
  bool select_last = false;
};

// What a QuantizeLinear + DequantizeLinear pair does to an activation:
// y = (clamp(rint(x/step[c]) + zero_point, low, high) − zero_point) · step[c]
struct FakeQuantize {
  std::vector<float> step;  // 1 or C entries
  int zero_point = 0;
  int low = 0;
  int high = 255;
};

using Op = std::variant<Conv, ConvTranspose, FullyConnected, ChannelAffine, Unary, Binary, BinaryConstant, Concat, Pool,
                        GlobalAveragePool, Reshape, Transpose, Pad, Slice, Resize, Softmax, ArgMax, FakeQuantize>;

}  // namespace bitstage
