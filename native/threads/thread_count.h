// How many threads a call has.
#pragma once
#include <atomic>

#include "threads.h"

namespace unsample {

// Below this much work a call is over before a second thread or another one's Python has paid for
// its start: some 50 us, because a second core also fetches what lies in the cache of the first (1
// MB of nearest: 23 us on one thread, 46 on two). Work is counted in bytes that are only copied;
// what the slower kernels take more is in their `work`, all measured at 0.25, 0.5 and 1 MB.
constexpr double kSmallMove = 1 << 22;
// The same for convolutions, in multiply-adds: 64-64 channels, 4 x 4 taps on 8 x 8 take 59 us on
// one thread, 91 on two.
constexpr int64_t kSmallConv = 6'000'000;
// The same for laying out a weight alone, in bytes of packed weight.
constexpr int64_t kSmallPack = 1 << 18;

// Whether so much work is a call's, by one of these limits, that one thread does it. Threads of a
// team are awake already and take a quarter: after an operator of torch a second one makes 1 MB of
// nearest 1.19 times as fast, 0.5 MB 0.99; of transposed convolutions 4 million multiply-adds 1.35
// times, 1 million 1.07, 0.6 million 1.01.
template <class Number>
bool is_small(Number work, Number limit) {
    return work < (on_team() ? limit / 4 : limit);
}

inline thread_local int threads_here = 0;  // of `with unsample.threads(n)`; 0: as everywhere
// Of set_num_threads; 0: as many as there are CPUs for us.
inline std::atomic<int> threads_everywhere{0};
inline std::atomic<int> quota{1 << 20};  // CPUs that the control group grants

inline int threads_now() {
    if (threads_here) return threads_here;
    if (team_here) return team_here;
    if (const int n = threads_everywhere.load(std::memory_order_relaxed)) return n;
    const int cpus = usable_cpus(), granted = quota.load(std::memory_order_relaxed);
    return cpus < granted ? cpus : granted;
}

}  // namespace unsample
