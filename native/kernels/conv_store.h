// From the sums of a panel, (position, channel), to the output in whatever layout it has.
#pragma once
#include "conv_element.h"

namespace unsample {
namespace UNSAMPLE_TARGET {

// Whole vectors of `L` positions per channel, two at a time, so that streaming stores fill cache
// lines.
template <class T>
UNSAMPLE_INLINE int64_t stream_planes(const T* sums, int64_t width, int64_t channels, int64_t count,
                                      T* to, int64_t channel_stride) {
    constexpr int L = kLanes<T>, P = kPiece<T>;
    int64_t x = 0;
    for (; x + 2 * L <= count; x += 2 * L)
        for (int64_t c = 0; c < channels; c += P) {
            typename Vec<T>::type a[P], b[P];
            columns_of(sums + x * width + c, width, a);
            columns_of(sums + (x + L) * width + c, width, b);
            for (int k = 0; k < P; ++k) {
                stream(to + (c + k) * channel_stride + x, a[k]);
                stream(to + (c + k) * channel_stride + x + L, b[k]);
            }
        }
    return x;
}

// to[c * channel_stride + x * stride] = sums[x * width + c] for x < count, c < channels.
template <class E, class T>
static void store_row(const T* sums, int64_t width, int64_t channels, int64_t count, E* to,
                      int64_t channel_stride, int64_t stride, bool streaming) {
    if (stride == 1 && channels > 1) {
        if constexpr (SameType<E>::value) {
            int64_t done = 0;
            bool aligned = reinterpret_cast<uintptr_t>(to) % UNSAMPLE_VECTOR_BYTES == 0 &&
                           channel_stride % kLanes<T> == 0 && channels % kPiece<T> == 0;
            if (streaming && aligned)
                done = stream_planes(sums, width, channels, count, to, channel_stride);
            if (done < count)
                transpose(sums + done * width, width, count - done, channels, to + done,
                          channel_stride);
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
