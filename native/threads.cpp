#include "threads.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

#ifdef __linux__
#include <sched.h>
#endif
#ifndef _WIN32
#include <pthread.h>
#include <signal.h>
#endif

namespace unsample {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto POLL = std::chrono::milliseconds(50);

struct Call {
    Range f;
    const void* job;
    int64_t items, grain;
    std::atomic<int64_t> next{0};
    std::atomic<bool> stop{false};

    // One more chunk, or false where none is left.
    bool step() {
        if (stop.load(std::memory_order_relaxed)) return false;
        const int64_t begin = next.fetch_add(grain, std::memory_order_relaxed);
        if (begin >= items) return false;
        f(job, begin, begin + grain < items ? begin + grain : items);
        return true;
    }
};

// Asks for an interruption now and then.
struct Watch {
    Call& call;
    bool (*interrupted)();
    Clock::time_point last = Clock::now();
    bool hit = false;

    void look() {
        const auto now = Clock::now();
        if (hit || now - last < POLL) return;
        last = now;
        if (interrupted()) {
            hit = true;
            call.stop.store(true, std::memory_order_relaxed);
        }
    }
};

class Pool {
public:
    std::mutex busy;  // held by the one call that the workers serve

    void run(Call& c, int helpers, Watch& watch) {
        {
            std::lock_guard<std::mutex> lock(mutex);
            spawn(helpers);
            call = &c;
            wanted = helpers < workers ? helpers : workers;
        }
        wake.notify_all();
        while (c.step()) watch.look();
        std::unique_lock<std::mutex> lock(mutex);
        wanted = 0;  // who has not come yet need not
        while (active > 0) {
            if (idle.wait_for(lock, POLL) == std::cv_status::timeout) {
                lock.unlock();  // the question takes Python's lock, which must not wait for ours
                watch.look();
                lock.lock();
            }
        }
        call = nullptr;
    }

private:
    std::mutex mutex;
    std::condition_variable wake, idle;
    Call* call = nullptr;
    int workers = 0, wanted = 0, active = 0;

    void spawn(int helpers) {
#ifndef _WIN32
        sigset_t all, before;  // signals are for the threads that Python knows
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
#endif
        try {
            while (workers < helpers) {
                std::thread(&Pool::work, this).detach();
                ++workers;
            }
        } catch (const std::system_error&) {
            // No more threads to be had: the call is done by those there are.
        }
#ifndef _WIN32
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
#endif
    }

    void work() {
        std::unique_lock<std::mutex> lock(mutex);
        for (;;) {
            wake.wait(lock, [this] { return wanted > 0; });
            --wanted;
            ++active;
            Call& c = *call;
            lock.unlock();
            while (c.step()) {
            }
            lock.lock();
            if (--active == 0) idle.notify_one();
        }
    }
};

// Never destroyed: workers may still sleep on it while the process exits. After a fork the child
// has none of the workers and perhaps a lock that nobody will open, so it starts a pool of its own.
std::atomic<Pool*> pool{nullptr};

#ifndef _WIN32
void forget_pool() { pool.store(nullptr); }
#endif

Pool& the_pool() {
    Pool* found = pool.load(std::memory_order_acquire);
    if (found) return *found;
#ifndef _WIN32
    static const int registered = pthread_atfork(nullptr, nullptr, forget_pool);
    (void)registered;
#endif
    Pool* fresh = new Pool;
    if (pool.compare_exchange_strong(found, fresh)) return *fresh;
    delete fresh;
    return *found;
}

}  // namespace

bool parallel(Range f, const void* job, int64_t items, int64_t grain, int threads,
              bool (*interrupted)()) {
    Call call;
    call.f = f, call.job = job, call.items = items, call.grain = grain;
    Watch watch{call, interrupted};
    const int64_t chunks = (items + grain - 1) / grain;
    const int helpers = static_cast<int>(chunks < threads ? chunks : threads) - 1;
    if (helpers > 0) {
        Pool& shared = the_pool();
        // Two calls at once: the second one does its work alone instead of waiting for the first.
        std::unique_lock<std::mutex> mine(shared.busy, std::try_to_lock);
        if (mine.owns_lock()) {
            shared.run(call, helpers, watch);
            return !watch.hit;
        }
    }
    while (call.step()) watch.look();
    return !watch.hit;
}

int usable_cpus() {
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
    const unsigned found = std::thread::hardware_concurrency();
    return found ? static_cast<int>(found) : 1;
}

}  // namespace unsample
