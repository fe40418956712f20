#include "engine/runtime/move_step.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "engine/reference/float_ops.h"

namespace bitstage {
namespace {

constexpr int64_t kMaxElements = 1 << 24;  // numbers that a float counts exactly
constexpr size_t kMaxRuns = 1 << 22;
constexpr int64_t kRunsPerRow = 512;
constexpr double kRunNanoseconds = 4;
constexpr double kByteNanoseconds = 0.05;
constexpr float kPadding = -1;

// `length` bytes from input `input` at `source`, or, where `source` is negative, copies of the byte `input`.
struct CodeRun {
  int64_t target;
  int64_t source;
  uint32_t length;
  uint32_t input;
};

class MoveStep : public Step {
 public:
  MoveStep(Traits traits, std::vector<CodeRun> runs, std::vector<Place> inputs, const Place& output)
      : Step(std::move(traits)), runs_(std::move(runs)), inputs_(std::move(inputs)), output_(output) {}

  void Run(const Frame& frame, int64_t row_begin, int64_t row_end, std::byte*) const override {
    auto* output = frame.At<uint8_t>(output_);
    const size_t end = std::min(runs_.size(), static_cast<size_t>(row_end * kRunsPerRow));
    for (auto i = static_cast<size_t>(row_begin * kRunsPerRow); i < end; ++i) {
      const CodeRun& run = runs_[i];
      if (run.source < 0) {
        std::memset(output + run.target, static_cast<int>(run.input), run.length);
      } else {
        std::memcpy(output + run.target, frame.At<uint8_t>(inputs_[run.input]) + run.source, run.length);
      }
    }
  }

 private:
  std::vector<CodeRun> runs_;
  std::vector<Place> inputs_;
  Place output_;
};

bool MovesElements(const Op& op) {
  if (const auto* pad = std::get_if<Pad>(&op)) return pad->value == 0;
  if (const auto* resize = std::get_if<Resize>(&op)) return resize->mode == ResizeMode::kNearest;
  return std::holds_alternative<Reshape>(op) || std::holds_alternative<Transpose>(op) ||
         std::holds_alternative<Slice>(op) || std::holds_alternative<Concat>(op);
}

// Which element each element of the output is, counted through all inputs in turn; kPadding where it is padding. The
// float op itself says it, given the numbers of its inputs' elements in place of their values.
std::optional<std::vector<float>> Sources(const Graph& graph, const Node& node) {
  int64_t elements = 0;
  for (const ValueId id : node.inputs) elements += graph.value(id).shape.elements();
  const int64_t outputs = graph.value(node.output).shape.elements();
  if (elements > kMaxElements || outputs > kMaxElements) return std::nullopt;

  std::vector<float> numbers(static_cast<size_t>(elements));
  std::iota(numbers.begin(), numbers.end(), 0.0f);
  std::vector<const void*> inputs;
  const float* next = numbers.data();
  for (const ValueId id : node.inputs) {
    inputs.push_back(next);
    next += graph.value(id).shape.elements();
  }
  Node numbered = node;
  if (auto* pad = std::get_if<Pad>(&numbered.op)) pad->value = kPadding;
  std::vector<float> sources(static_cast<size_t>(outputs));
  RunFloatOp(graph, numbered, inputs, sources.data());
  return sources;
}

std::vector<int64_t> FirstElements(std::span<const CodeOperand> inputs) {
  std::vector<int64_t> first = {0};
  for (const CodeOperand& input : inputs) {
    first.push_back(first.back() + input.layout.pixels() * input.layout.channels);
  }
  return first;
}

}  // namespace

bool MovesUnchanged(const Grid& from, int64_t from_channel, const Grid& to, int64_t to_channel) {
  return from.zero_point == to.zero_point && from.StepOf(from_channel) == to.StepOf(to_channel) &&
         from.ShiftOf(from_channel) >= to.ShiftOf(to_channel) &&
         from.BitsOf(from_channel) + from.ShiftOf(from_channel) <= to.BitsOf(to_channel) + to.ShiftOf(to_channel);
}

std::unique_ptr<Step> MakeMoveStep(const Graph& graph, const Node& node, std::span<const CodeOperand> inputs,
                                   const CodeOperand& output) {
  if (!MovesElements(node.op)) return nullptr;
  const std::optional<std::vector<float>> sources = Sources(graph, node);
  if (!sources) return nullptr;
  const std::vector<int64_t> first = FirstElements(inputs);

  std::vector<CodeRun> runs;
  const CodeLayout& layout = output.layout;
  for (int64_t pixel = 0; pixel < layout.pixels(); ++pixel) {
    for (int64_t c = 0; c < layout.channels; ++c) {
      const int64_t element = layout.ElementAt(pixel, c);
      const int64_t grid_channel = layout.GridChannelOf(element);
      const float source = (*sources)[static_cast<size_t>(element)];
      CodeRun run{.target = pixel * output.place.pixel_stride + c, .source = -1, .length = 1, .input = 0};
      if (source == kPadding) {
        run.input = output.grid->Code(0, grid_channel);
      } else {
        const auto number = static_cast<int64_t>(source);
        while (number >= first[run.input + 1]) ++run.input;
        const CodeOperand& input = inputs[run.input];
        const int64_t from = number - first[run.input];
        if (!MovesUnchanged(*input.grid, input.layout.GridChannelOf(from), *output.grid, grid_channel)) return nullptr;
        run.source = input.layout.PixelOf(from) * input.place.pixel_stride + input.layout.ChannelOf(from);
      }
      if (!runs.empty()) {
        CodeRun& last = runs.back();
        const bool continues =
            run.source < 0 ? last.source < 0 : last.source >= 0 && run.source == last.source + last.length;
        if (continues && run.input == last.input && run.target == last.target + last.length) {
          ++last.length;
          continue;
        }
        if (runs.size() == kMaxRuns) return nullptr;
      }
      runs.push_back(run);
    }
  }

  Step::Traits traits;
  traits.kernel = "move";
  std::vector<Place> places;
  for (const CodeOperand& input : inputs) {
    places.push_back(input.place);
    traits.reads.push_back(input.place.slot);
  }
  traits.writes = {output.place.slot};
  traits.rows = (static_cast<int64_t>(runs.size()) + kRunsPerRow - 1) / kRunsPerRow;
  traits.row_nanoseconds = static_cast<double>(kRunsPerRow) * kRunNanoseconds +
                           static_cast<double>(sources->size()) / static_cast<double>(traits.rows) * kByteNanoseconds;
  traits.constant_bytes = runs.size() * sizeof(CodeRun);
  return std::make_unique<MoveStep>(std::move(traits), std::move(runs), std::move(places), output.place);
}

}  // namespace bitstage
