#include "tests/runtime/random_network.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace bitstage {

std::vector<float> RandomImage(const Shape& shape, unsigned seed) {
  const Tensor tensor = RandomTensor(shape, seed, -2, 2);
  const std::span<const float> values = tensor.Span<float>();
  return {values.begin(), values.end()};
}

float RandomNetwork::Uniform(float low, float high) {
  return std::uniform_real_distribution<float>(low, high)(random_);
}

ValueId RandomNetwork::MapLike(ValueId id) {
  std::vector<ValueId> like;
  for (const ValueId other : maps_) {
    if (ShapeOf(other) == ShapeOf(id)) like.push_back(other);
  }
  return like[static_cast<size_t>(Pick(0, static_cast<int64_t>(like.size()) - 1))];
}

std::vector<ValueId> RandomNetwork::Unread() {
  std::vector<ValueId> unread = maps_;
  for (const Node& node : builder_.graph().nodes) {
    for (const ValueId id : node.inputs) std::erase(unread, id);
  }
  return unread;
}

WeightCodes RandomNetwork::Weights(const Shape& shape) {
  WeightCodes w;
  w.shape = shape;
  w.codebook = static_cast<Codebook>(Pick(0, 2));
  w.bits = w.codebook == Codebook::kBinary ? 1 : w.codebook == Codebook::kTernary ? 2 : static_cast<int>(Pick(2, 8));
  w.kind = static_cast<ScaleKind>(Pick(0, shape.rank() == 4 ? 3 : 1));
  const int most = w.MaxMagnitude();
  for (int64_t i = 0; i < shape.elements(); ++i) {
    w.codes.push_back(static_cast<int8_t>(w.codebook == Codebook::kBinary ? 2 * Pick(0, 1) - 1 : Pick(-most, most)));
  }
  const int64_t scales = w.kind == ScaleKind::kChannel ? shape[0] : 1;
  for (int64_t i = 0; i < scales; ++i) w.scale.push_back(Uniform(0.01f, 0.1f));
  const int64_t alphas = w.kind == ScaleKind::kRow ? shape[2] : w.kind == ScaleKind::kPixel ? shape[2] * shape[3] : 0;
  for (int64_t i = 0; i < alphas; ++i) w.alpha.push_back(static_cast<uint8_t>(Pick(1, 127 / most)));
  return w;
}

ConstantId RandomNetwork::Bias(int64_t outputs) {
  return Chance(80) ? builder_.Random({outputs}, -0.5f, 0.5f) : kNoConstant;
}

std::optional<Clamp> RandomNetwork::AnyClamp() {
  switch (Pick(0, 3)) {
    case 0: return Clamp{0, std::numeric_limits<float>::infinity()};
    case 1: return Clamp{0, Uniform(0.5f, 6)};
    case 2: return Clamp{Uniform(-1, 0), Uniform(0.1f, 3)};
    default: return std::nullopt;
  }
}

Window RandomNetwork::AnyWindow(const Shape& input, bool pool) {
  Window window;
  for (size_t axis = 0; axis < 2; ++axis) {
    const int64_t extent = input[static_cast<int>(axis) + 1];
    window.kernel[axis] = std::min<int64_t>(extent, Pick(1, 4));
    window.stride[axis] = Pick(1, extent > 6 ? 2 : 1);
    window.dilation[axis] = !pool && extent > 8 && Chance(20) ? 2 : 1;
    const int64_t reach = window.dilation[axis] * (window.kernel[axis] - 1);
    window.pad_before[axis] = Pick(reach / 2, reach);
    window.pad_after[axis] = Pick(reach / 2, reach);
  }
  window.ceil_mode = pool && Chance(30);
  return window;
}

Grid RandomNetwork::FitGrid(const Shape& shape, const std::vector<float>& reals) {
  const int64_t channels = shape.rank() == 0 ? 1 : shape[0];
  const size_t inner = reals.size() / static_cast<size_t>(channels);
  std::vector<float> most(static_cast<size_t>(channels), 0.01f);
  for (size_t i = 0; i < reals.size(); ++i) most[i / inner] = std::max(most[i / inner], std::abs(reals[i]));
  const float largest = *std::max_element(most.begin(), most.end()) * Uniform(0.7f, 1.1f);

  Grid grid;
  const int64_t style = Pick(0, shape.rank() == 2 ? 2 : 4);
  const int bits = static_cast<int>(Pick(2, 6));
  const int extra = static_cast<int>(Pick(1, 2));
  if (style == 0) {  // unsigned
    grid.bits = {static_cast<uint8_t>(Pick(2, 8))};
    grid.step = {largest / static_cast<float>(grid.MaxSymbol(0))};
  } else if (style == 1) {  // affine
    grid.zero_point = static_cast<int>(Pick(1, 254));
    grid.step = {2 * largest / 255};
  } else {  // channels of two widths: DQA, its unsigned form, and a step a channel
    grid.zero_point = style == 4 ? 1 << (bits + extra - 1) : 0;
    grid.bits.clear();
    grid.shift.clear();
    grid.step.clear();
    const auto codes = static_cast<float>((1 << (bits + extra)) - 1);
    for (size_t c = 0; c < most.size(); ++c) {
      const bool important = Chance(40);
      grid.bits.push_back(static_cast<uint8_t>(important ? bits + extra : bits));
      grid.shift.push_back(static_cast<uint8_t>(important ? 0 : extra));
      if (style > 2) grid.step.push_back(most[c] / codes * (style == 4 ? 2 : 1));
    }
    if (style == 2) grid.step = {largest / codes};
  }
  return grid;
}

ValueId RandomNetwork::Add(Op op, std::vector<ValueId> inputs, Output output, std::optional<Grid> grid) {
  const ValueId id = builder_.Add(std::move(op), std::move(inputs));
  const Node& node = builder_.graph().nodes.back();
  std::vector<const OracleValue*> operands;
  for (const ValueId input : node.inputs) operands.push_back(&values_[static_cast<size_t>(input)]);
  OracleValue result = Evaluate(builder_.graph(), node, operands);
  if (output == Output::kFitted) {
    Value& value = builder_.graph().value(id);
    value.grid = grid ? std::move(*grid) : FitGrid(value.shape, result.reals);
    result = Evaluate(builder_.graph(), node, operands);
    if (value.shape.rank() == 3) maps_.push_back(id);
  }
  values_.push_back(std::move(result));
  return id;
}

void RandomNetwork::AddConv(bool depthwise) {
  const ValueId x = AnyMap();
  const Shape in = ShapeOf(x);
  Conv conv;
  conv.window = AnyWindow(in, false);
  conv.groups = depthwise ? in[0] : in[0] % 2 == 0 && Chance(25) ? 2 : 1;
  const int64_t outputs = depthwise ? in[0] * Pick(1, Chance(20) ? 2 : 1) : conv.groups * Pick(1, 20);
  conv.weights = builder_.Codes(Weights({outputs, in[0] / conv.groups, conv.window.kernel[0], conv.window.kernel[1]}));
  conv.bias = Bias(outputs);
  conv.clamp = AnyClamp();
  std::vector<ValueId> inputs = {x};
  const absl::StatusOr<Shape> out = InferShape(builder_.graph(), {"", conv, inputs, -1});
  for (const ValueId residual : maps_) {
    if (!(ShapeOf(residual) == *out) || Chance(50)) continue;
    inputs.push_back(residual);
    break;
  }
  Add(conv, inputs);
}

void RandomNetwork::AddConcat() {
  const ValueId x = AnyMap();
  std::vector<ValueId> parts = {x};
  for (const ValueId other : maps_) {
    if (parts.size() < 4 && ShapeOf(other)[1] == ShapeOf(x)[1] && ShapeOf(other)[2] == ShapeOf(x)[2] && Chance(60)) {
      parts.push_back(other);
    }
  }
  Grid joined;
  joined.zero_point = GridOf(x).zero_point;
  joined.step.clear();
  joined.bits.clear();
  joined.shift.clear();
  bool can_join = true;
  for (const ValueId part : parts) {
    can_join = can_join && GridOf(part).zero_point == joined.zero_point;
    for (int64_t c = 0; c < ShapeOf(part)[0]; ++c) {
      joined.step.push_back(GridOf(part).StepOf(c));
      joined.bits.push_back(static_cast<uint8_t>(GridOf(part).BitsOf(c)));
      joined.shift.push_back(static_cast<uint8_t>(GridOf(part).ShiftOf(c)));
    }
  }
  Add(Concat{0}, parts, Output::kFitted, can_join && Chance(80) ? std::optional(joined) : std::nullopt);
}

// The parameter-free shortcut of residual networks: every second pixel, then channels of zeros on both sides.
void RandomNetwork::AddOptionA() {
  const ValueId x = AnyMap();
  const Shape in = ShapeOf(x);
  const std::vector<int64_t> extent = {in[0], (in[1] + 1) / 2, (in[2] + 1) / 2};
  const ValueId strided = Add(Slice{{0, 0, 0}, {1, 2, 2}, extent}, {x}, Output::kFitted, GridOf(x));
  const bool uniform = std::max({GridOf(x).step.size(), GridOf(x).bits.size(), GridOf(x).shift.size()}) == 1;
  Add(Pad{{Pick(0, 3), 0, 0}, {Pick(0, 3), 0, Pick(0, 1)}, 0}, {strided}, Output::kFitted,
      uniform ? std::optional(GridOf(x)) : std::nullopt);
}

void RandomNetwork::AddSqueezeExcite() {
  const ValueId x = AnyMap();
  const int64_t channels = ShapeOf(x)[0];
  const ValueId mean = Add(GlobalAveragePool{true}, {x});
  Conv conv;
  conv.weights = builder_.Codes(Weights({channels, channels, 1, 1}));
  conv.bias = Bias(channels);
  const ValueId excite = Add(conv, {mean});
  const ValueId gate = Add(Unary{Chance(50) ? UnaryKind::kSigmoid : UnaryKind::kHardSigmoid, 0.2f, 0.5f}, {excite});
  Add(Binary{BinaryKind::kMul, AnyClamp()}, {x, gate});
}

void RandomNetwork::AddMove() {
  const ValueId x = AnyMap();
  const Shape in = ShapeOf(x);
  const bool keep = Chance(70);
  const std::optional<Grid> same = keep ? std::optional(GridOf(x)) : std::nullopt;
  switch (Pick(0, 4)) {
    case 0: {
      Resize resize;
      resize.mode = Chance(70) ? ResizeMode::kNearest : ResizeMode::kLinear;
      resize.coordinates = Chance(50) ? ResizeCoordinates::kAsymmetric : ResizeCoordinates::kHalfPixel;
      resize.height = std::min<int64_t>(in[1] * 2, 24);
      resize.width = in[2] + 1;
      resize.scale_height = static_cast<float>(resize.height) / static_cast<float>(in[1]);
      resize.scale_width = static_cast<float>(resize.width) / static_cast<float>(in[2]);
      Add(resize, {x}, Output::kFitted, same);
      break;
    }
    case 1:
      Add(Pad{{0, Pick(0, 2), Pick(0, 2)}, {0, Pick(0, 2), 1}, Chance(80) ? 0.0f : 0.5f}, {x}, Output::kFitted, same);
      break;
    case 2: {
      const int64_t first = Pick(0, in[0] - 1);
      Add(Slice{{first, 0, in[2] / 2}, {1, 1, 1}, {in[0] - first, in[1], in[2] - in[2] / 2}}, {x});
      break;
    }
    case 3: Add(Transpose{{0, 2, 1}}, {x}, Output::kFitted, same); break;
    default: {
      Pool pool;
      pool.kind = Chance(60) ? PoolKind::kMax : PoolKind::kAverage;
      pool.window = AnyWindow(in, true);
      for (size_t axis = 0; axis < 2; ++axis) {  // paddings must be smaller than the window
        pool.window.pad_before[axis] = std::min(pool.window.pad_before[axis], pool.window.kernel[axis] - 1);
        pool.window.pad_after[axis] = std::min(pool.window.pad_after[axis], pool.window.kernel[axis] - 1);
      }
      pool.count_include_pad = Chance(40);
      Add(pool, {x}, Output::kFitted, pool.kind == PoolKind::kMax ? same : std::nullopt);
    }
  }
}

void RandomNetwork::AddElementwise() {
  const ValueId x = AnyMap();
  const int64_t channels = ShapeOf(x)[0];
  switch (Pick(0, 5)) {
    case 0: Add(Binary{BinaryKind::kAdd, AnyClamp()}, {x, MapLike(x)}); break;
    case 1: Add(Unary{static_cast<UnaryKind>(Pick(0, 6)), 0.1f, 1.5f}, {x}); break;
    case 2: Add(ChannelAffine{builder_.Random({channels}), builder_.Random({channels})}, {x}); break;
    case 3: {
      const Shape shapes[] = {{1}, {channels, 1, 1}, {ShapeOf(x)[2]}};
      Add(BinaryConstant{static_cast<BinaryKind>(Pick(0, 2)), builder_.Random(shapes[Pick(0, 2)]), Chance(50)}, {x});
      break;
    }
    case 4: {
      FakeQuantize fake;
      fake.step = std::vector<float>(Chance(50) ? 1 : static_cast<size_t>(channels), 0.07f);
      fake.zero_point = 100;
      Add(fake, {x});
      break;
    }
    default: Add(Binary{BinaryKind::kSub, {}}, {x, MapLike(x)});
  }
}

void RandomNetwork::AddMap() {
  switch (Pick(0, 11)) {
    case 0:
    case 1:
    case 2:
    case 3: return AddConv(false);
    case 4: return AddConv(true);
    case 5: return AddConcat();
    case 6: return AddOptionA();
    case 7: return AddSqueezeExcite();
    case 8: return AddMove();
    case 9: {
      const ValueId x = AnyMap();
      ConvTranspose conv;
      conv.window.kernel = {Pick(1, 3), Pick(2, 4)};
      conv.window.stride = {Pick(1, 2), 2};
      conv.window.dilation = {Pick(1, 2), 1};
      conv.window.pad_before = {Pick(0, 1), Pick(0, 1)};
      conv.output_padding = {0, Pick(0, 1)};
      conv.groups = ShapeOf(x)[0] % 2 == 0 && Chance(30) ? 2 : 1;
      const int64_t outputs = conv.groups * Pick(1, 6);
      conv.weights =
          builder_.Codes(Weights({outputs, ShapeOf(x)[0] / conv.groups, conv.window.kernel[0], conv.window.kernel[1]}));
      conv.bias = Bias(outputs);
      conv.clamp = AnyClamp();
      if (ShapeOf(x)[1] > 1 && ShapeOf(x)[1] < 16 && ShapeOf(x)[2] < 16) Add(conv, {x});
      return;
    }
    default: return AddElementwise();
  }
}

ValueId RandomNetwork::Classifier(ValueId map) {
  ValueId features = -1;
  if (Chance(50)) {
    features = Add(GlobalAveragePool{Chance(50)}, {map});
  } else {
    features = map;
  }
  const Shape shape = ShapeOf(features);
  if (shape.rank() == 3) {
    const bool uniform =
        GridOf(features).step.size() + GridOf(features).bits.size() + GridOf(features).shift.size() == 3;
    features = Add(Reshape{{shape.elements()}}, {features}, Output::kFitted,
                   uniform ? std::optional(GridOf(features)) : std::nullopt);
  }
  const int64_t inputs = ShapeOf(features)[0];
  const ValueId hidden = Add(FullyConnected{builder_.Codes(Weights({12, inputs})), Bias(12), AnyClamp()}, {features});
  const ValueId logits = Add(FullyConnected{builder_.Codes(Weights({10, 12})), Bias(10), {}}, {hidden}, Output::kFloat);
  return Chance(30) ? Add(Softmax{0}, {logits}, Output::kFloat) : logits;
}

ValueId RandomNetwork::Tail(ValueId map) {
  const Shape shape = ShapeOf(map);
  switch (Pick(0, 5)) {
    case 0: {  // a map of floats
      Conv conv;
      conv.weights = builder_.Codes(Weights({5, shape[0], 1, 1}));
      conv.bias = Bias(5);
      return Add(conv, {map}, Output::kFloat);
    }
    case 1: return Add(ArgMax{0, Chance(50), Chance(50)}, {map}, Output::kFloat);
    case 2: return Add(Unary{}, {map}, Output::kFloat);
    case 3: {  // tokens: a fully connected layer on the rows of a matrix
      const ValueId rows = Add(Reshape{{shape[0], shape[1] * shape[2]}}, {map});
      const ValueId mixed =
          Add(FullyConnected{builder_.Codes(Weights({7, shape[1] * shape[2]})), Bias(7), AnyClamp()}, {rows});
      const ValueId sum = Add(Binary{BinaryKind::kAdd, {}}, {mixed, mixed});
      return Add(FullyConnected{builder_.Codes(Weights({3, 7})), Bias(3), {}}, {sum}, Output::kFloat);
    }
    case 4: return map;  // codes, as at a stage boundary
    default: return Classifier(map);
  }
}

Graph RandomNetwork::Make(int nodes, int64_t extent) {
  const ValueId input = builder_.Input({Pick(1, 4), extent, extent + Pick(0, 2)});
  Value& value = builder_.graph().value(input);
  const std::vector<float> image = RandomImage(value.shape, static_cast<unsigned>(random_()));
  value.grid = FitGrid(value.shape, image);
  values_.push_back(EvaluateInput(value, image));
  maps_.push_back(input);
  for (int i = 0; i < nodes; ++i) AddMap();
  const std::vector<ValueId> leaves = Unread();
  std::vector<ValueId> outputs = {Tail(maps_.back())};
  for (const ValueId id : leaves) {
    if (id != outputs[0]) outputs.push_back(Chance(70) ? Add(Unary{}, {id}, Output::kFloat) : id);
  }
  return builder_.Finish(std::move(outputs));
}

}  // namespace bitstage
