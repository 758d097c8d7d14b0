#include "threads.h"

#include <atomic>
#include <cfenv>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

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

struct Call;

// Asks for an interruption now and then, on the calling thread.
struct Watch {
    Call& call;
    bool (*interrupted)();
    Clock::time_point last = Clock::now();
    bool hit = false;

    void look();
};

// The call whose items this thread computes, null if it is too small for the pool; its watch is
// the caller's alone.
struct Here {
    Call* call;
    Watch* watch;
};
thread_local Here here{nullptr, nullptr};
thread_local int64_t pauses = 0;

struct Call {
    Range f;
    const void* job;
    int64_t items, grain;
    std::fenv_t modes{};  // of the caller's arithmetic, if workers take part
    std::atomic<int64_t> next{0};
    std::atomic<bool> stop{false}, failed{false};
    std::exception_ptr error;  // of who failed first; the caller reads it when all are done

    // One more chunk, or false where none is left.
    bool step() {
        if (stop.load(std::memory_order_relaxed)) return false;
        const int64_t begin = next.fetch_add(grain, std::memory_order_relaxed);
        if (begin >= items) return false;
        f(job, begin, begin + grain < items ? begin + grain : items);
        return true;
    }

    // Chunks until none is left. What is thrown ends the call on all threads.
    void work(Watch* watch) noexcept {
        const Here before = std::exchange(here, {this, watch});
        try {
            while (step()) {
                ++pauses;
                if (watch) watch->look();
            }
        } catch (...) {
            if (!failed.exchange(true)) error = std::current_exception();
            stop.store(true, std::memory_order_relaxed);
        }
        here = before;
    }
};

void Watch::look() {
    const auto now = Clock::now();
    if (hit || now - last < POLL) return;
    // Python's signal handlers run in there, and may call kernels, which are no part of this call.
    const Here before = std::exchange(here, {nullptr, nullptr});
    hit = interrupted();
    here = before;
    last = Clock::now();
    if (hit) call.stop.store(true, std::memory_order_relaxed);
}

// Signals are for the threads that Python knows: those that start meanwhile get none.
class SignalsBlocked {
public:
#ifdef _WIN32
    SignalsBlocked() {}
#else
    SignalsBlocked() {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
    }
    ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before, nullptr); }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;

private:
    sigset_t before;
#endif
};

class Pool {
public:
    std::mutex busy;  // held by the one call that the workers serve

    // Comes back when no worker has the call any more, whatever happened.
    void run(Call& c, int helpers, Watch& watch) {
        {
            std::lock_guard<std::mutex> lock(mutex);
            spawn(helpers);
            call = &c;
            wanted = helpers < workers ? helpers : workers;
        }
        wake.notify_all();
        c.work(&watch);
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
        if (workers >= helpers) return;
        const SignalsBlocked blocked;
        try {
            while (workers < helpers) {
                std::thread(&Pool::work, this).detach();
                ++workers;
            }
        } catch (const std::exception&) {
            // No more threads or memory to be had: the call is done by those there are.
        }
    }

    void work() {
        std::unique_lock<std::mutex> lock(mutex);
        for (;;) {
            wake.wait(lock, [this] { return wanted > 0; });
            --wanted;
            ++active;
            Call& c = *call;
            lock.unlock();
            // Rounding, and whether tiny numbers are flushed to zero, are as on the calling thread.
            std::fesetenv(&c.modes);
            c.work(nullptr);
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

std::atomic<Team> the_team{nullptr};

#ifndef _WIN32
void forget_team() { the_team.store(nullptr); }
#endif

// A call on threads that are not ours, of which as many join in as it wants.
class OnTeam {
public:
    OnTeam(Call& c, Watch& w, int helpers) : call(c), watch(w), wanted(helpers) {}

    void run(Team team, int threads) { team(join, this, unsigned(threads), 0); }

private:
    Call& call;
    Watch& watch;
    const std::thread::id caller = std::this_thread::get_id();
    std::atomic<int> wanted, active{0};

    static void join(void* given) {
        OnTeam& self = *static_cast<OnTeam*>(given);
        if (std::this_thread::get_id() == self.caller) return self.lead();
        ++self.active;
        if (self.wanted.fetch_sub(1) > 0) {
            std::fenv_t modes;
            std::fegetenv(&modes);
            std::fesetenv(&self.call.modes);
            self.call.work(nullptr);
            std::fesetenv(&modes);
        }
        --self.active;
    }

    // The team waits for its threads without asking anybody, so that the caller does before.
    void lead() {
        call.work(&watch);
        while (active.load() > 0) {
            watch.look();
            std::this_thread::yield();
        }
    }
};

}  // namespace

void set_team(Team team) {
#ifndef _WIN32
    static const int registered = pthread_atfork(nullptr, nullptr, forget_team);
    (void)registered;
#endif
    the_team.store(team);
}

bool on_team() { return team_here && the_team.load(std::memory_order_relaxed); }

bool parallel(Range f, const void* job, int64_t items, int64_t grain, int threads,
              bool (*interrupted)()) {
    Call call;
    call.f = f, call.job = job, call.items = items, call.grain = grain;
    Watch watch{call, interrupted};
    const int64_t chunks = (items + grain - 1) / grain;
    const int helpers = static_cast<int>(chunks < threads ? chunks : threads) - 1;
    std::unique_lock<std::mutex> mine;
    Pool* shared = nullptr;
    const Team team = on_team() ? the_team.load() : nullptr;
    if (helpers > 0 && !team) {
        shared = &the_pool();
        // Two calls at once: the second one does its work alone instead of waiting for the first.
        mine = std::unique_lock<std::mutex>(shared->busy, std::try_to_lock);
    }
    if (helpers > 0) std::fegetenv(&call.modes);
    if (helpers > 0 && team) {
        // All of its threads, or those that this call leaves out would end and be started again.
        OnTeam(call, watch, helpers).run(team, team_here > helpers ? team_here : helpers + 1);
    } else if (mine.owns_lock()) {
        shared->run(call, helpers, watch);
    } else {
        call.work(&watch);
    }
    if (watch.hit) return false;
    if (call.error) std::rethrow_exception(call.error);
    return true;
}

bool stopped() {
    ++pauses;
    if (!here.call) return false;
    if (here.watch) here.watch->look();
    return here.call->stop.load(std::memory_order_relaxed);
}

int64_t pauses_here() { return pauses; }

int usable_cpus() {
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
    const unsigned found = std::thread::hardware_concurrency();
    return found ? static_cast<int>(found) : 1;
}

}  // namespace unsample
