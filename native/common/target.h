// What every kernel is compiled with. Kernels are built once per target, into a namespace of its
// own: no STL and no nanobind in them, nor here. An inline function of a shared header, compiled
// for a new CPU, could be the copy that the linker keeps for the old ones.
#pragma once
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#if defined(__GNUC__)
#define UNSAMPLE_INLINE inline __attribute__((always_inline))
#else
#define UNSAMPLE_INLINE inline
#endif

#define UNSAMPLE_QUOTED(name) #name
#define UNSAMPLE_NAME(name) UNSAMPLE_QUOTED(name)

namespace unsample {
namespace UNSAMPLE_TARGET {
namespace {

constexpr const char* kTarget = UNSAMPLE_NAME(UNSAMPLE_TARGET);

// Every kernel of a table says first of which target it is: forcing one must not be able to run
// another. Several threads write the same.
UNSAMPLE_INLINE void sign(const char** ran) {
#if defined(__GNUC__)
    __atomic_store_n(ran, kTarget, __ATOMIC_RELAXED);
#else
    *ran = kTarget;
#endif
}

}  // namespace
}  // namespace UNSAMPLE_TARGET
}  // namespace unsample
