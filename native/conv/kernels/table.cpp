// The convolution kernels, built once per target: see common/target.h.
#include "table.h"

#if defined(__GNUC__)
#include "gather.h"
#include "pixels.h"
#include "planes.h"
#include "weight_grad.h"
#endif

namespace unsample {
namespace UNSAMPLE_TARGET {

extern const ConvKernels CONV_KERNELS;

#if defined(__GNUC__)
// Every kernel of the table enters here.
template <class Job, void (*kernel)(const Job*, int64_t, int64_t, void*)>
static void signed_by_target(const Job* job, int64_t begin, int64_t end, void* scratch) {
    sign(job->ran);
    kernel(job, begin, end, scratch);
}

#define UNSAMPLE_EACH_ELEMENT(Job, f)                                   \
    {signed_by_target<Job, f<float>>, signed_by_target<Job, f<double>>, \
     signed_by_target<Job, f<Half>>, signed_by_target<Job, f<Bfloat>>}

const ConvKernels CONV_KERNELS = {
    UNSAMPLE_VECTOR_BYTES,
    {UNSAMPLE_EACH_ELEMENT(ConvJob, pack_weight), UNSAMPLE_EACH_ELEMENT(ConvJob, pack_columns),
     UNSAMPLE_EACH_ELEMENT(ConvJob, pack_taps)},
    {UNSAMPLE_EACH_ELEMENT(ConvJob, gather), UNSAMPLE_EACH_ELEMENT(ConvJob, planes),
     UNSAMPLE_EACH_ELEMENT(ConvJob, pixels)},
    UNSAMPLE_EACH_ELEMENT(WeightGradJob, weight_grad),
    UNSAMPLE_EACH_ELEMENT(WeightGradJob, add_parts),
};
#else
const ConvKernels CONV_KERNELS = {};  // without vector types the definition runs
#endif

}  // namespace UNSAMPLE_TARGET
}  // namespace unsample
