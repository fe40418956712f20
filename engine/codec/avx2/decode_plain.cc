// Single symbols by one table, AVX2: chains run on through lane after lane, and only then is each lane's length, the
// sum of its codes', held against the index: 32 codes at a time.
#include <immintrin.h>

#include "engine/codec/avx2/kernels.h"
#include "engine/codec/portable/kernels.h"
#include "engine/codec/portable/runs.h"

namespace bitstage::codec::avx2 {
namespace {

constexpr int kChains = 4;
constexpr int kMaxBits = 5;  // of a symbol: two byte shuffles tell its code's length

// Bits of the codes of symbols.
class LengthSum {
 public:
  explicit LengthSum(const CellTables& tables) : lengths_(tables.lengths), shift_(tables.shift_of[0]) {
    alignas(16) uint8_t lengths[32] = {};
    std::memcpy(lengths, tables.lengths, size_t{1} << tables.bits_of[0]);
    low_ = _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(lengths)));
    high_ = _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(lengths + 16)));
  }

  int64_t operator()(const uint8_t* codes, int64_t count) const {
    const __m128i shift = _mm_cvtsi32_si128(shift_);
    __m256i sum = _mm256_setzero_si256();
    int64_t i = 0;
    for (; i + 32 <= count; i += 32) {
      const __m256i code = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes + i));
      // Bits of the neighbour that a shift of 16 bits brings in lie above a symbol's five.
      const __m256i symbol = _mm256_and_si256(_mm256_srl_epi16(code, shift), _mm256_set1_epi8(31));
      const __m256i length = _mm256_blendv_epi8(_mm256_shuffle_epi8(low_, symbol), _mm256_shuffle_epi8(high_, symbol),
                                                _mm256_slli_epi16(symbol, 3));
      sum = _mm256_add_epi64(sum, _mm256_sad_epu8(length, _mm256_setzero_si256()));
    }
    const __m128i halves = _mm_add_epi64(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    int64_t bits = _mm_cvtsi128_si64(halves) + _mm_extract_epi64(halves, 1);
    for (; i < count; ++i) bits += lengths_[codes[i] >> shift_];
    return bits;
  }

 private:
  const uint8_t* lengths_;
  int shift_;
  __m256i low_, high_;
};

}  // namespace

bool DecodePlain(const CellTables& tables, const uint8_t* stream, const int64_t* lane_at, int64_t lanes,
                 int64_t lane_rows, int64_t pixels, uint8_t* codes) {
  if (tables.runs == nullptr || tables.bits_of[0] > kMaxBits || lanes < kChains) {
    return portable::DecodePlain(tables, stream, lane_at, lanes, lane_rows, pixels, codes);
  }
  const portable::RunDecoder decoder(tables, stream, lane_at[lanes]);
  const int64_t lane_codes = lane_rows * tables.channels;
  const int64_t all_codes = pixels * tables.channels;
  portable::Chain chain[kChains];
  int64_t first[kChains + 1];
  for (int k = 0; k <= kChains; ++k) first[k] = k * lanes / kChains;
  for (int k = 0; k < kChains; ++k) {
    const int64_t end = first[k + 1] == lanes ? all_codes : first[k + 1] * lane_codes;
    chain[k] = {lane_at[first[k]], codes + first[k] * lane_codes, codes + end};
  }
  decoder.Together<kChains>(chain);
  bool ends = true;
  for (int k = 0; k < kChains; ++k) {
    decoder.Together<1>(chain + k);
    decoder.Finish(chain[k]);
    ends = ends && chain[k].at == lane_at[first[k + 1]];
  }
  const LengthSum bits_of(tables);
  for (int64_t lane = 0; lane < lanes; ++lane) {
    const int64_t begin = lane * lane_codes;
    const int64_t count = lane + 1 < lanes ? lane_codes : all_codes - begin;
    ends = ends && bits_of(codes + begin, count) == lane_at[lane + 1] - lane_at[lane];
  }
  return ends;
}

}  // namespace bitstage::codec::avx2
