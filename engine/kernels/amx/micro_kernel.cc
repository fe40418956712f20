#include <immintrin.h>

#include <utility>

#include "engine/kernels/amx/block.h"
#include "engine/kernels/amx/tile.h"

namespace bitstage::kernels::amx {
namespace {

constexpr int64_t kTile = 1024;

// body(0), body(1), … with constants, so that arrays of registers are never indexed by a variable.
template <int kCount, typename Body>
__attribute__((always_inline)) inline void Unrolled(Body body) {
  [&]<int... k>(std::integer_sequence<int, k...>) { (body(std::integral_constant<int, k>()), ...); }
  (std::make_integer_sequence<int, kCount>());
}

// From sums to codes, 64 at a time: the channels of two lines, or of four lines where a block has one column. What
// belongs to channels stays in registers.
template <int kColumnTiles>
class Epilogue {
 public:
  __attribute__((always_inline)) explicit Epilogue(const PendingSums& pending)
      : sums_(pending.sums),
        pixels_(pending.pixels),
        end_(pending.lines),
        residual_(pending.residual),
        residual_stride_(pending.residual_pixel_stride),
        output_(pending.output),
        output_stride_(pending.output_pixel_stride),
        nowhere_(pending.nowhere),
        lanes_(static_cast<uint32_t>((1ull << pending.channels) - 1)) {
    if (end_ == 0) return;
    const OutputTransform& transform = pending.transform;
    shifts_ = transform.shift != nullptr;
    Unrolled<kColumnTiles>([&](auto c) {
      const auto lanes = static_cast<__mmask16>(lanes_ >> (16 * c));
      init_[c] = _mm512_maskz_loadu_epi32(lanes, pending.acc_init + 16 * c);
      mult_[c] = _mm512_maskz_loadu_ps(lanes, transform.mult + 16 * c);
      add_[c] = _mm512_maskz_loadu_ps(lanes, transform.add + 16 * c);
      low_[c] = _mm512_maskz_loadu_ps(lanes, transform.low + 16 * c);
      high_[c] = _mm512_maskz_loadu_ps(lanes, transform.high + 16 * c);
      if (residual_ != nullptr) residual_mult_[c] = _mm512_maskz_loadu_ps(lanes, transform.residual_mult + 16 * c);
      if (shifts_) shift_[c] = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(lanes, transform.shift + 16 * c));
    });
  }

  // Pieces of kLines lines, the last one of fewer.
  [[nodiscard]] __attribute__((always_inline)) int64_t pieces() const { return (end_ + kLines - 1) / kLines; }
  [[nodiscard]] __attribute__((always_inline)) bool done() const { return line_ >= end_; }

  __attribute__((always_inline)) void Piece() {
    const uint8_t* residual[kLines];
    uint8_t* output[kLines];
    Unrolled<kLines>([&](auto i) {
      const int64_t pixel = pixels_[line_ + i];
      output[i] = pixel < 0 ? nowhere_ : output_ + pixel * output_stride_;
      residual[i] = pixel < 0 ? nowhere_ : residual_ + pixel * residual_stride_;
    });
    // 16 channels of a line each.
    __m512 t[4];
    Unrolled<4>([&](auto i) {
      const __m512i sums = _mm512_load_si512(sums_ + line_ * kColumnTiles * 16 + 16 * i);
      t[i] = _mm512_cvtepi32_ps(_mm512_add_epi32(sums, init_[i % kColumnTiles]));
      t[i] = _mm512_fmadd_ps(t[i], mult_[i % kColumnTiles], add_[i % kColumnTiles]);
    });
    if (residual_ != nullptr) AddResidual(residual, t);
    __m512i codes[4];
    Unrolled<4>([&](auto i) {
      constexpr int c = i % kColumnTiles;
      codes[i] = _mm512_cvtps_epi32(_mm512_min_ps(high_[c], _mm512_max_ps(low_[c], t[i])));
    });
    if (shifts_) Unrolled<4>([&](auto i) { codes[i] = _mm512_sllv_epi32(codes[i], shift_[i % kColumnTiles]); });
    const __m512i interleaved =
        _mm512_packus_epi16(_mm512_packs_epi32(codes[0], codes[1]), _mm512_packs_epi32(codes[2], codes[3]));
    Store(_mm512_permutexvar_epi32(Transposed(), interleaved), output);
    line_ += kLines;
  }

 private:
  static constexpr int kLines = 4 / kColumnTiles;

  // Packing leaves four codes of each of the four registers in every 128-bit lane: a 4 x 4 transpose of dwords, which
  // is its own inverse.
  __attribute__((always_inline)) static __m512i Transposed() {
    return _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  }

  // Inputs may be read past their last channel (params.h).
  __attribute__((always_inline)) void AddResidual(const uint8_t* const (&residual)[kLines], __m512 (&t)[4]) const {
    __m512i codes;
    if constexpr (kColumnTiles == 2) {
      codes = _mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(residual[0])));
      codes = _mm512_inserti64x4(codes, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(residual[1])), 1);
    } else {
      codes = _mm512_castsi128_si512(_mm_loadu_si128(reinterpret_cast<const __m128i*>(residual[0])));
      codes = _mm512_inserti32x4(codes, _mm_loadu_si128(reinterpret_cast<const __m128i*>(residual[1])), 1);
      codes = _mm512_inserti32x4(codes, _mm_loadu_si128(reinterpret_cast<const __m128i*>(residual[2])), 2);
      codes = _mm512_inserti32x4(codes, _mm_loadu_si128(reinterpret_cast<const __m128i*>(residual[3])), 3);
    }
    codes = _mm512_permutexvar_epi32(Transposed(), codes);
    // Byte 4i + j of each 128-bit lane, zero-extended, to dword j.
    const __m512i extend = _mm512_set4_epi32(static_cast<int>(0x80808003), static_cast<int>(0x80808002),
                                             static_cast<int>(0x80808001), static_cast<int>(0x80808000));
    Unrolled<4>([&](auto i) {
      const __m512i select = _mm512_add_epi32(extend, _mm512_set1_epi32(4 * i));
      const __m512 real = _mm512_cvtepi32_ps(_mm512_shuffle_epi8(codes, select));
      t[i] = _mm512_fmadd_ps(real, residual_mult_[i % kColumnTiles], t[i]);
    });
  }

  __attribute__((always_inline)) void Store(__m512i codes, uint8_t* const (&output)[kLines]) const {
    if constexpr (kColumnTiles == 2) {
      _mm256_mask_storeu_epi8(output[0], lanes_, _mm512_castsi512_si256(codes));
      _mm256_mask_storeu_epi8(output[1], lanes_, _mm512_extracti64x4_epi64(codes, 1));
    } else {
      const auto lanes = static_cast<__mmask16>(lanes_);
      _mm_mask_storeu_epi8(output[0], lanes, _mm512_castsi512_si128(codes));
      _mm_mask_storeu_epi8(output[1], lanes, _mm512_extracti32x4_epi32(codes, 1));
      _mm_mask_storeu_epi8(output[2], lanes, _mm512_extracti32x4_epi32(codes, 2));
      _mm_mask_storeu_epi8(output[3], lanes, _mm512_extracti32x4_epi32(codes, 3));
    }
  }

  const int32_t* const sums_;
  const int32_t* const pixels_;
  const int64_t end_;
  const uint8_t* const residual_;
  const int64_t residual_stride_;
  uint8_t* const output_;
  const int64_t output_stride_;
  uint8_t* const nowhere_;
  const uint32_t lanes_;
  bool shifts_ = false;
  int64_t line_ = 0;
  __m512i init_[kColumnTiles] = {};
  __m512 mult_[kColumnTiles] = {};
  __m512 add_[kColumnTiles] = {};
  __m512 low_[kColumnTiles] = {};
  __m512 high_[kColumnTiles] = {};
  __m512 residual_mult_[kColumnTiles] = {};
  __m512i shift_[kColumnTiles] = {};
};

constexpr int64_t PackedBytes(WeightSource source) {
  return source == kTwoBits ? kTile / 4 : source == kFourBits ? kTile / 2 : kTile;
}

// One packed tile to 16 lines of weights (weights.h).
template <WeightSource kSource>
__attribute__((always_inline)) inline void Open(const __m512i (&values)[3], const uint8_t* packed, int8_t* tile) {
  if constexpr (kSource == kTwoBits) {
    Unrolled<4>([&](auto v) {
      const __m512i fields = _mm512_load_si512(packed + 64 * v);
      int8_t* lines = tile + 256 * v;
      _mm512_store_si512(lines, _mm512_permutexvar_epi8(fields, values[0]));
      _mm512_store_si512(lines + 64, _mm512_permutexvar_epi8(fields, values[1]));
      _mm512_store_si512(lines + 128, _mm512_permutexvar_epi8(fields, values[2]));
      _mm512_store_si512(lines + 192, _mm512_permutexvar_epi8(_mm512_srli_epi16(fields, 2), values[2]));
    });
  } else {
    Unrolled<8>([&](auto v) {
      const __m512i fields = _mm512_load_si512(packed + 64 * v);
      _mm512_store_si512(tile + 128 * v, _mm512_permutexvar_epi8(fields, values[0]));
      _mm512_store_si512(tile + 128 * v + 64, _mm512_permutexvar_epi8(_mm512_srli_epi16(fields, 4), values[0]));
    });
  }
}

// Bytes that weights are fetched ahead of their use.
constexpr int64_t FetchAhead(WeightSource source) { return source == kFar ? 8192 : 4096; }

template <WeightSource kSource, int kColumnTiles>
__attribute__((always_inline)) inline void FetchAndOpen(const Block& block, int64_t step) {
  constexpr int64_t kBytes = PackedBytes(kSource);
  const uint8_t* packed = block.packed + step * kBytes;
  Unrolled<kColumnTiles>([&](auto c) {
    for (int64_t byte = 0; byte < kBytes; byte += 64) {
      const uint8_t* ahead = packed + c * block.packed_column + FetchAhead(kSource) + byte;
      _mm_prefetch(reinterpret_cast<const char*>(ahead), _MM_HINT_T0);
    }
  });
  if constexpr (kSource == kFourBits || kSource == kTwoBits) {
    if (step >= block.steps) return;
    const __m512i values[3] = {_mm512_load_si512(block.values[0]), _mm512_load_si512(block.values[1]),
                               _mm512_load_si512(block.values[2])};
    int8_t* opened = block.opened + (step & block.weights_mask) * kTile;
    Unrolled<kColumnTiles>(
        [&](auto c) { Open<kSource>(values, packed + c * block.packed_column, opened + c * block.weights_column); });
  }
}

// One step: tiles of sums are 0 … 3, row by row, of codes 4 and 5, of weights 6 and 7.
template <int kRowTiles, int kColumnTiles>
__attribute__((always_inline)) inline void MultiplyStep(const Block& block, int64_t step) {
  const int8_t* weights = block.weights + (step & block.weights_mask) * kTile;
  const int64_t offset = block.step_bytes[step];
  if constexpr (kColumnTiles == 2) {
    Unrolled<kRowTiles>([&](auto r) { LoadTile<4 + r>(block.codes[r] + offset, block.line_stride); });
    LoadTile<6>(weights, 64);
    LoadTile<7>(weights + block.weights_column, 64);
    Unrolled<kRowTiles>([&](auto r) {
      MultiplyTiles<2 * r, 4 + r, 6>();
      MultiplyTiles<2 * r + 1, 4 + r, 7>();
    });
  } else {
    LoadTile<7>(weights, 64);
    Unrolled<kRowTiles>([&](auto r) {
      LoadTile<4 + r % 3>(block.codes[r] + offset, block.line_stride);  // 6 holds codes here
      MultiplyTiles<r, 4 + r % 3, 7>();
    });
  }
}

template <int kRowTiles, int kColumnTiles, WeightSource kSource>
__attribute__((flatten)) void MicroKernel(const Block& block) {
  Epilogue<kColumnTiles> epilogue(block.pending);
  const int64_t pieces_a_step = (epilogue.pieces() + block.steps - 1) / block.steps;
  Unrolled<kRowTiles * kColumnTiles>([&](auto sums) { ZeroTile<sums>(); });
  if constexpr (kSource == kFourBits || kSource == kTwoBits) {
    for (int64_t step = 0; step < kOpenAhead; ++step) FetchAndOpen<kSource, kColumnTiles>(block, step);
  }
  for (int64_t step = 0; step < block.steps; ++step) {
    if constexpr (kSource == kFar) FetchAndOpen<kSource, kColumnTiles>(block, step);
    if constexpr (kSource == kFourBits || kSource == kTwoBits) {
      FetchAndOpen<kSource, kColumnTiles>(block, step + kOpenAhead);
    }
    MultiplyStep<kRowTiles, kColumnTiles>(block, step);
    for (int64_t piece = 0; piece < pieces_a_step && !epilogue.done(); ++piece) epilogue.Piece();
  }
  constexpr int64_t kStride = kColumnTiles * 16;
  Unrolled<kRowTiles>([&](auto r) {
    Unrolled<kColumnTiles>(
        [&](auto c) { StoreTile<r * kColumnTiles + c>(block.sums + r * block.rows * kStride + c * 16, kStride * 4); });
  });
}

template <int kColumnTiles>
__attribute__((flatten)) void Finish(const PendingSums& pending) {
  Epilogue<kColumnTiles> epilogue(pending);
  while (!epilogue.done()) epilogue.Piece();
}

}  // namespace

#define BITSTAGE_SOURCES(rows, columns)                                                                         \
  {                                                                                                             \
    MicroKernel<rows, columns, kNear>, MicroKernel<rows, columns, kFar>, MicroKernel<rows, columns, kFourBits>, \
        MicroKernel<rows, columns, kTwoBits>,                                                                   \
  }
constinit const MicroKernelFunction kOneColumn[4][kWeightSources] = {BITSTAGE_SOURCES(1, 1), BITSTAGE_SOURCES(2, 1),
                                                                     BITSTAGE_SOURCES(3, 1), BITSTAGE_SOURCES(4, 1)};
constinit const MicroKernelFunction kTwoColumns[2][kWeightSources] = {BITSTAGE_SOURCES(1, 2), BITSTAGE_SOURCES(2, 2)};
#undef BITSTAGE_SOURCES

void ConfigureFor(int64_t columns, int64_t rows) {
  TileShapes shapes = {};
  shapes.palette = 1;
  for (int tile = 0; tile < 8; ++tile) {
    const bool weights = tile == 7 || (tile == 6 && columns == 2);
    shapes.column_bytes[tile] = 64;
    shapes.rows[tile] = static_cast<uint8_t>(weights ? 16 : rows);
  }
  ConfigureTiles(shapes);
}

void Release() { ReleaseTiles(); }

void FinishOneColumn(const PendingSums& pending) { Finish<1>(pending); }
void FinishTwoColumns(const PendingSums& pending) { Finish<2>(pending); }

}  // namespace bitstage::kernels::amx
