// Max pooling: the largest element of every window, and which tap it was.

// The best of L neighbouring windows; values and taps go on from a batch before where `begun`.
// K and STRIDE are 0 where only the axis knows.
template <class D, bool REMEMBER, int K, int STRIDE, int L, class Raw>
UNSAMPLE_INLINE void pool_step(const TapRows& rows, const Raw* x, const Axis& axis, int64_t p,
                               bool begun, Raw* values, uint8_t* taps) {
    typedef UnsignedOf<Raw> Number;
    const int64_t k = K ? K : axis.size;
    Lanes<Raw, L> best;
    Lanes<Number, L> winner;
    if (begun) {
        best = load<L>(values);
        if constexpr (REMEMBER) winner = widen<Number, L>(taps);
    } else {
        best = load_every<L, STRIDE>(x + rows.rows[0].row * axis.fine + p, axis.stride);
        if constexpr (REMEMBER) winner = splat<L>(Number(rows.rows[0].number));
    }
    const auto meet = [&](Lanes<Raw, L> v, int64_t number) {
        const auto wins = D::template wins<L>(v, best);
        best = wins ? v : best;
        if constexpr (REMEMBER) winner = wins ? splat<L>(Number(number)) : winner;
    };
    for (int i = 0; i < rows.count; ++i) {
        const Raw* row = x + rows.rows[i].row * axis.fine + p;
        const int64_t number = rows.rows[i].number;
        if constexpr (K >= 2 && STRIDE == 2 && L > 1) {
            Lanes<Raw, L> even, odd;  // taps 0 and 1 out of the same two loads
            load_pairs<L>(row, even, odd);
            meet(even, number);
            meet(odd, number + 1);
            for (int t = 2; t < K; ++t) meet(load_every<L, 2>(row + t, 2), number + t);
        } else {
            for (int64_t t = 0; t < k; ++t)
                meet(load_every<L, STRIDE>(row + t * axis.dilation, axis.stride), number + t);
        }
    }
    store(values, best);
    if constexpr (REMEMBER) store_narrow<Number, L>(taps, winner);
}

template <class D, bool REMEMBER, int K, int STRIDE, class Raw>
void pool_whole(const TapRows& rows, const Raw* x, const Axis& axis, Span span, bool begun,
                Raw* values, uint8_t* taps) {
    over<FULL<Raw>>(span.stop - span.first, [&](auto lanes, int64_t i) {
        constexpr int L = decltype(lanes)::value;
        pool_step<D, REMEMBER, K, STRIDE, L>(rows, x, axis, axis.first(span.first + i), begun,
                                             values + i, taps + i);
    });
}

// One window at a time: at the border, of uneven length, or of more than 256 taps.
template <class D, class Tap, class Raw>
void pool_one(const TapRows& rows, const Raw* x, const Axis& axis, int64_t o, bool begun,
              Raw* value, Tap* tap) {
    const Span span = taps_inside(axis, o);
    const int64_t first = axis.first(o);
    Raw best = *value;
    int64_t winner = tap ? *tap : 0;
    for (int i = 0; i < rows.count; ++i) {
        const Raw* row = x + rows.rows[i].row * axis.fine + first;
        for (int64_t t = span.first; t < span.stop; ++t) {
            const Raw v = row[t * axis.dilation];
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
void pool_row(const Job& job, const Walk<false>& walk, typename D::Raw* values, Tap* taps) {
    typedef typename D::Raw Raw;
    const Geometry& g = *job.geometry;
    const Axis& axis = g.axes[g.rank - 1];
    const Raw* x = static_cast<const Raw*>(job.x);
    const int64_t from = walk.from(), to = walk.to();
    const Span span =
        sizeof(Tap) == 1 || !REMEMBER ? whole_windows(axis, from, to) : Span{from, from};
    TapRows rows(g, walk.plane, walk.at);
    for (bool begun = false; rows.next(); begun = true) {
        if (span.first < span.stop) {
            Raw* v = values + (span.first - from);
            uint8_t* t = reinterpret_cast<uint8_t*>(taps) + (span.first - from);
            if (axis.stride == 2 && axis.dilation == 1 && axis.size == 2)
                pool_whole<D, REMEMBER, 2, 2>(rows, x, axis, span, begun, v, t);
            else if (axis.stride == 2 && axis.dilation == 1 && axis.size == 3)
                pool_whole<D, REMEMBER, 3, 2>(rows, x, axis, span, begun, v, t);
            else if (axis.stride == 1)
                pool_whole<D, REMEMBER, 0, 1>(rows, x, axis, span, begun, v, t);
            else
                pool_whole<D, REMEMBER, 0, 0>(rows, x, axis, span, begun, v, t);
        }
        for (int64_t o = from; o < to; ++o) {
            if (o == span.first && span.first < span.stop) o = span.stop;
            if (o < to)
                pool_one<D, Tap>(rows, x, axis, o, begun, values + (o - from),
                                 REMEMBER ? taps + (o - from) : nullptr);
        }
    }
}

template <class D, class Tap>
void pool(const void* untyped, int64_t begin, int64_t end) {
    const Job& job = *static_cast<const Job*>(untyped);
    Walk<false> walk(job, begin);
    Writer<typename D::Raw> values(static_cast<typename D::Raw*>(job.out) + walk.offset(),
                                   job.stream);
    Writer<Tap> taps(static_cast<Tap*>(job.taps) + walk.offset(), job.stream);
    for (int64_t item = begin; item < end; ++item, walk.next()) {
        const int64_t n = walk.to() - walk.from();
        pool_row<D, Tap, true>(job, walk, values.room(n), taps.room(n));
        values.wrote(n);
        taps.wrote(n);
    }
}

template <class D>
void pool_values(const void* untyped, int64_t begin, int64_t end) {
    const Job& job = *static_cast<const Job*>(untyped);
    Walk<false> walk(job, begin);
    Writer<typename D::Raw> values(static_cast<typename D::Raw*>(job.out) + walk.offset(),
                                   job.stream);
    for (int64_t item = begin; item < end; ++item, walk.next()) {
        const int64_t n = walk.to() - walk.from();
        typename D::Raw* made = values.room(n);
        pool_row<D, uint8_t, false>(job, walk, made, reinterpret_cast<uint8_t*>(made));  // none
        values.wrote(n);
    }
}
