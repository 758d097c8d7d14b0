// Nearest: every element repeated.

template <int F, class E>
UNSAMPLE_INLINE void repeat_times(const E* x, E* out, int64_t n) {
    over<FULL<E>>(n, [=](auto lanes, int64_t i) {
        constexpr int L = decltype(lanes)::value;
        store_repeated<F, L>(out + F * i, load<L>(x + i));
    });
}

// out[p - from] = x[p / factor] for p in [from, to)
template <class E>
UNSAMPLE_INLINE void repeat_row(const E* x, E* out, int64_t from, int64_t to, int64_t factor) {
    if (factor == 1) {
        memcpy(out, x + from, size_t(to - from) * sizeof(E));
    } else if (factor == 2) {  // pieces of rows are whole blocks
        x += from / 2;
        over<FULL<E>>((to - from) / 2, [=](auto lanes, int64_t i) {
            constexpr int L = decltype(lanes)::value;
            const auto v = load<L>(x + i);
            store_pairs<L>(out + 2 * i, v, v);
        });
    } else if (factor == 3) {
        repeat_times<3>(x + from / 3, out, (to - from) / 3);
    } else if (factor == 4) {
        repeat_times<4>(x + from / 4, out, (to - from) / 4);
    } else {
        const int64_t n = to - from;
        int64_t source = from / factor, p = source * factor - from;
        for (; p < n; p += factor, ++source) {
            const E value = x[source];
            const auto v = splat<FULL<E>>(value);
            int64_t q = p < 0 ? 0 : p;
            const int64_t stop = p + factor < n ? p + factor : n;
            // Over the end of the block, which the next one mends.
            for (; q < stop && q + FULL<E> <= n; q += FULL<E>) store(out + q, v);
            for (; q < stop; ++q) out[q] = value;
        }
    }
}

// The same with `channels` elements at every position.
template <class E>
UNSAMPLE_INLINE void repeat_positions(const E* x, E* out, const Walk<true>& walk, int64_t channels,
                                      const Axis& axis) {
    Place place(axis, walk.from() / channels);
    over_positions(walk, channels, [&](int64_t, int64_t c, int64_t n, int64_t at) {
        copy(out + at, x + place.window * channels + c, n);
        place.next();
    });
}

template <class E>
void nearest(const void* untyped, int64_t begin, int64_t end) {
    const Job& job = *static_cast<const Job*>(untyped);
    const Geometry& g = *job.geometry;
    const Axis& last = g.axes[g.rank - 1];
    Walk<true> walk(job, begin);
    Writer<E> out(static_cast<E*>(job.out) + walk.offset(), job.stream);
    for (int64_t item = begin; item < end; ++item, walk.next()) {
        int64_t row = walk.plane;
        for (int axis = 0; axis < g.rank - 1; ++axis)
            row = row * g.axes[axis].coarse + walk.window[axis];
        const int64_t n = walk.to() - walk.from();
        const E* x = static_cast<const E*>(job.x) + row * last.coarse * g.inner();
        E* to = out.room(n);
        if (g.last)
            repeat_positions(x, to, walk, g.channels, last);
        else
            repeat_row(x, to, walk.from(), walk.to(), last.stride);
        out.wrote(n);
    }
}
