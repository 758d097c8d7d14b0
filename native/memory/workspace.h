// Memory to work in, kept from one call to the next.
#pragma once
#include <stdlib.h>

#include <new>

#include "../common/int_math.h"
#include "huge_pages.h"

namespace unsample {

// Aligned memory that grows. In huge pages where it is large: the packed weight of 512 x 256
// channels and 4 x 4 taps is 2000 small pages.
class Workspace {
public:
    Workspace() = default;
    Workspace(const Workspace&) = delete;
    Workspace& operator=(const Workspace&) = delete;
    ~Workspace() { release(); }

    void* at_least(int64_t bytes) {
        if (bytes <= size) return memory;
        release();
        const int64_t unit = bytes >= kHugePage ? kHugePage : kLine;
        const int64_t wanted = round_up(bytes, unit);
#ifdef _WIN32
        memory = _aligned_malloc(size_t(wanted), size_t(unit));
#else
        if (posix_memalign(&memory, size_t(unit), size_t(wanted)) != 0) memory = nullptr;
#endif
        if (!memory) throw std::bad_alloc();
        if (unit == kHugePage) use_huge_pages(memory, wanted);
        size = wanted;
        return memory;
    }
    void release_if_large() {
        if (size > kKept) release();
    }

private:
    static constexpr int64_t kLine = 64;
    static constexpr int64_t kKept = 64 << 20;  // a larger workspace is given back after the call

    void* memory = nullptr;
    int64_t size = 0;

    void release() {
#ifdef _WIN32
        _aligned_free(memory);
#else
        free(memory);
#endif
        memory = nullptr;
        size = 0;
    }
};

}  // namespace unsample
