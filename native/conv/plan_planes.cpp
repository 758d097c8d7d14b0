// The plan of a convolution with few output channels, whose vectors lie along positions.
#include "plan_parts.h"

namespace unsample {

std::vector<std::vector<AxisTap>> taps_of(const ConvShape& s, const ConvAxis& axis, int64_t a) {
    std::vector<std::vector<AxisTap>> taps(static_cast<size_t>(axis.out_step));
    for (int64_t i = 0; i < s.kernel[a]; ++i) {
        const int64_t t = s.transposed ? s.kernel[a] - 1 - i : i;
        // Output element r of a phase meets input element `shift` where r - shift * stride is this:
        const int64_t offset = t * s.dilation[a] - s.before[a];
        if (!s.transposed) {
            taps[0].push_back({t, offset});
            continue;
        }
        const int64_t windows = floor_div(offset + axis.origin, axis.out_step);
        taps[size_t(offset + axis.origin - windows * axis.out_step)].push_back({t, -windows});
    }
    return taps;
}

void plan_axes(const ConvShape& s, ConvJob& job, bool from_padding, int64_t* span) {
    job.outer_phases = 1;
    for (int64_t a = 0; a < s.rank; ++a) {
        ConvAxis& axis = job.axes[a];
        axis.in_size = s.in_size[a];
        axis.out_size = s.out_size[a];
        axis.in_step = s.transposed ? 1 : s.stride[a];
        axis.out_step = s.transposed ? s.stride[a] : 1;
        axis.origin = from_padding && a + 1 == s.rank
                          ? s.before[a] - floor_div(s.before[a], axis.out_step) * axis.out_step
                          : 0;
        axis.positions = axis.out_size ? ceil_div(axis.out_size + axis.origin, axis.out_step) : 0;
        axis.fold = s.transposed ? Fold::zeros : s.fold[a];
        int64_t reach = s.dilation[a] * (s.kernel[a] - 1), high;
        if (s.transposed) {
            axis.low = -floor_div(axis.origin + reach - s.before[a], s.stride[a]);
            high = -floor_div(axis.origin - s.before[a], s.stride[a]);
        } else {
            axis.low = -s.before[a];
            high = reach - s.before[a];
        }
        span[a] = high - axis.low + 1;
        axis.taps = s.kernel[a];
        axis.apart = s.stride[a] == 1 ? s.dilation[a] : 0;
        if (a + 1 < s.rank) job.outer_phases = times(job.outer_phases, axis.out_step);
        axis.block = 1;
    }
    job.inner_phases = job.axes[s.rank - 1].out_step;
}

void lay_out_axis(ConvAxis& axis, int64_t span, int64_t stride) {
    axis.tile_size = tile_size(axis, span, axis.block);
    axis.tile_stride = stride;
    axis.run = in_runs(axis, axis.block) ? axis.block : axis.tile_size;
}

int64_t place_of(const ConvAxis& axis, int64_t shift) {
    const int64_t i = shift - axis.low;
    return axis.run < axis.tile_size ? i / axis.apart * axis.run : i;
}

int64_t offset_of(const ConvAxis& axis, int64_t shift) {
    const int64_t i = place_of(axis, shift);
    return i % axis.in_step * axis.split_stride + i / axis.in_step * axis.tile_stride;
}

// Strides of the planes of the tile for the blocks chosen; returns how many positions they have,
// junk included.
int64_t lay_out_planes(ConvJob& job, const int64_t* span, int64_t lanes) {
    int64_t box = 1, splits = 1, positions = 0;
    for (int64_t a = (job.rank - 1); a >= 0; --a) {
        ConvAxis& axis = job.axes[a];
        lay_out_axis(axis, span[a], box);
        positions += times(axis.block - 1, box);
        box = times(box, ceil_div(axis.tile_size, axis.in_step));
    }
    job.image_stride = box;
    positions += times(job.block_batch - 1, box) + 1;
    const int64_t boxes = times(box, job.block_batch);
    for (int64_t a = (job.rank - 1); a >= 0; --a) {
        job.axes[a].split_stride = times(splits, boxes);
        splits = times(splits, job.axes[a].in_step);
    }
    // Multiples of a page collide in the cache.
    job.plane = round_up(times(splits, boxes) + lanes, lanes);
    if (job.plane % 256 == 0) job.plane += 2 * lanes;
    return positions;
}

namespace {

constexpr int64_t kPlanesTileBytes = 192 << 10;
constexpr int64_t kSumsBytes = 64 << 10;

// Phases of the last axis that read the same elements.
struct Class {
    std::vector<int64_t> phases;
    std::vector<std::vector<AxisTap>> taps;  // of each phase
};

std::vector<Class> classes_of(const ConvShape& s, const ConvAxis& axis) {
    std::vector<Class> classes;
    std::vector<std::vector<AxisTap>> all = taps_of(s, axis, s.rank - 1);
    for (int64_t r = 0; r < axis.out_step; ++r) {
        std::vector<AxisTap>& taps = all[size_t(r)];
        auto same = [&](const Class& c) {
            return std::equal(
                taps.begin(), taps.end(), c.taps[0].begin(), c.taps[0].end(),
                [](const AxisTap& x, const AxisTap& y) { return x.shift == y.shift; });
        };
        auto found = std::find_if(classes.begin(), classes.end(), same);
        if (found == classes.end()) found = classes.insert(classes.end(), Class());
        found->phases.push_back(r);
        found->taps.push_back(std::move(taps));
    }
    return classes;
}

void make_columns(const ConvShape& s, ConvPlan& plan) {
    const ConvJob& job = plan.job;
    const int64_t inner = s.rank - 1;
    const std::vector<Class> classes = classes_of(s, job.axes[inner]);
    std::vector<std::vector<std::vector<AxisTap>>> axis_taps;
    for (int64_t a = 0; a < inner; ++a) axis_taps.push_back(taps_of(s, job.axes[a], a));
    int64_t weights = 0;
    for (int64_t outer = 0; outer < job.outer_phases; ++outer) {
        plan.outer_columns.push_back(int64_t(plan.columns.size()));
        // Offset in the tile and number of every combination of taps along the outer axes.
        std::vector<AxisTap> outer_taps{{0, 0}};
        int64_t rest = outer, scale = s.kernel[inner];
        for (int64_t a = inner - 1; a >= 0; --a, rest /= job.axes[a + 1].out_step) {
            std::vector<AxisTap> longer;
            for (const AxisTap& t : axis_taps[size_t(a)][size_t(rest % job.axes[a].out_step)])
                for (const AxisTap& u : outer_taps)
                    longer.push_back(
                        {t.tap * scale + u.tap, offset_of(job.axes[a], t.shift) + u.shift});
            outer_taps = std::move(longer);
            scale *= s.kernel[a];
        }
        for (const Class& c : classes) {
            const int64_t phases = int64_t(c.phases.size()), all = phases * job.out_channels;
            const int64_t each = ceil_div(all, ceil_div(all, kMaxColumns));
            for (int64_t first = 0; first < all; first += each) {
                Columns columns{};
                columns.first_tap = int64_t(plan.offsets.size());
                columns.first_source = int64_t(plan.sources.size());
                columns.count = std::min(each, all - first);
                columns.taps = int64_t(outer_taps.size() * c.taps[0].size());
                columns.weights = weights;
                for (int64_t i = 0; i < columns.count; ++i)
                    columns.rows[i] =
                        (first + i) / phases * job.inner_phases + c.phases[(first + i) % phases];
                for (const AxisTap& t : outer_taps)
                    for (size_t j = 0; j < c.taps[0].size(); ++j) {
                        plan.offsets.push_back(t.shift +
                                               offset_of(job.axes[inner], c.taps[0][j].shift));
                        for (int64_t i = 0; i < columns.count; ++i) {
                            int64_t channel = (first + i) / phases, phase = (first + i) % phases;
                            plan.sources.push_back(channel * job.weight_out_stride + t.tap +
                                                   c.taps[phase][j].tap);
                        }
                    }
                weights += columns.taps * columns.count * job.in_channels;
                plan.columns.push_back(columns);
            }
        }
    }
    plan.outer_columns.push_back(int64_t(plan.columns.size()));
    plan.job.packed_group = weights;
    plan.job.columns = plan.columns.data();
    plan.job.outer_columns = plan.outer_columns.data();
    plan.job.offsets = plan.offsets.data();
    plan.job.sources = plan.sources.data();
}

}  // namespace

bool plan_planes(const ConvShape& s, const ConvKernels& kernels, ConvPlan& plan) {
    ConvJob& job = plan.job;
    const int64_t element = summed_bytes(s.element);
    const int64_t lanes = kernels.vector_bytes / element, inner = s.rank - 1;
    int64_t span[kMaxConvRank];
    plan_axes(s, job, true, span);

    job.block_batch = 1;
    const int64_t channels = std::max<int64_t>(1, std::max(job.in_channels, job.out_channels));
    const bool turned = s.in_strides[1] == 1 || s.out_strides[1] == 1;
    job.group_block = turned ? std::clamp<int64_t>(kTurned / channels, 1, s.groups) : 1;

    // Sizes for the current blocks.
    auto lay_out = [&] {
        const int64_t positions = lay_out_planes(job, span, lanes);
        job.sums_stride = round_up(positions, lanes) + lanes;
        if (job.sums_stride % 256 == 0) job.sums_stride += 2 * lanes;
        // A plane without channels has a layout too, whose numbers must not wrap.
        const int64_t inputs = std::max<int64_t>(job.group_block * job.in_channels, 1),
                      outputs = std::max<int64_t>(job.group_block * job.out_channels, 1);
        job.tile_bytes = round_up(times(times(inputs, job.plane) + lanes, element), 64);
        job.sums_bytes =
            round_up(times(times(outputs, job.inner_phases), times(job.sums_stride, element)), 64);
        const int64_t stage = times(job.axes[inner].block, job.inner_phases) + 64;
        job.list_bytes = round_up(times(outputs, times(stage, element)), 64);
        job.scratch_bytes = job.tile_bytes + job.sums_bytes + job.list_bytes;
    };
    auto fits = [&] {
        lay_out();
        return job.tile_bytes <= kPlanesTileBytes && job.sums_bytes <= kSumsBytes;
    };
    // Fewer groups at a time where a row of a few positions would not fit.
    job.axes[inner].block = std::min(job.axes[inner].positions, 2 * lanes);
    while (job.group_block > 1 && !fits()) job.group_block /= 2;
    job.axes[inner].block = 1;
    lay_out();
    if (job.scratch_bytes > kScratchLimit / 4) return false;
    choose_blocks(job, span, true, fits);
    lay_out();

    job.blocks = ceil_div(s.batch, job.block_batch) * ceil_div(s.groups, job.group_block);
    for (int64_t a = 0; a < s.rank; ++a)
        job.blocks *= ceil_div(job.axes[a].positions, job.axes[a].block);
    job.items = job.blocks;
    make_columns(s, plan);
    plan.form = ConvPlan::planes;
    plan.packed_bytes = times(times(s.groups, job.packed_group), element);
    plan.pack_items = s.groups;
    return true;
}

}  // namespace unsample
