#include "engine/compression/latency.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/base/status_macros.h"
#include "engine/compression/grid_assignment.h"
#include "engine/compression/precision.h"
#include "engine/compression/sensitivity.h"
#include "engine/quant/allocation.h"

namespace bitstage {
namespace {

// The noise of the widest is extrapolated: each bit more quarters it.
constexpr std::array<int, 3> kActivationBits = {4, 6, 8};
constexpr size_t kWidestActivations = kActivationBits.size() - 1;
constexpr int64_t kImages = 32;  // that noise is measured on
constexpr int kTrials = 4;

double Extrapolated(double noise, int from, int to) { return noise * std::pow(4.0, from - to); }

// What one weighted node may take and do.
struct Layer {
  size_t node = 0;
  int group = -1;  // of its input
  std::vector<CodingOption> options;
  std::vector<std::array<double, kActivationBits.size()>> cycles;  // by option
  double ms_a_cycle = 1;                                           // until a trial tells
};

struct Choice {
  size_t weights = 0;  // of the layer's options
  size_t activations = 0;
};

class Planner {
 public:
  Planner(const Graph& graph, const Calibration& calibration, const Tensor& images, Stopwatch& stopwatch,
          ThreadPool* pool, const std::function<void(int64_t, int64_t)>& progress)
      : graph_(graph),
        calibration_(calibration),
        images_(FirstImages(images, kImages)),
        stopwatch_(stopwatch),
        pool_(pool),
        progress_(progress),
        groups_(GroupValues(graph)) {
    for (const size_t node : WeightedNodes(graph)) {
      Layer& layer = layers_.emplace_back();
      layer.node = node;
      layer.group = groups_.of_value[static_cast<size_t>(graph.nodes[node].inputs[0])];
    }
    for (const Layer& layer : layers_) readers_[layer.group].push_back(&layer - layers_.data());
  }

  absl::StatusOr<LatencyPlan> Plan(double ms, const std::vector<WeightRecipe>& menu, bool second_order_rounding) {
    BITSTAGE_RETURN_IF_ERROR(MeasureNoise(menu, second_order_rounding));
    BITSTAGE_RETURN_IF_ERROR(AskForPromises());
    BITSTAGE_ASSIGN_OR_RETURN(const std::vector<Choice> quietest, Choose(HUGE_VAL));
    BITSTAGE_RETURN_IF_ERROR(Trial(quietest).status());
    double aim = ms;
    double fastest = HUGE_VAL;
    for (int trial = 0; trial < kTrials; ++trial) {
      BITSTAGE_ASSIGN_OR_RETURN(const std::vector<Choice> choices, Choose(aim));
      const double predicted = Predicted(choices);
      BITSTAGE_ASSIGN_OR_RETURN(const double measured, Trial(choices));
      fastest = std::min(fastest, measured);
      if (measured <= ms) {
        LatencyPlan plan;
        BITSTAGE_ASSIGN_OR_RETURN(plan.graph, WithGrids(choices));
        plan.precision = PrecisionOf(choices);
        plan.predicted_ms = predicted;
        return plan;
      }
      aim *= std::min(0.98, ms / measured);
    }
    return absl::InvalidArgumentError(absl::StrFormat(
        "budget: %.4g ms cannot be met on this CPU with one thread, %.4g ms is the fastest that was measured", ms,
        fastest));
  }

 private:
  // Groups of activations alone first, weights alone then; each with the rest in float.
  absl::Status MeasureNoise(const std::vector<WeightRecipe>& menu, bool second_order_rounding) {
    const double margin = DecisionMargin(calibration_);
    BITSTAGE_ASSIGN_OR_RETURN(const ActivationNoise alone, ActivationNoise::Create(graph_, images_.Clone(), pool_));
    int64_t done = 0;
    for (size_t a = 0; a < kWidestActivations; ++a) {
      BITSTAGE_ASSIGN_OR_RETURN(const Graph all, WithUniformGrids(kActivationBits[a]));
      for (const auto& [group, readers] : readers_) {
        if (groups_.fixed[static_cast<size_t>(group)]) continue;
        BITSTAGE_ASSIGN_OR_RETURN(const double noise, alone.OfGroup(all, group));
        activation_noise_[group][a] = noise / margin;
        if (progress_) progress_(++done, static_cast<int64_t>(kWidestActivations * readers_.size()));
      }
    }
    for (auto& [group, noise] : activation_noise_) {
      noise[kWidestActivations] = Extrapolated(noise[kWidestActivations - 1], kActivationBits[kWidestActivations - 1],
                                               kActivationBits[kWidestActivations]);
    }
    BITSTAGE_ASSIGN_OR_RETURN(std::vector<LayerMenu> menus, MeasureMenus(graph_, calibration_, images_, menu,
                                                                         second_order_rounding, pool_, progress_));
    for (size_t i = 0; i < layers_.size(); ++i) {
      layers_[i].options = std::move(menus[i].options);
      layers_[i].cycles.resize(layers_[i].options.size());
    }
    return absl::OkStatus();
  }

  absl::Status AskForPromises() {
    for (size_t a = 0; a < kActivationBits.size(); ++a) {
      BITSTAGE_ASSIGN_OR_RETURN(const Graph grids, WithUniformGrids(kActivationBits[a]));
      // Every layer has the menu's entries in the same order.
      for (size_t w = 0; w < layers_[0].options.size(); ++w) {
        const std::vector<LayerPrecision> precision(layers_.size(), layers_[0].options[w].precision);
        BITSTAGE_ASSIGN_OR_RETURN(const std::vector<double> cycles,
                                  stopwatch_.Promise(TrialModel(grids.Clone(), precision)));
        for (Layer& layer : layers_) layer.cycles[w][a] = cycles[layer.node];
      }
    }
    return absl::OkStatus();
  }

  // Times the network with these codes, rounded to nearest (what they say does not matter, but for alphas, which are
  // about the same), and calibrates each layer by it. The whole time.
  absl::StatusOr<double> Trial(const std::vector<Choice>& choices) {
    BITSTAGE_ASSIGN_OR_RETURN(Graph grids, WithGrids(choices));
    BITSTAGE_ASSIGN_OR_RETURN(const StepTimes times,
                              stopwatch_.Time(TrialModel(std::move(grids), PrecisionOf(choices))));
    rest_ms_ = times.total_ms;
    for (size_t i = 0; i < layers_.size(); ++i) {
      Layer& layer = layers_[i];
      const double cycles = layer.cycles[choices[i].weights][choices[i].activations];
      layer.ms_a_cycle = cycles > 0 ? times.node_ms[layer.node] / cycles : 0;
      rest_ms_ -= layer.ms_a_cycle * cycles;
    }
    rest_ms_ = std::max(rest_ms_, 0.0);
    return times.total_ms;
  }

  [[nodiscard]] double Predicted(const std::vector<Choice>& choices) const {
    double ms = rest_ms_;
    for (size_t i = 0; i < layers_.size(); ++i) {
      ms += layers_[i].ms_a_cycle * layers_[i].cycles[choices[i].weights][choices[i].activations];
    }
    return ms;
  }

  // The least noise in `aim` milliseconds; the fastest there is where that is slower.
  absl::StatusOr<std::vector<Choice>> Choose(double aim) const {
    struct Point {
      size_t activations;
      std::vector<size_t> weights;  // by reader
    };
    std::vector<LayerOptions> units;
    std::vector<std::vector<Point>> points;
    for (const auto& [group, readers] : readers_) {
      LayerOptions& options = units.emplace_back();
      std::vector<Point>& meanings = points.emplace_back();
      const bool fixed = groups_.fixed[static_cast<size_t>(group)];
      for (size_t a = fixed ? kWidestActivations : 0; a < kActivationBits.size(); ++a) {
        std::vector<LayerOptions> menus;
        for (const ptrdiff_t reader : readers) {
          const Layer& layer = layers_[static_cast<size_t>(reader)];
          LayerOptions& menu = menus.emplace_back();
          for (size_t w = 0; w < layer.options.size(); ++w) {
            menu.push_back({layer.ms_a_cycle * layer.cycles[w][a], layer.options[w].noise});
          }
        }
        const double own = fixed ? 0 : activation_noise_.at(group)[a];
        BITSTAGE_ASSIGN_OR_RETURN(const std::vector<Allocation> curve, AllocationCurve(menus));
        for (const Allocation& allocation : curve) {
          options.push_back({allocation.cost, allocation.distortion + own});
          meanings.push_back({a, allocation.choice});
        }
      }
    }
    absl::StatusOr<Allocation> allocation = AllocateUnderCost(units, aim - rest_ms_);
    if (allocation.status().code() == absl::StatusCode::kFailedPrecondition) {
      BITSTAGE_ASSIGN_OR_RETURN(const std::vector<Allocation> curve, AllocationCurve(units));
      allocation = curve.front();
    }
    BITSTAGE_RETURN_IF_ERROR(allocation.status());
    std::vector<Choice> choices(layers_.size());
    size_t unit = 0;
    for (const auto& [group, readers] : readers_) {
      const Point& point = points[unit][allocation->choice[unit]];
      ++unit;
      for (size_t i = 0; i < readers.size(); ++i) {
        choices[static_cast<size_t>(readers[i])] = {point.weights[i], point.activations};
      }
    }
    return choices;
  }

  [[nodiscard]] std::vector<LayerPrecision> PrecisionOf(const std::vector<Choice>& choices) const {
    std::vector<LayerPrecision> precision;
    for (size_t i = 0; i < choices.size(); ++i) {
      precision.push_back(layers_[i].options[choices[i].weights].precision);
    }
    return precision;
  }

  absl::StatusOr<Graph> WithUniformGrids(int bits) const {
    Graph graph = graph_.Clone();
    BITSTAGE_RETURN_IF_ERROR(AssignGrids(graph, calibration_, {.bits = bits, .code_bits = bits}));
    return graph;
  }

  // Groups that no layer reads keep 8 bits.
  absl::StatusOr<Graph> WithGrids(const std::vector<Choice>& choices) const {
    GroupRecipes widths;
    for (size_t i = 0; i < layers_.size(); ++i) {
      const int bits = kActivationBits[choices[i].activations];
      widths[layers_[i].group] = {.bits = bits, .code_bits = bits};
    }
    Graph graph = graph_.Clone();
    BITSTAGE_RETURN_IF_ERROR(AssignGrids(graph, calibration_, {}, widths));
    return graph;
  }

  static Model TrialModel(Graph graph, const std::vector<LayerPrecision>& precision) {
    const std::vector<size_t> nodes = WeightedNodes(graph);
    for (size_t i = 0; i < nodes.size(); ++i) {
      Constant& weights = graph.constant(WeightsOf(graph.nodes[nodes[i]].op));
      weights.codes = RoundWeights(weights.values->shape(), weights.values->Span<float>(), precision[i]);
      weights.values.reset();
    }
    Model model;
    model.name = "trial";
    model.graph = std::move(graph);
    return model;
  }

  const Graph& graph_;
  const Calibration& calibration_;
  const Tensor images_;
  Stopwatch& stopwatch_;
  ThreadPool* pool_;
  const std::function<void(int64_t, int64_t)>& progress_;
  const GridGroups groups_;
  std::vector<Layer> layers_;
  std::map<int, std::vector<ptrdiff_t>> readers_;  // of each group: layers
  std::map<int, std::array<double, kActivationBits.size()>> activation_noise_;
  double rest_ms_ = 0;  // what belongs to no weighted layer
};

}  // namespace

absl::StatusOr<LatencyPlan> PlanForLatency(const Graph& graph, const Calibration& calibration, const Tensor& images,
                                           double ms, const std::vector<WeightRecipe>& menu, bool second_order_rounding,
                                           Stopwatch& stopwatch, ThreadPool* pool,
                                           const std::function<void(int64_t, int64_t)>& progress) {
  return Planner(graph, calibration, images, stopwatch, pool, progress).Plan(ms, menu, second_order_rounding);
}

}  // namespace bitstage
