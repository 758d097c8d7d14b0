// Input as planes, for vectors that lie along positions, and the weights that go with them.
#pragma once
#include "pack.h"

namespace unsample {
namespace UNSAMPLE_TARGET {

// Of the elements first, first + step, .. (`count` of them) those inside an axis are stop - begin.
struct Inside {
    int64_t begin, stop;
};

// Planes that have an element: a stride may be longer than the tile.
UNSAMPLE_INLINE int64_t planes_of(const ConvAxis& axis) {
    return axis.in_step < axis.run ? axis.in_step : axis.run;
}

UNSAMPLE_INLINE Inside inside(int64_t first, int64_t step, int64_t count, int64_t size) {
    int64_t begin = first < 0 ? (-first + step - 1) / step : 0;
    int64_t stop = size > first ? (size - first + step - 1) / step : 0;
    if (stop > count) stop = count;
    return {begin, stop < begin ? begin : stop};
}

// A run of pixels of one row and channel into its planes, one for each residue of the step.
template <class E, class T>
static void pack_line(const ConvAxis& axis, const E* from, int64_t stride, int64_t first, T* to) {
    const int64_t step = axis.in_step;
    // Where all residues lie inside, the row is a matrix to be turned.
    Inside whole{0, 0};
    if constexpr (SameType<E>::value)
        if (stride == 1 && step >= kPiece<T>) {
            whole = inside(first, step, axis.run / step, axis.in_size - step + 1);
            transpose(from + first + whole.begin * step, step, whole.stop - whole.begin, step,
                      to + whole.begin, axis.split_stride);
        }
    for (int64_t u = 0; u < planes_of(axis); ++u, to += axis.split_stride) {
        const int64_t count = (axis.run - u + step - 1) / step;
        const Inside range = inside(first + u, step, count, axis.in_size);
        auto fill = [&](int64_t begin, int64_t stop) {
            if (begin >= stop) return;  // the run may lie far from the array
            const E* line = from + (first + u) * stride;
            if (stride == 1 && step == 1)
                for (int64_t j = begin; j < stop; ++j) to[j] = widen(line[j]);
            else if (stride == 1 && step == 2)
                for (int64_t j = begin; j < stop; ++j) to[j] = widen(line[j * 2]);
            else
                for (int64_t j = begin; j < stop; ++j) to[j] = widen(line[j * step * stride]);
        };
        if (whole.begin < whole.stop) {
            fill(range.begin, whole.begin);
            fill(whole.stop, range.stop);
        } else {
            fill(range.begin, range.stop);
        }
        for (int64_t j = 0; j < count; ++j) {
            if (j == range.begin) j = range.stop;
            if (j >= count) break;
            const int64_t i = folded(first + u + j * step, axis.in_size, axis.fold);
            to[j] = i < 0 ? T(0) : widen(from[i * stride]);
        }
    }
}

// A run of `channels` channels that lie side by side in memory, turned into planes together.
template <class T>
static void pack_turned(const ConvAxis& axis, const T* from, int64_t stride, int64_t channels,
                        int64_t first, T* to, int64_t plane) {
    const int64_t step = axis.in_step;
    for (int64_t u = 0; u < planes_of(axis); ++u, to += axis.split_stride) {
        const int64_t count = (axis.run - u + step - 1) / step;
        const Inside range = inside(first + u, step, count, axis.in_size);
        if (range.begin < range.stop)
            transpose(from + (first + u + range.begin * step) * stride, step * stride,
                      range.stop - range.begin, channels, to + range.begin, plane);
        for (int64_t c = 0; c < channels; ++c) {
            T* line = to + c * plane;
            for (int64_t j = 0; j < range.begin && j < count; ++j) line[j] = 0;
            for (int64_t j = range.stop; j < count; ++j) line[j] = 0;
        }
    }
}

// The input of `channels` channels under a block, as planes.
template <class E, class T>
static void pack_planes(const ConvJob& job, int64_t image, int64_t images, int64_t channel,
                        int64_t channels, const int64_t* origin, T* tile) {
    const int64_t inner = job.rank - 1;
    const ConvAxis& last = job.axes[inner];
    int64_t rows = images, first = origin[inner] * last.in_step + last.low;
    for (int64_t a = 0; a < inner; ++a) rows *= job.axes[a].tile_size;
    const bool turned = SameType<E>::value && job.in_channel_stride == 1 && channels > 1 &&
                        last.fold == Fold::zeros;
    // Channel by channel, so that a plane is read in order: row by row was 3 times slower.
    const int64_t each = turned ? channels : 1;
    const bool ahead = job.in_strides[inner] == 1;
    for (int64_t c = 0; c < channels; c += each)
        for (int64_t row = 0; row < rows; ++row) {
            const E* from =
                static_cast<const E*>(job.input) + (channel + c) * job.in_channel_stride;
            T* to = tile + c * job.plane;
            int64_t rest = row;
            bool zero = false;
            for (int64_t a = inner - 1; a >= 0; --a) {
                const ConvAxis& axis = job.axes[a];
                int64_t j = rest % axis.tile_size;
                rest /= axis.tile_size;
                to += j % axis.in_step * axis.split_stride + j / axis.in_step * axis.tile_stride;
                int64_t i = folded(origin[a] * axis.in_step + axis.low + under_block(axis, j),
                                   axis.in_size, axis.fold);
                zero |= i < 0;
                from += (i < 0 ? 0 : i) * job.in_strides[a];
            }
            from += (image + rest) * job.in_batch_stride;
            to += rest * job.image_stride;
            if (zero) {
                for (int64_t d = 0; d < each; ++d)
                    for (int64_t u = 0; u < planes_of(last); ++u)
                        memset(to + d * job.plane + u * last.split_stride, 0,
                               size_t((last.tile_size - u + last.in_step - 1) / last.in_step) *
                                   sizeof(T));
                continue;
            }
            for (int64_t x = 0; x < last.tile_size; x += last.run) {
                const int64_t begin = first + under_block(last, x);
                if constexpr (SameType<E>::value)
                    if (turned) {
                        pack_turned(last, from, job.in_strides[inner], channels, begin, to + x,
                                    job.plane);
                        continue;
                    }
                if (ahead && begin < last.in_size && begin + last.run > 0)
                    for (int64_t i = 0; i < last.run; i += 64 / int64_t(sizeof(E)))
                        __builtin_prefetch(from + job.in_channel_stride + begin + i);
                pack_line(last, from, job.in_strides[inner], begin, to + x);
            }
        }
}

// The weights of the columns of groups begin .. end.
template <class E>
static void pack_columns(const ConvJob* given, int64_t begin, int64_t end, void*) {
    typedef typename Summed<E>::type T;
    const ConvJob& job = *given;
    for (int64_t group = begin; group < end; ++group) {
        const E* weight = static_cast<const E*>(job.weight) + group * job.weight_group_stride;
        T* packed = static_cast<T*>(job.packed) + group * job.packed_group;
        for (int64_t n = 0; n < job.outer_columns[job.outer_phases]; ++n) {
            const Columns& columns = job.columns[n];
            T* to = packed + columns.weights;
            const int64_t* sources = job.sources + columns.first_source;
            for (int64_t k = 0; k < job.in_channels; ++k)
                for (int64_t i = 0; i < columns.taps * columns.count; ++i)
                    *to++ = widen(weight[sources[i] + k * job.weight_in_stride]);
        }
    }
}

}  // namespace UNSAMPLE_TARGET
}  // namespace unsample
