// float16 and bfloat16 as float32 and back, to nearest, ties to even; NaN stays NaN. Free of
// branches, so that the compiler makes vectors of it without a conversion instruction.
#pragma once
#include "target.h"

namespace unsample {
namespace UNSAMPLE_TARGET {
namespace {

UNSAMPLE_INLINE float float_of(uint32_t bits) {
    float f;
    memcpy(&f, &bits, 4);
    return f;
}
UNSAMPLE_INLINE uint32_t bits_of(float f) {
    uint32_t bits;
    memcpy(&bits, &f, 4);
    return bits;
}

// By masks: GCC 12 makes branches of conditions here, and then no vectors.
UNSAMPLE_INLINE float from_float16(uint16_t h) {
    const int32_t size = h & 0x7fff;
    const uint32_t sign = uint32_t(h & 0x8000) << 16;
    const uint32_t is_tiny = uint32_t((size - 0x400) >> 31);
    const uint32_t is_infinite = uint32_t((0x7bff - size) >> 31);  // or NaN
    // Not by way of a subnormal float32: where these are flushed to zero, float16 is not.
    const uint32_t tiny = bits_of(float(size) * 0x1p-24f);
    const uint32_t normal = (uint32_t(size) << 13) + (112u << 23);
    return float_of(sign | (is_tiny & tiny) | (~is_tiny & normal) | (is_infinite & 0x7f800000));
}
UNSAMPLE_INLINE uint16_t to_float16(float f) {
    uint32_t u = bits_of(f), sign = (u >> 16) & 0x8000;
    u &= 0x7fffffff;
    uint32_t normal = (u - ((127 - 15) << 23) + 0xfff + ((u >> 13) & 1)) >> 13;
    // Adding 0.5 leaves the subnormal's bits, rounded by the hardware, at the end of the sum.
    uint32_t small = bits_of(float_of(u) + 0.5f) - bits_of(0.5f);
    uint32_t value = u < (113u << 23) ? small : normal;
    value = u >= 0x477ff000u ? 0x7c00 : value;
    return uint16_t(sign | (u > 0x7f800000u ? 0x7e00 : value));
}

UNSAMPLE_INLINE float from_bfloat16(uint16_t h) { return float_of(uint32_t(h) << 16); }
UNSAMPLE_INLINE uint16_t to_bfloat16(float f) {
    const uint32_t bits = bits_of(f);
    const uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    return uint16_t(f != f ? bits >> 16 | 0x40 : rounded);
}

}  // namespace
}  // namespace UNSAMPLE_TARGET
}  // namespace unsample
