// The plan of conv_weight_grad: who sums what, and how much of x and y is copied at a time.
#include "plan_parts.h"

namespace unsample {
namespace {

constexpr int64_t kYBytes = 192 << 10;
constexpr int64_t kSumsBytes = 512 << 10;
constexpr int64_t kPartialBytes = 4 << 20;
constexpr int64_t kItems = 32;

}  // namespace

bool plan_weight_grad(const ConvShape& s, const ConvKernels& kernels, WeightGradPlan& plan) {
    WeightGradJob& job = plan.job;
    ConvJob& conv = job.conv;
    const int64_t element = summed_bytes(s.element), inner = s.rank - 1;
    const int64_t lanes = kernels.vector_bytes / element;
    if (s.transposed) return false;
    int64_t span[kMaxConvRank];
    plan.kernels = &kernels;
    plan.element = s.element;
    plan.work = work_of(s);
    plan_shape(s, conv);
    plan_axes(s, conv, false, span);
    if (conv.in_channels * conv.out_channels == 0) return true;  // no items
    conv.block_batch = conv.group_block = 1;
    const int64_t out = conv.out_channels, in = conv.in_channels, taps = conv.taps;
    job.lines = out < lanes;
    job.panel_width = job.lines ? 1 : out <= lanes ? lanes : 2 * lanes;
    job.slice_rows = kSliceRows;
    const int64_t channels = std::max<int64_t>(1, std::max(in, out));
    if (job.lines && (s.in_strides[1] == 1 || s.out_strides[1] == 1))
        conv.group_block = std::clamp<int64_t>(kTurned / channels, 1, s.groups);

    // Channels are divided until the sums fit: those of x copy y once more, those of y x.
    job.x_range = std::max<int64_t>(in, 1);
    job.y_range = std::max<int64_t>(out, 1);
    if (!job.lines) job.y_range = round_up(job.y_range, job.panel_width);
    int64_t fine = 1, coarse = 1;
    for (int64_t a = 0; a < s.rank; ++a)
        fine = times(fine, s.in_size[a]), coarse = times(coarse, s.out_size[a]);
    auto sums = [&] {
        const int64_t combos = times(job.x_range, taps) + (job.lines ? 0 : 1);
        return times(times(conv.group_block * job.y_range, combos), element);
    };
    while (sums() > kSumsBytes) {
        const int64_t more_x = times(times(fine, in), ceil_div(out, job.y_range));
        const int64_t more_y = 2 * times(times(coarse, out), ceil_div(in, job.x_range));
        if (job.y_range > job.panel_width && !job.lines && (more_x < more_y || job.x_range == 1))
            job.y_range = round_up(job.y_range / 2, job.panel_width);
        else if (job.x_range > 1 && conv.group_block == 1)
            job.x_range = ceil_div(job.x_range, 2);
        else if (conv.group_block > 1)
            conv.group_block = 1;
        else
            break;
    }
    if (sums() > kScratchLimit) return false;
    job.x_ranges = ceil_div(in, job.x_range);
    job.y_ranges = ceil_div(out, job.y_range);

    auto lay_out = [&] {
        lay_out_planes(conv, span, lanes);
        job.positions = conv.block_batch;
        for (int64_t a = 0; a < s.rank; ++a)
            job.positions = times(job.positions, conv.axes[a].block);
        const int64_t xs = conv.group_block * job.x_range;
        conv.tile_bytes = round_up(times(times(xs, conv.plane) + lanes, element), 64);
        const int64_t ys = job.lines ? conv.group_block * out : job.y_range;
        job.y_bytes = round_up(times(times(ys, job.positions) + lanes, element), 64);
    };
    auto fits = [&] {
        lay_out();
        return conv.tile_bytes <= kTileBytes && job.y_bytes <= kYBytes;
    };
    conv.axes[inner].block = std::clamp<int64_t>(conv.axes[inner].positions, 1, 2 * lanes);
    while (conv.group_block > 1 && !fits()) conv.group_block /= 2;
    choose_blocks(conv, span, true, fits);
    lay_out();
    conv.blocks = ceil_div(s.batch, conv.block_batch);
    int64_t rows = conv.block_batch;
    for (int64_t a = 0; a < s.rank; ++a) {
        conv.blocks *= ceil_div(conv.axes[a].positions, conv.axes[a].block);
        if (a < inner) rows *= conv.axes[a].block;
    }
    job.blocks = conv.blocks;

    const int64_t all = s.groups * out * in * taps;
    const int64_t owners = ceil_div(s.groups, conv.group_block) * job.x_ranges * job.y_ranges;
    job.parts = owners ? ceil_div(kItems, owners) : 1;
    job.parts = std::min(job.parts, kPartialBytes / std::max<int64_t>(all * element, 1));
    job.parts = std::max<int64_t>(std::min(job.parts, job.blocks), 1);
    job.items = owners * job.parts;
    plan.partial_bytes = job.parts > 1 ? job.parts * all * element : 0;
    plan.reduce_items = job.parts > 1 ? ceil_div(all, kReduceItem) : 0;

    job.sums_bytes = round_up(sums(), 64);
    job.segment_bytes = round_up(
        int64_t(sizeof(Segment)) * (rows * (ceil_div(conv.axes[inner].block, kSliceRows) + 1)), 64);
    job.combo_bytes = 8 * round_up(job.x_range * taps + 8, 16);
    job.scratch_bytes =
        conv.tile_bytes + job.y_bytes + job.sums_bytes + job.segment_bytes + job.combo_bytes;
    if (job.scratch_bytes > kScratchLimit) return false;

    plan.offsets.assign(size_t(taps), 0);
    for (int64_t t = 0; t < taps; ++t) {
        int64_t rest = t;
        for (int64_t a = inner; a >= 0; --a) {
            const int64_t shift = rest % s.kernel[a] * s.dilation[a] - s.before[a];
            rest /= s.kernel[a];
            plan.offsets[size_t(t)] += offset_of(conv.axes[a], shift);
        }
    }
    conv.offsets = plan.offsets.data();
    return true;
}

}  // namespace unsample
