// The convolution kernels that every target has: ranges of work items of a job, by element type.
#pragma once
#include "conv_job.h"

namespace unsample {

constexpr int kElements = 4;
typedef void (*ConvRange)(const ConvJob* job, int64_t begin, int64_t end, void* scratch);

struct ConvKernels {
    int64_t vector_bytes;
    ConvRange pack_weight[kElements];  // items: groups * panels
    ConvRange gather[kElements];  // items: job.items; scratch: job.scratch_bytes, 64-byte aligned
};

}  // namespace unsample
