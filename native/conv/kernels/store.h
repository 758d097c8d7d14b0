// From the sums of a panel, (position, channel), to the output in whatever layout it has.
#pragma once
#include "element.h"

namespace unsample {
namespace UNSAMPLE_TARGET {

// Whole cache lines, channel by channel; returns how many of `count` elements they hold. Planes lie
// multiples of a page apart, so that lines of several channels begun together push each other out
// of the cache before they are full.
template <class T, bool STREAM>
static int64_t store_lines(const T* sums, int64_t width, int64_t channels, int64_t count, T* to,
                           int64_t channel_stride) {
    constexpr int L = kLanes<T>, P = kPiece<T>, N = 64 / UNSAMPLE_VECTOR_BYTES;
    int64_t x = 0;
    for (; x + N * L <= count; x += N * L)
        for (int64_t c = 0; c < channels; c += P) {
            if (c > channels - P) c = channels - P;
            typename Vec<T>::type v[N][P];
            for (int n = 0; n < N; ++n) columns_of(sums + (x + n * L) * width + c, width, v[n]);
            for (int k = 0; k < P; ++k)
                for (int n = 0; n < N; ++n) {
                    T* line = to + (c + k) * channel_stride + x + n * L;
                    if (STREAM)
                        stream(line, v[n][k]);
                    else
                        store(line, v[n][k]);
                }
        }
    return x;
}

// Rows of a plane seldom begin with a cache line (NumPy's arrays never do): the ends are stored as
// vectors that overlap what lies between them.
template <class T>
static void store_planar(const T* sums, int64_t width, int64_t channels, int64_t count, T* to,
                         int64_t channel_stride, bool streaming) {
    constexpr int64_t L = kLanes<T>, line = 64 / sizeof(T);
    if (channels < kPiece<T> || count < 2 * line)
        return transpose(sums, width, count, channels, to, channel_stride);
    const int64_t past = int64_t(reinterpret_cast<uintptr_t>(to) % 64 / sizeof(T));
    const bool aligned = channel_stride % line == 0 && (past == 0 || count >= 8 * line);
    int64_t done = aligned && past ? line - past : 0;
    if (done) transpose(sums, width, done < L ? L : done, channels, to, channel_stride);
    const auto lines = streaming && aligned ? store_lines<T, true> : store_lines<T, false>;
    done += lines(sums + done * width, width, channels, count - done, to + done, channel_stride);
    if (done == count) return;
    if (done > count - L) done = count - L;
    transpose(sums + done * width, width, count - done, channels, to + done, channel_stride);
}

// to[c * channel_stride + x * stride] = sums[x * width + c] for x < count, c < channels.
template <class E, class T>
static void store_row(const T* sums, int64_t width, int64_t channels, int64_t count, E* to,
                      int64_t channel_stride, int64_t stride, bool streaming) {
    if (stride == 1 && channels > 1) {
        if constexpr (SameType<E>::value) {
            store_planar(sums, width, channels, count, to, channel_stride, streaming);
        } else {
            constexpr int64_t kCount = 64;
            T stage[2 * UNSAMPLE_VECTOR_BYTES / sizeof(T) * kCount];
            for (int64_t x = 0; x < count; x += kCount) {
                int64_t part = count - x < kCount ? count - x : kCount;
                transpose(sums + x * width, width, part, channels, stage, kCount);
                for (int64_t c = 0; c < channels; ++c)
                    for (int64_t j = 0; j < part; ++j)
                        narrow(stage[c * kCount + j], to + c * channel_stride + x + j);
            }
        }
        return;
    }
    if (channel_stride == 1) {
        constexpr int L = kLanes<T>;
        if constexpr (SameType<E>::value)
            if (channels % L == 0 && streaming && stride % L == 0 &&
                reinterpret_cast<uintptr_t>(to) % UNSAMPLE_VECTOR_BYTES == 0) {
                for (int64_t x = 0; x < count; ++x)
                    for (int64_t c = 0; c < channels; c += L)
                        stream(to + x * stride + c, load(sums + x * width + c));
                return;
            }
        for (int64_t x = 0; x < count; ++x)
            for (int64_t c = 0; c < channels; ++c) narrow(sums[x * width + c], to + x * stride + c);
        return;
    }
    for (int64_t x = 0; x < count; ++x)
        for (int64_t c = 0; c < channels; ++c)
            narrow(sums[x * width + c], to + c * channel_stride + x * stride);
}

}  // namespace UNSAMPLE_TARGET
}  // namespace unsample
