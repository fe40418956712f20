#include "engine/training/transform_function.h"

#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/training/torch_tensors.h"

namespace bitstage {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

at::Tensor DenseLike(const at::Tensor& t) {
  return at::empty(t.sizes(), t.options(),
                   t.dim() == 4 ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous);
}

// What a transform's backward pass needs beside tensors.
struct TransformRecord : torch::CustomClassHolder {
  TransformCoefficients coefficients;
  TransformSettings settings;
  std::vector<double> unit, mean, deviation;  // by channel; of the norm
  bool learn_norm = false;
  double step = 1;
};

// An autograd function takes no undefined tensors: an empty one stands in for what is not there.
at::Tensor OrEmpty(const at::Tensor& t) { return t.defined() ? t : at::empty({0}, at::kFloat); }
bool IsThere(const at::Tensor& t) { return t.numel() > 0; }

int64_t Pixels(const at::Tensor& t, size_t channels) { return t.numel() / static_cast<int64_t>(channels); }

const float* DataOrNull(const at::Tensor& t) { return IsThere(t) ? t.data_ptr<float>() : nullptr; }

// mult and add as engine/runtime/conv_step.cc has them.
void SetFactors(const ServedLayer& layer, const TransformSettings& settings, double step,
                TransformCoefficients& coefficients) {
  const double unit = settings.output.to_codes ? step : 1.0;
  const double offset = settings.output.to_codes ? settings.output.zero_point : 0.0;
  const double residual_mult = settings.residual_step / unit;
  for (size_t o = 0; o < layer.scale.size(); ++o) {
    coefficients.mult.push_back(static_cast<float>(settings.input_step * layer.scale[o] / unit));
    coefficients.add.push_back(
        static_cast<float>(layer.bias[o] / unit + offset - residual_mult * settings.residual_zero));
    coefficients.residual_mult.push_back(static_cast<float>(residual_mult));
  }
}

at::Tensor RunForward(const TransformRecord& record, const at::Tensor& acc, const at::Tensor& residual) {
  at::Tensor out = DenseLike(acc);
  TransformForward(record.coefficients, Pixels(acc, record.coefficients.mult.size()), acc.data_ptr<float>(),
                   DataOrNull(residual), out.data_ptr<float>());
  return out;
}

at::Tensor ToTensor(std::span<const double> values, const at::Tensor& like) {
  at::Tensor t = at::empty(like.sizes(), like.options());
  std::copy(values.begin(), values.end(), Values(t).begin());
  return t;
}

class Transform : public torch::autograd::Function<Transform> {
 public:
  static Variable forward(AutogradContext* ctx, const Variable& acc_in, const Variable& gamma, const Variable& beta,
                          const Variable& residual_in, const Variable& log_step, TransformRecord* record) {
    const at::Tensor acc = Dense(acc_in);
    const at::Tensor residual = IsThere(residual_in) ? Dense(residual_in) : residual_in;
    const auto owner = c10::intrusive_ptr<TransformRecord>::reclaim_copy(record);
    ctx->save_for_backward({acc, gamma, beta, residual, log_step});
    ctx->saved_data["record"] = c10::IValue::make_capsule(owner);
    return RunForward(*record, acc, residual);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor& acc = saved[0];
    const auto capsule = ctx->saved_data["record"].toCapsule();
    const auto& record = static_cast<const TransformRecord&>(*capsule);
    const TransformCoefficients& c = record.coefficients;
    const size_t channels = c.mult.size();
    const int64_t pixels = Pixels(acc, channels);
    const at::Tensor grad = Dense(grads[0]);
    at::Tensor grad_t = DenseLike(acc);
    TransformSums sums;
    TransformBackward(c, record.settings.step_gradient, pixels, acc.data_ptr<float>(), DataOrNull(saved[3]),
                      grad.data_ptr<float>(), grad_t.data_ptr<float>(), sums);

    // With X = unit·acc and x = (X − mean) / deviation:  t = (γ·x + β) / step + …
    const double per_step = record.settings.output.to_codes ? 1 / record.step : 1.0;
    std::vector<double> grad_gamma(channels);
    std::vector<double> grad_beta(channels);
    std::vector<float> by_acc(channels);
    std::vector<float> by_one(channels);
    for (size_t o = 0; o < channels; ++o) {
      const double sum_x =
          (record.unit[o] * sums.grad_times_acc[o] - record.mean[o] * sums.grad[o]) / record.deviation[o];
      grad_gamma[o] = sum_x * per_step;
      grad_beta[o] = sums.grad[o] * per_step;
      // ∂E/∂acc = mult · (∂E/∂t − mean(∂E/∂t) − x · mean(∂E/∂t · x))          (Ioffe and Szegedy 2015, arXiv 1502.03167
      // §3)
      const double mean_x = sum_x / static_cast<double>(pixels);
      by_acc[o] = static_cast<float>(-c.mult[o] * mean_x * record.unit[o] / record.deviation[o]);
      by_one[o] = static_cast<float>(
          -c.mult[o] * (sums.grad[o] / static_cast<double>(pixels) - mean_x * record.mean[o] / record.deviation[o]));
    }
    at::Tensor grad_acc = DenseLike(acc);
    if (record.settings.normalise && record.settings.mode == NormMode::kBatch) {
      CombineChannels(pixels, c.mult, grad_t.data_ptr<float>(), by_acc, acc.data_ptr<float>(), by_one,
                      grad_acc.data_ptr<float>());
    } else {
      ScaleChannels(pixels, c.mult, grad_t.data_ptr<float>(), grad_acc.data_ptr<float>());
    }
    at::Tensor grad_residual;
    if (IsThere(saved[3])) {
      grad_residual = DenseLike(acc);
      ScaleChannels(pixels, c.residual_mult, grad_t.data_ptr<float>(), grad_residual.data_ptr<float>());
    }
    at::Tensor grad_step;
    if (IsThere(saved[4]) && record.settings.learn_step) {
      double total = 0;
      for (const double part : sums.log_step) total += part;
      grad_step = at::full(saved[4].sizes(), total, saved[4].options());
    }
    const bool learn = record.learn_norm;
    return {grad_acc,
            learn ? ToTensor(grad_gamma, saved[1]) : Variable(),
            learn ? ToTensor(grad_beta, saved[2]) : Variable(),
            grad_residual,
            grad_step,
            Variable()};
  }
};

}  // namespace

float StepOf(const at::Tensor& log_step) { return FromLog(log_step.data_ptr<float>()[0]); }

ServedLayer Served(const TransformSettings& settings, std::span<const float> gamma, std::span<const float> beta,
                   std::span<const double> mean, std::span<const double> variance) {
  ServedLayer layer;
  for (size_t o = 0; o < gamma.size(); ++o) {
    const double unit = settings.unit[settings.unit.size() == 1 ? 0 : o];
    const double factor = settings.normalise ? gamma[o] / std::sqrt(variance[o] + kNormEpsilon) : gamma[o];
    auto scale = static_cast<float>(unit / settings.input_step * factor);
    if (std::abs(scale) < std::numeric_limits<float>::min()) scale = std::numeric_limits<float>::min();
    layer.scale.push_back(scale);
    layer.bias.push_back(static_cast<float>(beta[o] - (settings.normalise ? factor * mean[o] : 0)));
  }
  return layer;
}

void SetLimits(const OutputSide& output, double step, size_t channels, TransformCoefficients& c) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const double unit = output.to_codes ? step : 1.0;
  const double offset = output.to_codes ? output.zero_point : 0.0;
  const double clamp_low = output.clamp ? output.clamp->low / unit + offset : -kInfinity;
  const double clamp_high = output.clamp ? output.clamp->high / unit + offset : kInfinity;
  const double most = (1 << output.bits) - 1;
  const double low = output.to_codes ? std::clamp(clamp_low, 0.0, most) : clamp_low;
  const double high = output.to_codes ? std::clamp(clamp_high, 0.0, most) : clamp_high;
  c.to_codes = output.to_codes;
  c.zero_point = static_cast<float>(output.zero_point);
  c.low.assign(channels, static_cast<float>(low));
  c.high.assign(channels, static_cast<float>(high));
  c.low_is_grid.assign(channels, output.to_codes && clamp_low < low ? 1.0f : 0.0f);
  c.high_is_grid.assign(channels, output.to_codes && clamp_high > high ? 1.0f : 0.0f);
}

at::Tensor TransformOutput(const at::Tensor& acc_in, const at::Tensor& gamma, const at::Tensor& beta,
                           const at::Tensor& residual, const at::Tensor& log_step, const TransformSettings& settings,
                           RunningMoments* running) {
  const at::Tensor acc = Dense(acc_in);
  const auto channels = static_cast<size_t>(gamma.numel());
  auto record = c10::make_intrusive<TransformRecord>();
  record->settings = settings;
  record->step = log_step.defined() ? StepOf(log_step) : 1.0;
  record->learn_norm = true;
  for (size_t o = 0; o < channels; ++o) record->unit.push_back(settings.unit[settings.unit.size() == 1 ? 0 : o]);
  std::vector<double> variance(channels, 1);
  record->mean.assign(channels, 0);
  record->deviation.assign(channels, 1);
  if (settings.normalise) {
    if (settings.mode == NormMode::kBatch) {
      ChannelMoments(Pixels(acc, channels), static_cast<int64_t>(channels), acc.data_ptr<float>(), record->mean,
                     variance);
      for (size_t o = 0; o < channels; ++o) {
        record->mean[o] *= record->unit[o];
        variance[o] *= record->unit[o] * record->unit[o];
        // Rounded to what a checkpoint keeps.
        running->mean[o] =
            static_cast<float>(running->mean[o] + running->momentum * (record->mean[o] - running->mean[o]));
        running->variance[o] =
            static_cast<float>(running->variance[o] + running->momentum * (variance[o] - running->variance[o]));
      }
    } else {
      record->mean = running->mean;
      variance = running->variance;
    }
    for (size_t o = 0; o < channels; ++o) record->deviation[o] = std::sqrt(variance[o] + kNormEpsilon);
  }
  SetFactors(Served(settings, Values(gamma), Values(beta), record->mean, variance), settings, record->step,
             record->coefficients);
  SetLimits(settings.output, record->step, channels, record->coefficients);
  return Transform::apply(acc, gamma, beta, OrEmpty(residual), OrEmpty(log_step), record.get());
}

at::Tensor Requantize(const at::Tensor& a, const at::Tensor& b, const at::Tensor& log_step, float mult,
                      float residual_mult, float add, const TransformSettings& settings) {
  const auto channels = static_cast<size_t>(a.size(1));
  auto record = c10::make_intrusive<TransformRecord>();
  record->settings = settings;
  record->settings.normalise = false;
  record->step = log_step.defined() ? StepOf(log_step) : 1.0;
  record->unit.assign(channels, 1);
  record->mean.assign(channels, 0);
  record->deviation.assign(channels, 1);
  record->coefficients.mult.assign(channels, mult);
  record->coefficients.add.assign(channels, add);
  record->coefficients.residual_mult.assign(channels, residual_mult);
  SetLimits(settings.output, record->step, channels, record->coefficients);
  return Transform::apply(Dense(a), OrEmpty({}), OrEmpty({}), OrEmpty(b), OrEmpty(log_step), record.get());
}

}  // namespace bitstage
