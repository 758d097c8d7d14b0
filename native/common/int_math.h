// Divisions and products of sizes that cannot wrap. Everything here has a copy in each file that
// includes it, so that none compiled for a newer CPU is linked into another target.
#pragma once
#include <stdint.h>

namespace unsample {

// b > 0.
static inline int64_t ceil_div(int64_t a, int64_t b) { return a / b + (a % b > 0); }
static inline int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

static inline int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

// Products stop here. No memory has as many bytes, and a few of them can still be added up.
constexpr int64_t kMany = int64_t(1) << 60;

// a * b for a, b >= 0, or kMany.
static inline int64_t times(int64_t a, int64_t b) {
#if defined(__GNUC__)
    int64_t product;
    return __builtin_mul_overflow(a, b, &product) || product > kMany ? kMany : product;
#else
    return b != 0 && a > kMany / b ? kMany : a * b;
#endif
}

// Sizes and steps may be any numbers that a caller has: whether one can be counted on at all.
static inline bool counts(int64_t a) { return a >= 0 && a < kMany; }

}  // namespace unsample
