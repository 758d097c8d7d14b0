// A small pool of threads of our own: it survives fork, can be interrupted, and sleeps between
// calls.
#pragma once
#include <stdint.h>

#include "../targets.h"

namespace unsample {

// Run `f` over the items [0, items) in chunks of `grain`, on up to `threads` threads (the caller is
// one of them), all in the caller's rounding mode. `interrupted` is asked about every 50 ms, on the
// calling thread; once it says true no further chunk is begun and false is returned. What `f`
// throws, on whichever thread, is thrown here when all threads have left the call.
bool parallel(Range f, const void* job, int64_t items, int64_t grain, int threads,
              bool (*interrupted)());

// How often a call of this thread has come to where it could have been interrupted.
int64_t pauses_here();

// CPUs that this thread may run on.
int usable_cpus();

}  // namespace unsample
