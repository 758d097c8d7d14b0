// What the plans of all forms of a convolution need.
#pragma once
#include <algorithm>

#include "../common/int_math.h"
#include "plan.h"

namespace unsample {

constexpr int64_t kScratchLimit = 4 << 20;
// Of the tile of a work item: half the second-level cache of Zen 2 and 3.
constexpr int64_t kTileBytes = 256 << 10;
constexpr int64_t kSliceRows = 256;  // 16 KB of weights in a panel of 16 floats
// Channels that lie side by side are best moved this many at a time.
constexpr int64_t kTurned = 16;

// Of an element as it is summed: halves are widened.
inline int64_t summed_bytes(Element element) { return element == Element::f64 ? 8 : 4; }

struct AxisTap {
    int64_t tap, shift;
};

// The taps of every phase along one axis, in the order of the input elements they read.
std::vector<std::vector<AxisTap>> taps_of(const ConvShape& s, const ConvAxis& axis, int64_t a);

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

// Where taps lie further apart than a block is long, what each of them meets is copied alone.
inline bool in_runs(const ConvAxis& axis, int64_t block) { return axis.apart > block; }

inline int64_t tile_size(const ConvAxis& axis, int64_t span, int64_t block) {
    return in_runs(axis, block) ? axis.taps * block : (block - 1) * axis.in_step + span;
}

// Settles the tile of an axis for its block.
void lay_out_axis(ConvAxis& axis, int64_t span, int64_t stride);

// Where input element `shift` of position 0 lies along the tile of an axis.
int64_t place_of(const ConvAxis& axis, int64_t shift);

// Blocks of positions and images. The halo is copied with every block, and a row costs something of
// its own: whole rows are taken unless a narrower block copies less, and may be taken. Where many
// channels are stored it lost 12 to 20 % on rows of 512: every end of a row is half a cache line.
template <class Fits>
void choose_blocks(ConvJob& job, const int64_t* span, bool narrow, Fits fits) {
    constexpr int64_t kRow = 16, kNarrow = 32;
    const int64_t inner = job.rank - 1, length = job.axes[inner].positions;
    int64_t best[kMaxConvRank + 1] = {};
    double least = -1;
    for (int64_t parts = 1;
         parts == 1 || ((narrow || least < 0) && ceil_div(length, parts) >= kNarrow); ++parts) {
        for (int64_t a = 0; a < inner; ++a) job.axes[a].block = 1;
        job.block_batch = 1;
        job.axes[inner].block = ceil_div(std::max<int64_t>(length, 1), parts);
        if (!fits()) continue;
        bool whole = parts == 1;
        for (int64_t a = inner - 1; a >= 0; --a) {
            ConvAxis& axis = job.axes[a];
            if (axis.positions > 1) grow_block(axis.block, axis.positions, fits);
            whole = whole && axis.block == axis.positions;
            if (axis.block < axis.positions) break;
        }
        if (whole && job.batch > 1) grow_block(job.block_batch, job.batch, fits);
        double rows = double(job.block_batch), positions = rows;
        for (int64_t a = 0; a < inner; ++a)
            rows *= double(tile_size(job.axes[a], span[a], job.axes[a].block));
        for (int64_t a = 0; a <= inner; ++a) positions *= double(job.axes[a].block);
        const double copied =
            double(tile_size(job.axes[inner], span[inner], job.axes[inner].block));
        const double cost = rows * (copied + kRow) / positions;
        if (least >= 0 && cost >= least) continue;
        least = cost;
        for (int64_t a = 0; a <= inner; ++a) best[a] = job.axes[a].block;
        best[kMaxConvRank] = job.block_batch;
    }
    for (int64_t a = 0; a <= inner; ++a) job.axes[a].block = least < 0 ? 1 : best[a];
    job.block_batch = least < 0 ? 1 : best[kMaxConvRank];
    if (least < 0 && length > 1) grow_block(job.axes[inner].block, length, fits);
}

// Planes: the same in the tile.
int64_t offset_of(const ConvAxis& axis, int64_t shift);
int64_t lay_out_planes(ConvJob& job, const int64_t* span, int64_t lanes);

// What job and shape share.
void plan_shape(const ConvShape& s, ConvJob& job);
int64_t work_of(const ConvShape& s);

bool plan_planes(const ConvShape& s, const ConvKernels& kernels, ConvPlan& plan);
bool plan_pixels(const ConvShape& s, const ConvKernels& kernels, ConvPlan& plan);

}  // namespace unsample
