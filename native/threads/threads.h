// The threads of a call: a small pool of our own, which survives fork, can be interrupted, and
// sleeps between calls; or the team of another library, on whose threads the caller's other work
// runs.
#pragma once
#include <stdint.h>

#include "../targets.h"

namespace unsample {

// Calls f(data) on n threads, the calling one among them, and comes back when all have returned:
// GOMP_parallel, which OpenMP's compilers call.
using Team = void (*)(void (*f)(void*), void* data, unsigned n, unsigned flags);

// The team of calls that are made while `team_here` is its number of threads; null: the pool is
// taken. A child of fork has none: GNU's OpenMP waits there for threads that are gone.
void set_team(Team);
inline thread_local int team_here = 0;
bool on_team();  // whether calls of this thread run on one

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
