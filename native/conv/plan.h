// Chooses blocks and lays out panels: everything about one call of conv or conv_transpose that is
// known before its data.
#pragma once
#include <vector>

#include "kernels/table.h"

namespace unsample {

struct ConvShape {
    Element element;
    bool transposed;
    int64_t rank, batch, groups;
    int64_t in_channels, out_channels;  // of all groups
    int64_t in_size[kMaxConvRank], out_size[kMaxConvRank];
    int64_t kernel[kMaxConvRank], stride[kMaxConvRank], dilation[kMaxConvRank],
        before[kMaxConvRank];
    Fold fold[kMaxConvRank];
    // In elements: batch, channel, then the spatial axes.
    int64_t in_strides[kMaxConvRank + 2], out_strides[kMaxConvRank + 2];
};

struct ConvPlan {
    const ConvKernels* kernels = nullptr;
    Element element = Element::f32;
    ConvJob job{};
    int64_t work = 0;  // about as long as so many multiply-adds
    enum Form { panels, planes, pixels } form = panels;
    int64_t packed_bytes = 0;
    int64_t pack_items = 0;
    bool packs_itself = false;  // every panel is used by one work item alone

    struct Tables {
        std::vector<Segment> segments;
        std::vector<Slice> slices;
        std::vector<Phase> phases;
        std::vector<int64_t> tap_rows;
    } full, tail;
    std::vector<Columns> columns;
    std::vector<int64_t> outer_columns, offsets, sources, meetings_of;
    std::vector<Meeting> meetings;

    ConvPlan() = default;
    ConvPlan(const ConvPlan&) = delete;  // the job points into the tables
};

struct WeightGradPlan {
    const ConvKernels* kernels = nullptr;
    Element element = Element::f32;
    WeightGradJob job{};
    int64_t work = 0;
    int64_t partial_bytes = 0, reduce_items = 0;
    std::vector<int64_t> offsets;

    WeightGradPlan() = default;
    WeightGradPlan(const WeightGradPlan&) = delete;
};

// False where a block cannot be made to fit the scratch memory: the definition takes over.
bool plan_conv(const ConvShape& shape, const ConvKernels& kernels, ConvPlan& plan);
// The shape is that of the convolution, from x to y.
bool plan_weight_grad(const ConvShape& shape, const ConvKernels& kernels, WeightGradPlan& plan);

}  // namespace unsample
