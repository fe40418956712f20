#include "engine/training/weight_folding.h"

#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/quant/weights.h"
#include "engine/training/torch_tensors.h"

namespace bitstage {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

Shape ShapeOf(const at::Tensor& t) { return {t.sizes().begin(), t.sizes().end()}; }

std::vector<uint8_t> IntegerAlphas(std::span<const double> alphas, int max_alpha, double* scale) {
  const double largest = *std::max_element(alphas.begin(), alphas.end());
  const double smallest = *std::min_element(alphas.begin(), alphas.end());
  const int top = smallest == largest ? 1 : max_alpha;
  *scale = largest / top;
  std::vector<uint8_t> integers;
  for (const double alpha : alphas) {
    integers.push_back(static_cast<uint8_t>(std::clamp(std::nearbyint(alpha / *scale), 1.0, static_cast<double>(top))));
  }
  return integers;
}

class SyqFold : public torch::autograd::Function<SyqFold> {
 public:
  static Variable forward(AutogradContext* ctx, const Variable& weights, const Variable& alphas,
                          const SyqSettings& settings, FoldedWeights* folded) {
    const Shape shape = ShapeOf(weights);
    const std::span<const float> w = Values(weights);
    const double eta = Threshold(w, settings);
    const std::span<const float> a = Values(alphas);
    double scale = 1;
    folded->codes = SyqCodes(w, eta, settings.codebook);
    folded->alpha = IntegerAlphas(std::vector<double>(a.begin(), a.end()), settings.max_alpha, &scale);
    folded->scale = {scale};
    at::Tensor out = at::empty(weights.sizes(), weights.options());
    const std::span<float> to = Values(out);
    for (size_t i = 0; i < to.size(); ++i) {
      const auto group = static_cast<size_t>(SyqSubgroupOf(shape, settings.subgroups, static_cast<int64_t>(i)));
      to[i] = static_cast<float>(folded->codes[i] * folded->alpha[group]);
    }
    ctx->save_for_backward({weights, alphas});
    ctx->saved_data["eta"] = eta;
    ctx->saved_data["scaled_zeros"] = settings.scaled_zeros;
    ctx->saved_data["scale"] = scale;
    ctx->saved_data["subgroups"] = static_cast<int64_t>(settings.subgroups);
    return Dense(out);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const variable_list saved = ctx->get_saved_variables();
    const double scale = ctx->saved_data["scale"].toDouble();
    const at::Tensor g = (grads[0] / scale).contiguous();
    const std::span<const float> a = Values(saved[1]);
    const Shape shape = ShapeOf(saved[0]);
    const auto kind = static_cast<ScaleKind>(ctx->saved_data["subgroups"].toInt());
    const double eta = ctx->saved_data["eta"].toDouble();
    const std::span<const float> w = Values(saved[0]);
    SyqGradients gradients = SyqBackward(shape, kind, w, eta, std::vector<double>(a.begin(), a.end()), Values(g));
    if (ctx->saved_data["scaled_zeros"].toBool()) {
      for (size_t i = 0; i < w.size(); ++i) {
        if (std::abs(static_cast<double>(w[i])) > eta) continue;
        gradients.weights[i] *= a[static_cast<size_t>(SyqSubgroupOf(shape, kind, static_cast<int64_t>(i)))];
      }
    }
    at::Tensor to_weights = at::empty(saved[0].sizes(), saved[0].options());
    at::Tensor to_alphas = at::empty(saved[1].sizes(), saved[1].options());
    std::copy(gradients.weights.begin(), gradients.weights.end(), Values(to_weights).begin());
    std::copy(gradients.alphas.begin(), gradients.alphas.end(), Values(to_alphas).begin());
    return {to_weights, to_alphas, Variable(), Variable()};
  }
};

class UniformFold : public torch::autograd::Function<UniformFold> {
 public:
  static Variable forward(AutogradContext* ctx, const Variable& weights, FoldedWeights* folded) {
    const WeightCodes codes =
        UniformWeights(ShapeOf(weights), Values(weights), 8, ScaleKind::kChannel, WeightClip::kMax);
    folded->codes = codes.codes;
    folded->alpha.clear();
    folded->scale.assign(codes.scale.begin(), codes.scale.end());
    at::Tensor out = at::empty(weights.sizes(), weights.options());
    std::copy(codes.codes.begin(), codes.codes.end(), Values(out).begin());
    std::vector<int64_t> broadcast(static_cast<size_t>(weights.dim()), 1);
    broadcast[0] = weights.size(0);
    at::Tensor scales = at::empty(broadcast, weights.options());
    std::copy(codes.scale.begin(), codes.scale.end(), Values(scales).begin());
    ctx->save_for_backward({scales});
    return Dense(out);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    return {(grads[0] / ctx->get_saved_variables()[0]).contiguous(), Variable()};
  }
};

class LearnedFold : public torch::autograd::Function<LearnedFold> {
 public:
  static Variable forward(AutogradContext* ctx, const Variable& weights, const Variable& log_scales, int64_t bits,
                          FoldedWeights* folded) {
    const auto most = static_cast<float>((1 << (bits - 1)) - 1);
    const std::span<const float> w = Values(weights);
    at::Tensor out = at::empty(weights.sizes(), weights.options());
    const std::span<float> to = Values(out);
    folded->codes.resize(w.size());
    folded->alpha.clear();
    folded->scale.clear();
    ForEachOutput(w.size(), Values(log_scales), [&](size_t, float scale, size_t begin, size_t end) {
      folded->scale.push_back(scale);
      for (size_t i = begin; i < end; ++i) {
        to[i] = std::nearbyint(std::clamp(w[i] / scale, -most, most));
        folded->codes[i] = static_cast<int8_t>(to[i]);
      }
    });
    ctx->save_for_backward({weights, log_scales});
    ctx->saved_data["most"] = static_cast<double>(most);
    return Dense(out);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const variable_list saved = ctx->get_saved_variables();
    const auto most = static_cast<float>(ctx->saved_data["most"].toDouble());
    const at::Tensor by_code = grads[0].contiguous();
    const std::span<const float> g = Values(by_code);
    const std::span<const float> w = Values(saved[0]);
    at::Tensor grad_weights = at::zeros(saved[0].sizes(), saved[0].options());
    at::Tensor grad_scales = at::zeros(saved[1].sizes(), saved[1].options());
    const std::span<float> to_weights = Values(grad_weights);
    const std::span<float> to_scales = Values(grad_scales);
    // With ŵ = s · code, g = s · ∂E/∂ŵ: ∂E/∂w = g / s where nothing is clipped, ∂E/∂log s = g · ∂ŵ/∂s.
    ForEachOutput(w.size(), Values(saved[1]), [&](size_t o, float scale, size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        const float x = w[i] / scale;
        const bool is_clipped = std::abs(x) > most;
        to_weights[i] = is_clipped ? 0 : g[i] / scale;
        to_scales[o] += g[i] * (is_clipped ? std::copysign(most, x) : std::nearbyint(x) - x);
      }
    });
    return {grad_weights, grad_scales, Variable(), Variable()};
  }

 private:
  // visit(output, its scale, its first weight, behind its last).
  template <typename Visit>
  static void ForEachOutput(size_t weights, std::span<const float> log_scales, const Visit& visit) {
    const size_t per_output = weights / log_scales.size();
    for (size_t o = 0; o < log_scales.size(); ++o) {
      visit(o, FromLog(log_scales[o]), o * per_output, (o + 1) * per_output);
    }
  }
};

}  // namespace

SyqSettings SettingsOf(const TrainingOptions& options) {
  return {.codebook = options.codebook,
          .subgroups = options.subgroups,
          .max_alpha = options.max_alpha,
          .eta_of_max = options.eta_of_max,
          .eta_of_mean = options.eta_of_mean,
          .scaled_zeros = options.scaled_zeros};
}

double Threshold(std::span<const float> weights, const SyqSettings& settings) {
  if (settings.codebook == Codebook::kBinary) return 0;
  if (settings.eta_of_mean > 0) {
    double sum = 0;
    for (const float w : weights) sum += std::abs(w);
    return settings.eta_of_mean * sum / static_cast<double>(weights.size());
  }
  return SyqThreshold(weights, settings.codebook) * (settings.eta_of_max / 0.05);
}

at::Tensor FoldSyq(const at::Tensor& weights, const at::Tensor& alphas, const SyqSettings& settings,
                   FoldedWeights* folded) {
  return SyqFold::apply(weights, alphas, settings, folded);
}

at::Tensor FoldUniform(const at::Tensor& weights, FoldedWeights* folded) { return UniformFold::apply(weights, folded); }

at::Tensor FoldLearned(const at::Tensor& weights, const at::Tensor& log_scales, int bits, FoldedWeights* folded) {
  return LearnedFold::apply(weights, log_scales, bits, folded);
}

}  // namespace bitstage
