// Student: a low-bit network in training, built over the graph that it will be served as.
//
//   BITSTAGE_ASSIGN_OR_RETURN(auto student, Student::Create(graph, images, options));
//   at::Tensor logits = student->Forward(batch, NormMode::kBatch);      // differentiable
//   Graph served = student->Export();                                    // codes, scales, biases, grids
//
// Every value that will be a u8 code is one here, held as a float (transform_function.h). In NormMode::kRunning the
// forward pass is what the integer engine computes from Export(): the same codes; logits up to float rounding where an
// operator runs in float.
//
// Not thread-safe.
#pragma once

#include <ATen/ATen.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/graph/graph.h"
#include "engine/training/checkpoint.h"
#include "engine/training/options.h"
#include "engine/training/transform_function.h"

namespace bitstage {

// A trained tensor.
struct Parameter {
  std::string name;
  at::Tensor value;  // float, requires_grad
  double rate = 1;   // times the learning rate
  bool decays = false;
};

// UNIMPLEMENTED naming the first node that training does not support, and what is supported.
absl::Status CheckTrainable(const Graph& graph);

// The logits of a float graph, [batch x positions, classes]; `on_sums(node, value)` sees every weighted node's sums
// with bias, before residual and clamp. No gradients. Requires CheckTrainable.
using SumObserver = std::function<void(size_t node, const at::Tensor& sums)>;
at::Tensor TeacherLogits(const Graph& graph, const std::vector<at::Tensor>& constants, const at::Tensor& images,
                         const SumObserver& on_sums = {});
// A value of rank 1 or 3, batched, as rows of classes.
at::Tensor AsLogits(const at::Tensor& features);
// The float constants of a graph as tensors, by ConstantId: weights channels last, once for all calls.
std::vector<at::Tensor> TeacherConstants(const Graph& graph);

class Student {
 public:
  // `graph`: a PreparedGraph (engine/compression/compress.h) that trains; `images`: preprocessed, [n] + input shape,
  // for the first grids and moments. progress(done, total) counts nodes calibrated.
  static absl::StatusOr<std::unique_ptr<Student>> Create(const Graph& graph, const Tensor& images,
                                                         const TrainingOptions& options,
                                                         const std::function<void(int64_t, int64_t)>& progress = {});
  ~Student();

  // images: [n] + input shape. Logits as TeacherLogits.
  at::Tensor Forward(const at::Tensor& images, NormMode mode);

  // Activations of the inner layers get so many bits; their range stays.
  void SetActivationBits(int bits);
  // Running moments weigh the newest batch by this much.
  void SetMomentum(double share);

  [[nodiscard]] std::vector<Parameter>& parameters();
  // After a step of the optimizer: alphas stay positive.
  void Constrain();

  // The low-bit graph as of now.
  [[nodiscard]] Graph Export();

  // Everything but the optimizer's state, and back. INVALID_ARGUMENT naming what is missing or of another size.
  [[nodiscard]] std::vector<CheckpointArray> Save() const;
  absl::Status Load(const std::map<std::string, const std::vector<float>*>& arrays);

 private:
  class Impl;
  explicit Student(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace bitstage
