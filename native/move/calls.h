// Planned movements and poolings, for whoever brings the memory: caller/bind.cpp, caller/xla.cpp.
//
// A Caller has a Handle that stands for an array (or `absent`), a Memory that opens a handle and
// throws where it has not as many bytes as the plan says, `run`, which works through a large call,
// and `ran`, which hears of the target that computed.
#pragma once
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "../common/element.h"
#include "../common/int_math.h"
#include "../targets.h"
#include "../threads/thread_count.h"
#include "plan.h"
#include "terms.h"

namespace unsample {

template <class Caller>
using HandleOf = typename Caller::Handle;
template <class Caller>
using MemoryOf = typename Caller::Memory;

// A chunk is what one thread takes at a time: long against taking it, short against Ctrl-C.
constexpr double CHUNK = 1 << 19;
// An output larger than this is not read from the cache again.
constexpr int64_t STREAM = 1 << 23;
// A work item stands for no more, unless one element of the output does: a millisecond or two.
constexpr double PIECE = 1 << 24;
// Elements that the kernels with vectors along an output row compute at once.
constexpr int64_t VECTOR = 16;
constexpr int64_t COLUMNS = 512;  // 16 bytes each fill the room of a row, see kernels/rows.h

// Run a kernel over an output of `elements` elements of `width` bytes in rows of `row`; `work` is
// how many bytes each of them stands for. Where that is much a work item is fewer of them, down to
// `least`. False where a switch pointed nowhere.
template <class Caller, class AnyJob>
bool run(Range kernel, AnyJob& job, int64_t elements, int64_t row, int64_t width, int64_t block,
         double work, int64_t least = COLUMNS, int64_t most = COLUMNS) {
    if (elements == 0) return true;
    Report report{"", 0};
    job.report = &report;
    job.columns = block <= most ? most / block * block : most;  // whole blocks
    if (work * double(job.columns) > PIECE)
        job.columns = std::min(job.columns, std::max(least, int64_t(PIECE / work)));
    job.stream = times(elements, width) >= STREAM;
    const int64_t items = elements / row * ((row + job.columns - 1) / job.columns);
    const double per_item = double(elements / items) * work + 1;
    if (is_small(double(items) * per_item, kSmallMove)) {
        kernel(&job, 0, items);
    } else {
        const int64_t grain = per_item < CHUNK ? int64_t(CHUNK / per_item) : 1;
        Caller::run(kernel, &job, items, grain);
    }
    Caller::ran(report.target);
    return !report.bad;
}

inline int width_of(int64_t bytes) {
    for (int i = 0; i < WIDTHS; ++i)
        if (bytes == int64_t(1) << i) return i;
    throw std::invalid_argument("elements must have 1, 2, 4, 8 or 16 bytes");
}

inline int tap_of(int64_t bytes) {
    const int found = width_of(bytes);
    if (found >= TAPS) throw std::invalid_argument("switches must have 1, 2 or 4 bytes");
    return found;
}

inline int dtype_of(int64_t dtype) {
    if (dtype < 0 || dtype >= kElements) throw std::invalid_argument("no such dtype");
    return int(dtype);
}

// Elements of a row of `positions`.
inline int64_t row_of(const Geometry& g, int64_t positions) { return positions * g.inner(); }

template <class Caller, Range (Kernels::*TABLE)[WIDTHS], bool UP, bool SHUFFLE>
void move(const Plan& plan, HandleOf<Caller> x, HandleOf<Caller> out, int64_t bytes) {
    const Geometry& g = plan.geometry;
    const Axis& last = g.axes[g.rank - 1];
    const int64_t many = SHUFFLE ? plan.fine : UP ? plan.fine : plan.coarse;
    const int64_t few = SHUFFLE ? plan.fine : UP ? plan.coarse : plan.fine;
    const int width = width_of(bytes);
    if (!(SHUFFLE || TABLE == &Kernels::nearest ? plan.divided : plan.nailed))
        throw std::invalid_argument("no kernel moves like this");
    const MemoryOf<Caller> from(x, false, times(few, bytes)), to(out, true, times(many, bytes));
    Job job{nullptr, &g, from.data(), nullptr, to.data()};
    // What lies at a position of the output: of an unshuffle that is a channel for every tap.
    const int64_t inner = SHUFFLE && !UP && g.last ? times(g.channels, g.taps) : g.inner();
    run<Caller>((current()->*TABLE)[width], job, many, (UP ? last.fine : last.coarse) * inner,
                bytes,
                g.last ? inner
                : UP   ? last.stride
                       : 1,
                double(SHUFFLE ? 2 * bytes : bytes));
}

template <class Caller>
void pool(const Plan& plan, HandleOf<Caller> x, HandleOf<Caller> values, HandleOf<Caller> taps,
          int64_t dtype, int64_t tap_bytes) {
    const Geometry& g = plan.geometry;
    const int64_t width = kElementBytes[dtype_of(dtype)],
                  row = row_of(g, g.axes[g.rank - 1].coarse);
    const MemoryOf<Caller> from(x, false, times(plan.fine, width)),
        to(values, true, times(plan.coarse, width));
    Job job{nullptr, &g, from.data(), nullptr, to.data()};
    const double work = 3.0 * double(width) * double(g.taps);
    if (Caller::absent(taps)) {
        run<Caller>(current()->pool_values[dtype], job, plan.coarse, row, width, 1, work, VECTOR);
        return;
    }
    const int tap = tap_of(tap_bytes);
    if (g.taps > int64_t(1) << 8 * tap_bytes)
        throw std::invalid_argument("switches cannot number these taps");
    const MemoryOf<Caller> which(taps, true, times(plan.coarse, tap_bytes));
    job.taps = which.data();
    // Windows of more than 256 taps are pooled one by one.
    run<Caller>(current()->pool[tap][dtype], job, plan.coarse, row, width, 1, work,
                tap_bytes == 1 ? VECTOR : 1);
}

// Windows that an element of the fine side belongs to, on average, where they overlap much.
inline double windows_of_one(const Geometry& g) {
    double windows = 1;
    for (int i = 0; i < g.rank && !g.tiles; ++i) {
        const Axis& a = g.axes[i];
        const double all = double(a.size) * double(a.coarse);
        windows *= std::max(1.0, std::floor(all / double(std::max<int64_t>(a.fine, 1))));
    }
    return windows;
}

// How unpooled values meet: the last one stays (and `dtype` is a width in bytes), sum, maximum.
enum Rule { LAST, SUM, MAX };

template <class Caller>
bool unpool(const Plan& plan, HandleOf<Caller> values, HandleOf<Caller> switches,
            HandleOf<Caller> out, int64_t dtype, int64_t tap_bytes, int rule) {
    const Geometry& g = plan.geometry;
    const Axis& last = g.axes[g.rank - 1];
    const int64_t width = rule == LAST ? dtype : kElementBytes[dtype_of(dtype)];
    const int tap = tap_of(tap_bytes), moved = width_of(width);
    const MemoryOf<Caller> from(values, false, times(plan.coarse, width)),
        to(out, true, times(plan.fine, width));
    const MemoryOf<Caller> which(switches, false, times(plan.coarse, tap_bytes));
    Job job{nullptr, &g, from.data(), which.data(), to.data()};
    const Kernels& k = *current();
    const Range kernel = rule == LAST  ? k.unpool[tap][moved]
                         : rule == SUM ? k.unpool_sum[tap][dtype]
                                       : k.unpool_max[tap][dtype];
    return run<Caller>(kernel, job, plan.fine, row_of(g, last.fine), width,
                       times(last.stride, g.inner()), 3.0 * double(width) * windows_of_one(g));
}

template <class Caller>
bool gather(const Plan& plan, HandleOf<Caller> x, HandleOf<Caller> switches, HandleOf<Caller> out,
            int64_t width, int64_t tap_bytes) {
    const Geometry& g = plan.geometry;
    const int tap = tap_of(tap_bytes), moved = width_of(width);
    const MemoryOf<Caller> from(x, false, times(plan.fine, width)),
        to(out, true, times(plan.coarse, width));
    const MemoryOf<Caller> which(switches, false, times(plan.coarse, tap_bytes));
    Job job{nullptr, &g, from.data(), which.data(), to.data()};
    return run<Caller>(current()->gather[tap][moved], job, plan.coarse,
                       row_of(g, g.axes[g.rank - 1].coarse), width, 1, 12.0 * double(width));
}

template <class Caller>
void window_sum(const Plan& plan, HandleOf<Caller> y, HandleOf<Caller> out, int64_t dtype,
                int64_t out_bytes) {
    const Geometry& g = plan.geometry;
    const int64_t width = kElementBytes[dtype_of(dtype)];
    if (out_bytes != (dtype < kFloats ? width : 8) || g.rank > 8 || !plan.divided)
        throw std::invalid_argument("no kernel sums like this");
    const MemoryOf<Caller> from(y, false, times(plan.fine, width)),
        to(out, true, times(plan.coarse, out_bytes));
    Job job{nullptr, &g, from.data(), nullptr, to.data()};
    run<Caller>(current()->window_sum[dtype], job, plan.coarse,
                row_of(g, g.axes[g.rank - 1].coarse), out_bytes, 1,
                3.0 * double(width) * double(g.taps), VECTOR);
}

// With `rows` the axis before is resized as well: x is (outer, rows->n, terms.n, inner).
template <class Caller>
void resize(const Terms& terms, HandleOf<Caller> x, HandleOf<Caller> out, int64_t outer,
            int64_t inner, int64_t width, bool copy, const Terms* rows = nullptr) {
    if (!counts(outer) || !counts(inner) || (rows && inner < 2))
        throw std::invalid_argument("no array has this shape");
    const int64_t elements = times(times(times(outer, rows ? rows->m : 1), terms.m), inner);
    const int64_t before = times(times(times(outer, rows ? rows->n : 1), terms.n), inner);
    const int moved = width_of(width);
    const MemoryOf<Caller> from(x, false, times(before, width));
    const MemoryOf<Caller> to(out, true, times(elements, width));
    const Kernels& k = *current();
    if (!copy && width != 4 && width != 8) throw std::invalid_argument("no kernel adds these");
    for (const Terms* axis : {&terms, rows})
        if (copy && axis && int64_t(axis->source.size()) != axis->m)
            throw std::invalid_argument("a copy has one source");
    const Range kernel = copy ? k.pick[moved] : k.resize[width == 8];
    const bool wide = width == 8;
    const auto weights = [wide](const Terms& of) {
        return wide ? static_cast<const void*>(of.weights.data()) : of.rounded.data();
    };
    ResizeRows above{};
    if (rows) above = {rows->n, rows->m, rows->first.data(), rows->source.data(), weights(*rows)};
    ResizeJob job{
        nullptr,
        from.data(),
        to.data(),
        terms.n,
        terms.m,
        inner,
        terms.first.data(),
        terms.source.data(),
        weights(terms),
        terms.alike,
        terms.alike_end,
        terms.slots,
        terms.slot_source.data(),
        wide ? static_cast<const void*>(terms.slot_weights.data()) : terms.slot_rounded.data(),
        rows ? &above : nullptr,
        0,
        false,
    };
    const double longest = double(terms.longest) + (rows ? double(rows->longest) : 0.0);
    run<Caller>(kernel, job, elements, times(terms.m, inner), width, 1,
                double(width) * (copy ? 1.0 : 3.0 * longest), inner == 1 ? 1 : VECTOR,
                inner == 1 ? COLUMNS : 16 * COLUMNS / width);
}

}  // namespace unsample
