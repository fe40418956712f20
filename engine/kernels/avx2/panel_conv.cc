#include "engine/kernels/panel_conv.h"

#include "engine/kernels/avx2/avx2.h"
#include "engine/kernels/avx2/registers.h"

namespace bitstage::kernels::avx2 {
namespace {

template <typename Form, int kPixels, int kBlocks>
void MicroKernel(const PanelTile& tile) {
  Sums<Form, kPixels, kBlocks> sums;
  sums.Start(tile.acc_init);
  const int32_t* before = tile.acc_init;
  int64_t before_stride = 0;
  const std::byte* weights = tile.weights;
  int64_t room = tile.flush_steps;
  for (int64_t run = 0; run < tile.run_count; ++run) {
    const std::byte* base = tile.base + tile.runs[run];
    const std::byte* pixel[kPixels];
#pragma GCC unroll 16
    for (int i = 0; i < kPixels; ++i) pixel[i] = base + tile.pixels[i];
    for (int64_t step = 0; step < tile.steps;) {
      int64_t end = tile.steps;
      if constexpr (Form::kFlushes) {
        if (room == 0) {
          sums.Finish(before, before_stride, tile.acc, kBlocks * 8);
          sums.Start(nullptr);
          before = tile.acc;
          before_stride = kBlocks * 8;
          room = tile.flush_steps;
        }
        if (room < end - step) end = step + room;
        room -= end - step;
      }
      for (int64_t byte = step * 4; byte < end * 4; byte += 4) {
        __m256i w[kBlocks];
#pragma GCC unroll 4
        for (int b = 0; b < kBlocks; ++b) w[b] = Load(weights + b * 32);
        weights += kPanelStepBytes;
#pragma GCC unroll 16
        for (int i = 0; i < kPixels; ++i) sums.AddStep(w, i, BroadcastStep(pixel[i] + byte));
      }
      step = end;
    }
  }
  sums.Finish(before, before_stride, tile.acc, kBlocks * 8);
}

void WidenCodes(const uint8_t* codes, int64_t count, std::byte* wide) {
  for (int64_t i = 0; i < count; i += 16) {
    Store(wide + i * 2, _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes + i))));
  }
}

// Where steps are wide, a vector is two of them.
template <bool kWide, int kWidth>
void OpenWidth(const PanelWeights& weights) {
  constexpr int kPerChunk = 8 / kWidth;
  constexpr int64_t kOpenedBytes = kWide ? 128 : 64;  // of a vector
  const PackedView& packed = weights.packed;
  const int64_t vectors = kWide ? (weights.steps + 1) / 2 : weights.steps;
  const uint8_t* chunk = packed.chunks + weights.panel * weights.runs * packed.section_chunks * 64;
  for (int64_t run = 0; run < weights.runs; ++run) {
    const __m256i table = LoadTable(packed, run);
    // Of an odd number of wide steps the last vector's end is the next run's beginning.
    std::byte* to = weights.to + run * weights.steps * kPanelStepBytes;
    for (int64_t vector = 0; vector < vectors; vector += kPerChunk, chunk += 64) {
#pragma GCC unroll 4
      for (int k = 0; k < kPerChunk; ++k) {
        if (vector + k >= vectors) break;
        for (int half = 0; half < 2; ++half, to += kOpenedBytes / 2) {
          const __m256i bytes = OpenHalf<kWidth>(chunk + half * 32, k, table);
          if constexpr (kWide) {
            Store(to, _mm256_cvtepi8_epi16(_mm256_castsi256_si128(bytes)));
            Store(to + 32, _mm256_cvtepi8_epi16(_mm256_extracti128_si256(bytes, 1)));
          } else {
            Store(to, bytes);
          }
        }
      }
    }
  }
}

template <bool kWide>
void Open(const PanelWeights& weights) {
  switch (weights.packed.width) {
    case 2: return OpenWidth<kWide, 2>(weights);
    case 4: return OpenWidth<kWide, 4>(weights);
    default: return OpenWidth<kWide, 8>(weights);
  }
}

template <typename Form>
constexpr PanelTier kTier = {
    !Form::kFlushes,
    {{12,
      {MicroKernel<Form, 1, 1>, MicroKernel<Form, 2, 1>, nullptr, MicroKernel<Form, 4, 1>, nullptr, nullptr, nullptr,
       MicroKernel<Form, 8, 1>, nullptr, nullptr, nullptr, MicroKernel<Form, 12, 1>}},
     {6,
      {MicroKernel<Form, 1, 2>, MicroKernel<Form, 2, 2>, MicroKernel<Form, 3, 2>, MicroKernel<Form, 4, 2>,
       MicroKernel<Form, 5, 2>, MicroKernel<Form, 6, 2>}}},
    WidenCodes,
    Open<!Form::kFlushes>,
    Transform,
};

template <typename Form>
constexpr ConvKernel Kernel(const char* name, bool (*supports)(const ConvShape&, int, int),
                            double (*cycles)(const ConvShape&, int, int)) {
  return {
      name,
      supports,
      cycles,
      [](const ConvShape& shape, const int8_t* weights) { return PanelPackedBytes(kTier<Form>, shape, weights); },
      [](const ConvShape& shape, const int8_t* weights, std::byte* packed) {
        PanelPack(kTier<Form>, shape, weights, packed);
      },
      [](const ConvShape& shape) { return PanelScratchBytes(kTier<Form>, shape); },
      [](const ConvShape& shape, const ConvCall& call) { PanelRun(kTier<Form>, shape, call); },
  };
}

}  // namespace

constinit const ConvKernel kPairs = Kernel<Pairs>(
    "avx2_pairs", [](const ConvShape&, int max_code, int max_weight) { return 2 * max_code * max_weight <= INT16_MAX; },
    [](const ConvShape& shape, int max_code, int max_weight) {
      // A flush costs about as much as two steps.
      const auto steps = static_cast<double>(FlushSteps(max_code, max_weight));
      return PanelCycles(kTier<Pairs>, shape, 52 * steps / (steps + 2));
    });

constinit const ConvKernel kWords = Kernel<Words>(
    "avx2_words", [](const ConvShape&, int, int) { return true; },
    [](const ConvShape& shape, int, int) { return PanelCycles(kTier<Words>, shape, 26); });

}  // namespace bitstage::kernels::avx2
