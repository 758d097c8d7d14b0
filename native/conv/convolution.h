// A convolution as its caller gives it, checked and planned.
#pragma once
#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <vector>

#include "../common/int_math.h"
#include "../common/reach.h"
#include "../targets.h"
#include "plan.h"

namespace unsample {

// How many bytes before the first element, and behind it, the elements of an array begin.
struct Spread {
    int64_t before = 0, behind = 0;

    void add(int64_t count, int64_t bytes) {  // an axis of elements so many bytes apart
        if (count > 1) (bytes < 0 ? before : behind) += (count - 1) * (bytes < 0 ? -bytes : bytes);
    }
    bool operator==(const Spread& other) const {
        return before == other.before && behind == other.behind;
    }
};

// A planned convolution, of either direction or of its weight's gradient.
template <class AnyPlan, bool (*plan_it)(const ConvShape&, const ConvKernels&, AnyPlan&)>
struct Convolution {
    AnyPlan plan;
    int64_t in_bytes, out_bytes, weight_bytes, bias_bytes;
    Spread in_spread, out_spread;

    Convolution(int element, bool transposed, int64_t batch, int64_t groups, int64_t in_channels,
                int64_t out_channels, const std::vector<std::vector<int64_t>>& axes,
                const std::vector<int64_t>& in_strides, const std::vector<int64_t>& out_strides) {
        const ConvKernels& kernels = *current()->conv;
        const size_t rank = axes.size();
        if (!kernels.vector_bytes || element < 0 || element >= kFloats || rank < 1 ||
            rank > size_t(kMaxConvRank) || in_strides.size() != rank + 2 ||
            out_strides.size() != rank + 2 || !counts(batch) || !counts(groups) || groups < 1 ||
            !counts(in_channels) || in_channels % groups || !counts(out_channels) ||
            out_channels % groups)
            throw std::invalid_argument("no plan has these axes");
        ConvShape shape{};
        shape.element = Element(element);
        shape.transposed = transposed;
        shape.rank = int64_t(rank);
        shape.batch = batch;
        shape.groups = groups;
        shape.in_channels = in_channels;
        shape.out_channels = out_channels;
        const int64_t width = kElementBytes[element];
        in_bytes = times(times(batch, in_channels), width);
        out_bytes = times(times(batch, out_channels), width);
        weight_bytes = times(times(in_channels, out_channels / groups), width);
        bias_bytes = times(out_channels, width);
        // Elements where an axis of none counts as one: products of any axes are taken in planning.
        const auto whole = [](int64_t a, int64_t b) {
            return times(std::max<int64_t>(a, 1), std::max<int64_t>(b, 1));
        };
        int64_t most_in = whole(batch, in_channels), most_out = whole(batch, out_channels);
        int64_t most_weight = whole(in_channels, out_channels / groups);
        for (size_t a = 0; a < rank; ++a) {
            if (axes[a].size() != 7) throw std::invalid_argument("an axis is seven numbers");
            shape.in_size[a] = axes[a][0];
            shape.out_size[a] = axes[a][1];
            shape.kernel[a] = axes[a][2];
            shape.stride[a] = axes[a][3];
            shape.dilation[a] = axes[a][4];
            shape.before[a] = axes[a][5];
            if (axes[a][6] < 0 || axes[a][6] > int64_t(Fold::replicate))
                throw std::invalid_argument("no padding is of this mode");
            shape.fold[a] = Fold(axes[a][6]);
            settle(shape, int64_t(a));
            in_bytes = times(in_bytes, shape.in_size[a]);
            out_bytes = times(out_bytes, shape.out_size[a]);
            weight_bytes = times(weight_bytes, shape.kernel[a]);
            most_in = whole(most_in, shape.in_size[a]);
            most_out = whole(most_out, shape.out_size[a]);
            most_weight = whole(most_weight, shape.kernel[a]);
        }
        in_spread = take_strides(shape, in_channels, shape.in_size, in_strides, shape.in_strides);
        out_spread =
            take_strides(shape, out_channels, shape.out_size, out_strides, shape.out_strides);
        if (std::max({in_bytes, out_bytes, weight_bytes, bias_bytes}) > 8 * kArray ||
            std::max({most_in, most_out, most_weight}) >= kMany)
            throw std::invalid_argument("no memory holds these arrays");
        if (!plan_it(shape, kernels, plan))
            throw std::invalid_argument("no plan fits the scratch memory");
    }

private:
    // More elements than an axis, and than an array, has in any memory.
    static constexpr int64_t kAxis = int64_t(1) << 40, kArray = int64_t(1) << 55;

    static Axis windows_of(const ConvShape& s, int64_t a) {
        const int64_t fine = s.transposed ? s.out_size[a] : s.in_size[a];
        const int64_t coarse = s.transposed ? s.in_size[a] : s.out_size[a];
        return {fine,          coarse,      s.kernel[a], s.stride[a],
                s.dilation[a], s.before[a], nullptr,     nullptr};
    }

    static void settle(ConvShape& s, int64_t a) {
        const Axis axis = windows_of(s, a);
        if (reach_of(axis) > kAxis) throw std::invalid_argument("windows reach too far");
        if (axis.size == 1) s.dilation[a] = 1;
        // One window: any stride is the same. On a way up it says how many neighbours have taps of
        // their own: as many as the window is long, so that none multiplies a zero.
        if (axis.coarse <= 1)
            s.stride[a] = s.transposed ? s.dilation[a] * (s.kernel[a] - 1) + 1 : 1;
    }

    // Steps are also taken over the padding, to addresses that are not read.
    static Spread take_strides(const ConvShape& s, int64_t channels, const int64_t* size,
                               const std::vector<int64_t>& given, int64_t* strides) {
        Spread spread;
        // Without elements there may be no address to step from.
        const bool empty =
            s.batch == 0 || channels == 0 || std::count(size, size + s.rank, int64_t(0)) > 0;
        for (int64_t a = 0; a < s.rank + 2; ++a) {
            const int64_t count = a == 0 ? s.batch : a == 1 ? channels : size[a - 2];
            int64_t outside = 0;
            if (a >= 2) {
                const Axis axis = windows_of(s, a - 2);
                const int64_t extent = axis.dilation * (axis.size - 1) + 1;
                const int64_t end = (axis.coarse - 1) * axis.stride + extent - axis.before;
                outside = extent + std::abs(axis.before) + std::abs(end - axis.fine);
            }
            int64_t step = given[size_t(a)];
            const int64_t size_of_step = step < -kMany ? kMany : std::abs(step);
            if (times(size_of_step, count) > kArray || times(size_of_step, outside) > kAxis) {
                if (count > 1) throw std::invalid_argument("strides reach too far");
                step = 0;  // it is not taken, so that it may be any number
            }
            strides[a] = empty ? 0 : step;
            spread.add(count, strides[a] * kElementBytes[int(s.element)]);
        }
        return spread;
    }
};
typedef Convolution<ConvPlan, plan_conv> Conv;
typedef Convolution<WeightGradPlan, plan_weight_grad> WeightGrad;

}  // namespace unsample
