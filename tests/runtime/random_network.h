// RandomNetwork: quantized graphs of every kind of node the engine knows, drawn from a seed.
//
// Grids are fitted to what one random image makes of every value, so that codes spread over their whole range.
#pragma once

#include <random>
#include <vector>

#include "engine/graph/graph.h"
#include "tests/graph/graph_builder.h"
#include "tests/runtime/oracle.h"

namespace bitstage {

class RandomNetwork {
 public:
  explicit RandomNetwork(unsigned seed) : random_(seed), builder_(seed) {}

  // `nodes` random nodes on maps of about `extent` x `extent`, then a classifier, a map of floats, indices, or codes.
  Graph Make(int nodes, int64_t extent);

 private:
  int64_t Pick(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random_() % static_cast<uint64_t>(high - low + 1));
  }
  bool Chance(int percent) { return Pick(1, 100) <= percent; }
  float Uniform(float low, float high);

  const Shape& ShapeOf(ValueId id) { return builder_.graph().value(id).shape; }
  const Grid& GridOf(ValueId id) { return *builder_.graph().value(id).grid; }
  ValueId AnyMap() { return maps_[static_cast<size_t>(Pick(0, static_cast<int64_t>(maps_.size()) - 1))]; }
  // Another map of this shape, or `id` itself.
  ValueId MapLike(ValueId id);
  // Maps that no node reads: outputs all of them, so that every step counts.
  std::vector<ValueId> Unread();

  WeightCodes Weights(const Shape& shape);
  ConstantId Bias(int64_t outputs);
  std::optional<Clamp> AnyClamp();
  Window AnyWindow(const Shape& input, bool pool);
  Grid FitGrid(const Shape& shape, const std::vector<float>& reals);

  // Adds a node. Its output gets `grid`, or with kFitted one that fits, or none.
  enum class Output { kFitted, kFloat };
  ValueId Add(Op op, std::vector<ValueId> inputs, Output output = Output::kFitted, std::optional<Grid> grid = {});
  void AddMap();
  void AddConv(bool depthwise);
  void AddConcat();
  void AddOptionA();
  void AddSqueezeExcite();
  void AddMove();
  void AddElementwise();
  ValueId Classifier(ValueId map);
  ValueId Tail(ValueId map);

  std::mt19937 random_;
  GraphBuilder builder_;
  std::vector<OracleValue> values_;  // by ValueId, of the image that grids are fitted to
  std::vector<ValueId> maps_;        // coded C x H x W
};

// Values for one image of `shape`.
std::vector<float> RandomImage(const Shape& shape, unsigned seed);

}  // namespace bitstage
