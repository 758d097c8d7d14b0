#include "memory.h"

#include "../common/int_math.h"
#include "huge_pages.h"

#ifdef __linux__
#include <mutex>
#include <vector>

namespace unsample {
namespace {

constexpr size_t MANY = 512;  // blocks that are kept at most

struct Kept {
    std::mutex mutex;
    std::vector<Block> blocks;  // the oldest first
    int64_t bytes = 0, most = int64_t(512) << 20;

    Kept() { blocks.reserve(MANY); }  // freeing must not need memory
};

// Never destroyed: arrays are freed after everything else.
Kept& kept() {
    static Kept* const all = new Kept;
    return *all;
}

// Trying only: a child forked while another thread held the lock would wait for ever.
using Lock = std::unique_lock<std::mutex>;

void let_go(Kept& all, int64_t most) {
    size_t gone = 0;
    for (; all.bytes > most || all.blocks.size() - gone == MANY; ++gone) {
        all.bytes -= all.blocks[gone].capacity;
        munmap(all.blocks[gone].start, size_t(all.blocks[gone].capacity));
    }
    all.blocks.erase(all.blocks.begin(), all.blocks.begin() + int64_t(gone));
}

Block map(int64_t capacity) {
    const size_t size = size_t(capacity), page = size_t(kHugePage);
    void* found =
        mmap(nullptr, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (found == MAP_FAILED) return {};
    const auto address = reinterpret_cast<uintptr_t>(found);
    const uintptr_t start = (address + page - 1) / page * page;
    if (start > address) munmap(found, start - address);
    if (const size_t tail = address + page - start)
        munmap(reinterpret_cast<void*>(start + size), tail);
    void* block = reinterpret_cast<void*>(start);
    use_huge_pages(block, capacity);
    return {block, capacity};
}

}  // namespace

Block take(int64_t bytes) {
    if (bytes < 0 || bytes > (int64_t(1) << 62)) return {};
    const int64_t capacity = round_up(bytes, kHugePage);
    Kept& all = kept();
    if (const Lock lock{all.mutex, std::try_to_lock}) {
        size_t best = all.blocks.size();
        for (size_t i = 0; i < all.blocks.size(); ++i) {
            const int64_t found = all.blocks[i].capacity;
            if (found >= capacity && found <= capacity + capacity / 2 &&
                (best == all.blocks.size() || found < all.blocks[best].capacity))
                best = i;
        }
        if (best < all.blocks.size()) {
            const Block block = all.blocks[best];
            all.blocks.erase(all.blocks.begin() + int64_t(best));
            all.bytes -= block.capacity;
            return block;
        }
    }
    return map(capacity);
}

void give_back(Block block) {
    Kept& all = kept();
    const Lock lock{all.mutex, std::try_to_lock};
    // The pages stay until the system needs them, and writing takes them back: 0.01 ms for 34 MB.
    if (lock && block.capacity <= all.most &&
        madvise(block.start, size_t(block.capacity), MADV_FREE) == 0) {
        all.blocks.push_back(block);
        all.bytes += block.capacity;
        let_go(all, all.most);
    } else {
        munmap(block.start, size_t(block.capacity));
    }
}

void keep_at_most(int64_t bytes) {
    Kept& all = kept();
    const Lock lock{all.mutex};
    all.most = bytes;
    let_go(all, 0);
}

int64_t kept_bytes() {
    Kept& all = kept();
    const Lock lock{all.mutex};
    return all.bytes;
}

}  // namespace unsample

#else

namespace unsample {

Block take(int64_t) { return {}; }
void give_back(Block) {}
void keep_at_most(int64_t) {}
int64_t kept_bytes() { return 0; }

}  // namespace unsample

#endif
