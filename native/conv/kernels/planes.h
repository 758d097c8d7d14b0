// Work items of conv and conv_transpose where few output channels share a pixel: the vectors lie
// along positions.
#pragma once
#include "block.h"
#include "pack_planes.h"
#include "store.h"

namespace unsample {
namespace UNSAMPLE_TARGET {

// sums[rows[i]][p ..] = start[i] + sum over taps, channels of weights[tap][channel][i] *
// tile[channel][offset + p ..]
template <class T, int M, int NV>
static void multiply_planes(const ConvJob& job, const Columns& columns, const T* tile,
                            const T* weights, const T* start, T* sums) {
    typedef typename Vec<T>::type V;
    constexpr int L = kLanes<T>;
    V c[M][NV];
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i)
#pragma GCC unroll 8
        for (int j = 0; j < NV; ++j) c[i][j] = splat(start[i]);
    const int64_t* offsets = job.offsets + columns.first_tap;
    // Taps innermost: they read the same cache lines. Channels innermost fetched these once a tap.
    for (int64_t k = 0; k < job.in_channels; ++k, tile += job.plane) {
        for (int64_t t = 0; t < columns.taps; ++t, weights += M) {
            const T* from = tile + offsets[t];
            // The fewer of weights and elements stay in registers.
            if constexpr (M < NV) {
                V w[M];
#pragma GCC unroll 16
                for (int i = 0; i < M; ++i) w[i] = splat(weights[i]);
#pragma GCC unroll 8
                for (int j = 0; j < NV; ++j) {
                    V x = load(from + j * L);
#pragma GCC unroll 16
                    for (int i = 0; i < M; ++i) c[i][j] += w[i] * x;
                }
            } else {
                V x[NV];
#pragma GCC unroll 8
                for (int j = 0; j < NV; ++j) x[j] = load(from + j * L);
#pragma GCC unroll 16
                for (int i = 0; i < M; ++i) {
                    V w = splat(weights[i]);
#pragma GCC unroll 8
                    for (int j = 0; j < NV; ++j) c[i][j] += w * x[j];
                }
            }
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i)
#pragma GCC unroll 8
        for (int j = 0; j < NV; ++j)
            store(sums + columns.rows[i] * job.sums_stride + j * L, c[i][j]);
}

// Vectors of a register tile of M columns: 12 sums where there are 16 registers.
template <int M>
constexpr int kVectors =
    M == 1                                            ? 8
    : (UNSAMPLE_VECTOR_BYTES == 64 ? 24 : 12) / M < 8 ? (UNSAMPLE_VECTOR_BYTES == 64 ? 24 : 12) / M
                                                      : 8;

template <class T, int M>
static void multiply_columns(const ConvJob& job, const Columns& columns, const T* tile,
                             const T* weights, const T* start, T* sums, int64_t positions) {
    constexpr int L = kLanes<T>, NV = kVectors<M>;
    int64_t p = 0;
    for (; p + (NV - 1) * L < positions; p += NV * L)
        multiply_planes<T, M, NV>(job, columns, tile + p, weights, start, sums + p);
    if constexpr (NV > 2)  // one vector alone waits for its own sums
        for (; p + L < positions; p += 2 * L)
            multiply_planes<T, M, 2>(job, columns, tile + p, weights, start, sums + p);
    for (; p < positions; p += L)
        multiply_planes<T, M, 1>(job, columns, tile + p, weights, start, sums + p);
}

template <class T>
struct ColumnsKernel {
    typedef void (*type)(const ConvJob&, const Columns&, const T*, const T*, const T*, T*, int64_t);
    static constexpr type by_count[kMaxColumns + 1] = {
        nullptr,
        multiply_columns<T, 1>,
        multiply_columns<T, 2>,
        multiply_columns<T, 3>,
        multiply_columns<T, 4>,
        multiply_columns<T, 5>,
        multiply_columns<T, 6>,
        multiply_columns<T, 7>,
        multiply_columns<T, 8>,
        multiply_columns<T, 9>,
        multiply_columns<T, 10>,
        multiply_columns<T, 11>,
        multiply_columns<T, 12>,
    };
};

// to[q * phases + r] = from[r * step + q] for q < count; `to` has room for one vector more.
template <class T>
static void interleave(const T* from, int64_t step, int64_t phases, int64_t count, T* to) {
    typedef typename Vec<T>::type V;
    constexpr int L = kLanes<T>, P = kPiece<T>;
    if (phases >= L) return transpose(from, step, phases, count, to, phases);
    int64_t q = 0;
    if (phases == 2) {
        for (; q + L <= count; q += L) {
            V a = load(from + q), b = load(from + step + q);
            store_pieces(to + 2 * q, 2 * P, low(a, b));
            store_pieces(to + 2 * q + P, 2 * P, high(a, b));
        }
    } else if (phases >= 3) {
        // Groups of kPiece phases; the last overlaps the one before. A group that has one too many
        // (3 phases of floats) spills into the next position, which is written later.
        for (; q + L <= count; q += L)
            for (int64_t r = 0; r < phases; r += P) {
                if (r > phases - P) r = phases > P ? phases - P : 0;
                V v[P];
                for (int i = 0; i < P; ++i)
                    v[i] = load(from + (r + i < phases ? r + i : r) * step + q);
                turn(v);
                char bytes[P][sizeof(V)];
                memcpy(bytes, v, sizeof bytes);
                for (int l = 0; l < L / P; ++l)
                    for (int i = 0; i < P; ++i)
                        memcpy(to + (q + l * P + i) * phases + r, bytes[i] + 16 * l, 16);
            }
    }
    for (; q < count; ++q)
        for (int64_t r = 0; r < phases; ++r) to[q * phases + r] = from[r * step + q];
}

// Copies `count` elements to the output.
template <class E, class T>
static void store_line(const T* from, int64_t count, E* to, bool streaming) {
    int64_t x = 0;
    if constexpr (SameType<E>::value) {
        constexpr int L = kLanes<T>;
        if (streaming) {
            for (; x < count && reinterpret_cast<uintptr_t>(to + x) % UNSAMPLE_VECTOR_BYTES; ++x)
                to[x] = from[x];
            for (; x + L <= count; x += L) stream(to + x, load(from + x));
        }
    }
    for (; x < count; ++x) narrow(from[x], to + x);
}

// The output rows of one outer phase: `channels` of them at each position.
template <class E, class T>
static void store_planes(const ConvJob& job, const Block& block, const int64_t* size,
                         const int64_t* phase, int64_t channel, int64_t channels, const T* sums,
                         T* stage, int64_t stage_step) {
    const int64_t inner = job.rank - 1, phases = job.inner_phases;
    const ConvAxis& last = job.axes[inner];
    int64_t rows = block.images, x = block.origin[inner] * phases - last.origin;
    int64_t skip = x < 0 ? -x : 0, length = block.size[inner] * phases;
    if (length > last.out_size - x) length = last.out_size - x;
    for (int64_t a = 0; a < inner; ++a) rows *= size[a];
    if (length <= skip) return;
    for (int64_t row = 0; row < rows; ++row) {
        E* to = static_cast<E*>(job.output) + (x + skip) * job.out_strides[inner] +
                channel * job.out_channel_stride;
        const T* from = sums;
        int64_t rest = row;
        for (int64_t a = inner - 1; a >= 0; --a) {
            int64_t q = rest % size[a];
            rest /= size[a];
            from += q * job.axes[a].tile_stride;
            to += ((block.origin[a] + q) * job.axes[a].out_step + phase[a]) * job.out_strides[a];
        }
        from += rest * job.image_stride;
        to += (block.image + rest) * job.out_batch_stride;
        const bool planar = job.out_strides[inner] == 1;
        for (int64_t c = 0; c < channels; ++c, from += phases * job.sums_stride) {
            const T* line = from;
            if (phases > 1) {
                interleave(from, job.sums_stride, phases, block.size[inner],
                           stage + c * stage_step);
                line = stage + c * stage_step;
            }
            if (planar)
                store_line(line + skip, length - skip, to + c * job.out_channel_stride,
                           job.stream != 0);
        }
        if (planar) continue;
        const T* lines = phases > 1 ? stage : from - channels * phases * job.sums_stride;
        const int64_t step = phases > 1 ? stage_step : job.sums_stride;
        if constexpr (SameType<E>::value)
            if (job.out_channel_stride == 1) {
                transpose(lines + skip, step, channels, length - skip, to, job.out_strides[inner]);
                continue;
            }
        for (int64_t i = skip; i < length; ++i)
            for (int64_t c = 0; c < channels; ++c)
                narrow(lines[c * step + i],
                       to + (i - skip) * job.out_strides[inner] + c * job.out_channel_stride);
    }
}

template <class E>
static void planes(const ConvJob* given, int64_t begin, int64_t end, void* scratch) {
    typedef typename Summed<E>::type T;
    const ConvJob& job = *given;
    const int64_t inner = job.rank - 1;
    char* memory = static_cast<char*>(scratch);
    T* tile = reinterpret_cast<T*>(memory);
    T* sums = reinterpret_cast<T*>(memory + job.tile_bytes);
    T* stage = reinterpret_cast<T*>(memory + job.tile_bytes + job.sums_bytes);
    const int64_t group_blocks = (job.groups + job.group_block - 1) / job.group_block;
    const int64_t stage_step = job.axes[inner].block * job.inner_phases + 64;
    int64_t done = 0;
    for (int64_t item = begin; item < end; ++item) {
        Block block = block_of(job, group_blocks, item);
        const int64_t first = block.group;
        const int64_t groups =
            job.groups - first < job.group_block ? job.groups - first : job.group_block;
        pack_planes<E>(job, block.image, block.images, first * job.in_channels,
                       groups * job.in_channels, block.origin, tile);
        int64_t positions = (block.images - 1) * job.image_stride + 1;
        for (int64_t a = 0; a < job.rank; ++a)
            positions += (block.size[a] - 1) * job.axes[a].tile_stride;
        for (int64_t outer = 0; outer < job.outer_phases; ++outer) {
            int64_t phase[kMaxConvRank], size[kMaxConvRank], rest = outer;
            for (int64_t a = inner - 1; a >= 0; --a) {
                phase[a] = rest % job.axes[a].out_step;
                rest /= job.axes[a].out_step;
                size[a] = positions_of(job.axes[a], block.origin[a], block.size[a], phase[a]);
            }
            T* to = sums;
            for (int64_t g = first; g < first + groups; ++g) {
                const T* weights = static_cast<const T*>(job.packed) + g * job.packed_group;
                for (int64_t n = job.outer_columns[outer]; n < job.outer_columns[outer + 1]; ++n) {
                    const Columns& columns = job.columns[n];
                    T start[kMaxColumns];
                    for (int64_t i = 0; i < columns.count; ++i)
                        start[i] = job.bias ? widen(static_cast<const E*>(
                                                  job.bias)[g * job.out_channels +
                                                            columns.rows[i] / job.inner_phases])
                                            : T(0);
                    ColumnsKernel<T>::by_count[columns.count](
                        job, columns, tile + (g - first) * job.in_channels * job.plane,
                        weights + columns.weights, start, to, positions);
                    if ((done += positions * columns.count * columns.taps * job.in_channels) >
                        kLong) {
                        done = 0;
                        if (stopped()) return;
                    }
                }
                to += job.out_channels * job.inner_phases * job.sums_stride;
            }
            store_planes<E>(job, block, size, phase, first * job.out_channels,
                            groups * job.out_channels, sums, stage, stage_step);
        }
    }
    if (job.stream) finish_streaming();
}

}  // namespace UNSAMPLE_TARGET
}  // namespace unsample
