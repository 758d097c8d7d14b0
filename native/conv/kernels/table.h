// The convolution kernels that every target has: ranges of work items of a job, by element type.
#pragma once
#include "job.h"

namespace unsample {

typedef void (*ConvRange)(const ConvJob* job, int64_t begin, int64_t end, void* scratch);

typedef void (*WeightGradRange)(const WeightGradJob* job, int64_t begin, int64_t end,
                                void* scratch);

struct ConvKernels {
    int64_t vector_bytes;
    // By form: panels, planes, pixels. Items: ConvPlan::pack_items; no scratch.
    ConvRange pack_weight[3][kFloats];
    // Items: ConvJob::items; scratch: ConvJob::scratch_bytes, 64-byte aligned.
    ConvRange multiply[3][kFloats];
    WeightGradRange weight_grad[kFloats];  // items, scratch: of the job
    WeightGradRange add_parts[kFloats];    // items: kReduceItem elements of the weight
};

}  // namespace unsample
