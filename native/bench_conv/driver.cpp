// The convolution kernels behind a C interface, for driver.py: development without the extension
// module.
#include "../conv_call.h"

namespace unsample {
namespace baseline {
extern const ConvKernels CONV_KERNELS;
}
namespace avx2 {
extern const ConvKernels CONV_KERNELS;
}
namespace avx512 {
extern const ConvKernels CONV_KERNELS;
}
}  // namespace unsample

using namespace unsample;

namespace {

const ConvKernels& kernels_of(int tier) {
    return tier == 2   ? avx512::CONV_KERNELS
           : tier == 1 ? avx2::CONV_KERNELS
                       : baseline::CONV_KERNELS;
}

const char* ran;
bool interrupted() { return false; }

}  // namespace

extern "C" {

ConvPlan* conv_plan_new(const ConvShape* shape, int tier) {
    ConvPlan* plan = new ConvPlan;
    if (plan_conv(*shape, kernels_of(tier), *plan)) return plan;
    delete plan;
    return nullptr;
}

void conv_plan_free(ConvPlan* plan) { delete plan; }
int64_t conv_plan_packed_bytes(const ConvPlan* plan) { return plan->packed_bytes; }

// Stages: 1 packs the weight, 2 multiplies.
void conv_run(ConvPlan* plan, const void* x, const void* weight, const void* bias, void* out,
              void* packed, int threads, int stages) {
    if (stages == 1)
        pack_weight(*plan, weight, packed, {threads, interrupted}, &ran);
    else
        run_conv(*plan, {x, stages & 1 ? weight : nullptr, bias, packed, out},
                 {threads, interrupted}, &ran);
}

WeightGradPlan* weight_grad_plan_new(const ConvShape* shape, int tier) {
    WeightGradPlan* plan = new WeightGradPlan;
    if (plan_weight_grad(*shape, kernels_of(tier), *plan)) return plan;
    delete plan;
    return nullptr;
}

void weight_grad_plan_free(WeightGradPlan* plan) { delete plan; }

void weight_grad_run(WeightGradPlan* plan, const void* x, const void* y, void* weight,
                     int threads) {
    run_weight_grad(*plan, x, y, weight, {threads, interrupted}, &ran);
}
}
