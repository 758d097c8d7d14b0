// Window sum: every block added up, axis after axis, taps in ascending order.

constexpr int SUM_RANK = 8;        // spatial axes; the definition takes what has more
constexpr int64_t BLOCK = 512;     // elements of a row that are added up at a time
constexpr int64_t MUCH = 1 << 21;  // elements that are added between two looks at the call

// level[axis][i] = sum over the taps of axes 0 to `axis`, the others held, of columns i < n.
template <class D, class Sum>
const Sum* sum_rows(const Geometry& g, const typename D::Raw* x, const int64_t* stride, int axis,
                    int64_t n, Sum (*level)[BLOCK]) {
    Sum* out = level[axis + 1];
    if (axis < 0) {
        for (int64_t i = 0; i < n; ++i) out[i] = D::load(x[i]);
        return out;
    }
    for (int64_t i = 0; i < n; ++i) out[i] = Sum{};
    for (int64_t t = 0; t < g.axes[axis].stride; ++t) {
        const Sum* row = sum_rows<D>(g, x + t * stride[axis], stride, axis - 1, n, level);
        for (int64_t i = 0; i < n; ++i) out[i] += row[i];
    }
    return out;
}

// The same of L elements side by side, over the first DEPTH axes.
template <int DEPTH, int L, class T>
UNSAMPLE_INLINE Lanes<T, L> sum_lanes(const Geometry& g, const T* x, const int64_t* stride) {
    if constexpr (DEPTH == 0) {
        return load<L>(x);
    } else {
        auto sum = splat<L>(T{});
        for (int64_t t = 0; t < g.axes[DEPTH - 1].stride; ++t)
            sum += sum_lanes<DEPTH - 1, L>(g, x + t * stride[DEPTH - 1], stride);
        return sum;
    }
}
template <int DEPTH, class T>
UNSAMPLE_INLINE void add_sums(const Geometry& g, const T* x, const int64_t* stride, int64_t n,
                              T* total) {
    over_once<FULL<T>>(n, [=, &g](auto lanes, int64_t i) {
        constexpr int L = decltype(lanes)::value;
        store(total + i, load<L>(total + i) + sum_lanes<DEPTH, L>(g, x + i, stride));
    });
}

template <class D, class Out>
void window_sum(const void* untyped, int64_t begin, int64_t end) {
    typedef typename D::Raw Raw;
    typedef typename D::Sum Sum;
    const Job& job = *static_cast<const Job*>(untyped);
    const Geometry& g = *job.geometry;
    const Axis& last = g.axes[g.rank - 1];
    Sum level[SUM_RANK][BLOCK], total[BLOCK];
    const int64_t channels = g.inner();
    constexpr bool AS_THEY_ARE = sizeof(Raw) == sizeof(Sum) && Sum(1) / Sum(2) != Sum(0);
    int64_t stride[SUM_RANK], next = last.fine * channels;  // from row to row of each outer axis
    int64_t rows = 1;                                       // of a block
    for (int axis = g.rank - 2; axis >= 0; --axis) {
        rows *= g.axes[axis].stride;
        stride[axis] = next;
        next *= g.axes[axis].fine;
    }
    int64_t added = 0;
    Walk<false> walk(job, begin);
    Writer<Out> out(static_cast<Out*>(job.out) + walk.offset(), job.stream);
    for (int64_t item = begin; item < end; ++item, walk.next()) {
        const int64_t n = walk.to() - walk.from(), factor = last.stride;
        const Raw* x = static_cast<const Raw*>(job.x) + walk.plane * next;
        for (int axis = 0; axis < g.rank - 1; ++axis)
            x += walk.at[axis] * g.axes[axis].stride * stride[axis];
        for (int64_t i = 0; i < n; ++i) total[i] = Sum{};
        bool left = false;
        if (g.last)
            over_positions(walk, channels, [&](int64_t o, int64_t c, int64_t m, int64_t at) {
                for (int64_t t = 0; t < factor && !left; ++t) {
                    if ((added += m * rows) > MUCH) {
                        added = 0;
                        left = stopped();
                    }
                    const Raw* from = x + (o * factor + t) * channels + c;
                    if constexpr (AS_THEY_ARE) {
                        if (g.rank == 1) {
                            add_sums<0>(g, from, stride, m, total + at);
                            continue;
                        }
                        if (g.rank == 2) {
                            add_sums<1>(g, from, stride, m, total + at);
                            continue;
                        }
                        if (g.rank == 3) {
                            add_sums<2>(g, from, stride, m, total + at);
                            continue;
                        }
                    }
                    const Sum* row = sum_rows<D>(g, from, stride, g.rank - 2, m, level);
                    for (int64_t i = 0; i < m; ++i) total[at + i] += row[i];
                }
            });
        if (left) return;
        x += walk.from() * factor;
        for (int64_t c = g.last ? n * factor : 0; c < n * factor; c += BLOCK) {
            const int64_t m = smaller(BLOCK, n * factor - c);
            if ((added += m * rows) > MUCH) {
                added = 0;
                if (stopped()) return;
            }
            const Sum* row = sum_rows<D>(g, x + c, stride, g.rank - 2, m, level);
            if (factor == 2) {
                for (int64_t i = 0; i < m / 2; ++i)
                    total[c / 2 + i] = (Sum{} + row[2 * i]) + row[2 * i + 1];
            } else {
                for (int64_t i = 0; i < m;) {
                    const int64_t o = (c + i) / factor, stop = smaller(m, (o + 1) * factor - c);
                    for (; i < stop; ++i) total[o] += row[i];
                }
            }
        }
        Out* made = out.room(n);
        for (int64_t i = 0; i < n; ++i) {
            if constexpr (sizeof(Out) == sizeof(Sum))
                memcpy(made + i, total + i, sizeof(Sum));
            else
                made[i] = D::store(total[i]);
        }
        out.wrote(n);
    }
}

template <class D>
void window_sum_of(const void* job, int64_t begin, int64_t end) {
    // Halves come back as what they were, integers as the 64 bits they were added in.
    constexpr bool half = sizeof(typename D::Sum) == 4;
    if constexpr (half && sizeof(typename D::Raw) == 2)
        window_sum<D, typename D::Raw>(job, begin, end);
    else
        window_sum<D, typename D::Sum>(job, begin, end);
}
