#include "plan.h"

#include <algorithm>

#include "plan_parts.h"

namespace unsample {
namespace {

constexpr int64_t kSumsBytes = 96 << 10;
// Rows between the phases of a panel, so that they do not share cache sets while the weight is laid
// out: HiFi-GAN 256-128 1.59 -> 1.50 ms, DCGAN 512-256 11.6 -> 10.6.
constexpr int64_t kPhaseGap = 3;
constexpr int64_t kStreamBytes = 4 << 20;
constexpr int64_t kFewItems = 32;
// Every phase has tables. Where these are many more than the taps most phases meet none, and the
// definition has less to do.
constexpr int64_t kMostPhases = 1 << 16;

void make_tables(const ConvShape& s, const ConvJob& job, int64_t channels, ConvPlan::Tables& tables,
                 Chunk& chunk) {
    const int64_t rank = job.rank;
    tables = {};
    tables.tap_rows.assign(size_t(job.taps), 0);
    std::vector<std::vector<std::vector<AxisTap>>> axis_taps;
    for (int64_t a = 0; a < rank; ++a) axis_taps.push_back(taps_of(s, job.axes[a], a));
    tables.slices.push_back({0, 0, 0});  // of every phase that no tap reaches
    int64_t row = 0;
    for (int64_t phase = 0; phase < job.outer_phases * job.inner_phases; ++phase) {
        const std::vector<AxisTap>* taps[kMaxConvRank];
        int64_t rest = phase, combinations = 1;
        for (int64_t a = rank - 1; a >= 0; --a) {
            taps[a] = &axis_taps[size_t(a)][size_t(rest % job.axes[a].out_step)];
            rest /= job.axes[a].out_step;
            combinations *= int64_t(taps[a]->size());
        }
        if (combinations == 0 || channels == 0) {
            tables.phases.push_back({0, 1, row});
            continue;
        }
        if (row > 0) row += kPhaseGap;
        Phase made{int64_t(tables.slices.size()), 0, row};
        Slice slice{int64_t(tables.segments.size()), 0, 0};
        auto finish_slice = [&] {
            slice.count = int64_t(tables.segments.size()) - slice.first;
            tables.slices.push_back(slice);
            slice = {int64_t(tables.segments.size()), 0, 0};
        };
        int64_t joined_at = -1;  // where a segment would go on
        for (int64_t i = 0; i < combinations; ++i) {
            int64_t rest_taps = i, offset = 0, tap = 0, scale = 1;
            for (int64_t a = rank - 1; a >= 0; --a) {
                const AxisTap& t = (*taps[a])[size_t(rest_taps % int64_t(taps[a]->size()))];
                rest_taps /= int64_t(taps[a]->size());
                offset += place_of(job.axes[a], t.shift) * job.axes[a].tile_stride;
                tap += t.tap * scale;
                scale *= s.kernel[a];
            }
            tables.tap_rows[size_t(tap)] = row;
            offset *= channels;
            for (int64_t done = 0; done < channels;) {
                int64_t length = std::min(channels - done, kSliceRows - slice.rows);
                if (slice.rows && offset + done == joined_at)
                    tables.segments.back().length += length;
                else
                    tables.segments.push_back({offset + done, length});
                joined_at = offset + done + length;
                slice.rows += length;
                done += length;
                if (slice.rows == kSliceRows) finish_slice();
            }
            row += channels;
        }
        if (slice.rows) finish_slice();
        made.count = int64_t(tables.slices.size()) - made.first;
        tables.phases.push_back(made);
    }
    chunk = {tables.segments.data(),
             tables.slices.data(),
             tables.phases.data(),
             tables.tap_rows.data(),
             row,
             channels};
}

bool plan_panels(const ConvShape& s, const ConvKernels& kernels, ConvPlan& plan) {
    ConvJob& job = plan.job;
    const int64_t element = summed_bytes(s.element);
    const int64_t lanes = kernels.vector_bytes / element, inner = s.rank - 1;
    int64_t span[kMaxConvRank];
    plan_axes(s, job, false, span);
    job.panel_width = std::min(2 * lanes, round_up(std::max<int64_t>(job.out_channels, 1), lanes));
    job.panels = ceil_div(job.out_channels, job.panel_width);

    // Blocks grow from the innermost axis outward, while tile and sums fit their caches.
    auto tile_elements = [&] {
        int64_t n = job.block_batch;
        for (int64_t a = 0; a < s.rank; ++a)
            n = times(n, tile_size(job.axes[a], span[a], job.axes[a].block));
        return n;
    };
    auto rows = [&] {
        int64_t n = job.block_batch;
        for (int64_t a = 0; a < inner; ++a) n = times(n, job.axes[a].block);
        return n;
    };
    auto sums_bytes = [&] {
        const int64_t row = times(job.axes[inner].block, job.axes[inner].out_step);
        return times(times(rows(), row), job.panel_width * element);
    };
    // A pixel without channels is walked over too.
    auto tile_bytes = [&](int64_t channels) {
        return times(tile_elements(), times(std::max<int64_t>(channels, 1), element));
    };
    job.block_batch = 1;
    job.axes[inner].block = std::min<int64_t>(job.axes[inner].positions, 12);
    const int64_t hard_limit = kScratchLimit / 4;
    while (job.axes[inner].block > 1 && (sums_bytes() > hard_limit || tile_bytes(1) > hard_limit))
        job.axes[inner].block /= 2;
    if (tile_bytes(1) > hard_limit || sums_bytes() > kScratchLimit) return false;
    job.chunk = job.in_channels;
    if (tile_bytes(job.chunk) > hard_limit) {
        job.chunk = hard_limit / element / tile_elements();
        if (job.chunk > 8) job.chunk = job.chunk / 8 * 8;
    }
    const int64_t least = job.axes[inner].block;
    auto fits = [&] { return tile_bytes(job.chunk) <= kTileBytes && sums_bytes() <= kSumsBytes; };
    choose_blocks(job, span, false, fits);
    // A few positions would read the whole weight too often: 3 x 3 taps, 2048-256 on
    // 12 x 12 133 -> 100 ms without dilation (one thread of a busy machine).
    job.axes[inner].block = std::max(job.axes[inner].block, least);

    job.group_block = 1;
    job.blocks = ceil_div(s.batch, job.block_batch) * s.groups;
    int64_t stride = 1;
    for (int64_t a = inner; a >= 0; --a) {
        ConvAxis& axis = job.axes[a];
        lay_out_axis(axis, span[a], stride);
        stride *= axis.tile_size;
        job.blocks *= ceil_div(axis.positions, axis.block);
    }
    job.panels_per_item = job.panels;
    if (job.blocks > 0 && job.blocks < kFewItems)
        job.panels_per_item = ceil_div(job.panels, ceil_div(kFewItems, job.blocks));
    job.items = job.blocks * ceil_div(job.panels, std::max<int64_t>(job.panels_per_item, 1));
    job.row_length = job.axes[inner].block * job.axes[inner].out_step;

    job.chunks = std::max<int64_t>(1, ceil_div(job.in_channels, std::max<int64_t>(job.chunk, 1)));
    if (job.chunks > 1) make_tables(s, job, job.chunk, plan.full, job.full);
    make_tables(s, job, job.in_channels - (job.chunks - 1) * job.chunk, plan.tail, job.tail);
    job.panel_rows = (job.chunks - 1) * job.full.rows + job.tail.rows;
    plan.form = ConvPlan::panels;
    plan.packed_bytes =
        times(times(s.groups * job.panels, job.panel_rows), job.panel_width * element);
    plan.pack_items = s.groups * job.panels;

    int64_t positions = rows() * job.axes[inner].block;
    job.tile_bytes = round_up(tile_elements() * job.chunk * element + 64, 64);
    job.sums_bytes = round_up(sums_bytes(), 64);
    job.list_bytes = 8 * round_up(positions + 8, 16);
    job.scratch_bytes = job.tile_bytes + job.sums_bytes + job.list_bytes;
    // Few positions: a panel in the cache of its thread saves writing and reading the whole weight.
    const int64_t panel_bytes = round_up(job.panel_rows * job.panel_width * element, 64);
    plan.packs_itself = job.blocks == s.groups && panel_bytes <= kScratchLimit / 4;
    if (plan.packs_itself) job.scratch_bytes += panel_bytes;
    return job.scratch_bytes <= kScratchLimit;
}

}  // namespace

void plan_shape(const ConvShape& s, ConvJob& job) {
    job.rank = s.rank;
    job.batch = s.batch;
    job.groups = s.groups;
    job.in_channels = s.in_channels / s.groups;
    job.out_channels = s.out_channels / s.groups;
    job.in_batch_stride = s.in_strides[0];
    job.in_channel_stride = s.in_strides[1];
    job.out_batch_stride = s.out_strides[0];
    job.out_channel_stride = s.out_strides[1];
    job.taps = 1;
    for (int64_t a = 0; a < s.rank; ++a) {
        job.in_strides[a] = s.in_strides[a + 2];
        job.out_strides[a] = s.out_strides[a + 2];
        job.taps *= s.kernel[a];
    }
}

int64_t work_of(const ConvShape& s) {
    // What takes the time of so many: an element of a depthwise one of 4 x 4 taps, and one of a
    // weight that has to be laid out.
    constexpr int64_t kElement = 64, kWeight = 16;
    const int64_t* coarse = s.transposed ? s.in_size : s.out_size;
    int64_t weight = s.in_channels * (s.out_channels / s.groups);
    int64_t count = times(s.batch, weight);
    int64_t in = s.batch * s.in_channels, out = s.batch * s.out_channels;
    for (int64_t a = 0; a < s.rank; ++a) {
        count = times(count, times(coarse[a], s.kernel[a]));
        weight = times(weight, s.kernel[a]);
        in = times(in, s.in_size[a]);
        out = times(out, s.out_size[a]);
    }
    return count + std::max(times(kElement, std::max(in, out)), times(kWeight, weight));
}

bool plan_conv(const ConvShape& s, const ConvKernels& kernels, ConvPlan& plan) {
    ConvJob& job = plan.job;
    plan.kernels = &kernels;
    plan.element = s.element;
    plan_shape(s, job);
    plan.work = work_of(s);
    int64_t output = s.batch * s.out_channels;
    for (int64_t a = 0; a < s.rank; ++a) output = times(output, s.out_size[a]);
    if (output == 0) return true;  // no items
    int64_t phases = 1;
    for (int64_t a = 0; a < s.rank; ++a) phases = times(phases, s.transposed ? s.stride[a] : 1);
    if (phases > std::max(kMostPhases, 4 * job.taps)) return false;
    const int64_t size = kElementBytes[int(s.element)];
    job.stream = output * size >= kStreamBytes;
    job.weight_in_stride = s.transposed ? job.out_channels * job.taps : job.taps;
    job.weight_out_stride = s.transposed ? job.taps : job.in_channels * job.taps;
    job.weight_group_stride = job.in_channels * job.out_channels * job.taps;
    const int64_t lanes = kernels.vector_bytes / summed_bytes(s.element);
    if (plan_pixels(s, kernels, plan)) return true;
    if (job.out_channels < lanes && plan_planes(s, kernels, plan)) return true;
    return plan_panels(s, kernels, plan);
}

}  // namespace unsample
