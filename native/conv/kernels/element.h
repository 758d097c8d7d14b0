// Element types as they are stored, and the type their products are summed in.
#pragma once
#include "../../common/halves.h"
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

UNSAMPLE_INLINE float widen(float x) { return x; }
UNSAMPLE_INLINE double widen(double x) { return x; }
UNSAMPLE_INLINE float widen(Half x) { return from_float16(x.bits); }
UNSAMPLE_INLINE float widen(Bfloat x) { return from_bfloat16(x.bits); }

UNSAMPLE_INLINE void narrow(float x, float* to) { *to = x; }
UNSAMPLE_INLINE void narrow(double x, double* to) { *to = x; }
UNSAMPLE_INLINE void narrow(float x, Half* to) { to->bits = to_float16(x); }
UNSAMPLE_INLINE void narrow(float x, Bfloat* to) { to->bits = to_bfloat16(x); }

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
