// Windows and taps: which rows of the finer side a window reads, and which windows an element is
// in.

// A row of the finer side, and the number of the tap that its first tap along the row is.
struct TapRow {
    int64_t row, number;
};

struct Span {
    int64_t first, stop;
};

UNSAMPLE_INLINE int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
UNSAMPLE_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// Taps of window o that meet an element.
UNSAMPLE_INLINE Span taps_inside(const Axis& axis, int64_t o) {
    const int64_t first = axis.first(o), room = axis.fine - 1 - first;
    if (axis.dilation == 1) return {first < 0 ? -first : 0, smaller(axis.taps(o), room + 1)};
    return {first < 0 ? ceil_div(-first, axis.dilation) : 0,
            smaller(axis.taps(o), floor_div(room, axis.dilation) + 1)};
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

// The axes whose taps are counted one by one: all where the channels lie last, else all but the one
// that rows run along; and how many taps each of theirs stands for.
UNSAMPLE_INLINE int counted_axes(const Geometry& g) { return g.rank - 1 + g.last; }
UNSAMPLE_INLINE int64_t taps_along(const Geometry& g) {
    return g.last ? 1 : g.axes[g.rank - 1].size;
}

// The rows under the outer taps of windows, in C order, in batches. Rows count from `base`; where
// the channels lie last they are single positions.
class TapRows {
public:
    static constexpr int BATCH = 64;
    const TapRow* rows;
    int count;
    int64_t base;

    explicit TapRows(const Geometry& geometry) : g(geometry), outer(counted_axes(geometry)) {
        int64_t taps = 1;
        planes = 1;
        for (int axis = outer - 1; axis >= 0; --axis) {
            rows_of[axis] = planes;
            planes *= g.axes[axis].fine;
            whole_span[axis] = whole_windows(g.axes[axis], 0, g.axes[axis].coarse);
            taps *= g.axes[axis].size;
            span[axis] = {0, g.axes[axis].size};
            tap[axis] = 0;
        }
        if (taps <= BATCH) {  // the same for all whole windows
            fill(all);
            alike = count;
        }
    }

    void windows_at(int64_t plane, const int64_t* at) {
        base = plane * planes;
        bool whole = alike > 0;
        for (int axis = 0; axis < outer; ++axis) {
            base += g.axes[axis].first(at[axis]) * rows_of[axis];
            whole = whole && at[axis] >= whole_span[axis].first && at[axis] < whole_span[axis].stop;
        }
        left = true;
        rows = whole ? all : some;
        if (whole) return;
        for (int axis = 0; axis < outer; ++axis) {
            span[axis] = taps_inside(g.axes[axis], at[axis]);
            tap[axis] = span[axis].first;
            left = left && span[axis].first < span[axis].stop;
        }
    }

    bool next() {
        if (!left) return false;
        if (rows == all) {
            count = alike;
            left = false;
        } else {
            left = fill(some);
        }
        return true;
    }

    bool last() const { return !left; }

private:
    const Geometry& g;
    const int outer;
    int alike = 0;
    int64_t planes;
    bool left = false;
    TapRow all[BATCH], some[BATCH];
    Span span[MAX_RANK], whole_span[MAX_RANK];
    int64_t tap[MAX_RANK], rows_of[MAX_RANK];

    bool fill(TapRow* batch) {  // whether there are more
        if (outer == 0) {
            batch[0] = {0, 0};
            count = 1;
            return false;
        }
        const int inner = outer - 1;
        const int64_t step = g.axes[inner].dilation * rows_of[inner], along = taps_along(g);
        for (count = 0; count < BATCH;) {
            int64_t row = 0, number = 0;
            for (int axis = 0; axis < outer; ++axis) {
                row += tap[axis] * g.axes[axis].dilation * rows_of[axis];
                number = number * g.axes[axis].size + tap[axis];
            }
            const int64_t n = smaller(BATCH - count, span[inner].stop - tap[inner]);
            for (int64_t i = 0; i < n; ++i) batch[count++] = {row + i * step, (number + i) * along};
            tap[inner] += n - 1;
            if (!advance()) return false;
        }
        return true;
    }

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
    if (axis.dilation == 1) return offset >= 0 && offset < axis.taps(o) ? offset : -1;
    if (offset < 0 || offset % axis.dilation) return -1;
    const int64_t t = offset / axis.dilation;
    return t < axis.taps(o) ? t : -1;
}

// Whether each row of elements belongs to one row of windows at most, that which the walk counts.
inline bool one_each(const Geometry& g) {
    bool result = true;
    for (int axis = 0; axis < g.rank - 1; ++axis) {
        const Axis& a = g.axes[axis];
        result = result && !a.start && a.dilation == 1 && a.size <= a.stride;
    }
    return result;
}

// visit(row of windows, number of its first tap along the row, outer windows) for every row of
// windows that reaches the row of elements of the walk, in C order of the windows.
template <class Visit>
UNSAMPLE_INLINE void over_windows(const Geometry& g, const Walk<true>& walk, bool one,
                                  Visit visit) {
    const int outer = g.rank - 1;
    if (one) {
        int64_t row = walk.plane, number = 0;
        for (int axis = 0; axis < outer; ++axis) {
            const Axis& a = g.axes[axis];
            if (walk.tap[axis] >= a.size || uint64_t(walk.window[axis]) >= uint64_t(a.coarse))
                return;
            row = row * a.coarse + walk.window[axis];
            number = number * a.size + walk.tap[axis];
        }
        visit(row, number * g.axes[outer].size, walk.window);
        return;
    }
    int64_t o[MAX_RANK], t[MAX_RANK];
    int axis = 0;
    o[0] = first_window(g.axes[0], walk.at[0]) - 1;
    while (axis >= 0) {
        if (axis == outer) {
            int64_t row = walk.plane, number = 0;
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
        while (++o[axis] < a.coarse && a.first(o[axis]) <= walk.at[axis])
            if ((tap = tap_at(a, o[axis], walk.at[axis])) >= 0) break;
        if (tap < 0) {
            --axis;
            continue;
        }
        t[axis] = tap;
        if (++axis < outer) o[axis] = first_window(g.axes[axis], walk.at[axis]) - 1;
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

// Whether any of n switches is no number of `taps`.
template <class Tap>
UNSAMPLE_INLINE bool any_from(const Tap* switches, int64_t n, int64_t taps) {
    if (taps > int64_t(Tap(-1))) return false;
    Tap bad = 0;
    over<FULL<Tap>>(n, [&](auto lanes, int64_t i) {
        constexpr int L = decltype(lanes)::value;
        if constexpr (L == 1) {
            bad |= Tap(switches[i] >= taps);
        } else {
            const auto found = load<L>(switches + i) >= splat<L>(Tap(taps));
            uint32_t words[sizeof found / 4];
            memcpy(words, &found, sizeof found);
            for (uint32_t word : words) bad |= Tap(word != 0);
        }
    });
    return bad != 0;
}

// Whether the switches of windows [from, to) of a row all point at elements, of all channels where
// these lie last.
template <class Tap>
bool all_point_inside(const Geometry& g, const Tap* switches, const int64_t* outer, int64_t from,
                      int64_t to) {
    const int64_t inner = g.inner();
    if (any_from(switches + from * inner, (to - from) * inner, g.taps)) return false;
    if (g.inside) return true;
    bool border = false;
    for (int axis = 0; axis < g.rank - 1; ++axis) border |= !whole(g.axes[axis], outer[axis]);
    const Span sound = border ? Span{to, to} : whole_windows(g.axes[g.rank - 1], from, to);
    for (int64_t o = from; o < to; ++o) {
        if (o == sound.first && sound.stop > sound.first) o = sound.stop;
        for (int64_t i = o * inner; o < to && i < (o + 1) * inner; ++i)
            if (!points_inside(g, outer, o, switches[i])) return false;
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
