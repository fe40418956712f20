// Overflow-checked arithmetic on sizes that come from outside (files, requests, frames).
//
//   std::optional<int64_t> bytes = CheckedMul(elements, 4);
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>

namespace bitstage {

// a * b, or nullopt where it does not fit in int64. Negative factors are refused: a size has none.
constexpr std::optional<int64_t> CheckedMul(int64_t a, int64_t b) {
  int64_t product = 0;
  if (a < 0 || b < 0 || __builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

// a + b, or nullopt where it does not fit in int64 or a term is negative.
constexpr std::optional<int64_t> CheckedAdd(int64_t a, int64_t b) {
  int64_t sum = 0;
  if (a < 0 || b < 0 || __builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

// The product of all factors, or nullopt as above; 1 for an empty list.
template <typename Range>
constexpr std::optional<int64_t> CheckedProduct(const Range& factors) {
  int64_t product = 1;
  for (const int64_t factor : factors) {
    const std::optional<int64_t> next = CheckedMul(product, factor);
    if (!next) return std::nullopt;
    product = *next;
  }
  return product;
}

constexpr int64_t DivideRoundUp(int64_t a, int64_t b) { return (a + b - 1) / b; }
constexpr int64_t RoundUp(int64_t a, int64_t multiple) { return DivideRoundUp(a, multiple) * multiple; }

}  // namespace bitstage
