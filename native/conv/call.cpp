#include "call.h"

#include "../memory/workspace.h"
#include "../threads/thread_count.h"

namespace unsample {
namespace {

thread_local Workspace scratch;    // of a work item, at most 4 MB
thread_local Workspace workspace;  // of a call: the packed weight, or partial sums

// A call's workspace, let go of afterwards where it is large.
struct Borrowed {
    void* const memory;
    explicit Borrowed(int64_t bytes) : memory(bytes ? workspace.at_least(bytes) : nullptr) {}
    ~Borrowed() { workspace.release_if_large(); }
    Borrowed(const Borrowed&) = delete;
    Borrowed& operator=(const Borrowed&) = delete;
};

template <class AnyJob>
struct Task {
    void (*range)(const AnyJob*, int64_t, int64_t, void*);
    const AnyJob* job;
    int64_t scratch_bytes;
};

template <class AnyJob>
void run_task(const void* given, int64_t begin, int64_t end) {
    const Task<AnyJob>& task = *static_cast<const Task<AnyJob>*>(given);
    task.range(task.job, begin, end,
               task.scratch_bytes ? scratch.at_least(task.scratch_bytes) : nullptr);
}

template <class AnyJob>
bool run(void (*range)(const AnyJob*, int64_t, int64_t, void*), const AnyJob& job, int64_t items,
         int64_t scratch_bytes, Workers workers) {
    if (items == 0) return true;
    const Task<AnyJob> task{range, &job, scratch_bytes};
    if (!workers.interrupted) {
        run_task<AnyJob>(&task, 0, items);
        return true;
    }
    return parallel(run_task<AnyJob>, &task, items, 1, workers.threads, workers.interrupted);
}

}  // namespace

bool pack_weight(const ConvPlan& plan, const void* weight, void* packed, Workers workers,
                 const char** ran) {
    ConvJob job = plan.job;
    job.ran = ran;
    job.weight = weight;
    job.packed = packed;
    if (is_small(plan.packed_bytes, kSmallPack)) workers = {1, nullptr};
    return run(plan.kernels->pack_weight[plan.form][int(plan.element)], job, plan.pack_items, 0,
               workers);
}

bool run_conv(const ConvPlan& plan, const ConvArguments& given, Workers workers, const char** ran) {
    ConvJob job = plan.job;
    job.ran = ran;
    job.input = given.x;
    job.bias = given.bias;
    job.output = given.out;
    job.weight = given.weight;
    const bool pack = !given.packed && !plan.packs_itself;
    const Borrowed packed(pack ? plan.packed_bytes : 0);
    job.packed = pack ? packed.memory : given.packed;
    return (!pack || pack_weight(plan, given.weight, job.packed, workers, ran)) &&
           run(plan.kernels->multiply[plan.form][int(plan.element)], job, job.items,
               job.scratch_bytes, workers);
}

bool run_weight_grad(const WeightGradPlan& plan, const void* x, const void* y, void* weight,
                     Workers workers, const char** ran) {
    WeightGradJob job = plan.job;
    job.ran = ran;
    job.conv.input = x;
    job.y = y;
    job.weight = weight;
    const Borrowed partial(plan.partial_bytes);
    job.partial = partial.memory;
    const int element = int(plan.element);
    return run(plan.kernels->weight_grad[element], job, job.items, job.scratch_bytes, workers) &&
           run(plan.kernels->add_parts[element], job, plan.reduce_items, 0, workers);
}

}  // namespace unsample
