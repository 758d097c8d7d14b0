// Copies of input and weight in the order the products read them; padding of every mode happens
// here.
#pragma once
#include "element.h"
#include "job.h"

namespace unsample {
namespace UNSAMPLE_TARGET {

// The element that stands for position i of an axis with padding, or -1 for a zero.
static int64_t folded(int64_t i, int64_t size, Fold fold) {
    if (i >= 0 && i < size) return i;
    if (fold == Fold::zeros || size == 0) return -1;
    if (fold == Fold::circular) return (i % size + size) % size;
    if (fold == Fold::replicate) return i < 0 ? 0 : size - 1;
    if (size == 1) return 0;
    int64_t period = 2 * (size - 1);
    int64_t j = (i % period + period) % period;  // reflect: the edge itself is not repeated
    return j < size ? j : period - j;
}

// to[x * to_step + c] = from[c * channel_stride + x * stride] for x < count, c < channels.
template <class E, class T>
static void pack_pixels(const E* from, int64_t channel_stride, int64_t stride, int64_t channels,
                        int64_t count, T* to, int64_t to_step) {
    if (stride == 1 && channels > 1) {
        // By way of a stage: rows of planes, a power of two apart, would push each other out of the
        // cache, and pixels be written half a cache line at a time.
        constexpr int64_t kChannels = 64 / sizeof(T), kCount = 64;
        T stage[kChannels * kCount];
        for (int64_t c = 0; c < channels; c += kChannels) {
            if (c > channels - kChannels) c = channels > kChannels ? channels - kChannels : 0;
            const int64_t some = channels - c < kChannels ? channels - c : kChannels;
            const int64_t each = (count - 1) / ((count + kCount - 1) / kCount) + 1;
            for (int64_t x = 0; x < count; x += each) {
                const int64_t part = count - x < each ? count - x : each;
                const E* row = from + c * channel_stride + x;
                for (int64_t i = 0; i < some; ++i)
                    for (int64_t j = 0; j < part; j += 64 / int64_t(sizeof(E)))
                        __builtin_prefetch(row + (kChannels + i) * channel_stride + j);
                T* pixels = to + x * to_step + c;
                if constexpr (SameType<E>::value) {
                    transpose(row, channel_stride, some, part, pixels, to_step);
                } else {
                    for (int64_t i = 0; i < some; ++i, row += channel_stride)
                        for (int64_t j = 0; j < part; ++j) stage[i * kCount + j] = widen(row[j]);
                    transpose(stage, kCount, some, part, pixels, to_step);
                }
            }
        }
        return;
    }
    if (channel_stride == 1) {
        for (int64_t x = 0; x < count; ++x) {
            const E* pixel = from + x * stride;
            for (int64_t c = 0; c < channels; ++c) to[x * to_step + c] = widen(pixel[c]);
        }
        return;
    }
    for (int64_t x = 0; x < count; ++x)
        for (int64_t c = 0; c < channels; ++c)
            to[x * to_step + c] = widen(from[c * channel_stride + x * stride]);
}

// A run of a row of the tile: pixels first .. first + run of the innermost axis.
template <class E, class T>
static void pack_row(const ConvAxis& axis, const E* from, int64_t channel_stride, int64_t stride,
                     int64_t channels, int64_t first, T* to) {
    int64_t count = axis.run;
    int64_t begin = first < 0 ? (-first < count ? -first : count) : 0;
    int64_t end = axis.in_size - first < count ? axis.in_size - first : count;
    if (end < begin) end = begin;
    for (int64_t x = 0; x < count; ++x) {
        if (x == begin) x = end;
        if (x == count) break;
        int64_t i = folded(first + x, axis.in_size, axis.fold);
        T* pixel = to + x * channels;
        if (i < 0)
            memset(pixel, 0, size_t(channels) * sizeof(T));
        else
            pack_pixels(from + i * stride, channel_stride, stride, channels, 1, pixel, channels);
    }
    if (begin < end)
        pack_pixels(from + (first + begin) * stride, channel_stride, stride, channels, end - begin,
                    to + begin * channels, channels);
}

// The input under a block: `origin` are its first positions, `images` how many of the batch.
template <class E, class T>
static void pack_tile(const ConvJob& job, int64_t image, int64_t images, int64_t channel,
                      int64_t channels, const int64_t* origin, T* tile) {
    const int64_t rank = job.rank, inner = rank - 1;
    int64_t rows = 1;
    for (int64_t a = 0; a < inner; ++a) rows *= job.axes[a].tile_size;
    const ConvAxis& last = job.axes[inner];
    int64_t first = origin[inner] * last.in_step + last.low;
    for (int64_t n = 0; n < images; ++n)
        for (int64_t row = 0; row < rows; ++row, tile += last.tile_size * channels) {
            const E* from = static_cast<const E*>(job.input) + (image + n) * job.in_batch_stride +
                            channel * job.in_channel_stride;
            int64_t rest = row;
            bool zero = false;
            for (int64_t a = inner - 1; a >= 0; --a) {
                const ConvAxis& axis = job.axes[a];
                int64_t i =
                    origin[a] * axis.in_step + axis.low + under_block(axis, rest % axis.tile_size);
                rest /= axis.tile_size;
                i = folded(i, axis.in_size, axis.fold);
                zero |= i < 0;
                from += (i < 0 ? 0 : i) * job.in_strides[a];
            }
            if (zero)
                memset(tile, 0, size_t(last.tile_size * channels) * sizeof(T));
            else
                for (int64_t x = 0; x < last.tile_size; x += last.run)
                    pack_row(last, from, job.in_channel_stride, job.in_strides[inner], channels,
                             first + under_block(last, x), tile + x * channels);
        }
}

// One panel of the weight.
template <class E, class T>
static void pack_panel(const ConvJob& job, int64_t group, int64_t number, T* panel) {
    constexpr int L = kLanes<T>, P = kPiece<T>;
    const int64_t column = number * job.panel_width, left = job.out_channels - column;
    const int64_t used = left < job.panel_width ? left : job.panel_width;
    const int64_t width = used <= L ? L : job.panel_width;
    const E* weight = static_cast<const E*>(job.weight) + group * job.weight_group_stride +
                      column * job.weight_out_stride;
    if (used < width && job.panel_rows > 0)
        memset(panel, 0, size_t(job.panel_rows * width) * sizeof(T));
    for (int64_t c = 0; c < job.chunks; ++c) {
        const Chunk& chunk = c + 1 < job.chunks ? job.full : job.tail;
        const int64_t channels = chunk.channels, taps = job.taps;
        const E* from = weight + c * job.full.channels * job.weight_in_stride;
        // Taps and input channels lie side by side in the weight of a convolution, so that they
        // can be moved together; in that of its transpose output channels lie between them.
        const bool merged = job.weight_in_stride == taps;
        const int64_t outer = merged ? 1 : channels, columns = merged ? channels * taps : taps;
        for (int64_t o = 0; o < outer; ++o, from += job.weight_in_stride) {
            // Every input channel begins on a page of its own, too far for the hardware to foresee.
            if (!merged)
                for (int64_t i = 0; i < used * taps; i += 64 / int64_t(sizeof(E)))
                    __builtin_prefetch(from + 2 * job.weight_in_stride + i);
            int64_t tap = 0, row = o, j = 0;
            auto next_row = [&] {
                T* to = panel + (chunk.tap_rows[tap] + row) * width;
                if (++tap == taps) tap = 0, ++row;
                return to;
            };
            if constexpr (SameType<E>::value)
                if (used == width)
                    for (; j + P <= columns; j += P) {
                        T* to[P];
                        for (int k = 0; k < P; ++k) to[k] = next_row();
                        for (int64_t i = 0; i < width; i += L) {
                            typename Vec<T>::type v[P];
                            columns_of(from + i * job.weight_out_stride + j, job.weight_out_stride,
                                       v);
                            for (int k = 0; k < P; ++k) store(to[k] + i, v[k]);
                        }
                    }
            for (; j < columns; ++j) {
                T* to = next_row();
                for (int64_t i = 0; i < used; ++i)
                    to[i] = widen(from[i * job.weight_out_stride + j]);
            }
        }
        panel += chunk.rows * width;
    }
}

// All panels, one work item each.
template <class E>
static void pack_weight(const ConvJob* given, int64_t begin, int64_t end, void*) {
    typedef typename Summed<E>::type T;
    const ConvJob& job = *given;
    for (int64_t item = begin; item < end; ++item)
        pack_panel<E>(job, item / job.panels, item % job.panels,
                      static_cast<T*>(job.packed) + item * job.panel_rows * job.panel_width);
}

}  // namespace UNSAMPLE_TARGET
}  // namespace unsample
