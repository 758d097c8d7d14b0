// Runs planned convolutions on the pool of threads.
#pragma once
#include "conv_plan.h"

namespace unsample {

struct ConvArguments {
    const void* x;       // the input: y of a conv_transpose
    const void* weight;  // null: `packed` holds it already
    const void* bias;    // null: none
    void* packed;        // null: memory of our own
    void* out;
};

// Work that is over before a second thread has paid for its start, some 50 us: 64-64 channels,
// 4 x 4 taps on 8 x 8 take 59 us on one thread, 91 on two.
constexpr int64_t kSmallCall = 6'000'000;

struct Workers {
    int threads;
    bool (*interrupted)();  // asked on the calling thread now and then; null: too short for that
};

// False where it was interrupted. `ran` gets the name of the target that computed.
bool pack_weight(const ConvPlan& plan, const void* weight, void* packed, Workers workers,
                 const char** ran);
bool run_conv(const ConvPlan& plan, const ConvArguments& given, Workers workers, const char** ran);
bool run_weight_grad(const WeightGradPlan& plan, const void* x, const void* y, void* weight,
                     Workers workers, const char** ran);

}  // namespace unsample
