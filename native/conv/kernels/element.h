// Element types as they are stored, and the type their products are summed in.
#pragma once
#include "vector.h"

namespace unsample {
namespace UNSAMPLE_TARGET {

struct Half {
    uint16_t bits;
};
struct Bfloat {
    uint16_t bits;
};

template <class E>
struct Summed {
    typedef float type;
};
template <>
struct Summed<double> {
    typedef double type;
};

UNSAMPLE_INLINE uint32_t bits_of(float x) {
    uint32_t u;
    memcpy(&u, &x, 4);
    return u;
}

UNSAMPLE_INLINE float float_of(uint32_t u) {
    float x;
    memcpy(&x, &u, 4);
    return x;
}

UNSAMPLE_INLINE float widen(float x) { return x; }
UNSAMPLE_INLINE double widen(double x) { return x; }
UNSAMPLE_INLINE float widen(Bfloat x) { return float_of(uint32_t(x.bits) << 16); }

// Branch-free, so that the compiler makes vectors of it without a conversion instruction.
UNSAMPLE_INLINE float widen(Half x) {
    uint32_t sign = uint32_t(x.bits & 0x8000) << 16, rest = uint32_t(x.bits & 0x7fff) << 13;
    // 2^112 moves the exponent, and makes normal numbers of subnormal ones.
    float scaled = float_of(rest) * float_of((254 - 15) << 23);
    uint32_t special = rest | 0x7f800000;
    return float_of(sign | (rest >= (0x7c00u << 13) ? special : bits_of(scaled)));
}

UNSAMPLE_INLINE void narrow(float x, float* to) { *to = x; }
UNSAMPLE_INLINE void narrow(double x, double* to) { *to = x; }

// Round to the nearest, ties to even; NaN stays NaN.
UNSAMPLE_INLINE void narrow(float x, Bfloat* to) {
    uint32_t u = bits_of(x);
    uint32_t rounded = (u + 0x7fff + ((u >> 16) & 1)) >> 16;
    to->bits = uint16_t(x != x ? (u >> 16) | 0x40 : rounded);
}

UNSAMPLE_INLINE void narrow(float x, Half* to) {
    uint32_t u = bits_of(x), sign = (u >> 16) & 0x8000;
    u &= 0x7fffffff;
    uint32_t normal = (u - ((127 - 15) << 23) + 0xfff + ((u >> 13) & 1)) >> 13;
    // Adding 0.5 leaves the subnormal's bits, rounded by the hardware, at the end of the sum.
    uint32_t small = bits_of(float_of(u) + 0.5f) - bits_of(0.5f);
    uint32_t value = u < (113u << 23) ? small : normal;
    value = u >= 0x477ff000u ? 0x7c00 : value;
    to->bits = uint16_t(sign | (u > 0x7f800000u ? 0x7e00 : value));
}

template <class E>
struct SameType {
    static constexpr bool value = false;
};
template <>
struct SameType<float> {
    static constexpr bool value = true;
};
template <>
struct SameType<double> {
    static constexpr bool value = true;
};

}  // namespace UNSAMPLE_TARGET
}  // namespace unsample
