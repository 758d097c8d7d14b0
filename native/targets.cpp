// Which of the compiled targets this machine can run.
#include "targets.h"

#include <string.h>

#include <atomic>

namespace unsample {

#define UNSAMPLE_DECLARE(name)    \
    namespace name {              \
    extern const Kernels KERNELS; \
    }
#ifdef UNSAMPLE_HAS_baseline
UNSAMPLE_DECLARE(baseline)
#endif
#ifdef UNSAMPLE_HAS_avx2
UNSAMPLE_DECLARE(avx2)
#endif
#ifdef UNSAMPLE_HAS_avx512
UNSAMPLE_DECLARE(avx512)
#endif
#ifdef UNSAMPLE_HAS_neon
UNSAMPLE_DECLARE(neon)
#endif

namespace {

struct Tiers {
    const Kernels* table[4];
    int count = 0;

    Tiers() {
        // __builtin_cpu_supports also asks the operating system whether it keeps the wide
        // registers.
#ifdef UNSAMPLE_HAS_avx512
        __builtin_cpu_init();
        if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
            __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
            table[count++] = &avx512::KERNELS;
#endif
#ifdef UNSAMPLE_HAS_avx2
        __builtin_cpu_init();
        if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
            table[count++] = &avx2::KERNELS;
#endif
#ifdef UNSAMPLE_HAS_neon
        table[count++] = &neon::KERNELS;
#endif
#ifdef UNSAMPLE_HAS_baseline
        table[count++] = &baseline::KERNELS;
#endif
    }
};

const Tiers& tiers() {
    static const Tiers found;
    return found;
}

std::atomic<const Kernels*>& chosen() {
    static std::atomic<const Kernels*> kernels{tiers().table[0]};
    return kernels;
}

}  // namespace

const Kernels* const* available(int* count) {
    *count = tiers().count;
    return tiers().table;
}

const Kernels* current() { return chosen().load(std::memory_order_relaxed); }

bool use(const char* name) {
    for (int i = 0; i < tiers().count; ++i) {
        if (strcmp(tiers().table[i]->name, name) == 0) {
            chosen().store(tiers().table[i], std::memory_order_relaxed);
            return true;
        }
    }
    return false;
}

}  // namespace unsample
