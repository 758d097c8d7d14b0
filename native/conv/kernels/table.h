// The convolution kernels that every target has: ranges of work items of a job, by element type.
#pragma once
#include "job.h"

namespace unsample {

constexpr int kElements = 4;
typedef void (*ConvRange)(const ConvJob* job, int64_t begin, int64_t end, void* scratch);

typedef void (*WeightGradRange)(const WeightGradJob* job, int64_t begin, int64_t end,
                                void* scratch);

struct ConvKernels {
    int64_t vector_bytes;
    // By form: panels, planes, pixels. Items: ConvPlan::pack_items; no scratch.
    ConvRange pack_weight[3][kElements];
    // Items: ConvJob::items; scratch: ConvJob::scratch_bytes, 64-byte aligned.
    ConvRange multiply[3][kElements];
    WeightGradRange weight_grad[kElements];  // items, scratch: of the job
    WeightGradRange add_parts[kElements];    // items: kReduceItem elements of the weight
};

}  // namespace unsample
