// What the machine can do: fused multiply-adds in registers, and a copy with streaming stores, on
// `threads` threads. limits THREADS prints "gflops gbytes_s"; g++ -O3 -march=native -pthread
// limits.cpp
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <thread>
#include <vector>

namespace {

// The widest there are: peers and kernels use them too.
#if defined(__AVX512F__)
typedef float V __attribute__((vector_size(64)));
#elif defined(__AVX2__)
typedef float V __attribute__((vector_size(32)));
#else
typedef float V __attribute__((vector_size(16)));
#endif
constexpr int kLanes = sizeof(V) / 4;

double seconds_of(int threads, const std::function<void(int)>& work) {
    double best = 1e9;
    for (int round = 0; round < 7; ++round) {
        auto start = std::chrono::steady_clock::now();
        std::vector<std::thread> others;
        for (int i = 1; i < threads; ++i) others.emplace_back(work, i);
        work(0);
        for (auto& each : others) each.join();
        std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
        if (taken.count() < best) best = taken.count();
    }
    return best;
}

volatile float sink;

void multiply_add(long count) {
    V a = V{} + 1.0f, b = a, c = a, d = a, e = a, f = a, g = a, h = a, i = a, j = a;
    V x = V{} + 0.999f, y = V{} + 1e-3f;
    for (long n = 0; n < count; ++n) {
        a = a * x + y, b = b * x + y, c = c * x + y, d = d * x + y, e = e * x + y;
        f = f * x + y, g = g * x + y, h = h * x + y, i = i * x + y, j = j * x + y;
        // Named variables: an array of them stays in memory, and measures that (a third of the
        // peak).
        asm volatile(""
                     : "+v"(a), "+v"(b), "+v"(c), "+v"(d), "+v"(e), "+v"(f), "+v"(g), "+v"(h),
                       "+v"(i), "+v"(j));
    }
    sink = (a + b + c + d + e + f + g + h + i + j)[0];
}

void copy(const float* from, float* to, long count) {
    for (long i = 0; i + kLanes <= count; i += kLanes) {
#if defined(__clang__)
        __builtin_nontemporal_store(*(const V*)(from + i), (V*)(to + i));
#elif defined(__AVX512F__)
        __builtin_ia32_movntps512(to + i, *(const V*)(from + i));
#elif defined(__AVX2__)
        __builtin_ia32_movntps256(to + i, *(const V*)(from + i));
#elif defined(__SSE__)
        __builtin_ia32_movntps(to + i, *(const V*)(from + i));
#else
        *(V*)(to + i) = *(const V*)(from + i);
#endif
    }
}

}  // namespace

int main(int argc, char** argv) {
    int threads = argc > 1 ? std::atoi(argv[1]) : 1;
    const long rounds = 20'000'000, floats = 32L << 20;
    double t = seconds_of(threads, [&](int) { multiply_add(rounds / 4); });
    double gflops = 2.0 * 10 * kLanes * (rounds / 4) * threads / t / 1e9;
    auto* from = (float*)std::aligned_alloc(64, floats * 4);
    auto* to = (float*)std::aligned_alloc(64, floats * 4);
    for (long i = 0; i < floats; ++i) from[i] = to[i] = (float)i;
    const long share = floats / threads / 16 * 16;
    t = seconds_of(threads, [&](int i) { copy(from + i * share, to + i * share, share); });
    std::printf("%.1f %.2f\n", gflops, 8.0 * share * threads / t / 1e9);
}
