// ActivationStudy: what a scheme of block quantization does to a network's answers.
//
//   BITSTAGE_ASSIGN_OR_RETURN(ActivationStudy study, ActivationStudy::Create(graph, calibration_images, labels,
//   &pool)); BITSTAGE_ASSIGN_OR_RETURN(BlockQuantizer quantizer, study.Prepare(scheme, progress));
//   BITSTAGE_ASSIGN_OR_RETURN(Tensor logits, study.Run(images, quantizer));   // one batch
//
// Methods that find their scale "online" take it from the batch that is run, as the DQA paper does: batches of other
// sizes give other results. One thread at a time; the graph and the pool must outlive the study.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/thread_pool.h"
#include "engine/compression/calibration.h"
#include "engine/graph/graph.h"
#include "engine/quant/dqa.h"
#include "engine/study/activation_scheme.h"
#include "engine/tensor/tensor.h"

namespace bitstage {

// How one block's output is quantized: on a static grid, or online.
struct BlockRule {
  std::optional<Grid> grid;
  std::vector<float> offset;  // kAdaptive: added to a channel's values behind the grid (its readers' biases); or empty
  ImportantChannels important;  // online: those with n + m bits
  std::vector<float> noise;     // NoisyQuant's, one an element of an image, in units of the step; or empty
};

struct BlockQuantizer {
  ActivationScheme scheme;
  std::vector<BlockRule> blocks;  // empty for kFloat
  double nominal_bits = 32;       // bits an element of the blocks before coding, without scales
};

class ActivationStudy {
 public:
  // `graph`: optimized, float. calibration images: [n] + the input's shape; labels: their classes as output indices,
  // for the paper's greedy ranking, or empty.
  static absl::StatusOr<ActivationStudy> Create(const Graph& graph, Tensor calibration_images, std::vector<int> labels,
                                                ThreadPool* pool);

  [[nodiscard]] const std::vector<ValueId>& blocks() const { return blocks_; }

  // The greedy ranking runs the network once a channel; progress(done, total) counts those runs. FAILED_PRECONDITION
  // for it without labels.
  absl::StatusOr<BlockQuantizer> Prepare(const ActivationScheme& scheme,
                                         const std::function<void(int64_t, int64_t)>& progress);

  // The feature vectors of a batch: [n] + the shape of the first output (what feeds a closing softmax or arg max).
  absl::StatusOr<Tensor> Run(const Tensor& images, const BlockQuantizer& quantizer) const;

 private:
  ActivationStudy(const Graph& graph, ThreadPool* pool) : graph_(&graph), pool_(pool) {}

  [[nodiscard]] int64_t ChannelsOf(size_t block) const;
  [[nodiscard]] std::span<const Histogram> HistogramsOf(size_t block) const;
  absl::StatusOr<std::vector<ImportantChannels>> Important(const ActivationScheme& scheme,
                                                           const std::function<void(int64_t, int64_t)>& progress);
  // Bits of an image's block output; those of `important` channels have the scheme's extra ones.
  [[nodiscard]] double BitsOf(size_t block, const ActivationScheme& scheme, const ImportantChannels& important) const;
  // kUnsigned and kServed.
  [[nodiscard]] BlockRule StaticRule(size_t block, const ActivationScheme& scheme) const;
  // kAdaptive: every static rule's noise at the features with that block alone quantized; then the best set.
  // Gives every channel the mean that it has in the float network, block by block behind the blocks before it.
  absl::Status CorrectMeans(std::vector<BlockRule>& rules) const;
  absl::StatusOr<BlockQuantizer> PrepareAdaptive(const ActivationScheme& scheme,
                                                 const std::function<void(int64_t, int64_t)>& progress) const;
  absl::StatusOr<std::vector<std::vector<double>>> GreedyScores(const std::function<void(int64_t, int64_t)>& progress);
  // Runs `graph`, the study's or an end of it, from `start`; quantize(block, value) may change every block's output.
  absl::StatusOr<Tensor> RunWith(const Graph& graph, const Tensor& start,
                                 const std::function<void(size_t, Tensor&)>& quantize) const;

  const Graph* graph_;
  ThreadPool* pool_;
  std::vector<ValueId> blocks_;
  Tensor calibration_images_;
  std::vector<int> labels_;
  Calibration calibration_;
  std::vector<std::vector<double>> greedy_scores_;  // kept: the paper's ranking at 3 bits serves all n and m
};

}  // namespace bitstage
