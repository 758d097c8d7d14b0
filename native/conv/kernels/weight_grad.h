// Work items of conv_weight_grad: y contracted with x under every tap.
//
// x is copied into planes (planes.h), in which a tap of a channel, a *combo*, is a constant
// offset and positions of one row lie side by side. y is copied position by position, a panel of
// its channels at a time; then sums[combo, :] += x[offset(combo) + position] * y[position, :] is
// the product of multiply.h, with combos for pixels and positions for input channels. Where y
// has fewer channels than a vector has lanes the vectors lie along positions.
#pragma once
#include "block.h"
#include "multiply.h"
#include "planes.h"

namespace unsample {
namespace UNSAMPLE_TARGET {

// The rows of a block as segments of the planes; returns how many.
static int64_t list_rows(const ConvJob& job, const Block& block, int64_t longest,
                         Segment* segments) {
    const int64_t inner = job.rank - 1;
    int64_t rows = block.images, count = 0;
    for (int64_t a = 0; a < inner; ++a) rows *= block.size[a];
    for (int64_t row = 0; row < rows; ++row) {
        int64_t rest = row, offset = 0;
        for (int64_t a = inner - 1; a >= 0; --a) {
            offset += rest % block.size[a] * job.axes[a].tile_stride;
            rest /= block.size[a];
        }
        offset += rest * job.image_stride;
        for (int64_t q = 0; q < block.size[inner]; q += longest) {
            int64_t left = block.size[inner] - q;
            segments[count++] = {offset + q, left < longest ? left : longest};
        }
    }
    return count;
}

// y of one block: to[position * to_step + c], or to[c * to_step + position] as lines.
template <class E, class T>
static void pack_y(const WeightGradJob& given, const Block& block, int64_t channel,
                   int64_t channels, bool lines, T* to, int64_t to_step) {
    const ConvJob& job = given.conv;
    const int64_t inner = job.rank - 1;
    int64_t rows = block.images;
    for (int64_t a = 0; a < inner; ++a) rows *= block.size[a];
    for (int64_t row = 0; row < rows; ++row) {
        const E* from = static_cast<const E*>(given.y) + channel * job.out_channel_stride +
                        block.origin[inner] * job.out_strides[inner];
        int64_t rest = row;
        for (int64_t a = inner - 1; a >= 0; --a) {
            from += (block.origin[a] + rest % block.size[a]) * job.out_strides[a];
            rest /= block.size[a];
        }
        from += (block.image + rest) * job.out_batch_stride;
        const int64_t count = block.size[inner];
        if (!lines) {
            pack_pixels(from, job.out_channel_stride, job.out_strides[inner], channels, count, to,
                        to_step);
            to += count * to_step;
        } else {
            pack_pixels(from, job.out_strides[inner], job.out_channel_stride, count, channels, to,
                        to_step);
            to += count;
        }
    }
}

// Sums of a block for panels of y's channels.
template <class T, int NV>
static void add_panel(const WeightGradJob& given, const T* tile, const T* y,
                      const Segment* segments, int64_t count, const int32_t* at, const int32_t* to,
                      int64_t combos, T* sums) {
    constexpr int MR = kPixels<NV>, width = NV * kLanes<T>;
    int64_t done = 0;
    for (int64_t s = 0; s < count;) {
        int64_t first = s, rows = 0;
        if (done > kLong) {
            done = 0;
            if (stopped()) return;
        }
        do rows += segments[s++].length;
        while (s < count && rows + segments[s].length <= given.slice_rows);
        for (int64_t i = 0; i < combos; i += MR)
            multiply_pixels<T, MR, NV>(tile, 1, at + i, segments + first, s - first, y, sums,
                                       to + i, nullptr);
        y += rows * width;
        done += rows * width * combos;
    }
}

// sums[i] += the products of y with x at at[i], summed over positions, for M combos.
template <class T, int M>
static void add_dots(const T* tile, const T* y, const Segment* segments, int64_t count,
                     const int32_t* at, T* sums) {
    typedef typename Vec<T>::type V;
    constexpr int L = kLanes<T>;
    V c[M] = {};
    for (int64_t s = 0; s < count; ++s) {
        const T* x = tile + segments[s].offset;
        const int64_t length = segments[s].length;
        int64_t p = 0;
        for (; p + L <= length; p += L) {
            V v = load(y + p);
#pragma GCC unroll 16
            for (int i = 0; i < M; ++i) c[i] += v * load(x + at[i] + p);
        }
        if (p < length) {
            // Neighbours of the row must not be multiplied, not even by 0: they may be infinite.
            T rest[M + 1][L] = {};
            for (int64_t j = 0; j < length - p; ++j) {
                rest[M][j] = y[p + j];
                for (int i = 0; i < M; ++i) rest[i][j] = x[at[i] + p + j];
            }
            V v = load(rest[M]);
            for (int i = 0; i < M; ++i) c[i] += v * load(rest[i]);
        }
        y += length;
    }
    for (int i = 0; i < M; ++i) {
        T lanes[L], sum = 0;
        store(lanes, c[i]);
        for (int j = 0; j < L; ++j) sum += lanes[j];
        sums[i] += sum;
    }
}

template <class T>
static void add_lines(const T* tile, const T* y, const Segment* segments, int64_t count,
                      const int32_t* at, int64_t combos, T* sums) {
    int64_t i = 0;
    for (; i + 8 <= combos; i += 8) add_dots<T, 8>(tile, y, segments, count, at + i, sums + i);
    for (; i + 4 <= combos; i += 4) add_dots<T, 4>(tile, y, segments, count, at + i, sums + i);
    for (; i < combos; ++i) add_dots<T, 1>(tile, y, segments, count, at + i, sums + i);
}

template <class E>
static void weight_grad(const WeightGradJob* given, int64_t begin, int64_t end, void* scratch) {
    typedef typename Summed<E>::type T;
    const WeightGradJob& job = *given;
    const ConvJob& conv = job.conv;
    const int64_t out = conv.out_channels, row = conv.in_channels * conv.taps,
                  width = job.panel_width;
    char* memory = static_cast<char*>(scratch);
    auto take = [&](int64_t bytes) {
        char* part = memory;
        memory += bytes;
        return part;
    };
    T* tile = reinterpret_cast<T*>(take(job.conv.tile_bytes));
    T* y = reinterpret_cast<T*>(take(job.y_bytes));
    T* sums = reinterpret_cast<T*>(take(job.sums_bytes));
    Segment* segments = reinterpret_cast<Segment*>(take(job.segment_bytes));
    int32_t* at = reinterpret_cast<int32_t*>(take(job.combo_bytes));
    int32_t* to = at + job.combo_bytes / 8;
    for (int64_t item = begin; item < end; ++item) {
        int64_t rest = item;
        const int64_t part = rest % job.parts;
        rest /= job.parts;
        const int64_t x_first = rest % job.x_ranges * job.x_range;
        rest /= job.x_ranges;
        const int64_t y_first = rest % job.y_ranges * job.y_range;
        const int64_t group = rest / job.y_ranges * conv.group_block;
        const int64_t groups =
            conv.groups - group < conv.group_block ? conv.groups - group : conv.group_block;
        const int64_t xs =
            conv.in_channels - x_first < job.x_range ? conv.in_channels - x_first : job.x_range;
        const int64_t ys = out - y_first < job.y_range ? out - y_first : job.y_range;
        const int64_t combos = xs * conv.taps, panels = (ys + width - 1) / width;
        for (int64_t c = 0; c < xs; ++c)
            for (int64_t t = 0; t < conv.taps; ++t) {
                at[c * conv.taps + t] = int32_t(c * conv.plane + conv.offsets[t]);
                to[c * conv.taps + t] = int32_t(c * conv.taps + t);
            }
        for (int64_t i = combos; i < combos + kMaxPixels; ++i) {  // into sums that nobody reads
            at[i] = at[0];
            to[i] = int32_t(combos);
        }
        const int64_t sums_step = job.lines ? combos : (combos + 1) * width;
        memset(sums, 0, size_t((job.lines ? groups * ys : panels) * sums_step) * sizeof(T));
        if (!job.lines) memset(y, 0, size_t(job.y_bytes));
        int64_t done = 0;
        // After so many products more: whether the call was stopped.
        const auto leave = [&](int64_t products) {
            if ((done += products) <= kLong) return false;
            done = 0;
            return stopped();
        };
        for (int64_t b = part * job.blocks / job.parts; b < (part + 1) * job.blocks / job.parts;
             ++b) {
            Block block = block_of(conv, 1, b);
            int64_t positions = block.images;
            for (int64_t a = 0; a < conv.rank; ++a) positions *= block.size[a];
            int64_t count =
                list_rows(conv, block, job.lines ? positions : job.slice_rows, segments);
            pack_planes<E>(conv, block.image, block.images, group * conv.in_channels + x_first,
                           groups * xs, block.origin, tile);
            if (job.lines) {
                pack_y<E>(job, block, group * out, groups * out, true, y, job.positions);
                for (int64_t i = 0; i < groups * out; ++i) {
                    add_lines(tile + i / out * conv.in_channels * conv.plane, y + i * job.positions,
                              segments, count, at, combos, sums + i * sums_step);
                    if (leave(positions * combos)) return;
                }
                continue;
            }
            for (int64_t p = 0; p < panels; ++p) {
                const int64_t used = ys - p * width < width ? ys - p * width : width;
                // A last panel of one vector.
                const int64_t step = used <= kLanes<T> ? kLanes<T> : width;
                T* to_y = y + p * width * job.positions;
                pack_y<E>(job, block, group * out + y_first + p * width, used, false, to_y, step);
                (step == width && width > kLanes<T> ? add_panel<T, 2>
                                                    : add_panel<T, 1>)(job, tile, to_y, segments,
                                                                       count, at, to, combos,
                                                                       sums + p * sums_step);
                if (leave(positions * combos * width)) return;
            }
        }
        // (channel of y, combo) is the layout of the weight.
        for (int64_t p = 0; p < (job.lines ? groups * ys : panels); ++p) {
            const int64_t channel = group * out + y_first + p * (job.lines ? 1 : width);
            const int64_t used = job.lines ? 1 : ys - p * width < width ? ys - p * width : width;
            const int64_t step = job.lines ? 1 : used <= kLanes<T> ? kLanes<T> : width;
            const int64_t place = channel * row + x_first * conv.taps;
            const T* from = sums + p * sums_step;
            if (job.parts == 1)
                store_row(from, step, used, combos, static_cast<E*>(job.weight) + place, row, 1,
                          false);
            else
                store_row(from, step, used, combos,
                          static_cast<T*>(job.partial) + part * conv.groups * out * row + place,
                          row, 1, false);
        }
    }
}

// Adds the parts up, in their order. Items: kReduceItem elements of the weight each.
template <class E>
static void add_parts(const WeightGradJob* given, int64_t begin, int64_t end, void*) {
    typedef typename Summed<E>::type T;
    const WeightGradJob& job = *given;
    const int64_t all =
        job.conv.groups * job.conv.out_channels * job.conv.in_channels * job.conv.taps;
    for (int64_t item = begin; item < end; ++item) {
        const int64_t stop = (item + 1) * kReduceItem < all ? (item + 1) * kReduceItem : all;
        for (int64_t i = item * kReduceItem; i < stop; ++i) {
            const T* part = static_cast<const T*>(job.partial) + i;
            T sum = part[0];
            for (int64_t p = 1; p < job.parts; ++p) sum += part[p * all];
            narrow(sum, static_cast<E*>(job.weight) + i);
        }
    }
}

}  // namespace UNSAMPLE_TARGET
}  // namespace unsample
