// Single symbols by one table, several a look-up. Each look-up waits for the one before it, so a few chains of them run
// side by side. In an unnamed namespace, as cells.h.
#pragma once

#include <algorithm>
#include <bit>
#include <cstring>

#include "engine/codec/cell_kernels.h"
#include "engine/codec/run_table.h"

namespace bitstage::codec::portable {
namespace {

static_assert(std::endian::native == std::endian::little);

// Where a chain stands: bits from the stream's beginning, and the codes it has still to write.
struct Chain {
  int64_t at;
  uint8_t* to;
  uint8_t* end;
};

class RunDecoder {
 public:
  static constexpr int kLookups = 5;  // of a refill: 5 · 11 bits of 57

  RunDecoder(const CellTables& tables, const uint8_t* stream, int64_t end)
      : runs_(tables.runs), tables_(tables), stream_(stream), last_byte_((end + 7) / 8 + 4 - 8) {}

  // Until one of the chains is nearly done.
  template <int chains, int lookups = kLookups>
  void Together(Chain* chain) const {
    for (;;) {
      int64_t rounds = Rounds(chain[0], lookups);
      for (int k = 1; k < chains; ++k) rounds = std::min(rounds, Rounds(chain[k], lookups));
      if (rounds <= 0) return;
      Run<chains, lookups>(rounds, chain);
    }
  }

  // The rest, with care: never writes beyond the chain's end, never reads beyond what may be read.
  void Finish(Chain& chain) const {
    while (chain.end - chain.to >= kMaxRun) {
      const uint64_t run = runs_[Word(chain) & kIndexMask];
      const auto symbols = static_cast<uint32_t>(run >> 8);
      std::memcpy(chain.to, &symbols, sizeof(symbols));
      chain.at += static_cast<int64_t>(run & 63);
      chain.to += run >> 56;
    }
    while (chain.to < chain.end) {
      const DecodeEntry entry = tables_.decode[Word(chain) & ((1u << tables_.index_bits) - 1)];
      chain.at += entry.length;
      *chain.to++ = entry.first;
    }
  }

 private:
  static constexpr uint64_t kIndexMask = (uint64_t{1} << kRunBits) - 1;
  // Above what a refill's look-ups use; it moves down with the bits and tells how many they were.
  static constexpr uint64_t kMark = uint64_t{1} << 63;

  // Refills that a chain is sure to have codes to write and bits to read for.
  [[nodiscard]] int64_t Rounds(const Chain& chain, int lookups) const {
    const int64_t of_codes = (chain.end - chain.to) / (lookups * kMaxRun);
    const int64_t of_bits = (8 * last_byte_ - chain.at) / (lookups * kRunBits) + 1;
    return 8 * last_byte_ < chain.at ? 0 : std::min(of_codes, of_bits);
  }

  template <int chains, int lookups>
  void Run(int64_t rounds, Chain* chain) const {
    uint64_t word[chains];
    uint64_t at[chains];
    uint8_t* to[chains];
    for (int k = 0; k < chains; ++k) {
      at[k] = static_cast<uint64_t>(chain[k].at);
      to[k] = chain[k].to;
    }
    const uint64_t* const runs = runs_;
    const uint8_t* const stream = stream_;
    do {
      for (int k = 0; k < chains; ++k) {
        std::memcpy(&word[k], stream + (at[k] >> 3), 8);
        word[k] = word[k] >> (at[k] & 7) | kMark;
      }
#pragma GCC unroll 5
      for (int i = 0; i < lookups; ++i) {
#pragma GCC unroll 8
        for (int k = 0; k < chains; ++k) {
          const uint64_t run = runs[word[k] & kIndexMask];
          const auto symbols = static_cast<uint32_t>(run >> 8);
          std::memcpy(to[k], &symbols, sizeof(symbols));
          word[k] >>= run & 63;
          to[k] += run >> 56;
        }
      }
      for (int k = 0; k < chains; ++k) at[k] += static_cast<uint64_t>(std::countl_zero(word[k]));
    } while (--rounds > 0);
    for (int k = 0; k < chains; ++k) {
      chain[k].at = static_cast<int64_t>(at[k]);
      chain[k].to = to[k];
    }
  }

  // At least 25 bits are true ones in front of the stream's end; a chain that ran away gets some others.
  [[nodiscard]] uint64_t Word(const Chain& chain) const {
    const int64_t byte = std::min(chain.at >> 3, last_byte_);
    uint64_t word = 0;
    std::memcpy(&word, stream_ + byte, 8);
    return word >> ((chain.at - 8 * byte) & 63);
  }

  const uint64_t* runs_;
  const CellTables& tables_;
  const uint8_t* stream_;
  int64_t last_byte_;  // from where eight bytes may be read
};

}  // namespace
}  // namespace bitstage::codec::portable
