// The register tile: a few pixels times one panel of output channels.
#pragma once
#include "job.h"
#include "vector.h"

namespace unsample {
namespace UNSAMPLE_TARGET {

// sums[to[i]] (+)= tile[at[i] + ..] @ panel, for MR pixels and NV vectors of output channels, over
// the segments of a slice. 6 pixels x 2 vectors are 12 sums + 2 weights + 1 broadcast of the 16
// registers of AVX2.
template <class T, int MR, int NV>
UNSAMPLE_INLINE void multiply_pixels(const T* tile, int64_t pitch, const int32_t* at,
                                     const Segment* segments, int64_t count, const T* panel,
                                     T* sums, const int32_t* to, const T* start) {
    typedef typename Vec<T>::type V;
    constexpr int L = kLanes<T>;
    V c[MR][NV];
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i)
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j)
            c[i][j] = load((start ? start : sums + int64_t(to[i]) * (NV * L)) + j * L);
    for (int64_t s = 0; s < count; ++s) {
        const T* a[MR];
#pragma GCC unroll 16
        for (int i = 0; i < MR; ++i) a[i] = tile + at[i] * pitch + segments[s].offset;
        const int64_t length = segments[s].length;
        for (int64_t k = 0; k < length; ++k, panel += NV * L) {
            V b[NV];
#pragma GCC unroll 4
            for (int j = 0; j < NV; ++j) b[j] = load(panel + j * L);
#pragma GCC unroll 16
            for (int i = 0; i < MR; ++i) {
                V x = splat(a[i][k]);
#pragma GCC unroll 4
                for (int j = 0; j < NV; ++j) c[i][j] += x * b[j];
            }
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i)
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) store(sums + int64_t(to[i]) * (NV * L) + j * L, c[i][j]);
}

// Pixels of a register tile, for panels of one vector and of two.
template <int NV>
constexpr int kPixels = NV == 1 ? 8 : 6;
constexpr int kMaxPixels = 8;

}  // namespace UNSAMPLE_TARGET
}  // namespace unsample
