// Runs planned convolutions on the pool of threads.
#pragma once
#include "../threads/thread_count.h"
#include "plan.h"

namespace unsample {

struct ConvArguments {
    const void* x;       // the input: y of a conv_transpose
    const void* weight;  // not read where it is packed
    const void* bias;    // null: none
    void* packed;        // null: the call lays the weight out
    void* out;
};

struct Workers {
    int threads;
    bool (*interrupted)();  // asked on the calling thread now and then; null: too short for that
};

inline Workers workers_for(int64_t work, bool (*interrupted)()) {
    return is_small(work, kSmallConv) ? Workers{1, nullptr} : Workers{threads_now(), interrupted};
}

// False where it was interrupted; std::bad_alloc where a thread has no memory to work in. `ran`
// gets the name of the target that computed.
bool pack_weight(const ConvPlan& plan, const void* weight, void* packed, Workers workers,
                 const char** ran);
bool run_conv(const ConvPlan& plan, const ConvArguments& given, Workers workers, const char** ran);
bool run_weight_grad(const WeightGradPlan& plan, const void* x, const void* y, void* weight,
                     Workers workers, const char** ran);

}  // namespace unsample
