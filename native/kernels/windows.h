// Windows and taps: which rows of the finer side a window reads, and which windows an element is
// in.

// A row of the finer side, and the number of the tap that its first tap along the row is.
struct TapRow {
    int64_t row, number;
};

struct Span {
    int64_t first, stop;
};

UNSAMPLE_INLINE int64_t ceil_div(int64_t a, int64_t b) {  // b > 0
    return a >= 0 ? (a + b - 1) / b : -(-a / b);
}
UNSAMPLE_INLINE int64_t floor_div(int64_t a, int64_t b) { return -ceil_div(-a, b); }
UNSAMPLE_INLINE int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
UNSAMPLE_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// Taps of window o that meet an element.
UNSAMPLE_INLINE Span taps_inside(const Axis& axis, int64_t o) {
    const int64_t first = axis.first(o);
    return {first < 0 ? ceil_div(-first, axis.dilation) : 0,
            smaller(axis.taps(o), floor_div(axis.fine - 1 - first, axis.dilation) + 1)};
}

UNSAMPLE_INLINE bool whole(const Axis& axis, int64_t o) {
    const Span span = taps_inside(axis, o);
    return span.first == 0 && span.stop == axis.size;
}

// Windows o of [from, to) along the last axis all of whose taps meet an element.
UNSAMPLE_INLINE Span whole_windows(const Axis& axis, int64_t from, int64_t to) {
    if (axis.start) return {from, from};
    const int64_t first = larger(from, ceil_div(axis.before, axis.stride));
    const int64_t reach = axis.fine - 1 - (axis.size - 1) * axis.dilation + axis.before;
    const int64_t stop = smaller(to, floor_div(reach, axis.stride) + 1);
    return first < stop ? Span{first, stop} : Span{from, from};
}

// The rows under the outer taps of the windows at `at`, in C order, in batches.
class TapRows {
public:
    static constexpr int BATCH = 64;
    TapRow rows[BATCH];
    int count;

    TapRows(const Geometry& geometry, int64_t plane, const int64_t* at)
        : g(geometry), outer(geometry.rank - 1), plane(plane) {
        for (int axis = 0; axis < outer; ++axis) {
            span[axis] = taps_inside(g.axes[axis], at[axis]);
            first[axis] = g.axes[axis].first(at[axis]);
            tap[axis] = span[axis].first;
        }
    }

    bool next() {
        for (count = 0; count < BATCH && !done; ++count) {
            int64_t row = plane, number = 0;
            for (int axis = 0; axis < outer; ++axis) {
                const Axis& a = g.axes[axis];
                row = row * a.fine + first[axis] + tap[axis] * a.dilation;
                number = number * a.size + tap[axis];
            }
            rows[count] = {row, number * g.axes[outer].size};
            done = !advance();
        }
        return count > 0;
    }

private:
    const Geometry& g;
    int outer;
    int64_t plane;
    Span span[MAX_RANK];
    int64_t first[MAX_RANK], tap[MAX_RANK];
    bool done = false;

    bool advance() {
        for (int axis = outer - 1; axis >= 0; --axis) {
            if (++tap[axis] < span[axis].stop) return true;
            tap[axis] = span[axis].first;
        }
        return false;
    }
};

// The first window that may reach element p, and whether window o does, with which tap.
UNSAMPLE_INLINE int64_t first_window(const Axis& axis, int64_t p) {
    if (!axis.start) {
        const int64_t reach = p + axis.before - (axis.size - 1) * axis.dilation;
        return reach <= 0 ? 0 : ceil_div(reach, axis.stride);
    }
    int64_t low = 0, high = axis.coarse;  // ends ascend
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (axis.start[middle] + axis.length[middle] > p)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

UNSAMPLE_INLINE int64_t tap_at(const Axis& axis, int64_t o, int64_t p) {  // -1: none
    const int64_t offset = p - axis.first(o);
    if (offset < 0 || offset % axis.dilation) return -1;
    const int64_t t = offset / axis.dilation;
    return t < axis.taps(o) ? t : -1;
}

// visit(row of windows, number of its first tap along the row, outer windows) for every row of
// windows that reaches the row of elements at `at`, in C order of the windows.
template <class Visit>
void over_windows(const Geometry& g, int64_t plane, const int64_t* at, Visit visit) {
    const int outer = g.rank - 1;
    int64_t o[MAX_RANK], t[MAX_RANK];
    int axis = 0;
    if (outer) o[0] = first_window(g.axes[0], at[0]) - 1;
    while (axis >= 0) {
        if (axis == outer) {
            int64_t row = plane, number = 0;
            for (int i = 0; i < outer; ++i) {
                row = row * g.axes[i].coarse + o[i];
                number = number * g.axes[i].size + t[i];
            }
            visit(row, number * g.axes[outer].size, o);
            --axis;
            continue;
        }
        const Axis& a = g.axes[axis];
        int64_t tap = -1;
        while (++o[axis] < a.coarse && a.first(o[axis]) <= at[axis])
            if ((tap = tap_at(a, o[axis], at[axis])) >= 0) break;
        if (tap < 0) {
            --axis;
            continue;
        }
        t[axis] = tap;
        if (++axis < outer) o[axis] = first_window(g.axes[axis], at[axis]) - 1;
    }
}

// Whether switch `number` of the window at o (outer) and `last` points at an element.
UNSAMPLE_INLINE bool points_inside(const Geometry& g, const int64_t* outer, int64_t last,
                                   int64_t number) {
    for (int axis = g.rank - 1; axis >= 0; --axis) {
        const Axis& a = g.axes[axis];
        const int64_t o = axis == g.rank - 1 ? last : outer[axis];
        const int64_t t = number % a.size, p = a.first(o) + t * a.dilation;
        if (p < 0 || p >= a.fine || t >= a.taps(o)) return false;
        number /= a.size;
    }
    return number == 0;
}

// Whether the switches of windows [from, to) of a row all point at elements.
template <class Tap>
bool all_point_inside(const Geometry& g, const Tap* switches, const int64_t* outer, int64_t from,
                      int64_t to) {
    if (g.taps <= int64_t(Tap(-1))) {
        Tap bad = 0;
        for (int64_t o = from; o < to; ++o) bad |= Tap(switches[o] >= Tap(g.taps));
        if (bad) return false;
    }
    if (g.inside) return true;
    bool border = false;
    for (int axis = 0; axis < g.rank - 1; ++axis) border |= !whole(g.axes[axis], outer[axis]);
    const Span inner = border ? Span{to, to} : whole_windows(g.axes[g.rank - 1], from, to);
    for (int64_t o = from; o < to; ++o) {
        if (o == inner.first && inner.stop > inner.first) o = inner.stop;
        if (o < to && !points_inside(g, outer, o, switches[o])) return false;
    }
    return true;
}

inline void report_bad(const Job& job) {
#if defined(__GNUC__)
    __atomic_store_n(&job.report->bad, 1, __ATOMIC_RELAXED);
#else
    job.report->bad = 1;
#endif
}
