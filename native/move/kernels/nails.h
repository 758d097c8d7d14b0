// Bed of nails and decimate: one element of every block.

// out[p - from] = x[(p - at) / factor] where that is whole, else 0; p in [from, to), x of n
// elements
template <class E>
UNSAMPLE_INLINE void nails_row(const E* x, int64_t n, E* out, int64_t from, int64_t to,
                               int64_t factor, int64_t at) {
    if (factor == 2 && from % 2 == 0) {
        const auto zero = E{};
        const E* source = x + from / 2;
        over<FULL<E>>((to - from) / 2, [=](auto lanes, int64_t i) {
            constexpr int L = decltype(lanes)::value;
            const auto v = load<L>(source + i), nothing = splat<L>(zero);
            store_pairs<L>(out + 2 * i, at ? nothing : v, at ? v : nothing);
        });
        if ((to - from) % 2) out[to - from - 1] = at ? zero : x[to / 2];
        return;
    }
    clear(out, to - from);
    int64_t o = from > at ? (from - at + factor - 1) / factor : 0;
    for (; o < n && o * factor + at < to; ++o) out[o * factor + at - from] = x[o];
}

// The same with `channels` elements at every position.
template <class E>
UNSAMPLE_INLINE void nails_positions(const E* x, E* out, const Walk<true>& walk, int64_t channels,
                                     const Axis& axis) {
    Place place(axis, walk.from() / channels);
    over_positions(walk, channels, [&](int64_t, int64_t c, int64_t n, int64_t at) {
        if (place.tap == 0 && place.window >= 0)  // before: minus the nail
            copy(out + at, x + place.window * channels + c, n);
        else
            clear(out + at, n);
        place.next();
    });
}

template <class E>
void nails(const void* untyped, int64_t begin, int64_t end) {
    const Job& job = *static_cast<const Job*>(untyped);
    const Geometry& g = *job.geometry;
    const Axis& last = g.axes[g.rank - 1];
    Walk<true> walk(job, begin);
    Writer<E> out(static_cast<E*>(job.out) + walk.offset(), job.stream);
    for (int64_t item = begin; item < end; ++item, walk.next()) {
        int64_t row = walk.plane;
        bool nailed = true;
        for (int axis = 0; axis < g.rank - 1; ++axis) {
            nailed =
                nailed && walk.tap[axis] == 0 && walk.window[axis] >= 0;  // before: minus the nail
            row = row * g.axes[axis].coarse + walk.window[axis];
        }
        const int64_t n = walk.to() - walk.from();
        E* to = out.room(n);
        const E* x = static_cast<const E*>(job.x) + row * last.coarse * g.inner();
        if (nailed && g.last)
            nails_positions(x, to, walk, g.channels, last);
        else if (nailed)
            nails_row(x, last.coarse, to, walk.from(), walk.to(), last.stride, -last.before);
        else
            clear(to, n);
        out.wrote(n);
    }
}

// out[i] = x[i * factor]
template <class E>
UNSAMPLE_INLINE void every_row(const E* x, E* out, int64_t n, int64_t factor) {
    if (factor == 1) {
        memcpy(static_cast<void*>(out), x, size_t(n) * sizeof(E));
    } else if (factor == 2) {
        over<FULL<E>>(n, [=](auto lanes, int64_t i) {
            constexpr int L = decltype(lanes)::value;
            store(out + i, load_every<L, 2>(x + 2 * i, 2));
        });
    } else {
        for (int64_t i = 0; i < n; ++i) out[i] = x[i * factor];
    }
}

template <class E>
void decimate(const void* untyped, int64_t begin, int64_t end) {
    const Job& job = *static_cast<const Job*>(untyped);
    const Geometry& g = *job.geometry;
    const Axis& last = g.axes[g.rank - 1];
    Walk<false> walk(job, begin);
    Writer<E> out(static_cast<E*>(job.out) + walk.offset(), job.stream);
    for (int64_t item = begin; item < end; ++item, walk.next()) {
        int64_t row = walk.plane;
        for (int axis = 0; axis < g.rank - 1; ++axis)
            row = row * g.axes[axis].fine + g.axes[axis].first(walk.at[axis]);
        const int64_t n = walk.to() - walk.from();
        const E* x = static_cast<const E*>(job.x) + row * last.fine * g.inner();
        E* to = out.room(n);
        if (g.last)
            over_positions(walk, g.channels, [&](int64_t o, int64_t c, int64_t m, int64_t at) {
                copy(to + at, x + last.first(o) * g.channels + c, m);
            });
        else
            every_row(x + last.first(walk.from()), to, n, last.stride);
        out.wrote(n);
    }
}
