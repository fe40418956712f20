#include "engine/kernels/patch_conv.h"

#include <algorithm>
#include <type_traits>

#include "engine/kernels/avx512_vnni/avx512_vnni.h"
#include "engine/kernels/avx512_vnni/open_weights.h"
#include "engine/kernels/avx512_vnni/patch_output.h"
#include "engine/kernels/avx512_vnni/registers.h"

namespace bitstage::kernels::avx512_vnni {
namespace {

// Pixels are addressed three at a time from one pointer: that leaves registers for the pointers.
template <int kPixels>
struct Pointers {
  static constexpr int kCount = (kPixels + 2) / 3;
  const uint8_t* at[kCount];
};

template <int kPixels, int kBlocks, int kUnroll>
BITSTAGE_INLINE void Steps(Pointers<kPixels>& pointers, int64_t pixel_bytes, const int8_t* weights, int64_t block_bytes,
                           __m512i (&acc)[kPixels][kBlocks]) {
  __m512i w[kUnroll][kBlocks];
  Unrolled<kUnroll>([&](auto u) {
    Unrolled<kBlocks>([&](auto b) { w[u][b] = _mm512_loadu_si512(weights + u * 64 + b * block_bytes); });
  });
  Unrolled<kPixels>([&](auto i) {
    Unrolled<kUnroll>([&](auto u) {
      const __m512i four = BroadcastFour(pointers.at[i / 3] + (i % 3) * pixel_bytes + u * 4);
      Unrolled<kBlocks>([&](auto b) { acc[i][b] = DotProduct(acc[i][b], four, w[u][b]); });
    });
  });
  Unrolled<Pointers<kPixels>::kCount>([&](auto g) {
    pointers.at[g] += kUnroll * 4;
    __asm__("" : "+r"(pointers.at[g]));  // stays a pointer of its own
  });
}

// Calls add(first step, number of steps) for each segment of a tile's first patch, its rests last.
template <typename Add>
BITSTAGE_INLINE void ForSegments(const PatchTile& tile, const Add& add) {
  const uint8_t* patch = tile.patch;
  int64_t segment_bytes = tile.segment_bytes;
  int64_t steps = tile.steps;
  for (int64_t s = 0, end = tile.segments;;) {
    add(patch, steps);
    if (++s < end) {
      patch += segment_bytes;
      continue;
    }
    if (s > tile.segments || tile.rest_segments == 0) return;
    end += tile.rest_segments;
    patch = tile.rests;
    segment_bytes = tile.rest_bytes;
    steps = 1;
  }
}

// The sums of the kPixels pixels of a tile.
template <int kPixels, int kBlocks, int kUnroll>
BITSTAGE_INLINE void Accumulate(const PatchTile& tile, __m512i (&acc)[kPixels][kBlocks]) {
  Unrolled<kBlocks>([&](auto b) {
    const __m512i init = _mm512_loadu_si512(tile.acc_init + 16 * b);
    Unrolled<kPixels>([&](auto i) { acc[i][b] = init; });
  });
  const int64_t pixel_bytes = tile.pixel_bytes;
  const int64_t block_bytes = tile.block_bytes;
  const int8_t* weights = tile.weights;
  ForSegments(tile, [&](const uint8_t* segment, int64_t steps) BITSTAGE_INLINED {
    Pointers<kPixels> pointers;
    Unrolled<Pointers<kPixels>::kCount>([&](auto g) { pointers.at[g] = segment + g * 3 * pixel_bytes; });
    for (; steps >= kUnroll; steps -= kUnroll, weights += kUnroll * 64) {
      Steps<kPixels, kBlocks, kUnroll>(pointers, pixel_bytes, weights, block_bytes, acc);
    }
    if constexpr (kUnroll > 1) {
      for (; steps > 0; --steps, weights += 64) {
        Steps<kPixels, kBlocks, 1>(pointers, pixel_bytes, weights, block_bytes, acc);
      }
    }
  });
}

template <int kPixels, int kBlocks>
__attribute__((flatten)) void MicroKernel(const PatchTile& tile) {
  // With few accumulators a pixel, several steps at a time save instructions on pointers.
  constexpr int kUnroll = kBlocks == 1 ? 4 : kPixels * kBlocks <= 16 && kBlocks == 2 ? 2 : 1;
  __m512i acc[kPixels][kBlocks];
  Accumulate<kPixels, kBlocks, kUnroll>(tile, acc);
  Store<kPixels, kBlocks>(tile, acc);
}

// Seven pixels of four blocks leave a register for a broadcast and three for weights: the fourth stays in memory.
__attribute__((flatten)) void SevenKernel(const PatchTile& tile) {
  __m512i acc[7][4];
  Unrolled<4>([&](auto b) {
    const __m512i init = _mm512_loadu_si512(tile.acc_init + 16 * b);
    Unrolled<7>([&](auto i) { acc[i][b] = init; });
  });
  int64_t offset[7];
  Unrolled<7>([&](auto i) { offset[i] = i * tile.pixel_bytes; });
  const int64_t block_bytes = tile.block_bytes;
  const int8_t* weights = tile.weights;
  const auto* ahead = reinterpret_cast<const char*>(tile.ahead);
  if (ahead == nullptr) ahead = reinterpret_cast<const char*>(weights);  // near already
  const int64_t ahead_step = tile.ahead == nullptr ? 0 : 64;
  ForSegments(tile, [&](const uint8_t* patch, int64_t steps) BITSTAGE_INLINED {
    const uint8_t* const end = patch + steps * 4;
    for (; patch != end; patch += 4, weights += 64) {
      __m512i w[3];
      _mm_prefetch(ahead, _MM_HINT_T1);
      ahead += ahead_step;
      Unrolled<3>([&](auto b) { w[b] = LoadInOrder(weights, b * block_bytes); });
      Unrolled<7>([&](auto i) {
        const __m512i four = BroadcastFourInOrder(patch, offset[i]);
        Unrolled<3>([&](auto b) { acc[i][b] = DotProductInOrder(acc[i][b], four, w[b]); });
        acc[i][3] = DotProductInOrder(acc[i][3], four, weights, 3 * block_bytes);
      });
    }
  });
  Store<7, 4>(tile, acc);
}

// One step of kPixels pixels, in the order written: a tile's sums and the next one's fill the registers.
template <int kPixels, int kBlocks>
BITSTAGE_INLINE void StepInOrder(const uint8_t* patch, int64_t pixel_bytes, const int8_t* weights, int64_t block_bytes,
                                 __m512i (&acc)[kPixels][kBlocks]) {
  __m512i w[kBlocks];
  Unrolled<kBlocks>([&](auto b) { w[b] = LoadInOrder(weights, b * block_bytes); });
  Unrolled<kPixels>([&](auto i) {
    const __m512i four = BroadcastFourInOrder(patch, i * pixel_bytes);
    Unrolled<kBlocks>([&](auto b) { acc[i][b] = DotProductInOrder(acc[i][b], four, w[b]); });
  });
}

// Any number of pixels from kPixels on, so many at a time, which become codes while the next ones are summed: the way
// to codes is long and waits for the last product. As PatchTier::runs. `Codes`: SymbolCodes or WordCodes.
template <int kPixels, int kBlocks, typename Codes, bool kResidual>
__attribute__((flatten)) void PipelinedTiles(const PatchTile& tile) {
  const int64_t pixel_bytes = tile.pixel_bytes;
  const int64_t block_bytes = tile.block_bytes;
  const Codes codes(tile);
  const int64_t last = tile.pixels - kPixels;  // the last tile ends with the last pixel, and repeats some
  const auto accumulate = [&](int64_t pixel, __m512i(&acc)[kPixels][kBlocks]) __attribute__((always_inline)) {
    Unrolled<kBlocks>([&](auto b) {
      const __m512i init = _mm512_loadu_si512(tile.acc_init + 16 * b);
      Unrolled<kPixels>([&](auto i) { acc[i][b] = init; });
    });
    const uint8_t* patch = tile.patch + pixel * pixel_bytes;
    const int8_t* weights = tile.weights;
    const int8_t* const end = weights + block_bytes;
    for (; weights != end; weights += 64, patch += 4) {
      StepInOrder<kPixels, kBlocks>(patch, pixel_bytes, weights, block_bytes, acc);
    }
  };
  const auto store = [&](int64_t pixel, __m512i(&acc)[kPixels][kBlocks]) __attribute__((always_inline)) {
    uint8_t* const output = static_cast<uint8_t*>(tile.output) + pixel * tile.output_pixel_stride;
    if constexpr (!std::is_same_v<Codes, SymbolCodes<kBlocks>>) {
      return StoreCodes<kPixels, kBlocks>(tile, codes, output, kPixels, acc);
    }
    Unrolled<kBlocks>([&](auto b) {
      const __m512 mult = _mm512_loadu_ps(tile.transform.mult + 16 * b);
      const __m512 add = _mm512_loadu_ps(tile.transform.add + 16 * b);
      const uint8_t* residual = tile.residual + pixel * tile.residual_pixel_stride + 16 * b;
      Unrolled<kPixels>([&](auto i) {
        __m512 t = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[i][b]), mult, add);
        if constexpr (kResidual) {
          t = _mm512_fmadd_ps(LoadCodes(residual), _mm512_loadu_ps(tile.transform.residual_mult + 16 * b), t);
          residual += tile.residual_pixel_stride;
        }
        acc[i][b] = _mm512_cvtps_epi32(t);
      });
    });
    StoreCodes<kPixels, kBlocks>(tile, codes, output, kPixels, acc);
  };
  __m512i acc[kPixels][kBlocks];
  accumulate(0, acc);
  int64_t pixel = 0;
  while (pixel < last) {
    __m512i next[kPixels][kBlocks];
    const int64_t following = last - pixel < kPixels ? last : pixel + kPixels;
    accumulate(following, next);
    store(pixel, acc);
    pixel = following;
    Unrolled<kPixels>([&](auto i) { Unrolled<kBlocks>([&](auto b) { acc[i][b] = next[i][b]; }); });
  }
  store(pixel, acc);
}

template <int kPixels, int kBlocks>
void PipelinedKernel(const PatchTile& tile) {
  if (tile.transform.words != nullptr) {
    return tile.transform.word_shift == 0 ? PipelinedTiles<kPixels, kBlocks, WordCodes<kBlocks, false>, false>(tile)
                                          : PipelinedTiles<kPixels, kBlocks, WordCodes<kBlocks, true>, false>(tile);
  }
  tile.residual == nullptr ? PipelinedTiles<kPixels, kBlocks, SymbolCodes<kBlocks>, false>(tile)
                           : PipelinedTiles<kPixels, kBlocks, SymbolCodes<kBlocks>, true>(tile);
}

// Pieces overlap what comes after them, which is written later.
template <typename Move>
BITSTAGE_INLINE void CopyPieces(const PatchCopy& copy, Move move) {
  for (int64_t i = 0; i < copy.count; ++i) {
    uint8_t* to = copy.to + i * copy.to_bytes;
    for (int64_t row = 0; row < copy.rows; ++row, to += copy.row_bytes) {
      move(copy.from[row] + i * copy.pixel_bytes, to);
    }
  }
}

void Copy(const PatchCopy& copy) {
  if (copy.row_bytes <= 16) {
    CopyPieces(copy, [](const uint8_t* from, uint8_t* to) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
    });
  } else if (copy.row_bytes <= 32) {
    CopyPieces(copy, [](const uint8_t* from, uint8_t* to) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
    });
  } else {
    CopyPieces(copy, [&](const uint8_t* from, uint8_t* to) {
      for (int64_t byte = 0; byte < copy.row_bytes; byte += 64) {
        _mm512_storeu_si512(to + byte, _mm512_loadu_si512(from + byte));
      }
    });
  }
}

// A register of as many pixels as it holds whole, a byte of each at a time: so many cost a load.
void CopyRests(const PatchRests& rests) {
  const int64_t pixels = 64 / rests.pixel_bytes;
  uint64_t first = 0;  // byte of every pixel
  for (int64_t i = 0; i < pixels; ++i) first |= uint64_t{1} << (i * rests.pixel_bytes);
  const int64_t bytes = rests.rows * rests.row_rest;
  const int64_t end = rests.count * rests.pixel_bytes;
  for (int64_t at = 0; at < end; at += pixels * rests.pixel_bytes) {
    const uint8_t* const* row = rests.from;
    int64_t of_row = 0;
    for (int64_t step = 0; 4 * step < bytes; ++step) {
      __m512i four = _mm512_setzero_si512();
      for (int64_t byte = 0; byte < std::min<int64_t>(4, bytes - 4 * step); ++byte) {
        four = _mm512_mask_loadu_epi8(four, first << byte, *row + at + of_row - byte);
        if (++of_row < rests.row_rest) continue;
        of_row = 0;
        ++row;
      }
      _mm512_storeu_si512(rests.to + step * rests.step_bytes + at, four);
    }
  }
}

template <int kWidth>
void OpenBlocks(const PatchWeights& weights) {
  constexpr int kPerChunk = 8 / kWidth;
  const PackedShape& shape = weights.shape;
  const uint8_t* chunk =
      weights.packed.chunks + weights.block * shape.sections * weights.packed.section_chunks * shape.vector_bytes;
  int8_t* to = weights.to;
  for (int64_t block = 0; block < weights.blocks; ++block) {
    for (int64_t section = 0; section < shape.sections; ++section) {
      const OpenTables tables = TablesFor<kWidth>(weights.packed.tables + section * kPackedTable);
      for (int64_t left = shape.section_vectors; left > 0; left -= kPerChunk, chunk += 64) {
        Unrolled<kPerChunk>([&](auto k) {
          if (k >= left) return;
          _mm512_storeu_si512(to, OpenVector<kWidth, k>(chunk, tables));
          to += 64;
        });
      }
    }
  }
}

void Open(const PatchWeights& weights) {
  return weights.packed.width == 2 ? OpenBlocks<2>(weights) : OpenBlocks<4>(weights);
}

constexpr PatchTier kTier = {
    16,
    {{{14, MicroKernel<14, 1>}, {14, MicroKernel<14, 2>}, {7, MicroKernel<7, 3>}, {7, SevenKernel, true}},
     {{12, MicroKernel<12, 1>}, {12, MicroKernel<12, 2>}, {8, MicroKernel<8, 3>}, {6, MicroKernel<6, 4>}},
     {{16, MicroKernel<16, 1>}, {8, MicroKernel<8, 2>}, {8, MicroKernel<8, 3>}, {4, MicroKernel<4, 4>}}},
    {{12, PipelinedKernel<12, 1>}, {6, PipelinedKernel<6, 2>}, {4, PipelinedKernel<4, 3>}, {3, PipelinedKernel<3, 4>}},
    {MicroKernel<1, 1>, MicroKernel<1, 2>, MicroKernel<1, 3>, MicroKernel<1, 4>},
    Copy,
    CopyRests,
    Open,
    118,
    4,
};

}  // namespace

constinit const ConvKernel kPatch = {
    "vnni_patch",
    [](const ConvShape& shape, int, int) { return PatchSupports(shape); },
    [](const ConvShape& shape, int, int) { return PatchCycles(kTier, shape); },
    [](const ConvShape& shape, const int8_t* weights) { return PatchPackedBytes(kTier, shape, weights); },
    [](const ConvShape& shape, const int8_t* weights, std::byte* packed) { PatchPack(kTier, shape, weights, packed); },
    [](const ConvShape& shape) { return PatchScratchBytes(kTier, shape); },
    [](const ConvShape& shape, const ConvCall& call) { PatchRun(kTier, shape, call); },
    nullptr,
    nullptr,
    [](const ConvShape& shape, int factor, std::byte* packed) { PatchScale(kTier, shape, factor, packed); },
};

}  // namespace bitstage::kernels::avx512_vnni
