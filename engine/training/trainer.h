// Train: the loop from a float network to a trained low-bit one, with checkpoints.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "engine/graph/model.h"
#include "engine/training/held_back_score.h"
#include "engine/training/options.h"
#include "engine/training/training_set.h"

namespace bitstage {

// What does not change the result of a run that ends.
struct TrainingRun {
  std::string checkpoint;  // a file; empty: none is kept
  std::string start_from;  // another run's checkpoint, whose weights this one starts with; empty: the float network's
  int64_t checkpoint_every = 500;  // steps
  int64_t evaluate_every = 500;    // steps
  int64_t patience = 0;            // evaluations without a better agreement before the run ends; 0: none end it
  const std::atomic<bool>* stop = nullptr;  // set: write a checkpoint and return CANCELLED
  // Preparing, before the first step: preparation(done, total) nodes of the network calibrated.
  std::function<void(int64_t, int64_t)> preparation;
  int64_t benchmark_steps = 0;  // > 0: time so many steps, and do nothing else
};

struct TrainingProgress {
  int64_t step = 0;  // done
  int64_t steps = 0;
  double loss = 0;                     // running mean
  std::optional<HeldBackScore> score;  // where this step was evaluated, by the integer engine
};

struct TrainingResult {
  Graph graph;
  int64_t steps = 0;  // done in all
  HeldBackScore start, end;
  double loss = 0;
  // The trainer's own forward pass against the integer engine on the exported graph, over the held-back images.
  double same_top = 1;
  double max_logit_difference = 0;
  std::string stopped;  // why it ended before its time; empty: it did not
  double cpu_seconds_per_image = 0;
};

// FAILED_PRECONDITION: the checkpoint belongs to another run (says what differs). CANCELLED: stopped on request, the
// checkpoint is written. INTERNAL: the trainer and the engine disagree on more than one image in a thousand. A loss
// that is not finite or explodes ends the run at the last good checkpoint, which the result then holds (`stopped`).
absl::StatusOr<TrainingResult> Train(const Model& model, const TrainingSet& set, const TrainingOptions& options,
                                     const TrainingRun& run,
                                     const std::function<void(const TrainingProgress&)>& progress);

}  // namespace bitstage
