// The convolution kernels behind a C interface, for driver.py: development without the extension
// module.
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include "../conv_plan.h"

using unsample::ConvJob;
using unsample::ConvKernels;
using unsample::ConvPlan;
using unsample::ConvShape;
using unsample::WeightGradPlan;

const ConvKernels& baseline_conv_kernels();
const ConvKernels& avx2_conv_kernels();
const ConvKernels& avx512_conv_kernels();

namespace {

const ConvKernels& kernels_of(int tier) {
    return tier == 2   ? avx512_conv_kernels()
           : tier == 1 ? avx2_conv_kernels()
                       : baseline_conv_kernels();
}

char* scratch_of_thread(int64_t bytes) {
    static thread_local char* memory = nullptr;
    static thread_local int64_t size = 0;
    if (bytes > size) {
        free(memory);
        memory = static_cast<char*>(aligned_alloc(64, size_t((bytes + 63) / 64 * 64)));
        memset(memory, 0xff, size_t(bytes));  // NaN: nothing may rely on zeros
        size = bytes;
    }
    return memory;
}

// Helper threads that spin for a while between jobs, as those of the peers do.
struct Pool {
    std::vector<std::thread> threads;
    std::atomic<int> generation{0}, working{0};
    std::atomic<int64_t> next{0};
    typedef void (*Range)(const void*, int64_t, int64_t, void*);
    Range range = nullptr;
    const void* job = nullptr;
    int64_t items = 0, scratch = 0;
    int wanted = 1;
    std::mutex mutex;
    std::condition_variable wake;

    void work() {
        char* memory = scratch_of_thread(scratch);
        for (int64_t i; (i = next.fetch_add(1)) < items;) range(job, i, i + 1, memory);
    }
    void loop(int index) {
        int seen = 0;
        for (;;) {
            for (int spin = 0; generation.load() == seen && spin < 20000; ++spin)
                __builtin_ia32_pause();
            if (generation.load() == seen) {
                std::unique_lock<std::mutex> lock(mutex);
                wake.wait(lock, [&] { return generation.load() != seen; });
            }
            seen = generation.load();
            if (index < wanted) work();
            working.fetch_sub(1);
        }
    }
    template <class Job>
    void run(void (*f)(const Job*, int64_t, int64_t, void*), const Job* j, int64_t n, int64_t bytes,
             int count) {
        range = reinterpret_cast<Range>(f), job = j, items = n, scratch = bytes, wanted = count;
        next = 0;
        if (count == 1) return work();
        while (int(threads.size()) + 1 < count) {
            int index = int(threads.size()) + 1;
            threads.emplace_back([this, index] { loop(index); });
            threads.back().detach();
        }
        working = int(threads.size());
        {
            std::lock_guard<std::mutex> lock(mutex);
            generation.fetch_add(1);
        }
        wake.notify_all();
        work();
        while (working.load() > 0) __builtin_ia32_pause();
    }
};

Pool& pool() {
    static Pool* the = new Pool;
    return *the;
}

}  // namespace

extern "C" {

ConvPlan* conv_plan_new(const ConvShape* shape, int tier) {
    ConvPlan* plan = new ConvPlan;
    if (unsample::plan_conv(*shape, kernels_of(tier), *plan)) return plan;
    delete plan;
    return nullptr;
}

void conv_plan_free(ConvPlan* plan) { delete plan; }
const ConvJob* conv_plan_job(const ConvPlan* plan) { return &plan->job; }
int64_t conv_plan_packed_bytes(const ConvPlan* plan) { return plan->packed_bytes; }

// Stages: 1 packs the weight, 2 multiplies.
void conv_run(ConvPlan* plan, int tier, int element, const void* input, const void* weight,
              const void* bias, void* output, void* packed, int threads, int stages) {
    const ConvKernels& kernels = kernels_of(tier);
    plan->job.input = input;
    plan->job.weight = weight;
    plan->job.bias = bias;
    plan->job.output = output;
    plan->job.packed = packed;
    if (stages & 1)
        pool().run(kernels.pack_weight[plan->form][element], &plan->job, plan->pack_items, 0,
                   threads);
    if (stages & 2)
        pool().run(kernels.multiply[plan->form][element], &plan->job, plan->job.items,
                   plan->job.scratch_bytes, threads);
}

WeightGradPlan* weight_grad_plan_new(const ConvShape* shape, int tier) {
    WeightGradPlan* plan = new WeightGradPlan;
    if (unsample::plan_weight_grad(*shape, kernels_of(tier), *plan)) return plan;
    delete plan;
    return nullptr;
}

void weight_grad_plan_free(WeightGradPlan* plan) { delete plan; }

void weight_grad_run(WeightGradPlan* plan, int tier, int element, const void* x, const void* y,
                     void* weight, int threads) {
    const ConvKernels& kernels = kernels_of(tier);
    static std::vector<char> partial;
    if (int64_t(partial.size()) < plan->partial_bytes) partial.resize(size_t(plan->partial_bytes));
    plan->job.conv.input = x;
    plan->job.y = y;
    plan->job.weight = weight;
    plan->job.partial = partial.data();
    pool().run(kernels.weight_grad[element], &plan->job, plan->job.items, plan->job.scratch_bytes,
               threads);
    if (plan->reduce_items)
        pool().run(kernels.add_parts[element], &plan->job, plan->reduce_items, 0, threads);
}
}
