// Random layers, seeded: shapes, codes, weights and output transforms whose results spread over the codes.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "engine/kernels/params.h"
#include "engine/kernels/words.h"

namespace bitstage::kernels {

class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}

  // Uniform over [low, high].
  int64_t Int(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(engine_); }
  float Float(float low, float high) { return std::uniform_real_distribution<float>(low, high)(engine_); }
  bool OneIn(int64_t n) { return Int(1, n) == 1; }
  template <typename T>
  T OneOf(const std::vector<T>& values) {
    return values[static_cast<size_t>(Int(0, static_cast<int64_t>(values.size()) - 1))];
  }

 private:
  std::mt19937 engine_;
};

// An OutputTransform and the exactly sized arrays behind it.
struct TransformArrays {
  std::vector<float> mult, add, residual_mult, low, high;
  std::vector<uint8_t> shift;

  // For accumulators of about ±`spread`; to codes, or to floats.
  static TransformArrays Make(Random& random, int64_t channels, float spread, bool with_residual, bool to_float);
  // To few codes, which rise with the accumulators: what may come by words.
  static TransformArrays MakeFew(Random& random, int64_t channels, float spread);
  [[nodiscard]] OutputTransform View(bool to_float) const;
  // The same with all that may be known beforehand, where accumulators are at most `magnitude`.
  [[nodiscard]] OutputTransform PreparedView(bool to_float, double magnitude);

  // What PreparedView adds.
  std::vector<uint8_t> low_codes, high_codes;
  // What ByWords adds to a prepared view.
  void ByWords(const Words& words, OutputTransform& view);
  std::vector<int32_t> words = {};
  std::vector<uint8_t> word_masks = {};
  std::vector<uint64_t> doublings;
};

// A convolution with all it reads. `output` is what a kernel writes to: bytes of kUntouched, to be compared whole.
struct ConvCase {
  static constexpr uint8_t kUntouched = 0xa5;

  ConvShape shape = {};
  int max_code = 255;
  int max_weight = 127;
  uint8_t zero_point = 0;
  bool to_float = false;
  bool prepared = false;  // the kernel is told all that may be known beforehand of the output transform
  int64_t input_pixel_stride = 0;
  int64_t residual_pixel_stride = 0;
  int64_t output_pixel_stride = 0;
  int64_t row_begin = 0, row_end = 0;
  std::vector<uint8_t> input;
  std::vector<int8_t> weights;
  std::vector<int32_t> acc_init;
  std::vector<uint8_t> residual;
  TransformArrays transform;

  struct Bounds {
    int max_code;
    int max_weight;
    int weight_values = 0;  // different ones at a kernel position; 0: any count
  };

  // Fills everything behind a shape.
  static ConvCase Make(Random& random, const ConvShape& shape);
  static ConvCase Make(Random& random, const ConvShape& shape, const Bounds& bounds);
  [[nodiscard]] std::string Describe() const;
  // The words by which `kernel` turns accumulators into codes, if the case is prepared, it knows them, and they exist.
  [[nodiscard]] std::optional<Words> WordsFor(const ConvKernel& kernel) const;
  // A call's packed weights, acc_init and transform.
  struct Constants {
    std::vector<int32_t> acc_init;
    TransformArrays arrays;
    OutputTransform view;
    int max_weight;
  };
  // Packs the weights for `kernel`, and scales them where there are words.
  [[nodiscard]] Constants Prepare(const ConvKernel& kernel, std::byte* packed) const;
  // The output buffer after `kernel` ran on it.
  [[nodiscard]] std::vector<uint8_t> Run(const ConvKernel& kernel) const;
  // Whether every byte of `output` outside the rows and channels of the call is as it was.
  [[nodiscard]] bool OutsideIsUntouched(const std::vector<uint8_t>& output) const;
};

// A shape of any kind: dense, grouped, depthwise, fully connected; small enough for the slow reference.
ConvShape RandomShape(Random& random);

}  // namespace bitstage::kernels
