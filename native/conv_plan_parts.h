// What the plans of both forms of a convolution need.
#pragma once
#include <algorithm>

#include "conv_plan.h"

namespace unsample {

constexpr int64_t kScratchLimit = 4 << 20;

inline int64_t floor_div(int64_t a, int64_t b) {
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}
inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

struct AxisTap {
    int64_t tap, shift;
};

// The taps of one phase along one axis, in the order of the input elements they read.
std::vector<AxisTap> taps_of(const ConvShape& s, const ConvAxis& axis, int64_t a, int64_t r);

// Steps and positions of all axes, in blocks of one position; `span` is what one position reads.
void plan_axes(const ConvShape& s, ConvJob& job, bool from_padding, int64_t* span);

// The largest block up to `limit` that fits, evened out.
template <class Fits>
void grow_block(int64_t& block, int64_t limit, Fits fits) {
    int64_t low = block, high = limit;
    while (low < high) {
        block = (low + high + 1) / 2;
        if (fits())
            low = block;
        else
            high = block - 1;
    }
    block = ceil_div(limit, ceil_div(limit, low));
}

inline int64_t tile_size(const ConvAxis& axis, int64_t span, int64_t block) {
    return (block - 1) * axis.in_step + span;
}

// Planes: where input element `shift` of position 0 lies in the tile.
int64_t offset_of(const ConvAxis& axis, int64_t shift);
int64_t lay_out_planes(ConvJob& job, const int64_t* span, int64_t lanes);

// What job and shape share.
void plan_shape(const ConvShape& s, ConvJob& job);
int64_t multiply_adds(const ConvShape& s, const int64_t* coarse);

bool plan_planes(const ConvShape& s, const ConvKernels& kernels, ConvPlan& plan);

}  // namespace unsample
