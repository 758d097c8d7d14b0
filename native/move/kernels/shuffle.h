// Pixel shuffle and unshuffle: a channel group on every tap.

// Channel of tap t of channel c: order CRD keeps the taps of a channel together, DCR the channels
// of a tap.
UNSAMPLE_INLINE int64_t grouped(const Geometry& g, int64_t c, int64_t t) {
    return g.blocks ? t * g.channels + c : c * g.taps + t;
}

// out[p - from] = x[(p % factor) * step + p / factor]
template <class E>
UNSAMPLE_INLINE void interleave_row(const E* x, int64_t step, E* out, int64_t from, int64_t to,
                                    int64_t factor) {
    if (factor == 1) {
        memcpy(static_cast<void*>(out), x + from, size_t(to - from) * sizeof(E));
    } else if (factor == 2) {
        x += from / 2;
        over<FULL<E>>((to - from) / 2, [=](auto lanes, int64_t i) {
            constexpr int L = decltype(lanes)::value;
            store_pairs<L>(out + 2 * i, load<L>(x + i), load<L>(x + step + i));
        });
    } else if (factor == 4 && from % 4 == 0) {
        x += from / 4;
        over<FULL<E>>((to - from) / 4, [=](auto lanes, int64_t i) {
            constexpr int L = decltype(lanes)::value;
            Lanes<E, L> even[2], odd[2];
            E between[4 * L];  // two rounds of pairs: (0, 2) and (1, 3), then those
            store_pairs<L>(between, load<L>(x + i), load<L>(x + 2 * step + i));
            store_pairs<L>(between + 2 * L, load<L>(x + step + i), load<L>(x + 3 * step + i));
            for (int half = 0; half < 2; ++half) {
                even[half] = load<L>(between + half * L);
                odd[half] = load<L>(between + (2 + half) * L);
                store_pairs<L>(out + 4 * i + 2 * half * L, even[half], odd[half]);
            }
        });
    } else {
        for (int64_t t = 0; t < factor; ++t) {
            int64_t o = (from - t + factor - 1) / factor;
            for (; o * factor + t < to; ++o) out[o * factor + t - from] = x[t * step + o];
        }
    }
}

// out[i] = x[i * taps + tap]
template <class E>
UNSAMPLE_INLINE void take_tap(const E* x, int64_t taps, int64_t tap, int64_t n, E* out) {
    if (taps != 4) {
        for (int64_t i = 0; i < n; ++i) out[i] = x[i * taps + tap];
        return;
    }
    const auto take = [=](auto which) {
        over<FULL<E>>(n, [=](auto lanes, int64_t i) {
            constexpr int L = decltype(lanes)::value;
            store(out + i, load_fourth<L, decltype(which)::value>(x + 4 * i));
        });
    };
    switch (tap) {
        case 0:
            return take(Count<0>{});
        case 1:
            return take(Count<1>{});
        case 2:
            return take(Count<2>{});
        default:
            return take(Count<3>{});
    }
}

// Channels last: x has the channels of all taps at each of its positions.
template <class E>
void shuffle_positions(const Job& job, int64_t begin, int64_t end) {
    const Geometry& g = *job.geometry;
    const Axis& last = g.axes[g.rank - 1];
    Walk<true> walk(job, begin);
    Writer<E> out(static_cast<E*>(job.out) + walk.offset(), job.stream);
    for (int64_t item = begin; item < end; ++item, walk.next()) {
        int64_t row = walk.plane, t = 0;
        for (int axis = 0; axis < g.rank - 1; ++axis) {
            const Axis& a = g.axes[axis];
            row = row * a.coarse + walk.window[axis];
            t = t * a.stride + walk.tap[axis];
        }
        const E* x = static_cast<const E*>(job.x) + row * last.coarse * g.taps * g.channels;
        const int64_t n = walk.to() - walk.from();
        E* made = out.room(n);
        Place place(last, walk.from() / g.channels);
        over_positions(walk, g.channels, [&](int64_t, int64_t c, int64_t m, int64_t at) {
            const E* from = x + place.window * g.taps * g.channels;
            const int64_t tap = t * last.stride + place.tap;
            if (g.blocks)
                copy(made + at, from + grouped(g, c, tap), m);
            else
                take_tap(from + c * g.taps, g.taps, tap, m, made + at);
            place.next();
        });
        out.wrote(n);
    }
}

template <class E>
void shuffle(const void* untyped, int64_t begin, int64_t end) {
    const Job& job = *static_cast<const Job*>(untyped);
    const Geometry& g = *job.geometry;
    if (g.last) return shuffle_positions<E>(job, begin, end);
    const Axis& last = g.axes[g.rank - 1];
    int64_t plane = last.coarse;  // elements of one channel of x
    for (int axis = 0; axis < g.rank - 1; ++axis) plane *= g.axes[axis].coarse;
    const int64_t step = grouped(g, 0, 1) * plane;
    Walk<true> walk(job, begin);
    Writer<E> out(static_cast<E*>(job.out) + walk.offset(), job.stream);
    for (int64_t item = begin; item < end; ++item, walk.next()) {
        int64_t row = 0, t = 0;
        for (int axis = 0; axis < g.rank - 1; ++axis) {
            const Axis& a = g.axes[axis];
            row = row * a.coarse + walk.window[axis];
            t = t * a.stride + walk.tap[axis];
        }
        t *= last.stride;
        const int64_t batch = walk.plane / g.channels, c = walk.plane % g.channels;
        const int64_t channel = batch * g.channels * g.taps + grouped(g, c, t);
        const E* x = static_cast<const E*>(job.x) + channel * plane + row * last.coarse;
        const int64_t n = walk.to() - walk.from();
        interleave_row(x, step, out.room(n), walk.from(), walk.to(), last.stride);
        out.wrote(n);
    }
}

template <class E>
void unshuffle_positions(const Job& job, int64_t begin, int64_t end) {
    const Geometry& g = *job.geometry;
    TapRows rows(g);
    Walk<false> walk(job, begin, g.channels * g.taps);
    Writer<E> out(static_cast<E*>(job.out) + walk.offset(), job.stream);
    for (int64_t item = begin; item < end; ++item, walk.next()) {
        const int64_t n = walk.to() - walk.from();
        E* made = out.room(n);
        over_positions(walk, g.channels * g.taps, [&](int64_t o, int64_t c, int64_t m, int64_t at) {
            walk.at[g.rank - 1] = o;
            rows.windows_at(walk.plane, walk.at);
            E* to = made + at - c;
            while (rows.next()) {
                for (int i = 0; i < rows.count; ++i) {
                    const int64_t t = rows.rows[i].number;
                    const E* x =
                        static_cast<const E*>(job.x) + (rows.base + rows.rows[i].row) * g.channels;
                    if (g.blocks) {
                        const int64_t first = larger(c, t * g.channels);
                        const int64_t stop = smaller(c + m, (t + 1) * g.channels);
                        if (first < stop)
                            copy(to + first, x + first - t * g.channels, stop - first);
                    } else {
                        const int64_t first = c > t ? ceil_div(c - t, g.taps) : 0;
                        for (int64_t j = first; j * g.taps + t < c + m; ++j)
                            to[j * g.taps + t] = x[j];
                    }
                }
            }
        });
        out.wrote(n);
    }
}

// Every row of x is read once for each of its taps, soon enough to be found in the cache again.
template <class E>
void unshuffle(const void* untyped, int64_t begin, int64_t end) {
    const Job& job = *static_cast<const Job*>(untyped);
    const Geometry& g = *job.geometry;
    if (g.last) return unshuffle_positions<E>(job, begin, end);
    const Axis& last = g.axes[g.rank - 1];
    Walk<false> walk(job, begin);
    Writer<E> out(static_cast<E*>(job.out) + walk.offset(), job.stream);
    for (int64_t item = begin; item < end; ++item, walk.next()) {
        const int64_t batch = walk.plane / (g.channels * g.taps);
        const int64_t channel = walk.plane % (g.channels * g.taps);
        const int64_t c = g.blocks ? channel % g.channels : channel / g.taps;
        int64_t t = g.blocks ? channel / g.channels : channel % g.taps;
        int64_t tap[MAX_RANK];
        for (int axis = g.rank - 1; axis >= 0; --axis) {
            tap[axis] = t % g.axes[axis].stride;
            t /= g.axes[axis].stride;
        }
        int64_t row = batch * g.channels + c;
        for (int axis = 0; axis < g.rank - 1; ++axis)
            row = row * g.axes[axis].fine + walk.at[axis] * g.axes[axis].stride + tap[axis];
        const int64_t n = walk.to() - walk.from();
        const E* x = static_cast<const E*>(job.x) + row * last.fine + tap[g.rank - 1];
        every_row(x + walk.from() * last.stride, out.room(n), n, last.stride);
        out.wrote(n);
    }
}
