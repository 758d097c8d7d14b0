// Which part of the output a work item makes.
#pragma once
#include "../../targets.h"
#include "job.h"
#include "vector.h"

namespace unsample {
namespace UNSAMPLE_TARGET {

// What a work item knows about where it is.
struct Block {
    int64_t image, images, group;  // the first group, where a work item has several
    int64_t origin[kMaxConvRank], size[kMaxConvRank];  // positions
};

// Blocks count through positions, then `group_blocks`, then images.
UNSAMPLE_INLINE Block block_of(const ConvJob& job, int64_t group_blocks, int64_t index) {
    Block block;
    for (int64_t a = job.rank - 1; a >= 0; --a) {
        const ConvAxis& axis = job.axes[a];
        int64_t parts = (axis.positions + axis.block - 1) / axis.block;
        block.origin[a] = index % parts * axis.block;
        block.size[a] = axis.positions - block.origin[a] < axis.block
                            ? axis.positions - block.origin[a]
                            : axis.block;
        index /= parts;
    }
    block.group = index % group_blocks * job.group_block;
    block.image = index / group_blocks * job.block_batch;
    block.images =
        job.batch - block.image < job.block_batch ? job.batch - block.image : job.block_batch;
    return block;
}

// How many of the positions of a block phase r has along an axis: those with q * out_step + r
// inside.
UNSAMPLE_INLINE int64_t positions_of(const ConvAxis& axis, int64_t origin, int64_t size,
                                     int64_t r) {
    int64_t all = (axis.out_size + axis.origin - r + axis.out_step - 1) / axis.out_step - origin;
    return all < 0 ? 0 : all < size ? all : size;
}

}  // namespace UNSAMPLE_TARGET
}  // namespace unsample
