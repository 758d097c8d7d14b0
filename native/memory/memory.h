// Memory of large results. Fresh pages cost several times what is written into them, so a freed
// block is kept for the next result of about its size; the system may take its pages meanwhile.
#pragma once
#include <cstdint>

namespace unsample {

struct Block {
    void* start = nullptr;  // at a multiple of a huge page; null where there is none to be had
    int64_t capacity = 0;
};

Block take(int64_t bytes);
void give_back(Block block);
// Keep at most so many bytes from now on; those kept are let go.
void keep_at_most(int64_t bytes);
int64_t kept_bytes();

}  // namespace unsample
