// The convolution kernels of one target as a table. Compiled with UNSAMPLE_TARGET defined.
#pragma once
#include "gather.h"
#include "pixels.h"
#include "planes.h"
#include "table.h"
#include "weight_grad.h"

namespace unsample {
namespace UNSAMPLE_TARGET {

#define UNSAMPLE_QUOTED(name) #name
#define UNSAMPLE_NAME(name) UNSAMPLE_QUOTED(name)

// The kernel, and word of which target it was: forcing one must not be able to run another.
template <class Job, void (*kernel)(const Job*, int64_t, int64_t, void*)>
static void signed_by_target(const Job* job, int64_t begin, int64_t end, void* scratch) {
    const char* name = UNSAMPLE_NAME(UNSAMPLE_TARGET);
    __atomic_store_n(job->ran, name, __ATOMIC_RELAXED);
    kernel(job, begin, end, scratch);
}

#define UNSAMPLE_EACH_ELEMENT(Job, f)                                   \
    {signed_by_target<Job, f<float>>, signed_by_target<Job, f<double>>, \
     signed_by_target<Job, f<Half>>, signed_by_target<Job, f<Bfloat>>}

extern const ConvKernels CONV_KERNELS;
const ConvKernels CONV_KERNELS = {
    UNSAMPLE_VECTOR_BYTES,
    {UNSAMPLE_EACH_ELEMENT(ConvJob, pack_weight), UNSAMPLE_EACH_ELEMENT(ConvJob, pack_columns),
     UNSAMPLE_EACH_ELEMENT(ConvJob, pack_taps)},
    {UNSAMPLE_EACH_ELEMENT(ConvJob, gather), UNSAMPLE_EACH_ELEMENT(ConvJob, planes),
     UNSAMPLE_EACH_ELEMENT(ConvJob, pixels)},
    UNSAMPLE_EACH_ELEMENT(WeightGradJob, weight_grad),
    UNSAMPLE_EACH_ELEMENT(WeightGradJob, add_parts),
};

#undef UNSAMPLE_EACH_ELEMENT

}  // namespace UNSAMPLE_TARGET
}  // namespace unsample
