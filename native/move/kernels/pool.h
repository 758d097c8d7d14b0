// Max pooling: the largest element of every window, and which tap it was.

// Bytes of the input to ask for ahead of the windows: two rows at once escape the prefetcher of the
// processor. 134 MB on one thread: 32 ms without, 11.4 two rows of 1 KB ahead, 5.9 with these.
constexpr int64_t POOL_AHEAD = 6144;

// The best of L neighbouring windows; values and taps go on from a batch before where `begun`.
// STRIDE is 0 where only the axis knows.
template <class D, bool REMEMBER, int STRIDE, int L, class Raw>
UNSAMPLE_INLINE void pool_step(const TapRows& rows, const Raw* x, const Axis& axis, int64_t p,
                               bool begun, Raw* values, uint8_t* taps) {
    typedef UnsignedOf<Raw> Number;
    const int64_t k = axis.size;
    Lanes<Raw, L> best;
    Lanes<Number, L> winner;
    if (begun) {
        best = load<L>(values);
        if constexpr (REMEMBER) winner = widen<Number, L>(taps);
    } else {
        best =
            load_every<L, STRIDE>(x + (rows.base + rows.rows[0].row) * axis.fine + p, axis.stride);
        if constexpr (REMEMBER) winner = splat<L>(Number(rows.rows[0].number));
    }
    const auto meet = [&](Lanes<Raw, L> v, Lanes<Number, L> number) {
        const auto wins = D::template wins<L>(v, best);
        best = wins ? v : best;
        if constexpr (REMEMBER) winner = wins ? number : winner;
    };
    for (int i = 0; i < rows.count; ++i) {
        const Raw* row = x + (rows.base + rows.rows[i].row) * axis.fine + p;
        const auto number = splat<L>(Number(rows.rows[i].number));
        for (int64_t t = 0; t < k; ++t)
            meet(load_every<L, STRIDE>(row + t * axis.dilation, axis.stride), number + Number(t));
    }
    store(values, best);
    if constexpr (REMEMBER) store_narrow<Number, L>(taps, winner);
}

// The same for 2 or 3 taps along the row with stride 2: the best of each row, then the best row.
// ROWS is 0 where only the batch knows. (What the windows share is read before the first of them:
// the bytes that are stored may alias anything, and 2x2 took twice as long.)
template <class D, bool REMEMBER, int K, int ROWS, class Raw>
void pool_pairs(const TapRows& rows, const Raw* x, const Axis& axis, Span span, Raw* values,
                uint8_t* taps) {
    typedef UnsignedOf<Raw> Number;
    const int count = ROWS ? ROWS : rows.count;
    const Raw* starts[ROWS ? ROWS : TapRows::BATCH];
    Number numbers[ROWS ? ROWS : TapRows::BATCH];
    for (int i = 0; i < count; ++i) {
        starts[i] = x + (rows.base + rows.rows[i].row) * axis.fine + axis.first(span.first);
        numbers[i] = Number(rows.rows[i].number);
    }
    const int64_t ahead = larger(2 * axis.fine, POOL_AHEAD / int64_t(sizeof(Raw)));
    over<FULL<Raw>>(span.stop - span.first, [=, &starts, &numbers](auto lanes, int64_t o) {
        constexpr int L = decltype(lanes)::value;
        Lanes<Raw, L> best{};
        Lanes<Number, L> winner{};
        for (int i = 0; i < count; ++i) {
            const Raw* row = starts[i] + 2 * o;
            prefetch(row + ahead);
            Lanes<Raw, L> v, odd;
            if constexpr (K == 2)
                load_pairs_local<L>(row, v, odd);
            else
                load_pairs<L>(row, v, odd);
            const auto first_number = splat<L>(numbers[i]);
            Lanes<Number, L> number = first_number;
            const auto second = D::template wins<L>(odd, v);
            v = second ? odd : v;
            if constexpr (REMEMBER) number = counted<Number, L>(number, second);
            if constexpr (K == 3) {
                const auto third = load_every<L, 2>(row + 2, 2);
                const auto wins = D::template wins<L>(third, v);
                v = wins ? third : v;
                if constexpr (REMEMBER) number = wins ? first_number + Number(2) : number;
            }
            if (i == 0) {
                best = v;
                winner = number;
            } else {
                const auto wins = D::template wins<L>(v, best);
                best = wins ? v : best;
                if constexpr (REMEMBER) winner = wins ? number : winner;
            }
        }
        if constexpr (K == 2) {
            best = in_order<Raw, L>(best);
            if constexpr (REMEMBER) winner = in_order<Number, L>(winner);
        }
        store(values + o, best);
        if constexpr (REMEMBER) store_narrow<Number, L>(taps + o, winner);
    });
}

template <class D, bool REMEMBER, int STRIDE, class Raw>
void pool_whole(const TapRows& rows, const Raw* x, const Axis& axis, Span span, bool begun,
                Raw* values, uint8_t* taps) {
    over<FULL<Raw>>(span.stop - span.first, [&](auto lanes, int64_t i) {
        constexpr int L = decltype(lanes)::value;
        pool_step<D, REMEMBER, STRIDE, L>(rows, x, axis, axis.first(span.first + i), begun,
                                          values + i, taps + i);
    });
}

// One window at a time: at the border, of uneven length, or of more than 256 taps.
template <class D, class Tap, class Raw>
void pool_one(const TapRows& rows, const Raw* x, const Axis& axis, int64_t o, bool begun,
              Raw* value, Tap* tap) {
    const Span span = taps_inside(axis, o);
    const int64_t first = axis.first(o);
    Raw best = begun ? *value : Raw{};  // where no tap meets an element
    int64_t winner = begun && tap ? *tap : 0;
    for (int i = 0; i < rows.count; ++i) {
        const Raw* row = x + (rows.base + rows.rows[i].row) * axis.fine;
        for (int64_t t = span.first; t < span.stop; ++t) {
            const Raw v = row[first + t * axis.dilation];
            if (!begun || D::template wins<1>(v, best)) {
                best = v;
                winner = rows.rows[i].number + t;
                begun = true;
            }
        }
    }
    *value = best;
    if (tap) *tap = Tap(winner);
}

template <class D, class Tap, bool REMEMBER>
void pool_row(const Job& job, const Walk<false>& walk, TapRows& rows, Span span,
              typename D::Raw* values, Tap* taps) {
    typedef typename D::Raw Raw;
    const Axis& axis = job.geometry->axes[job.geometry->rank - 1];
    const Raw* x = static_cast<const Raw*>(job.x);
    const int64_t from = walk.from(), to = walk.to();
    span = {larger(span.first, from), smaller(span.stop, to)};
    rows.windows_at(walk.plane, walk.at);
    int batches = 0;
    bool begun = false;
    for (; rows.next(); begun = true) {
        if (++batches % 16 == 0 && stopped()) return;
        if (span.first < span.stop) {
            Raw* v = values + (span.first - from);
            uint8_t* t = reinterpret_cast<uint8_t*>(taps) + (span.first - from);
            const bool pairs = axis.stride == 2 && axis.dilation == 1 && !begun && rows.last();
            if (pairs && axis.size == 2 && rows.count == 2)
                pool_pairs<D, REMEMBER, 2, 2>(rows, x, axis, span, v, t);
            else if (pairs && axis.size == 2 && rows.count == 4)
                pool_pairs<D, REMEMBER, 2, 4>(rows, x, axis, span, v, t);
            else if (pairs && axis.size == 2)
                pool_pairs<D, REMEMBER, 2, 0>(rows, x, axis, span, v, t);
            else if (pairs && axis.size == 3 && rows.count == 3)
                pool_pairs<D, REMEMBER, 3, 3>(rows, x, axis, span, v, t);
            else if (pairs && axis.size == 3)
                pool_pairs<D, REMEMBER, 3, 0>(rows, x, axis, span, v, t);
            else if (axis.stride == 1)
                pool_whole<D, REMEMBER, 1>(rows, x, axis, span, begun, v, t);
            else
                pool_whole<D, REMEMBER, 0>(rows, x, axis, span, begun, v, t);
        }
        for (int64_t o = from; o < to; ++o) {
            if (o == span.first && span.first < span.stop) o = span.stop;
            if (o < to)
                pool_one<D, Tap>(rows, x, axis, o, begun, values + (o - from),
                                 REMEMBER ? taps + (o - from) : nullptr);
        }
    }
    for (int64_t i = 0; !begun && i < to - from; ++i) {  // an outer axis has no element for them
        values[i] = Raw{};
        if (REMEMBER) taps[i] = 0;
    }
}

// Channels last: taps one after the other, vectors along the channels. Values and taps go on from a
// batch before where `begun`. COUNT is 0 where only the batch knows.
template <class D, class Tap, bool REMEMBER, int COUNT, class Raw>
void pool_channels(const TapRows& rows, const Raw* x, int64_t channels, int64_t n, bool begun,
                   Raw* values, Tap* taps) {
    constexpr bool VECTORS = sizeof(Tap) <= sizeof(Raw);
    constexpr int MOST = VECTORS ? FULL<Raw> : 1;
    typedef typename Either<VECTORS, UnsignedOf<Raw>, Tap>::Type Number;
    const int count = COUNT ? COUNT : rows.count;
    const Raw* from[COUNT ? COUNT : TapRows::BATCH];
    Number numbers[COUNT ? COUNT : TapRows::BATCH];
    for (int r = 0; r < count; ++r) {
        from[r] = x + rows.rows[r].row * channels;
        numbers[r] = Number(rows.rows[r].number);
    }
    over<MOST>(n, [=, &from, &numbers](auto lanes, int64_t i) {
        constexpr int L = decltype(lanes)::value;
        Lanes<Raw, L> best = load<L>(begun ? values + i : from[0] + i);
        Lanes<Number, L> winner = splat<L>(numbers[0]);
        if constexpr (REMEMBER) {
            if (begun) winner = load_switches<Number, L>(taps + i);
        }
        for (int r = begun ? 0 : 1; r < count; ++r) {
            const auto v = load<L>(from[r] + i);
            const auto wins = D::template wins<L>(v, best);
            best = wins ? v : best;
            if constexpr (REMEMBER) winner = wins ? splat<L>(numbers[r]) : winner;
        }
        store(values + i, best);
        if constexpr (REMEMBER) store_switches<Number, L>(taps + i, winner);
    });
}

template <class D, class Tap, bool REMEMBER, class Raw>
void pool_positions(const Job& job, Walk<false>& walk, TapRows& rows, Raw* values, Tap* taps) {
    const Geometry& g = *job.geometry;
    int batches = 0;
    bool left = false;
    over_positions(walk, g.channels, [&](int64_t o, int64_t c, int64_t n, int64_t at) {
        walk.at[g.rank - 1] = o;
        rows.windows_at(walk.plane, walk.at);
        Raw* best = values + at;
        Tap* which = REMEMBER ? taps + at : nullptr;
        bool begun = false;
        for (; !left && rows.next(); begun = true) {
            left = ++batches % 16 == 0 && rows.count == TapRows::BATCH && stopped();
            const Raw* x = static_cast<const Raw*>(job.x) + rows.base * g.channels + c;
            if (rows.count == 4 && !begun)
                pool_channels<D, Tap, REMEMBER, 4>(rows, x, g.channels, n, false, best, which);
            else if (rows.count == 9 && !begun)
                pool_channels<D, Tap, REMEMBER, 9>(rows, x, g.channels, n, false, best, which);
            else
                pool_channels<D, Tap, REMEMBER, 0>(rows, x, g.channels, n, begun, best, which);
        }
        for (int64_t i = 0; !begun && i < n; ++i) {  // no tap meets an element
            best[i] = Raw{};
            if (REMEMBER) which[i] = 0;
        }
    });
}

template <class D, class Tap>
void pool(const void* untyped, int64_t begin, int64_t end) {
    const Job& job = *static_cast<const Job*>(untyped);
    const Axis& axis = job.geometry->axes[job.geometry->rank - 1];
    const Span span = sizeof(Tap) == 1 ? whole_windows(axis, 0, axis.coarse) : Span{0, 0};
    TapRows rows(*job.geometry);
    Walk<false> walk(job, begin);
    Writer<typename D::Raw> values(static_cast<typename D::Raw*>(job.out) + walk.offset(),
                                   job.stream);
    Writer<Tap> taps(static_cast<Tap*>(job.taps) + walk.offset(), job.stream);
    for (int64_t item = begin; item < end; ++item, walk.next()) {
        const int64_t n = walk.to() - walk.from();
        if (job.geometry->last)
            pool_positions<D, Tap, true>(job, walk, rows, values.room(n), taps.room(n));
        else
            pool_row<D, Tap, true>(job, walk, rows, span, values.room(n), taps.room(n));
        values.wrote(n);
        taps.wrote(n);
    }
}

template <class D>
void pool_values(const void* untyped, int64_t begin, int64_t end) {
    const Job& job = *static_cast<const Job*>(untyped);
    const Axis& axis = job.geometry->axes[job.geometry->rank - 1];
    const Span span = whole_windows(axis, 0, axis.coarse);
    TapRows rows(*job.geometry);
    Walk<false> walk(job, begin);
    Writer<typename D::Raw> values(static_cast<typename D::Raw*>(job.out) + walk.offset(),
                                   job.stream);
    for (int64_t item = begin; item < end; ++item, walk.next()) {
        const int64_t n = walk.to() - walk.from();
        typename D::Raw* made = values.room(n);
        if (job.geometry->last)
            pool_positions<D, uint8_t, false>(job, walk, rows, made,
                                              static_cast<uint8_t*>(nullptr));
        else
            pool_row<D, uint8_t, false>(job, walk, rows, span, made,
                                        reinterpret_cast<uint8_t*>(made));  // none
        values.wrote(n);
    }
}
