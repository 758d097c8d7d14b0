// What one convolution is, as plain numbers: made by ../plan.cpp, read by the kernels of every
// target.
//
// `conv` and `conv_transpose` are one gather. Along every axis an output element is x = q *
// out_step + r, with q its position and r its phase, and a tap of phase r reads input element q *
// in_step + shift:
//
//     conv            in_step = stride, out_step = 1:      shift = t * dilation - before
//     conv_transpose  in_step = 1,      out_step = stride: shift = (r + before - t * dilation) /
//     stride,
//                     for the taps t where that divides
//
// The input of a block of positions is copied, with its halo, into a *tile*: pixels in C order, the
// channels of a pixel side by side. A tap is then a constant offset into the tile, whatever the
// rank, and
//
//     out[x, :] = bias + sum over taps of  tile[pixel(q) + offset(tap), :] @ W[tap]
//
// is a matrix product whose left rows lie wherever their pixels lie. W is packed in *panels* of a
// few output channels: panel, phase, tap, input channel, output channel.
//
// Where few output channels share a pixel (depthwise, last layers) the vectors lie along positions
// instead: the tile is a plane per input channel, in which the positions of a block are
// consecutive, junk between its rows included, and input element q * in_step + u lies in a plane of
// its own for every u. The phases of the last axis that read the same elements are columns of one
// product. They do so if counted from the padding on:
//
//     x = q * out_step + r - origin,    origin = before mod out_step
//
// A depthwise convolution whose channels lie side by side needs no tile: its vectors lie along
// channels, and every output element has a list of the input elements it meets along each axis.
#pragma once
#include <cstdint>

#include "../../common/element.h"

namespace unsample {

constexpr int kMaxConvRank = 6;  // spatial axes

enum class Fold : int32_t { zeros, circular, reflect, replicate };

struct ConvAxis {
    int64_t in_size, out_size;
    int64_t in_step, out_step;
    int64_t origin;       // 0, but for planes
    int64_t positions;    // ceil((out_size + origin) / out_step)
    int64_t block;        // positions of one work item
    int64_t low;          // smallest shift of any tap
    int64_t taps, apart;  // elements from one tap to the next; 0 where either side has a step
    int64_t tile_size;    // input elements under a block
    int64_t run;          // so many of them are neighbours, and the next ones `apart` from these
    int64_t tile_stride;  // from one of them to the next, in elements of the tile, per channel
    int64_t
        split_stride;  // planes: from input element q * in_step + u to u + 1; tile_stride is for q
    Fold fold;         // what input outside the axis holds
};

// Which element, counted from the first under its block, tile element j of an axis is.
inline int64_t under_block(const ConvAxis& axis, int64_t j) {
    return j / axis.run * axis.apart + j % axis.run;
}

// `length` products with consecutive elements of the tile.
struct Segment {
    int64_t offset, length;
};

// A part of a phase whose slice of a panel fits the first-level cache.
struct Slice {
    int64_t first, count;  // segments
    int64_t rows;          // their products, so rows of the panel
};

struct Phase {
    int64_t first, count;  // slices
    int64_t panel_row;     // where its rows begin in the panel, within a chunk
};

// Input channels that are packed at a time: all, unless a tile of them all would be too large.
struct Chunk {
    const Segment* segments;
    const Slice* slices;
    const Phase* phases;      // all phases, C order
    const int64_t* tap_rows;  // tap -> its first row in the panel, within the chunk
    int64_t rows;             // of a panel, all phases
    int64_t channels;
};

// Planes: up to kMaxColumns (output channel, phase along the last axis) that the same taps reach.
constexpr int kMaxColumns = 12;
struct Columns {
    int64_t first_tap, taps;  // of ConvJob::offsets
    int64_t count;
    int64_t rows[kMaxColumns];  // where their sums go: output channel * inner_phases + phase
    int64_t first_source;       // of ConvJob::sources: their weights, tap by tap
    int64_t weights;            // where these lie in the packed weight of a group
};

// Pixels: an input element that an output element meets along an axis, and the tap between them:
// where they lie, in elements of the input and of the packed weight.
struct Meeting {
    int64_t input, weight;
};
constexpr int64_t kPixelGroups = 64;

struct ConvJob {
    const char** ran;  // kernels leave the name of their target here
    int64_t rank, batch, groups;
    int64_t in_channels, out_channels;  // of one group
    ConvAxis axes[kMaxConvRank];

    const void* input;
    void* output;
    const void* bias;  // null: none
    int64_t in_batch_stride, in_channel_stride, in_strides[kMaxConvRank];
    int64_t out_batch_stride, out_channel_stride, out_strides[kMaxConvRank];

    // The weight: rows are input channels, columns output channels, and taps contiguous.
    const void* weight;
    int64_t taps, weight_group_stride, weight_in_stride, weight_out_stride;
    void* packed;  // null: work items pack their panels themselves

    int64_t panel_width, panels, panels_per_item, panel_rows;
    int64_t chunk, chunks;  // input channels of a chunk; the last may be `tail`
    Chunk full, tail;
    int64_t inner_phases, outer_phases;

    // Planes.
    const Columns* columns;
    const int64_t* outer_columns;  // [outer_phases + 1]: the columns of each outer phase
    const int64_t* offsets;        // of taps, in the tile
    const int64_t* sources;        // in the weight of a group, of its first input channel
    int64_t group_block;           // groups of one work item
    int64_t plane, image_stride;   // of the tile, in elements
    int64_t sums_stride;           // between the sums of two columns
    int64_t packed_group;          // packed weights of a group, in elements

    // Pixels: those of output element x of an axis are meetings_of[axis][x] .. [x + 1].
    const Meeting* meetings;
    const int64_t* meetings_of[kMaxConvRank];
    int64_t rows;  // of a work item

    int64_t block_batch;    // images of one work item
    int64_t blocks, items;  // blocks of all images and groups; times panel ranges
    int64_t row_length;     // output elements of a row of the sums of a panel
    int64_t tile_bytes, sums_bytes, list_bytes, scratch_bytes;
    int64_t stream;  // large output: write past the caches
};

// x is the input of `conv`, whose tile is planes; its out_* strides are those of y.
struct WeightGradJob {
    const char** ran;
    ConvJob conv;
    const void* y;
    void* weight;
    void* partial;  // the sums of every part, where there are several

    int64_t lines;              // vectors along positions: y has few channels
    int64_t panel_width;        // channels of y side by side
    int64_t x_range, x_ranges;  // channels of x of a work item
    int64_t y_range, y_ranges;  // of y
    int64_t parts, blocks;      // parts of the blocks; a part has a sum of its own
    int64_t positions;          // of a block
    int64_t slice_rows;         // of a panel of y that the first-level cache keeps
    int64_t items, y_bytes, sums_bytes, segment_bytes, combo_bytes, scratch_bytes;
};

constexpr int64_t kReduceItem = 4096;
// Multiply-adds between two looks at the call (`stopped`): a millisecond or two.
constexpr int64_t kLong = 1 << 25;

}  // namespace unsample
