// What a kernel is told, and the table of kernels that every target fills in.
//
// A kernel is a range function: it computes the work items [begin, end) of a job, each of which
// writes its own part of the output, so that any split over threads gives the same bits.
#pragma once
#include <stdint.h>

#include "common/element.h"

namespace unsample {

constexpr int MAX_RANK = 64;  // NumPy's own limit of axes

// One spatial axis: `coarse` windows of `size` taps over `fine` elements (geometry/window.py).
struct Axis {
    int64_t fine, coarse, size, stride, dilation, before;
    const int64_t* start;   // windows of uneven length: the first element of each and how many
    const int64_t* length;  // there are; null where the six numbers say it all

    int64_t first(int64_t o) const { return start ? start[o] : o * stride - before; }
    int64_t taps(int64_t o) const { return length ? length[o] : size; }
};

// The plan of a call, as kernels see it: only what a valid Plan describes gets here.
struct Geometry {
    int rank;
    int64_t planes;  // product of the leading axes, `channels` left out
    int64_t
        channels;  // of the finer side of a shuffle, or of a position where they lie last, else 1
    int64_t taps;  // product of the window sizes
    bool blocks;   // order DCR: the channels of one tap lie together
    bool last;     // the channels lie behind the positions, side by side: channels last
    bool inside;   // every tap of every window meets an element
    bool tiles;    // no element belongs to two windows
    Axis axes[MAX_RANK];

    // Elements that lie side by side at every position.
    int64_t inner() const { return last ? channels : 1; }
};

// What kernels report back. Several threads write the same value, so they write it atomically.
struct Report {
    const char* target;  // the tier that ran
    int bad;             // whether a switch pointed nowhere
};

// Every job begins with its report.
struct Job {
    Report* report;
    const Geometry* geometry;
    const void* x;
    const void* switches;
    void* out;
    void* taps;       // of a pool that remembers, else null
    int64_t columns;  // of an output row that make one work item
    bool stream;      // write past the cache
};

// The axis before the one of a resize, resized with it: the rows.
struct ResizeRows {
    int64_t n, m;
    const int64_t* first;
    const int64_t* source;
    const void* weights;
};

struct ResizeJob {
    Report* report;
    const void* x;
    void* out;
    int64_t n, m, inner;    // x is (outer, n, inner), the output (outer, m, inner)
    const int64_t* first;   // output o is made of the terms first[o] to first[o + 1] - 1
    const int64_t* source;  // of each term
    const void* weights;
    // The same by slots, where all outputs of [alike, alike_end) have `slots` terms: entry
    // slot * m + o of source and weights.
    int64_t alike, alike_end, slots;
    const int64_t* slot_source;
    const void* slot_weights;
    const ResizeRows* rows;  // x is then (outer, rows->n, n, inner), `inner` > 1; or null
    int64_t columns;
    bool stream;
};

using Range = void (*)(const void* job, int64_t begin, int64_t end);

// Whether to leave the rest of a work item, because the call was interrupted or failed on another
// thread. Kernels ask within items that may take more than some milliseconds; see threads.cpp.
bool stopped();

// Elements that are only moved are told apart by width: 1, 2, 4, 8, 16 bytes; the others by
// `Element`.
constexpr int WIDTHS = 5;
// Switches: one, two or four bytes each.
constexpr int TAPS = 3;

struct ConvKernels;  // of convolutions: conv/kernels/table.h

struct Kernels {
    const char* name;
    int vector;  // bytes
    Range nearest[WIDTHS], nails[WIDTHS], decimate[WIDTHS], shuffle[WIDTHS], unshuffle[WIDTHS];
    Range pool[TAPS][kElements], pool_values[kElements];
    Range unpool[TAPS][WIDTHS], gather[TAPS][WIDTHS];
    Range unpool_sum[TAPS][kElements], unpool_max[TAPS][kElements];
    Range window_sum[kElements];
    Range resize[2], pick[WIDTHS];  // float32 and float64
    const ConvKernels* conv;
};

// The tiers that were compiled and that this machine can run, best first; `count` of them.
const Kernels* const* available(int* count);
// The table in use. `use` returns false where the machine or the build has no tier of that name.
const Kernels* current();
bool use(const char* name);

}  // namespace unsample
