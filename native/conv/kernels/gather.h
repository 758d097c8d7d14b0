// Work items of conv and conv_transpose where many output channels share a pixel; see job.h.
#pragma once
#include "block.h"
#include "multiply.h"
#include "pack.h"
#include "store.h"

namespace unsample {
namespace UNSAMPLE_TARGET {

// The positions of a block that one phase has, as pixels of the tile and rows of the sums.
struct Positions {
    int32_t* at;
    int32_t* to;
    int64_t count;
    int64_t images;
    int64_t size[kMaxConvRank];
};

static bool same_box(const Positions& a, const int64_t* size, int64_t images, int64_t rank) {
    if (a.count < 0 || a.images != images) return false;
    for (int64_t i = 0; i < rank; ++i)
        if (a.size[i] != size[i]) return false;
    return true;
}

static void list_positions(const ConvJob& job, const int64_t* size, int64_t images,
                           Positions& list) {
    const int64_t rank = job.rank, inner = rank - 1;
    int64_t rows = images, n = 0, tile_image = 1;
    for (int64_t a = 0; a < inner; ++a) rows *= size[a];
    for (int64_t a = 0; a < rank; ++a) tile_image *= job.axes[a].tile_size;
    const ConvAxis& last = job.axes[inner];
    for (int64_t row = 0; row < rows; ++row) {
        int64_t rest = row, at = 0, to = 0, scale = 1;
        for (int64_t a = inner - 1; a >= 0; --a) {
            int64_t q = rest % size[a];
            rest /= size[a];
            at += q * job.axes[a].in_step * job.axes[a].tile_stride;
            to += q * scale;
            scale *= job.axes[a].block;
        }
        at += rest * tile_image;
        to = (to + rest * scale) * job.row_length;
        for (int64_t q = 0; q < size[inner]; ++q, ++n) {
            list.at[n] = int32_t(at + q * last.in_step);
            list.to[n] = int32_t(to + q * last.out_step);
        }
    }
    // The last register tile repeats the last position.
    for (int64_t i = 0; i < kMaxPixels && n > 0; ++i) {
        list.at[n + i] = list.at[n - 1];
        list.to[n + i] = list.to[n - 1];
    }
    list.count = n;
    list.images = images;
    for (int64_t a = 0; a < rank; ++a) list.size[a] = size[a];
}

template <class T, int NV>
static void multiply_slice(const T* tile, int64_t pitch, const Positions& list,
                           const Segment* segments, int64_t count, const T* panel, const T* next,
                           T* sums, const T* start) {
    constexpr int MR = kPixels<NV>;
    // Each register tile fetches its share of the slice after this one.
    const int64_t lines = next - panel, share = lines * MR / (list.count + MR - 1);
    for (int64_t i = 0; i < list.count; i += MR) {
        for (int64_t line = 0; line < share; line += 64 / sizeof(T))
            __builtin_prefetch(next + i / MR * share + line, 0, 2);
        multiply_pixels<T, MR, NV>(tile, pitch, list.at + i, segments, count, panel, sums,
                                   list.to + i, start);
    }
}

// Stores the rows of one outer phase; `phase` is the phase along every axis but the last.
template <class E, class T>
static void store_rows(const ConvJob& job, const Block& block, const int64_t* size,
                       const int64_t* phase, const T* sums, int64_t width, int64_t column,
                       int64_t used) {
    const int64_t inner = job.rank - 1;
    const ConvAxis& last = job.axes[inner];
    int64_t rows = block.images, x = block.origin[inner] * last.out_step;
    for (int64_t a = 0; a < inner; ++a) rows *= size[a];
    int64_t length = last.out_size - x < job.row_length ? last.out_size - x : job.row_length;
    for (int64_t row = 0; row < rows; ++row) {
        E* to = static_cast<E*>(job.output) + x * job.out_strides[inner] +
                (block.group * job.out_channels + column) * job.out_channel_stride;
        int64_t rest = row, from = 0, scale = 1;
        for (int64_t a = inner - 1; a >= 0; --a) {
            int64_t q = rest % size[a];
            rest /= size[a];
            from += q * scale;
            scale *= job.axes[a].block;
            to += ((block.origin[a] + q) * job.axes[a].out_step + phase[a]) * job.out_strides[a];
        }
        from += rest * scale;
        to += (block.image + rest) * job.out_batch_stride;
        store_row(sums + from * job.row_length * width, width, used, length, to,
                  job.out_channel_stride, job.out_strides[inner], job.stream != 0);
    }
}

// All phases of one panel for one block; false where the call was stopped.
template <class E, class T, int NV>
static bool multiply_panel(const ConvJob& job, const Block& block, int64_t column, const T* panel,
                           T* tile, T* sums, Positions& list) {
    constexpr int64_t width = NV * kLanes<T>;
    const int64_t inner = job.rank - 1;
    int64_t left = job.out_channels - column, used = left < width ? left : width;
    T start[width] = {};
    if (job.bias)
        for (int64_t i = 0; i < used; ++i)
            start[i] =
                widen(static_cast<const E*>(job.bias)[block.group * job.out_channels + column + i]);
    int64_t done = 0;
    for (int64_t outer = 0; outer < job.outer_phases; ++outer) {
        int64_t phase[kMaxConvRank], size[kMaxConvRank], rest = outer;
        for (int64_t a = inner - 1; a >= 0; --a) {
            phase[a] = rest % job.axes[a].out_step;
            rest /= job.axes[a].out_step;
            size[a] = positions_of(job.axes[a], block.origin[a], block.size[a], phase[a]);
        }
        const T* weights = panel;
        for (int64_t c = 0; c < job.chunks; ++c) {
            const Chunk& chunk = c + 1 < job.chunks ? job.full : job.tail;
            if (job.chunks > 1)
                pack_tile<E>(job, block.image, block.images,
                             block.group * job.in_channels + c * job.full.channels, chunk.channels,
                             block.origin, tile);
            for (int64_t r = 0; r < job.inner_phases; ++r) {
                size[inner] =
                    positions_of(job.axes[inner], block.origin[inner], block.size[inner], r);
                if (!same_box(list, size, block.images, job.rank))
                    list_positions(job, size, block.images, list);
                const Phase& p = chunk.phases[outer * job.inner_phases + r];
                const T* rows = weights + p.panel_row * width;
                for (int64_t s = 0; s < p.count; ++s) {
                    const Slice& slice = chunk.slices[p.first + s];
                    multiply_slice<T, NV>(tile, chunk.channels, list, chunk.segments + slice.first,
                                          slice.count, rows, rows + slice.rows * width,
                                          sums + r * width, c == 0 && s == 0 ? start : nullptr);
                    rows += slice.rows * width;
                    if ((done += list.count * slice.rows * width) > kLong) {
                        done = 0;
                        if (stopped()) return false;
                    }
                }
            }
            weights += chunk.rows * width;
        }
        store_rows<E>(job, block, size, phase, sums, width, column, used);
    }
    return true;
}

template <class E>
static void gather(const ConvJob* given, int64_t begin, int64_t end, void* scratch) {
    typedef typename Summed<E>::type T;
    const ConvJob& job = *given;
    char* memory = static_cast<char*>(scratch);
    T* tile = reinterpret_cast<T*>(memory);
    T* sums = reinterpret_cast<T*>(memory + job.tile_bytes);
    Positions list;
    list.at = reinterpret_cast<int32_t*>(memory + job.tile_bytes + job.sums_bytes);
    list.to = list.at + job.list_bytes / 8;
    T* own = reinterpret_cast<T*>(memory + job.tile_bytes + job.sums_bytes + job.list_bytes);
    const int64_t ranges = job.items / job.blocks;
    int64_t packed = -1;
    for (int64_t item = begin; item < end; ++item) {
        Block block = block_of(job, job.groups, item / ranges);
        if (packed != item / ranges) {
            packed = item / ranges;
            list.count = -1;
            if (job.chunks == 1)
                pack_tile<E>(job, block.image, block.images, block.group * job.in_channels,
                             job.in_channels, block.origin, tile);
        }
        int64_t first = item % ranges * job.panels_per_item;
        int64_t stop =
            first + job.panels_per_item < job.panels ? first + job.panels_per_item : job.panels;
        for (int64_t p = first; p < stop; ++p) {
            int64_t column = p * job.panel_width;
            const T* panel = own;
            if (job.packed)
                panel = static_cast<const T*>(job.packed) +
                        (block.group * job.panels + p) * job.panel_rows * job.panel_width;
            else
                pack_panel<E>(job, block.group, p, own);
            const bool done =
                job.out_channels - column <= kLanes<T>
                    ? multiply_panel<E, T, 1>(job, block, column, panel, tile, sums, list)
                    : multiply_panel<E, T, 2>(job, block, column, panel, tile, sums, list);
            if (!done) return;
        }
    }
    if (job.stream) finish_streaming();
}

}  // namespace UNSAMPLE_TARGET
}  // namespace unsample
