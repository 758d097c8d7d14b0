// Work items of depthwise conv and conv_transpose where the channels of a pixel lie side by side:
// the vectors lie along channels, and every output element is written once, from registers.
#pragma once
#include "../../targets.h"
#include "element.h"
#include "job.h"

namespace unsample {
namespace UNSAMPLE_TARGET {

// The weight, tap by tap: packed[tap * groups + g]; a work item has kPixelGroups of the groups.
template <class E>
static void pack_taps(const ConvJob* given, int64_t begin, int64_t end, void*) {
    if constexpr (SameType<E>::value) {
        const ConvJob& job = *given;
        for (int64_t item = begin; item < end; ++item) {
            const int64_t first = item * kPixelGroups, left = job.groups - first;
            transpose(static_cast<const E*>(job.weight) + first * job.taps, job.taps,
                      left < kPixelGroups ? left : kPixelGroups, job.taps,
                      static_cast<E*>(job.packed) + first, job.groups);
        }
    }
}

// Outputs first .. stop of a row, NV vectors of channels from `channel` on; `outer` are the taps of
// the other axes. The order of the sums is that of planes. 2 x 2 taps, those of 4 x 4 with stride
// 2, are written out: 0.87 -> 0.79 ms on one thread. Four positions of a phase at a time, with the
// weights in registers, were no faster.
template <class T, int NV, bool STREAM>
static void multiply_channels(const ConvJob& job, int64_t first, int64_t stop, int64_t channel,
                              const Meeting* outer, int64_t outers, const T* input, T* output) {
    typedef typename Vec<T>::type V;
    constexpr int L = kLanes<T>;
    const int64_t inner = job.rank - 1, *begins = job.meetings_of[inner];
    const T* weight = static_cast<const T*>(job.packed) + channel;
    V start[NV];
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v)
        start[v] = job.bias ? load(static_cast<const T*>(job.bias) + channel + v * L) : V{};
    input += channel;
    output += channel + first * job.out_strides[inner];
    for (int64_t x = first; x < stop; ++x, output += job.out_strides[inner]) {
        V sum[NV];
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) sum[v] = start[v];
        const Meeting *from = job.meetings + begins[x], *to = job.meetings + begins[x + 1];
        const auto meet = [&](const Meeting& o, const Meeting& m) {
            const T* a = input + o.input + m.input;
            const T* b = weight + o.weight + m.weight;
#pragma GCC unroll 4
            for (int v = 0; v < NV; ++v) sum[v] += load(b + v * L) * load(a + v * L);
        };
        if (outers == 2 && to - from == 2) {
            meet(outer[0], from[0]);
            meet(outer[0], from[1]);
            meet(outer[1], from[0]);
            meet(outer[1], from[1]);
        } else {
            for (int64_t i = 0; i < outers; ++i)
                for (const Meeting* m = from; m < to; ++m) meet(outer[i], *m);
        }
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v)
            if constexpr (STREAM)
                stream(output + v * L, sum[v]);
            else
                store(output + v * L, sum[v]);
    }
}

template <class T, bool STREAM>
static void row_of_pixels(const ConvJob& job, int64_t first, int64_t stop, const Meeting* outer,
                          int64_t outers, const T* input, T* output) {
    constexpr int L = kLanes<T>;
    int64_t c = 0;
    for (; c + 4 * L <= job.groups; c += 4 * L)
        multiply_channels<T, 4, STREAM>(job, first, stop, c, outer, outers, input, output);
    for (; c < job.groups; c += L) {
        if (c > job.groups - L) c = job.groups - L;  // the last vector overlaps the one before
        multiply_channels<T, 1, STREAM>(job, first, stop, c, outer, outers, input, output);
    }
}

template <class E>
static void pixels(const ConvJob* given, int64_t begin, int64_t end, void* scratch) {
    if constexpr (SameType<E>::value) {
        const ConvJob& job = *given;
        const int64_t inner = job.rank - 1, length = job.axes[inner].out_size;
        const int64_t piece = job.axes[inner].block, pieces = (length + piece - 1) / piece;
        int64_t rows = job.batch;
        for (int64_t a = 0; a < inner; ++a) rows *= job.axes[a].out_size;
        Meeting* outer = static_cast<Meeting*>(scratch);
        int64_t done = 0;
        for (int64_t item = begin; item < end; ++item) {
            const int64_t first = item % pieces * piece;
            const int64_t stop = length - first < piece ? length : first + piece;
            int64_t row = item / pieces * job.rows;
            const int64_t last = rows - row < job.rows ? rows : row + job.rows;
            for (; row < last; ++row) {
                int64_t rest = row, outers = 1;
                E* output = static_cast<E*>(job.output);
                outer[0] = {0, 0};
                for (int64_t a = inner - 1; a >= 0; --a) {
                    const int64_t x = rest % job.axes[a].out_size;
                    rest /= job.axes[a].out_size;
                    output += x * job.out_strides[a];
                    const Meeting* from = job.meetings + job.meetings_of[a][x];
                    const int64_t count = job.meetings_of[a][x + 1] - job.meetings_of[a][x];
                    // Backwards, so that what is read has not been written over.
                    for (int64_t i = count - 1; i >= 0; --i)
                        for (int64_t j = outers - 1; j >= 0; --j)
                            outer[i * outers + j] = {from[i].input + outer[j].input,
                                                     from[i].weight + outer[j].weight};
                    outers *= count;
                }
                const E* input = static_cast<const E*>(job.input) + rest * job.in_batch_stride;
                output += rest * job.out_batch_stride;
                // Few positions at a time where they have many taps.
                const int64_t* begins = job.meetings_of[inner];
                const int64_t all = begins[stop] - begins[first];
                const int64_t products = (all / (stop - first) + 1) * outers * job.groups;
                const int64_t some = kLong / (products + 1) + 1;
                if ((done += products * (stop - first)) > kLong) {
                    done = 0;
                    if (stopped()) return;
                }
                const bool lines =
                    reinterpret_cast<uintptr_t>(output) % UNSAMPLE_VECTOR_BYTES == 0 &&
                    job.groups % kLanes<E> == 0 && job.out_strides[inner] % kLanes<E> == 0;
                for (int64_t x = first; x < stop; x += some) {
                    if (x > first && stopped()) return;
                    const int64_t end_x = stop - x < some ? stop : x + some;
                    if (job.stream && lines)
                        row_of_pixels<E, true>(job, x, end_x, outer, outers, input, output);
                    else
                        row_of_pixels<E, false>(job, x, end_x, outer, outers, input, output);
                }
            }
        }
        if (job.stream) finish_streaming();
    }
}

}  // namespace UNSAMPLE_TARGET
}  // namespace unsample
