// The plan of a depthwise convolution whose vectors lie along channels.
#include "plan_parts.h"

namespace unsample {
namespace {

constexpr int64_t kMostMeetings = 1 << 20;  // of an axis: 16 MB of them
constexpr int64_t kMostOuter = 1024;        // taps of all axes but the last
constexpr int64_t kItemBytes = 64 << 10;    // written by a work item, about

}  // namespace

bool plan_pixels(const ConvShape& s, const ConvKernels& kernels, ConvPlan& plan) {
    ConvJob& job = plan.job;
    const bool same = s.element == Element::f32 || s.element == Element::f64;
    const int64_t element = summed_bytes(s.element);
    const int64_t lanes = kernels.vector_bytes / element, inner = s.rank - 1;
    if (!same || job.in_channels != 1 || job.out_channels != 1 || s.groups < lanes ||
        s.in_strides[1] != 1 || s.out_strides[1] != 1)
        return false;
    int64_t outer = 1;
    for (int64_t a = 0; a < s.rank; ++a) {
        if (!s.transposed && s.fold[a] != Fold::zeros) return false;
        const int64_t most = ceil_div(s.kernel[a], s.transposed ? s.stride[a] : 1);
        if (times(s.out_size[a], most) > kMostMeetings) return false;
        // A dilated kernel may meet one element with all its taps.
        if (a < inner) outer = times(outer, s.dilation[a] == 1 ? most : s.kernel[a]);
        if (outer > kMostOuter) return false;
    }
    int64_t scale = s.groups;  // of the packed weight, from one tap to the next
    int64_t span[kMaxConvRank];
    plan_axes(s, job, false, span);
    std::vector<int64_t> begins(size_t(s.rank), 0);
    for (int64_t a = inner; a >= 0; scale *= s.kernel[a], --a) {
        const ConvAxis& axis = job.axes[a];
        const std::vector<std::vector<AxisTap>> taps = taps_of(s, axis, a);
        begins[size_t(a)] = int64_t(plan.meetings_of.size());
        for (int64_t x = 0; x < axis.out_size; ++x) {
            plan.meetings_of.push_back(int64_t(plan.meetings.size()));
            for (const AxisTap& t : taps[size_t(x % axis.out_step)]) {
                const int64_t i = x / axis.out_step * axis.in_step + t.shift;
                if (i >= 0 && i < axis.in_size)
                    plan.meetings.push_back({i * job.in_strides[a], t.tap * scale});
            }
        }
        plan.meetings_of.push_back(int64_t(plan.meetings.size()));
    }
    job.meetings = plan.meetings.data();
    for (int64_t a = 0; a < s.rank; ++a)
        job.meetings_of[a] = plan.meetings_of.data() + begins[size_t(a)];
    const int64_t pixel = s.groups * element, length = job.axes[inner].out_size;
    const int64_t piece = std::clamp<int64_t>(kItemBytes / pixel, 1, length);
    job.axes[inner].block = ceil_div(length, ceil_div(length, piece));
    job.rows = std::max<int64_t>(1, kItemBytes / (job.axes[inner].block * pixel));
    int64_t rows = s.batch;
    for (int64_t a = 0; a < inner; ++a) rows *= s.out_size[a];
    job.items = ceil_div(rows, job.rows) * ceil_div(length, job.axes[inner].block);
    job.scratch_bytes = outer * int64_t(sizeof(Meeting));
    plan.form = ConvPlan::pixels;
    plan.packed_bytes = times(job.taps * s.groups, element);
    plan.pack_items = ceil_div(s.groups, kPixelGroups);
    return true;
}

}  // namespace unsample
