// What the multipliers of one target can do: independent sums in registers.
#include <cstdint>

#include "../kernels/conv_vector.h"

#define UNSAMPLE_JOINED(a, b) a##b
#define UNSAMPLE_NAMED(a, b) UNSAMPLE_JOINED(a, b)

// Multiply-adds made by `count` rounds. The sums come back so that they are really computed.
extern "C" int64_t UNSAMPLE_NAMED(peak_, UNSAMPLE_TARGET)(int64_t count, float* sums) {
    using namespace unsample::UNSAMPLE_TARGET;
    typedef Vec<float>::type V;
    V x = load(sums), y = load(sums + 16), c[12];
#pragma GCC unroll 12
    for (int i = 0; i < 12; ++i) c[i] = load(sums + i);
    for (int64_t n = 0; n < count; ++n) {
        asm volatile("" : : : "memory");
#pragma GCC unroll 12
        for (int i = 0; i < 12; ++i) c[i] = c[i] * x + y;
    }
#pragma GCC unroll 12
    for (int i = 0; i < 12; ++i) store(sums + i, c[i]);
    return count * 12 * kLanes<float>;
}
