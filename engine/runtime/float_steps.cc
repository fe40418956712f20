#include "engine/runtime/float_steps.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "engine/base/checked_math.h"
#include "engine/reference/float_conv.h"
#include "engine/reference/float_ops.h"

namespace bitstage {
namespace {

constexpr double kFloatOpNanoseconds = 5;  // an element
constexpr double kSumNanoseconds = 0.2;    // an element of a plain vectorized loop
constexpr double kByteNanoseconds = 0.05;

class BytesStep : public Step {
 public:
  BytesStep(Traits traits, size_t bytes, const Place& input, const Place& output)
      : Step(std::move(traits)), bytes_(bytes), input_(input), output_(output) {}

  void Run(const Frame& frame, int64_t, int64_t, std::byte*) const override {
    std::memcpy(frame.At<std::byte>(output_), frame.At<std::byte>(input_), bytes_);
  }

 private:
  size_t bytes_;
  Place input_, output_;
};

class FloatOpStep : public Step {
 public:
  FloatOpStep(Traits traits, const Graph& graph, const Node& node, std::span<const Place> inputs, const Place& output)
      : Step(std::move(traits)), graph_(graph), node_(node), inputs_(inputs.begin(), inputs.end()), output_(output) {}

  void Run(const Frame& frame, int64_t row_begin, int64_t row_end, std::byte* scratch) const override {
    auto* pointers = reinterpret_cast<const void**>(scratch);
    for (size_t i = 0; i < inputs_.size(); ++i) pointers[i] = frame.At<void>(inputs_[i]);
    RunFloatOpRows(graph_, node_, {pointers, inputs_.size()}, frame.At<void>(output_), row_begin, row_end);
  }

 private:
  const Graph& graph_;
  const Node& node_;
  std::vector<Place> inputs_;
  Place output_;
};

class FloatConvStep : public Step {
 public:
  FloatConvStep(Traits traits, const Graph& graph, const Node& node, std::vector<float> weights, Sgemm sgemm,
                std::span<const Place> inputs, const Place& output)
      : Step(std::move(traits)),
        graph_(graph),
        node_(node),
        weights_(std::move(weights)),
        sgemm_(sgemm),
        inputs_(inputs.begin(), inputs.end()),
        output_(output) {}

  void Run(const Frame& frame, int64_t, int64_t, std::byte*) const override {
    const float* residual = inputs_.size() > 1 ? frame.At<float>(inputs_[1]) : nullptr;
    RunFloatConv(graph_, node_, weights_, 1, frame.At<float>(inputs_[0]), residual, frame.At<float>(output_), nullptr,
                 sgemm_);
  }

 private:
  const Graph& graph_;
  const Node& node_;
  std::vector<float> weights_;
  Sgemm sgemm_;
  std::vector<Place> inputs_;
  Place output_;
};

class MeanStep : public Step {
 public:
  static constexpr int64_t kChannels = 256;  // of a row of work

  MeanStep(Traits traits, const kernels::KernelTable& table, const CodeLayout& layout, const Place& input,
           const Place& output)
      : Step(std::move(traits)), mean_(table.mean), layout_(layout), input_(input), output_(output) {}

  void Run(const Frame& frame, int64_t row_begin, int64_t row_end, std::byte*) const override {
    for (int64_t row = row_begin; row < row_end; ++row) {
      const int64_t first = row * kChannels;
      const int64_t count = std::min(kChannels, layout_.channels - first);
      mean_({.input = frame.At<float>(input_) + first,
             .pixel_stride = input_.pixel_stride,
             .pixels = layout_.pixels(),
             .channels = count,
             .output = frame.At<float>(output_) + first});
    }
  }

 private:
  void (*mean_)(const kernels::MeanCall& call);
  CodeLayout layout_;
  Place input_, output_;
};

}  // namespace

std::unique_ptr<Step> MakeMeanStep(const kernels::KernelTable& table, const CodeLayout& layout, const Place& input,
                                   const Place& output) {
  Step::Traits traits;
  traits.kernel = "mean";
  traits.reads = {input.slot};
  traits.writes = {output.slot};
  traits.rows = DivideRoundUp(layout.channels, MeanStep::kChannels);
  traits.row_nanoseconds = static_cast<double>(layout.pixels() * MeanStep::kChannels) * kSumNanoseconds;
  return std::make_unique<MeanStep>(std::move(traits), table, layout, input, output);
}

std::unique_ptr<Step> MakeBytesStep(size_t bytes, const Place& input, const Place& output) {
  Step::Traits traits;
  traits.kernel = "copy";
  traits.reads = {input.slot};
  traits.writes = {output.slot};
  traits.row_nanoseconds = static_cast<double>(bytes) * kByteNanoseconds;
  return std::make_unique<BytesStep>(std::move(traits), bytes, input, output);
}

std::unique_ptr<Step> MakeFloatStep(const Graph& graph, const Node& node, std::vector<float> weights,
                                    const kernels::KernelTable& table, std::span<const Place> inputs,
                                    const Place& output) {
  Step::Traits traits;
  traits.kernel = "float";
  for (const Place& input : inputs) traits.reads.push_back(input.slot);
  traits.writes = {output.slot};
  traits.row_nanoseconds = static_cast<double>(graph.value(node.output).shape.elements()) * kFloatOpNanoseconds +
                           static_cast<double>(MacsOf(graph, node));
  if (IsFloatOp(node.op)) {
    traits.scratch_bytes = inputs.size() * sizeof(void*);
    traits.rows = FloatOpRows(graph, node);
    traits.row_nanoseconds /= static_cast<double>(traits.rows);
    return std::make_unique<FloatOpStep>(std::move(traits), graph, node, inputs, output);
  }
  traits.constant_bytes = weights.size() * sizeof(float);
  return std::make_unique<FloatConvStep>(std::move(traits), graph, node, std::move(weights), table.sgemm, inputs,
                                         output);
}

}  // namespace bitstage
