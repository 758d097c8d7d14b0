// conv, conv_transpose and conv_weight_grad of random shapes and strides against plain loops.
#pragma once
#include "../conv/call.h"
#include "../targets.h"
#include "check.h"

namespace {

struct Layout {
    int64_t strides[kMaxConvRank + 2], size = 1;

    // Batch and channels, then the axes; channels innermost where `last`.
    Layout(const ConvShape& s, int64_t channels, const int64_t* sizes, bool last) {
        if (last) strides[1] = 1, size = channels;
        for (int64_t a = s.rank - 1; a >= 0; --a) strides[a + 2] = size, size *= sizes[a];
        if (!last) strides[1] = size, size *= channels;
        strides[0] = size;
        size *= s.batch;
    }
};

// Every (fine element, window, tap) that meet: call(fine offset, coarse offset, tap).
template <class Call>
void every_meeting(const ConvShape& s, const int64_t* fine, const int64_t* coarse,
                   const int64_t* fine_strides, const int64_t* coarse_strides, int64_t axis,
                   int64_t at_fine, int64_t at_coarse, int64_t tap, const Call& call) {
    if (axis == s.rank) return call(at_fine, at_coarse, tap);
    for (int64_t o = 0; o < coarse[axis]; ++o)
        for (int64_t t = 0; t < s.kernel[axis]; ++t) {
            const int64_t p = o * s.stride[axis] + t * s.dilation[axis] - s.before[axis];
            if (p < 0 || p >= fine[axis]) continue;
            every_meeting(s, fine, coarse, fine_strides, coarse_strides, axis + 1,
                          at_fine + p * fine_strides[axis + 2],
                          at_coarse + o * coarse_strides[axis + 2], tap * s.kernel[axis] + t, call);
        }
}

// The triple shares its meetings: x is the fine side, y the coarse one, w[y channel][x
// channel][tap].
template <class T>
void convolutions(const Kernels& k, Element element) {
    const ConvKernels& kernels = *k.conv;
    if (!kernels.vector_bytes) return;
    ConvShape s{};
    s.element = element;
    s.rank = draw(1, 3);
    s.batch = draw(1, 3);
    s.groups = draw(0, 2) ? 1 : draw(2, 40);
    const bool depthwise =
        s.groups > 1 && draw(0, 1);  // with channels innermost: a form of its own
    const int64_t most = depthwise ? 1 : s.groups > 1 ? 2 : 40;
    const int64_t c_x = draw(1, most), c_y = draw(1, most);
    int64_t fine[kMaxConvRank], coarse[kMaxConvRank], taps = 1;
    for (int64_t a = 0; a < s.rank; ++a) {
        s.kernel[a] = draw(1, 4), s.stride[a] = draw(1, 3), s.dilation[a] = draw(1, 2);
        // Taps further apart than a block is long.
        if (draw(0, 3) == 0) s.stride[a] = 1, s.dilation[a] = draw(3, s.rank == 1 ? 40 : 9);
        coarse[a] = draw(1, s.rank == 1 ? 60 : 9);
        const int64_t extent = (s.kernel[a] - 1) * s.dilation[a] + 1;
        s.before[a] = draw(0, extent / 2);
        fine[a] = (coarse[a] - 1) * s.stride[a] + extent - s.before[a] - draw(0, extent / 2);
        fine[a] = fine[a] < 1 ? 1 : fine[a];
        taps *= s.kernel[a];
    }
    const int64_t offset = draw(0, 9);
    const Layout in_fine(s, c_x * s.groups, fine, depthwise || draw(0, 1));
    const Layout in_coarse(s, c_y * s.groups, coarse, depthwise || draw(0, 1));
    Array<T> x(in_fine.size, offset), y(in_coarse.size, offset), w(s.groups * c_y * c_x * taps, 0);
    Array<T> bias(s.groups * (c_x > c_y ? c_x : c_y), 0);
    std::vector<T> down(size_t(y.size)), up(size_t(x.size)), grad(size_t(w.size));
    const bool biased = draw(0, 1);
    auto add_bias = [&](std::vector<T>& to, const Layout& layout, int64_t channels) {
        const int64_t plane = layout.size / s.batch / channels;
        for (int64_t i = 0; i < layout.size; ++i)  // the channel of element i
            to[size_t(i)] =
                biased ? bias[layout.strides[1] == 1 ? i % channels : i / plane % channels] : T{};
    };
    add_bias(down, in_coarse, c_y * s.groups);
    add_bias(up, in_fine, c_x * s.groups);
    for (int64_t n = 0; n < s.batch; ++n)
        for (int64_t c = 0; c < s.groups * c_y; ++c)
            for (int64_t i = 0; i < c_x; ++i)
                every_meeting(s, fine, coarse, in_fine.strides, in_coarse.strides, 0,
                              n * in_fine.strides[0] + (c / c_y * c_x + i) * in_fine.strides[1],
                              n * in_coarse.strides[0] + c * in_coarse.strides[1], 0,
                              [&](int64_t f, int64_t o, int64_t t) {
                                  const size_t at = size_t((c * c_x + i) * taps + t);
                                  down[size_t(o)] += w.data[at] * x[f];
                                  up[size_t(f)] += w.data[at] * y[o];
                                  grad[at] += x[f] * y[o];
                              });

    const Workers workers{int(draw(1, 3)), [] { return false; }};
    const char* ran = "";
    for (const bool transposed : {false, true}) {
        s.transposed = transposed;
        const Layout &in = transposed ? in_coarse : in_fine,
                     &out = transposed ? in_fine : in_coarse;
        s.in_channels = s.groups * (transposed ? c_y : c_x);
        s.out_channels = s.groups * (transposed ? c_x : c_y);
        for (int64_t a = 0; a < s.rank; ++a) {
            s.in_size[a] = transposed ? coarse[a] : fine[a];
            s.out_size[a] = transposed ? fine[a] : coarse[a];
        }
        std::copy(in.strides, in.strides + s.rank + 2, s.in_strides);
        std::copy(out.strides, out.strides + s.rank + 2, s.out_strides);
        Array<T> result(out.size, offset);
        ConvPlan plan;
        if (!plan_conv(s, kernels, plan)) abort();
        const ConvArguments given{transposed ? y.data : x.data, w.data,
                                  biased ? bias.data : nullptr, nullptr, result.data};
        if (!run_conv(plan, given, workers, &ran)) abort();
        same(transposed ? "conv_transpose" : "conv", k.name, result, transposed ? up : down);
        if (transposed) continue;
        Array<T> weight(w.size, 0);
        WeightGradPlan back;
        if (!plan_weight_grad(s, kernels, back)) abort();
        if (!run_weight_grad(back, x.data, y.data, weight.data, workers, &ran)) abort();
        same("conv_weight_grad", k.name, weight, grad);
    }
}

}  // namespace
