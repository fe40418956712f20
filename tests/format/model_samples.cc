#include "tests/format/model_samples.h"

#include <limits>
#include <random>
#include <utility>

#include "tests/graph/graph_builder.h"

namespace bitstage {

WeightCodes RandomCodes(Shape shape, Codebook codebook, int bits, ScaleKind kind, uint32_t seed) {
  std::mt19937 random(seed);
  WeightCodes codes;
  codes.codebook = codebook;
  codes.bits = codebook == Codebook::kBinary ? 1 : codebook == Codebook::kTernary ? 2 : bits;
  codes.kind = kind;
  const int magnitude = codes.MaxMagnitude();
  codes.codes.resize(static_cast<size_t>(shape.elements()));
  for (int8_t& code : codes.codes) {
    code = static_cast<int8_t>(static_cast<int>(random() % static_cast<uint32_t>(2 * magnitude + 1)) - magnitude);
    if (codebook == Codebook::kBinary) code = random() % 2 == 0 ? -1 : 1;
  }
  codes.scale.resize(kind == ScaleKind::kChannel ? static_cast<size_t>(shape[0]) : 1);
  for (float& scale : codes.scale) scale = static_cast<float>(1 + random() % 1000) / 4096.0f;
  if (kind == ScaleKind::kRow) codes.alpha.resize(static_cast<size_t>(shape[2]));
  if (kind == ScaleKind::kPixel) codes.alpha.resize(static_cast<size_t>(shape[2] * shape[3]));
  for (uint8_t& alpha : codes.alpha)
    alpha = static_cast<uint8_t>(1 + random() % static_cast<uint32_t>(127 / magnitude));
  codes.shape = std::move(shape);
  return codes;
}

Model TinyModel() {
  GraphBuilder build;
  const ValueId x = build.Input({1, 2, 2});
  build.graph().value(x).grid = {.zero_point = 0, .step = {0.5f}};
  WeightCodes codes;
  codes.shape = {2, 1, 2, 2};
  codes.codebook = Codebook::kTernary;
  codes.bits = 2;
  codes.kind = ScaleKind::kLayer;
  codes.codes = {1, 0, -1, 1, 0, 0, 1, -1};
  codes.scale = {0.25f};
  Conv conv;
  conv.window.kernel = {2, 2};
  conv.weights = build.Codes(std::move(codes));
  conv.bias = build.Constant({2}, {1.0f, -2.0f});
  const ValueId y = build.Add(conv, {x});
  Model model;
  model.name = "tiny";
  model.graph = build.Finish({y});
  // The names in the file whose bytes never change.
  model.graph.values[0].name = "input0";
  model.graph.values[1].name = "value1";
  model.graph.constants[0].name = "constant0";
  model.graph.constants[1].name = "constant1";
  model.graph.nodes[0].name = "node0";
  return model;
}

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<float> RandomFloats(size_t count, std::mt19937& random) {
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(static_cast<int>(random() % 20001) - 10000) / 512.0f;
  return values;
}

// 4 x 8 x 8 through a chain of convolutions, one for each codebook, width and scale kind.
ValueId AddConvolutions(GraphBuilder& build, ValueId x, std::mt19937& random) {
  const auto add = [&](Codebook codebook, int bits, ScaleKind kind) {
    Conv conv;
    conv.window = {.kernel = {3, 3}, .pad_before = {1, 1}, .pad_after = {1, 1}};
    conv.groups = random() % 2 == 0 ? 1 : 2;
    conv.weights = build.Codes(RandomCodes({4, 4 / conv.groups, 3, 3}, codebook, bits, kind, random()));
    if (random() % 2 == 0) conv.bias = build.Constant({4}, RandomFloats(4, random));
    if (random() % 2 == 0) conv.clamp = Clamp{0, random() % 2 == 0 ? 6.0f : kInf};
    std::vector<ValueId> inputs = {x};
    if (random() % 2 == 0) inputs.push_back(x);
    x = build.Add(conv, inputs);
    const auto n = static_cast<uint8_t>(1 + random() % 4);
    const auto m = static_cast<uint8_t>(random() % 5);
    build.graph().value(x).grid = {
        .zero_point = static_cast<int>(random() % 256), .step = {0.125f}, .bits = {n}, .shift = {m}};
  };
  for (const ScaleKind kind : {ScaleKind::kLayer, ScaleKind::kChannel, ScaleKind::kRow, ScaleKind::kPixel}) {
    add(Codebook::kBinary, 1, kind);
    add(Codebook::kTernary, 2, kind);
    for (int bits = 2; bits <= 8; ++bits) add(Codebook::kUniform, bits, kind);
  }
  return x;
}

ValueId AddOtherOps(GraphBuilder& build, ValueId x, std::mt19937& random) {
  ConvTranspose transposed;
  transposed.window = {.kernel = {2, 2}, .stride = {2, 2}};
  transposed.output_padding = {1, 0};
  transposed.weights = build.Constant({4, 4, 2, 2}, RandomFloats(64, random));
  x = build.Add(transposed, {x});
  build.graph().value(x).grid = {.zero_point = 3,
                                 .step = RandomCodes({4, 1}, Codebook::kUniform, 8, ScaleKind::kChannel, 1).scale,
                                 .bits = {1, 2, 3, 4},
                                 .shift = {4, 3, 0, 1}};
  x = build.Add(
      ChannelAffine{build.Constant({4}, RandomFloats(4, random)), build.Constant({4}, RandomFloats(4, random))}, {x});
  for (const UnaryKind kind : {UnaryKind::kIdentity, UnaryKind::kClamp, UnaryKind::kLeakyRelu, UnaryKind::kSigmoid,
                               UnaryKind::kHardSigmoid, UnaryKind::kHardSwish, UnaryKind::kTanh}) {
    x = build.Add(Unary{kind, -0.5f, 0.75f}, {x});
  }
  for (const BinaryKind kind : {BinaryKind::kAdd, BinaryKind::kSub, BinaryKind::kMul}) {
    x = build.Add(Binary{kind, Clamp{-kInf, 3}}, {x, x});
    x = build.Add(BinaryConstant{kind, build.Constant({4, 1, 1}, RandomFloats(4, random)), true}, {x});
  }
  x = build.Add(Concat{1}, {x, x});
  x = build.Add(Pool{PoolKind::kMax, {.kernel = {3, 2}, .stride = {2, 2}, .ceil_mode = true}, false}, {x});
  x = build.Add(Pool{PoolKind::kAverage, {.kernel = {2, 2}, .pad_before = {1, 0}}, true}, {x});
  x = build.Add(Pad{{0, 1, 2}, {3, 0, 1}, -1.5f}, {x});
  const Shape padded = build.graph().value(x).shape;
  x = build.Add(Slice{{1, 0, 1}, {1, 2, 1}, {4, (padded[1] + 1) / 2, padded[2] - 1}}, {x});
  x = build.Add(Resize{ResizeMode::kLinear, ResizeCoordinates::kAlignCorners, ResizeRounding::kCeil, 6, 5, 1.5f, 2.5f},
                {x});
  x = build.Add(FakeQuantize{{0.5f}, -3, -128, 127}, {x});
  x = build.Add(Transpose{{2, 0, 1}}, {x});
  return x;
}

}  // namespace

Model ModelWithEverything(uint32_t seed) {
  std::mt19937 random(seed);
  GraphBuilder build;
  const ValueId input = build.Input({3, 8, 8});
  build.graph().value(input).grid = {.zero_point = 128, .step = {1.0f / 64}};
  const ValueId other = build.Input({1, 8, 8});
  ValueId x = AddConvolutions(build, build.Add(Concat{0}, {input, other}), random);
  x = AddOtherOps(build, x, random);
  const ValueId pooled = build.Add(GlobalAveragePool{false}, {x});
  FullyConnected fc;
  fc.weights = build.Codes(
      RandomCodes({10, build.graph().value(pooled).shape[0]}, Codebook::kUniform, 5, ScaleKind::kChannel, seed));
  fc.bias = build.Constant({10}, RandomFloats(10, random));
  const ValueId logits = build.Add(fc, {pooled});
  const ValueId probabilities = build.Add(Softmax{0}, {build.Add(Reshape{{10}}, {logits})});
  const ValueId winner = build.Add(ArgMax{0, false, true}, {probabilities});

  Model model;
  model.name = "with everything";
  model.graph = build.Finish({probabilities, winner, logits});
  model.preprocessing = Preprocessing{.color = ColorOrder::kBgr,
                                      .geometry = Geometry::kCenterCrop,
                                      .width = 8,
                                      .height = 8,
                                      .resize_shorter = 10,
                                      .pad_value = 114,
                                      .scale = 1.0f / 255,
                                      .mean = {0.485f, 0.456f, 0.406f},
                                      .std = {0.229f}};
  model.labels = {"background", "cat", "", "café"};
  model.class_offset = -1;
  model.provenance = {.source_file = "net.onnx",
                      .source_sha256 = std::string(64, 'a'),
                      .command = "quantize net.onnx",
                      .tool_version = "0.1.0",
                      .notes = {"bias correction", "800 images"}};
  model.stage = StageInfo{.index = 1, .count = 3, .pipeline_id = "p"};
  std::vector<uint8_t> lengths(256, 8);
  lengths[0] = 7;  // one code shorter, two others longer
  lengths[1] = lengths[2] = 9;
  CodeTables plain;
  plain.lengths = {std::vector<uint8_t>(256, 8), lengths};
  plain.group_of_channel = {1, 0, 1};
  CodeTables contexts = plain;
  contexts.of_context.assign(2 * 64, 1);
  model.boundary_tables["v0"] = {.plain = plain,
                                 .contexts = contexts,
                                 .preferred = FrameCoding::kContexts,
                                 .plain_bits = 3.5f,
                                 .contexts_bits = 2.5f};
  return model;
}

std::string FileOf(const ModelBytes& sections) {
  return BuildContainer(
      {.meta = BytesOf(sections.meta), .weights = BytesOf(sections.weights), .floats = BytesOf(sections.floats)},
      sections.version);
}

std::string FileOf(const Model& model) { return FileOf(SerializeModel(model)); }

}  // namespace bitstage
