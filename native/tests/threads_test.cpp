// The pool of threads alone: every item once, exceptions, interruptions, modes of arithmetic, many
// callers. Built with the thread sanitizer (`make sanitize-all`) it shows that nothing races.
#include "../threads/threads.h"

#include <atomic>
#include <cfenv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <thread>
#include <utility>
#include <vector>

using namespace unsample;

namespace {

std::atomic<int> failures{0};

void check(bool good, const char* what) {
    if (good) return;
    ++failures;
    printf("%s\n", what);
}

bool never() { return false; }
bool at_once() { return true; }

struct Work {
    std::vector<int> done = std::vector<int>(1000);
    std::atomic<int> inside{0};
    int64_t bad = -1;  // the item that fails
};

struct Inside {
    std::atomic<int>& count;
    explicit Inside(std::atomic<int>& c) : count(c) { ++count; }
    ~Inside() { --count; }
};

void items(const void* given, int64_t begin, int64_t end) {
    Work& work = *static_cast<Work*>(const_cast<void*>(given));
    const Inside inside(work.inside);
    for (int64_t i = begin; i < end; ++i) {
        if (i == work.bad) throw std::bad_alloc();
        // So that others are still inside when one fails.
        if (i % 50 == 0) std::this_thread::sleep_for(std::chrono::microseconds(100));
        ++work.done[size_t(i)];
    }
}

void each_item_once(int threads) {
    Work work;
    check(parallel(items, &work, 1000, 7, threads, never), "a call that nobody interrupts ends");
    for (const int n : work.done) check(n == 1, "an item was computed once");
}

void an_error(int threads, int64_t bad) {
    Work work;
    work.bad = bad;
    bool thrown = false;
    try {
        parallel(items, &work, 1000, 7, threads, never);
    } catch (const std::bad_alloc&) {
        thrown = true;
    }
    check(thrown, "what an item throws reaches the caller");
    check(work.inside == 0, "nobody works for a call that is over");
}

std::atomic<int64_t> begun{0};

// Without an end of its own.
void endless(const void*, int64_t, int64_t) {
    ++begun;
    while (!stopped()) std::this_thread::yield();
}

bool with_a_call_of_its_own() {
    each_item_once(2);
    check(!stopped(), "a call within the question is another one");
    return true;
}

void an_interruption(int threads, bool (*interrupted)()) {
    check(!parallel(endless, nullptr, 1000, 1, threads, interrupted),
          "an interrupted call says so");
    check(begun.exchange(0) <= threads, "no item is begun after an interruption");
}

struct Modes {
    int rounding;
    std::atomic<int> others{0};
};

void compare_modes(const void* given, int64_t, int64_t) {
    Modes& modes = *static_cast<Modes*>(const_cast<void*>(given));
    if (std::fegetround() != modes.rounding) ++modes.others;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // so that all threads come
}

void modes_of_the_caller() {
    for (const int rounding : {FE_UPWARD, FE_TONEAREST, FE_DOWNWARD}) {
        Modes modes{rounding};
        std::fesetround(rounding);
        parallel(compare_modes, &modes, 30, 1, 4, never);
        check(modes.others == 0, "all threads round as the caller");
    }
    std::fesetround(FE_TONEAREST);
}

// What OpenMP does, with a thread more than asked for.
void a_team(void (*f)(void*), void* data, unsigned n, unsigned) {
    std::vector<std::thread> others;
    for (unsigned i = 0; i < n; ++i) others.emplace_back(f, data);
    f(data);
    for (std::thread& each : others) each.join();
}

std::atomic<int> took_part{0};

void count_threads(const void*, int64_t, int64_t) {
    thread_local bool here = false;
    if (!std::exchange(here, true)) ++took_part;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

void as_many_as_wanted() {
    parallel(count_threads, nullptr, 100, 1, 3, never);
    check(took_part == 3, "of a large team as many join in as a call wants");
}

void everything(int rounds) {
    for (int i = 0; i < rounds; ++i) {
        const int threads = 1 + i % 4;
        each_item_once(threads);
        an_error(threads, i * 37 % 1000);
        if (i % 10 == 0) an_interruption(threads, at_once);
        if (i % 10 == 1) an_interruption(threads, with_a_call_of_its_own);
    }
    modes_of_the_caller();
}

}  // namespace

int main(int argc, char** argv) {
    const int rounds = argc > 1 ? atoi(argv[1]) : 100;
    everything(rounds);
    set_team(a_team);
    team_here = 5;
    everything(rounds);
    as_many_as_wanted();
    team_here = 0;
    std::vector<std::thread> callers;
    for (int c = 0; c < 8; ++c)
        callers.emplace_back([=] {
            team_here = c % 2 ? 3 : 0;
            for (int i = 0; i < rounds; ++i) {
                each_item_once(1 + (c + i) % 4);
                an_error(1 + (c + i) % 4, (c + i) * 37 % 1000);
            }
        });
    for (std::thread& each : callers) each.join();
    printf("threads   %d wrong\n", int(failures));
    return failures != 0;
}
