// Random numbers, arrays of exactly their size, and the comparison.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

using namespace unsample;

namespace {

std::mt19937 rng(1);
int64_t draw(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(rng);
}

// Elements that start `offset` elements into an allocation, so at any place of a vector.
template <class T>
struct Array {
    std::vector<T> memory;
    T* data;
    int64_t size;

    Array(int64_t n, int64_t offset) : memory(size_t(n + offset)), size(n) {
        memory.shrink_to_fit();
        data = memory.data() + offset;
        for (auto& each : memory) each = T(draw(-4, 4));
    }
    Array(const Array&) = delete;
    T& operator[](int64_t i) { return data[i]; }
};

int failures = 0, checked = 0;

template <class T>
void same(const char* what, const char* tier, Array<T>& got, const std::vector<T>& expected) {
    ++checked;
    for (int64_t i = 0; i < got.size; ++i) {
        if (memcmp(&got[i], &expected[size_t(i)], sizeof(T)) == 0) continue;
        if (got[i] == T{} && expected[size_t(i)] == T{}) continue;  // -0.0 of a sum
        if (++failures < 20)
            printf("%s on %s: element %lld of %lld differs\n", what, tier, (long long)i,
                   (long long)got.size);
        return;
    }
}

}  // namespace
