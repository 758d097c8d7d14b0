// Max unpooling and its transpose, the gather: through the tap that a switch remembers.
//
// A switch is only ever compared with tap numbers that fall inside, so that no value of it, not
// even one that another thread changes meanwhile, leads outside the arrays.

constexpr int64_t UNPOOL_AHEAD = 512;  // elements; rows are short, 134 MB: 4.7 -> 4.0 ms

// Whole rows of windows with stride 2, K taps and B of padding before: element 2 q + r is met by
// taps t of windows q + (r + B - t) / 2, the later window last.
template <int K, int B, int R, int L, class E>
UNSAMPLE_INLINE Lanes<E, L> met(const E* values, const uint8_t* switches, int64_t q, int64_t number,
                                Lanes<E, L> out) {
    typedef UnsignedOf<E> Number;
    for (int t = K - 1; t >= 0; --t) {
        if ((t + R + B) % 2) continue;
        const int64_t o = q + (R + B - t) / 2;
        if constexpr (L == 1) {
            if (switches[o] == number + t) out = values[o];
        } else {
            const auto hit = widen<Number, L>(switches + o) == splat<L>(Number(number + t));
            out = hit ? load<L>(values + o) : out;
        }
    }
    return out;
}

template <int K, int B, bool FRESH, class E>
UNSAMPLE_INLINE void unpool_pairs(const E* values, const uint8_t* switches, int64_t number,
                                  int64_t q, int64_t n, E* out) {
    over<FULL<E>>(n, [=](auto lanes, int64_t i) {
        constexpr int L = decltype(lanes)::value;
        auto even = splat<L>(E{}), odd = even;
        prefetch(values + q + i + UNPOOL_AHEAD);
        prefetch(switches + q + i + UNPOOL_AHEAD);
        if (!FRESH) load_pairs<L>(out + 2 * i, even, odd);
        even = met<K, B, 0, L>(values, switches, q + i, number, even);
        odd = met<K, B, 1, L>(values, switches, q + i, number, odd);
        store_pairs<L>(out + 2 * i, even, odd);
    });
}

// What becomes of values that meet.
template <class E>
struct Last {
    typedef E Raw;
    typedef E Out;
    static UNSAMPLE_INLINE void meet(E* out, uint8_t*, int64_t p, E value) { out[p] = value; }
};
template <class D>
struct Added {
    typedef typename D::Raw Raw;
    typedef typename D::Sum Out;
    static constexpr bool ADDS_AS_THEY_ARE =
        sizeof(Raw) == sizeof(Out) && Out(1) / Out(2) != Out(0);
    static UNSAMPLE_INLINE void meet(Out* out, uint8_t*, int64_t p, Raw value) {
        out[p] += D::load(value);
    }
};
template <class D>
struct Largest {
    typedef typename D::Raw Raw;
    typedef typename D::Raw Out;
    static constexpr bool ADDS_AS_THEY_ARE = false;
    static UNSAMPLE_INLINE void meet(Out* out, uint8_t* taken, int64_t p, Raw value) {
        // NaN over numbers, and the first of equals: the first NaN stays.
        if (!taken[p] || (D::template wins<1>(value, out[p]) && D::number(out[p]))) out[p] = value;
        taken[p] = 1;
    }
};

// Windows one by one, for elements [from, to) of a row.
template <class Rule, class Tap>
void unpool_scatter(const Axis& axis, const typename Rule::Raw* values, const Tap* switches,
                    int64_t number, int64_t from, int64_t to, typename Rule::Out* out,
                    uint8_t* taken) {
    for (int64_t o = first_window(axis, from); o < axis.coarse && axis.first(o) < to; ++o) {
        // Read once: what was checked is what is used.
        const int64_t t = int64_t(*static_cast<const volatile Tap*>(switches + o)) - number;
        if (t < 0 || t >= axis.taps(o)) continue;
        const int64_t p = axis.first(o) + t * axis.dilation;
        if (p >= from && p < to) Rule::meet(out, taken, p - from, values[o]);
    }
}

// Elements [from, to) of a row where the windows allow pairs of elements at once; the rest is left.
template <class E>
Span unpool_fast(const Axis& a, const E* values, const uint8_t* switches, int64_t number,
                 int64_t from, int64_t to, bool fresh, E* out) {
    if (a.start || a.stride != 2 || a.dilation != 1 || a.size < 2 || a.size > 3 || a.before < 0 ||
        a.before > 1 || from % 2 || number + a.size > 256)  // which no byte is
        return {from, from};
    const int64_t behind = a.size == 3 && a.before == 0, ahead = a.before == 1;
    const int64_t first = larger(from / 2, behind);
    const int64_t stop = smaller(to / 2, a.coarse - ahead);
    if (first >= stop) return {from, from};
    const int64_t n = stop - first;
    out += 2 * first - from;
    const int form = (a.size == 3) * 4 + (a.before == 1) * 2 + fresh;
    switch (form) {
        case 0:
            unpool_pairs<2, 0, false>(values, switches, number, first, n, out);
            break;
        case 1:
            unpool_pairs<2, 0, true>(values, switches, number, first, n, out);
            break;
        case 2:
            unpool_pairs<2, 1, false>(values, switches, number, first, n, out);
            break;
        case 3:
            unpool_pairs<2, 1, true>(values, switches, number, first, n, out);
            break;
        case 4:
            unpool_pairs<3, 0, false>(values, switches, number, first, n, out);
            break;
        case 5:
            unpool_pairs<3, 0, true>(values, switches, number, first, n, out);
            break;
        case 6:
            unpool_pairs<3, 1, false>(values, switches, number, first, n, out);
            break;
        case 7:
            unpool_pairs<3, 1, true>(values, switches, number, first, n, out);
            break;
    }
    return {2 * first, 2 * stop};
}

template <class E, class Tap>
Span unpool_fast(const Axis&, const E*, const Tap*, int64_t, int64_t from, int64_t, bool, E*) {
    return {from, from};
}

// The switches of the windows that elements [from, to) of a row belong to.
template <class Tap>
bool switches_good(const Geometry& g, const Tap* switches, const int64_t* outer, int64_t from,
                   int64_t to) {
    const Axis& axis = g.axes[g.rank - 1];
    int64_t first = 0, stop = axis.coarse;
    if (from > 0 || to < axis.fine) {
        first = stop = first_window(axis, from);
        while (stop < axis.coarse && axis.first(stop) < to) ++stop;
    }
    return all_point_inside(g, switches, outer, first, stop);
}

// Blocks of 2 elements along the row that tile it from its start, the common case: no row is looked
// at twice, so that short rows stay cheap (16x128x8x8: 15 -> 6 ns a row).
inline bool pairs_tile(const Geometry& g) {
    const Axis& a = g.axes[g.rank - 1];
    return one_each(g) && g.inside && !a.start && a.size == 2 && a.stride == 2 && a.dilation == 1 &&
           a.before == 0 && g.taps <= 256;
}

template <class E>
void unpool_tiles(const Job& job, int64_t begin, int64_t end) {
    const Geometry& g = *job.geometry;
    const Axis& axis = g.axes[g.rank - 1];
    const uint8_t* all = static_cast<const uint8_t*>(job.switches);
    bool bad = false;
    Walk<true> walk(job, begin);
    Writer<E> out(static_cast<E*>(job.out) + walk.offset(), job.stream);
    for (int64_t item = begin; item < end; ++item, walk.next()) {
        const int64_t n = walk.to() - walk.from();
        const int64_t first = walk.from() / 2;  // pieces are whole blocks
        const int64_t pairs = larger(smaller(n / 2, axis.coarse - first), 0);
        E* made = out.room(n);
        int64_t covered = 0;
        over_windows(g, walk, true, [&](int64_t row, int64_t number, const int64_t*) {
            const int64_t at = row * axis.coarse + first;
            if (number == 0) bad = bad || any_from(all + at, pairs, g.taps);
            unpool_pairs<2, 0, true>(static_cast<const E*>(job.x) + at, all + at, number, 0, pairs,
                                     made);
            covered = 2 * pairs;
        });
        for (int64_t i = covered; i < n; ++i) made[i] = E{};
        out.wrote(n);
    }
    if (bad) report_bad(job);
}

// -- unpool, channels last
// -------------------------------------------------------------------------------

// A window, or a tap, that an element may come from, and the number of that tap.
template <class E, class Tap>
struct Meeting {
    const E* values;
    const Tap* switches;
    int64_t number;
};
constexpr int MEETINGS = 64;

// Whether no earlier tap of window o than the one at element p meets an element.
UNSAMPLE_INLINE bool first_inside(const Axis& axis, int64_t o, int64_t p) {
    return p < axis.dilation || p == axis.first(o);
}

// visit(where the row of windows begins, number of its first tap) for every row of windows that
// reaches the row of a piece, in C order; their switches are looked at once.
template <class Tap, class Visit>
void over_window_rows(const Job& job, const Walk<true>& walk, bool one, Visit visit) {
    const Geometry& g = *job.geometry;
    const int64_t row_elements = g.axes[g.rank - 1].coarse * g.channels;
    over_windows(g, walk, one, [&](int64_t row, int64_t number, const int64_t* outer) {
        const Tap* switches = static_cast<const Tap*>(job.switches) + row * row_elements;
        bool first = true;
        for (int i = 0; i < g.rank - 1; ++i)
            first = first && first_inside(g.axes[i], outer[i], walk.at[i]);
        if (first && !switches_good(g, switches, outer, walk.from() / g.channels,
                                    (walk.to() - 1) / g.channels + 1))
            report_bad(job);
        visit(row * row_elements, number);
    });
}

// meets(meetings, how many, channels, where in the piece, whether nothing was there yet) for every
// position of a piece, with the windows that reach it in C order.
template <class E, class Tap, class Meets>
void over_meetings(const Job& job, const Walk<true>& walk, bool one, Meets meets) {
    const Geometry& g = *job.geometry;
    const Axis& axis = g.axes[g.rank - 1];
    const int64_t channels = g.channels, stride = axis.stride, size = axis.size;
    const int64_t coarse = axis.coarse;
    const bool irregular = axis.start || axis.dilation > 1;
    constexpr int ROWS = 8;
    Meeting<E, Tap> rows[ROWS], found[MEETINGS];
    int count = 0;
    bool fresh = true;
    const auto flush = [&] {
        Place place(axis, walk.from() / channels);
        over_positions(walk, channels, [&](int64_t p, int64_t c, int64_t n, int64_t at) {
            int meetings = 0;
            bool nothing = fresh;
            for (int r = 0; r < count; ++r) {
                const auto meet = [&](int64_t o, int64_t t) {
                    if (meetings == MEETINGS) {
                        meets(found, meetings, n, at, nothing);
                        meetings = 0;
                        nothing = false;
                    }
                    const int64_t where = o * channels + c;
                    found[meetings++] = {rows[r].values + where, rows[r].switches + where,
                                         rows[r].number + t};
                };
                if (irregular) {
                    for (int64_t o = first_window(axis, p); o < coarse && axis.first(o) <= p; ++o) {
                        const int64_t t = tap_at(axis, o, p);
                        if (t >= 0) meet(o, t);
                    }
                } else {
                    int64_t o = place.window, t = place.tap;
                    for (; t + stride < size && o > 0; t += stride) --o;
                    for (; t >= 0 && o < coarse; t -= stride, ++o)
                        if (o >= 0 && t < size) meet(o, t);
                }
            }
            meets(found, meetings, n, at, nothing);
            place.next();
        });
        fresh = false;
        count = 0;
    };
    over_window_rows<Tap>(job, walk, one, [&](int64_t row, int64_t number) {
        if (count == ROWS) flush();
        rows[count++] = {static_cast<const E*>(job.x) + row,
                         static_cast<const Tap*>(job.switches) + row, number};
    });
    if (fresh || count) flush();
}

// The same window by window: every value to where its switch says.
// Without a branch, which nobody could predict: what is not meant for the piece goes to `aside`.
template <class Rule, class Tap>
void scatter_channels(const Job& job, const Walk<true>& walk, bool one, typename Rule::Out* out,
                      uint8_t* taken) {
    const Geometry& g = *job.geometry;
    const Axis& axis = g.axes[g.rank - 1];
    const int64_t channels = g.channels, from = walk.from(), n = walk.to() - from;
    const int64_t begin = from / channels, end = (walk.to() - 1) / channels + 1;
    over_window_rows<Tap>(job, walk, one, [&](int64_t row, int64_t number) {
        const auto* values = static_cast<const typename Rule::Raw*>(job.x) + row;
        const Tap* switches = static_cast<const Tap*>(job.switches) + row;
        for (int64_t o = first_window(axis, begin); o < axis.coarse && axis.first(o) < end; ++o) {
            const int64_t first = axis.first(o) * channels - from, taps = axis.taps(o);
            const int64_t step = axis.dilation * channels;
            for (int64_t c = 0; c < channels; ++c) {
                // Read once: what was checked is what is used.
                const int64_t which = o * channels + c;
                const int64_t t =
                    int64_t(*static_cast<const volatile Tap*>(switches + which)) - number;
                const bool inside = uint64_t(t) < uint64_t(taps);
                const int64_t at = first + (inside ? t * step : 0) + c;
                const bool hit = inside && uint64_t(at) < uint64_t(n);
                typename Rule::Out aside{};
                uint8_t aside_taken = 0;
                Rule::meet(hit ? out + at : &aside, hit ? taken + at : &aside_taken, 0,
                           values[which]);
            }
        }
    });
}

// Vectors along the channels pay where there are as many, and switches as are widened quickly.
template <class E, class Tap>
UNSAMPLE_INLINE bool along_channels(const Geometry& g) {
    return sizeof(Tap) == 1 && FULL<E> > 1 && g.channels >= FULL<E>;
}

// Of the meetings of an element the last that is remembered stays.
template <class E, class Tap>
void last_of(const Meeting<E, Tap>* meetings, int count, int64_t n, bool nothing, E* out) {
    over<FULL<E>>(n, [=](auto lanes, int64_t i) {
        constexpr int L = decltype(lanes)::value;
        auto last = nothing ? splat<L>(E{}) : load<L>(out + i);
        for (int k = 0; k < count; ++k) {
            const auto [values, switches, number] = meetings[k];
            if constexpr (L == 1) {
                if (switches[i] == number) last = values[i];
            } else if constexpr (sizeof(Tap) == 1) {
                typedef UnsignedOf<E> Number;
                const auto hit = widen<Number, L>(switches + i) == splat<L>(Number(number));
                last = hit ? load<L>(values + i) : last;
            }
        }
        store(out + i, last);
    });
}

// `positions` of the elements under one window, of blocks that tile the row. COUNT is 0 where it is
// not known.
template <int COUNT, class E>
void unpool_block(const E* values, const uint8_t* switches, int64_t number, int64_t positions,
                  int64_t channels, E* out) {
    typedef UnsignedOf<E> Number;
    over<FULL<E>>(channels, [=](auto lanes, int64_t i) {
        constexpr int L = decltype(lanes)::value;
        const auto value = load<L>(values + i);
        const auto nothing = splat<L>(E{});
        if constexpr (L == 1) {
            for (int64_t t = 0; t < (COUNT ? COUNT : positions); ++t)
                out[t * channels + i] = switches[i] == number + t ? value : nothing;
        } else {
            const auto which = widen<Number, L>(switches + i) - splat<L>(Number(number));
            for (int64_t t = 0; t < (COUNT ? COUNT : positions); ++t)
                store(out + t * channels + i, which == splat<L>(Number(t)) ? value : nothing);
        }
    });
}

// Whole blocks that tile the row from its start.
template <class E>
void unpool_blocks(const Job& job, const Walk<true>& walk, E* out) {
    const Geometry& g = *job.geometry;
    const Axis& axis = g.axes[g.rank - 1];
    const int64_t channels = g.channels, block = axis.stride * channels;
    const int64_t from = walk.from(), n = walk.to() - from;
    int64_t covered = 0;
    over_window_rows<uint8_t>(job, walk, true, [&](int64_t row, int64_t number) {
        const E* values = static_cast<const E*>(job.x) + row;
        const uint8_t* switches = static_cast<const uint8_t*>(job.switches) + row;
        for (int64_t o = from / block; covered < n && o < axis.coarse; ++o) {
            const int64_t positions = smaller(axis.stride, (n - covered) / channels);
            const int64_t where = o * channels;
            if (positions == 2)
                unpool_block<2>(values + where, switches + where, number, 2, channels,
                                out + covered);
            else
                unpool_block<0>(values + where, switches + where, number, positions, channels,
                                out + covered);
            covered += positions * channels;
        }
    });
    clear(out + covered, n - covered);
}

template <class E, class Tap>
void unpool_positions(const Job& job, int64_t begin, int64_t end) {
    const Geometry& g = *job.geometry;
    const Axis& axis = g.axes[g.rank - 1];
    const bool one = one_each(g), along = along_channels<E, Tap>(g) && g.taps <= 256;
    const bool blocks = one && !axis.start && axis.size == axis.stride && axis.dilation == 1 &&
                        axis.before == 0 && job.columns % (axis.stride * g.channels) == 0;
    Walk<true> walk(job, begin);
    Writer<E> out(static_cast<E*>(job.out) + walk.offset(), job.stream);
    for (int64_t item = begin; item < end; ++item, walk.next()) {
        const int64_t n = walk.to() - walk.from();
        E* made = out.room(n);
        if (along && blocks) {
            if constexpr (sizeof(Tap) == 1 && sizeof(E) <= 8) unpool_blocks(job, walk, made);
        } else if (along) {
            over_meetings<E, Tap>(
                job, walk, one,
                [&](const Meeting<E, Tap>* meetings, int count, int64_t m, int64_t at,
                    bool nothing) { last_of(meetings, count, m, nothing, made + at); });
        } else {
            clear(made, n);
            scatter_channels<Last<E>, Tap>(job, walk, one, made, nullptr);
        }
        out.wrote(n);
    }
}

// Of floats that are added as they are: their sum, in C order of the windows.
template <class T, class Tap>
void sum_of(const Meeting<T, Tap>* meetings, int count, int64_t n, bool nothing, T* out) {
    over_once<FULL<T>>(n, [=](auto lanes, int64_t i) {
        constexpr int L = decltype(lanes)::value;
        auto sum = nothing ? splat<L>(T{}) : load<L>(out + i);
        for (int k = 0; k < count; ++k) {
            const auto [values, switches, number] = meetings[k];
            if constexpr (L == 1) {
                if (switches[i] == number) sum += values[i];
            } else if constexpr (sizeof(Tap) == 1) {
                typedef UnsignedOf<T> Number;
                const auto hit = widen<Number, L>(switches + i) == splat<L>(Number(number));
                sum = hit ? sum + load<L>(values + i) : sum;
            }
        }
        store(out + i, sum);
    });
}

template <class E, class Tap>
void unpool(const void* untyped, int64_t begin, int64_t end) {
    const Job& job = *static_cast<const Job*>(untyped);
    const Geometry& g = *job.geometry;
    const Axis& axis = g.axes[g.rank - 1];
    if (g.last) return unpool_positions<E, Tap>(job, begin, end);
    if (sizeof(Tap) == 1 && pairs_tile(g)) return unpool_tiles<E>(job, begin, end);
    const bool one = one_each(g);
    Walk<true> walk(job, begin);
    Writer<E> out(static_cast<E*>(job.out) + walk.offset(), job.stream);
    for (int64_t item = begin; item < end; ++item, walk.next()) {
        const int64_t from = walk.from(), to = walk.to(), n = to - from;
        E* made = out.room(n);
        bool fresh = true;
        over_windows(g, walk, one, [&](int64_t row, int64_t number, const int64_t* outer) {
            const E* values = static_cast<const E*>(job.x) + row * axis.coarse;
            const Tap* switches = static_cast<const Tap*>(job.switches) + row * axis.coarse;
            if (!switches_good(g, switches, outer, from, to)) report_bad(job);
            const Span done = unpool_fast(axis, values, switches, number, from, to, fresh, made);
            const Span rest[2] = {{from, done.first}, {done.stop, to}};
            for (const Span& part : rest) {
                if (part.first >= part.stop) continue;
                E* some = made + (part.first - from);
                if (fresh) clear(some, part.stop - part.first);
                unpool_scatter<Last<E>>(axis, values, switches, number, part.first, part.stop, some,
                                        static_cast<uint8_t*>(nullptr));
            }
            fresh = false;
        });
        if (fresh) clear(made, n);
        out.wrote(n);
    }
}

template <class T, class Tap>
void unpool_sums(const Job& job, int64_t begin, int64_t end) {
    const bool one = one_each(*job.geometry);
    Walk<true> walk(job, begin);
    Writer<T> out(static_cast<T*>(job.out) + walk.offset(), job.stream);
    for (int64_t item = begin; item < end; ++item, walk.next()) {
        const int64_t n = walk.to() - walk.from();
        T* made = out.room(n);
        over_meetings<T, Tap>(
            job, walk, one,
            [&](const Meeting<T, Tap>* meetings, int count, int64_t m, int64_t at, bool nothing) {
                sum_of(meetings, count, m, nothing, made + at);
            });
        out.wrote(n);
    }
}

// The same where values that meet are added or compared.
template <class D, template <class> class Rule, class Tap>
void unpool_meeting(const void* untyped, int64_t begin, int64_t end) {
    typedef typename D::Raw Raw;
    typedef typename Rule<D>::Out Out;
    const Job& job = *static_cast<const Job*>(untyped);
    const Geometry& g = *job.geometry;
    const Axis& axis = g.axes[g.rank - 1];
    if constexpr (Rule<D>::ADDS_AS_THEY_ARE) {
        if (g.last && along_channels<Raw, Tap>(g) && g.taps <= 256)
            return unpool_sums<Raw, Tap>(job, begin, end);
    }
    const bool one = one_each(g);
    Walk<true> walk(job, begin);
    Writer<Raw> out(static_cast<Raw*>(job.out) + walk.offset(), job.stream);
    Out made[ROOM / 16];
    uint8_t taken[ROOM / 16];
    for (int64_t item = begin; item < end; ++item, walk.next()) {
        const int64_t from = walk.from(), to = walk.to(), n = to - from;
        for (int64_t i = 0; i < n; ++i) made[i] = Out{}, taken[i] = 0;
        if (g.last)
            scatter_channels<Rule<D>, Tap>(job, walk, one, made, taken);
        else
            over_windows(g, walk, one, [&](int64_t row, int64_t number, const int64_t* outer) {
                const Raw* values = static_cast<const Raw*>(job.x) + row * axis.coarse;
                const Tap* switches = static_cast<const Tap*>(job.switches) + row * axis.coarse;
                if (!switches_good(g, switches, outer, from, to)) report_bad(job);
                unpool_scatter<Rule<D>>(axis, values, switches, number, from, to, made, taken);
            });
        Raw* to_write = out.room(n);
        for (int64_t i = 0; i < n; ++i) {
            if constexpr (sizeof(Out) == sizeof(Raw) && sizeof(Raw) > 2) {
                memcpy(to_write + i, made + i, sizeof(Raw));
            } else if constexpr (sizeof(Out) == sizeof(Raw)) {
                to_write[i] = Raw(made[i]);
            } else {
                to_write[i] = D::store(made[i]);
            }
        }
        out.wrote(n);
    }
}

template <class D, class Tap>
void unpool_sum(const void* job, int64_t begin, int64_t end) {
    unpool_meeting<D, Added, Tap>(job, begin, end);
}
template <class D, class Tap>
void unpool_max(const void* job, int64_t begin, int64_t end) {
    unpool_meeting<D, Largest, Tap>(job, begin, end);
}

// -- gather
// ------------------------------------------------------------------------------------------------

// Two taps along the row, every tap loaded: faster than to look where each one is.
template <class E>
void gather_pairs(const TapRows& rows, const E* x, const uint8_t* switches, const Axis& axis,
                  int64_t from, int64_t n, E* out) {
    typedef UnsignedOf<E> Number;
    over<FULL<E>>(n, [&](auto lanes, int64_t i) {
        constexpr int L = decltype(lanes)::value;
        const auto number = widen<Number, L>(switches + i);
        auto value = splat<L>(E{});
        for (int r = 0; r < rows.count; ++r) {
            Lanes<E, L> even, odd;
            load_pairs<L>(x + (rows.base + rows.rows[r].row) * axis.fine + axis.first(from + i),
                          even, odd);
            const Number tap = Number(rows.rows[r].number);
            value = number == splat<L>(tap) ? even : value;
            value = number == splat<L>(Number(tap + 1)) ? odd : value;
        }
        store(out + i, value);
    });
}

template <class E, class Tap>
bool gather_fast(const Job& job, const Walk<false>& walk, TapRows& rows, const Tap* switches,
                 E* out) {
    const Geometry& g = *job.geometry;
    const Axis& axis = g.axes[g.rank - 1];
    if constexpr (sizeof(Tap) == 1 && sizeof(E) <= 8) {
        if (!g.inside || axis.start || axis.stride != 2 || axis.size != 2 || axis.dilation != 1 ||
            g.taps > 16)
            return false;
        const int64_t n = walk.to() - walk.from();
        rows.windows_at(walk.plane, walk.at);
        rows.next();
        if (!all_point_inside(g, switches, walk.at, 0, n)) report_bad(job);
        gather_pairs(rows, static_cast<const E*>(job.x), switches, axis, walk.from(), n, out);
        return true;
    }
    return false;
}

// The element at switch `number` of window `last`, or -1.
UNSAMPLE_INLINE int64_t element_at(const Geometry& g, int64_t plane, const int64_t* outer,
                                   int64_t last, int64_t number) {
    int64_t offset = 0, stride = 1;
    for (int axis = g.rank - 1; axis >= 0; --axis) {
        const Axis& a = g.axes[axis];
        const int64_t o = axis == g.rank - 1 ? last : outer[axis];
        const int64_t t = number % a.size, p = a.first(o) + t * a.dilation;
        if (p < 0 || p >= a.fine || t >= a.taps(o)) return -1;
        offset += p * stride;
        stride *= a.fine;
        number /= a.size;
    }
    return number ? -1 : plane * stride + offset;
}

// Channels last: the taps of a window one after the other, or each element where its switch says.
template <class E, class Tap>
void gather_positions(const Job& job, Walk<false>& walk, TapRows& rows, const Tap* switches,
                      E* out) {
    const Geometry& g = *job.geometry;
    const E* x = static_cast<const E*>(job.x);
    const bool along = along_channels<E, Tap>(g) && g.taps <= 16;
    const Tap* row = switches - walk.from();
    if (!all_point_inside(g, row, walk.at, walk.from() / g.channels,
                          (walk.to() - 1) / g.channels + 1))
        report_bad(job);
    over_positions(walk, g.channels, [&](int64_t o, int64_t c, int64_t n, int64_t at) {
        walk.at[g.rank - 1] = o;
        rows.windows_at(walk.plane, walk.at);
        const bool any = rows.next();
        const int count = any ? rows.count : 0;
        const TapRow* taps = rows.rows;
        const E* from = x + rows.base * g.channels + c;
        const Tap* which = switches + at;
        E* to = out + at;
        if (along) {
            Meeting<E, Tap> found[16];
            for (int r = 0; r < count; ++r)
                found[r] = {from + taps[r].row * g.channels, which, taps[r].number};
            last_of(found, count, n, true, to);
            return;
        }
        const bool table = count == g.taps;  // by tap number
        for (int64_t i = 0; i < n; ++i) {
            const int64_t number = *static_cast<const volatile Tap*>(which + i);
            if (table) {
                to[i] = number < count ? from[taps[number].row * g.channels + i] : E{};
                continue;
            }
            const int64_t where = element_at(g, walk.plane, walk.at, o, number);
            to[i] = where < 0 ? E{} : x[where * g.channels + c + i];
            if (where < 0) report_bad(job);
        }
    });
}

template <class E, class Tap>
void gather(const void* untyped, int64_t begin, int64_t end) {
    const Job& job = *static_cast<const Job*>(untyped);
    const Geometry& g = *job.geometry;
    TapRows rows(g);
    Walk<false> walk(job, begin);
    Writer<E> out(static_cast<E*>(job.out) + walk.offset(), job.stream);
    for (int64_t item = begin; item < end; ++item, walk.next()) {
        const int64_t from = walk.from(), n = walk.to() - from;
        const Tap* switches = static_cast<const Tap*>(job.switches) + walk.offset();
        E* made = out.room(n);
        if (g.last) {
            gather_positions(job, walk, rows, switches, made);
        } else if (!gather_fast(job, walk, rows, switches, made)) {
            for (int64_t i = 0; i < n; ++i) {
                const int64_t number = *static_cast<const volatile Tap*>(switches + i);
                const int64_t where = element_at(g, walk.plane, walk.at, from + i, number);
                if (where < 0) report_bad(job);
                made[i] = where < 0 ? E{} : static_cast<const E*>(job.x)[where];
            }
        }
        out.wrote(n);
    }
}
