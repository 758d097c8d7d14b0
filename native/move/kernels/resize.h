// Resize along one axis: every output element is a short sum of weighted input elements.
//
// x is (outer, n, inner) and the output (outer, m, inner); terms[first[o] : first[o + 1]] are those
// of output o, added in that order.

template <class T>
UNSAMPLE_INLINE T weighted(const ResizeJob& job, const T* x, int64_t stride, int64_t o) {
    T sum{};
    const T* weights = static_cast<const T*>(job.weights);
    for (int64_t i = job.first[o]; i < job.first[o + 1]; ++i)
        sum += weights[i] * x[job.source[i] * stride];
    return sum;
}

// Outputs [from, to) of a row where each has SLOTS terms.
template <class T, int SLOTS>
void resize_alike(const ResizeJob& job, const T* x, int64_t from, int64_t to, T* out) {
    const T* weights = static_cast<const T*>(job.slot_weights);
    for (int64_t o = from; o < to; ++o) {
        T sum{};
        for (int slot = 0; slot < SLOTS; ++slot)
            sum += weights[slot * job.m + o] * x[job.slot_source[slot * job.m + o]];
        out[o - from] = sum;
    }
}

template <class T>
void resize_row(const ResizeJob& job, const T* x, int64_t from, int64_t to, T* out) {
    const int64_t alike = larger(from, job.alike), stop = smaller(to, job.alike_end);
    const bool slots = alike < stop && (job.slots == 2 || job.slots == 4);
    for (int64_t o = from; o < to; ++o) {
        if (slots && o == alike) {
            if (job.slots == 2)
                resize_alike<T, 2>(job, x, alike, stop, out + (alike - from));
            else
                resize_alike<T, 4>(job, x, alike, stop, out + (alike - from));
            o = stop - 1;
        } else {
            out[o - from] = weighted(job, x, 1, o);
        }
    }
}

// `n` elements, side by side, of the sum of `count` terms that lie `step` apart: vectors run along
// them. COUNT is 0 where only the terms know.
template <int COUNT, class T>
UNSAMPLE_INLINE void add_terms(const int64_t* sources, const T* weights, int64_t count, const T* x,
                               int64_t step, int64_t n, T* out) {
    over<FULL<T>>(n, [=](auto lanes, int64_t i) {
        constexpr int L = decltype(lanes)::value;
        auto sum = splat<L>(T{});
        for (int64_t j = 0; j < (COUNT ? COUNT : count); ++j)
            sum += splat<L>(weights[j]) * load<L>(x + sources[j] * step + i);
        store(out + i, sum);
    });
}
// The same of output o.
template <class T>
void add_terms_of(const int64_t* first, const int64_t* source, const void* weights, int64_t o,
                  const T* x, int64_t step, int64_t n, T* out) {
    const int64_t* sources = source + first[o];
    const T* factors = static_cast<const T*>(weights) + first[o];
    const int64_t count = first[o + 1] - first[o];
    switch (count) {
        case 2:
            return add_terms<2>(sources, factors, 2, x, step, n, out);
        case 4:
            return add_terms<4>(sources, factors, 4, x, step, n, out);
        default:
            return add_terms<0>(sources, factors, count, x, step, n, out);
    }
}

// visit(output o, its first element, how many, where in the piece) for a piece of a row.
template <class Visit>
UNSAMPLE_INLINE void over_outputs(const ResizeJob& job, int64_t from, int64_t to, Visit visit) {
    int64_t o = from / job.inner, c = from - o * job.inner;
    for (int64_t at = from; at < to; ++o, c = 0) {
        const int64_t n = smaller(job.inner - c, to - at);
        visit(o, c, n, at - from);
        at += n;
    }
}

// Outputs [from, to) of a row, of elements that lie `inner` side by side; x begins with source
// `low`. COUNT terms each, or 0 where that differs.
template <int COUNT, class T>
void add_outputs(const ResizeJob& job, const T* x, int64_t low, int64_t from, int64_t to, T* out) {
    const int64_t inner = job.inner;
    const int64_t *first = job.first, *source = job.source;
    const T* weights = static_cast<const T*>(job.weights);
    x -= low * inner;
    over_outputs(job, from, to, [=](int64_t o, int64_t c, int64_t n, int64_t at) {
        const int64_t j = first[o], count = COUNT ? COUNT : first[o + 1] - j;
        add_terms<COUNT>(source + j, weights + j, count, x + c, inner, n, out + at);
    });
}
template <class T>
void add_outputs(const ResizeJob& job, const T* x, int64_t low, int64_t from, int64_t to, T* out) {
    const int64_t alike = smaller(larger(from, job.alike * job.inner), to);
    const int64_t stop = larger(smaller(to, job.alike_end * job.inner), alike);
    add_outputs<0>(job, x, low, from, alike, out);
    T* middle = out + (alike - from);
    if (job.slots == 2)
        add_outputs<2>(job, x, low, alike, stop, middle);
    else if (job.slots == 4)
        add_outputs<4>(job, x, low, alike, stop, middle);
    else
        add_outputs<0>(job, x, low, alike, stop, middle);
    add_outputs<0>(job, x, low, stop, to, out + (stop - from));
}

constexpr int64_t BETWEEN = 4096;  // elements between two axes that are resized at once

// Outputs [from, to) of row o of the rows: what they need of that row is made first, and stays in
// the first cache; of outputs that need much, element by element.
template <class T>
void resize_both(const ResizeJob& job, const T* x, int64_t o, int64_t from, int64_t to, T* out) {
    const ResizeRows& rows = *job.rows;
    const int64_t inner = job.inner, row = job.n * inner;
    const int64_t begin = job.first[from / inner], end = job.first[(to - 1) / inner + 1];
    int64_t low = job.n, high = -1;
    for (int64_t j = begin; j < end; ++j) {
        low = smaller(low, job.source[j]);
        high = larger(high, job.source[j]);
    }
    T between[BETWEEN];
    if (low > high || (high - low + 1) * inner <= BETWEEN) {
        if (low <= high)
            add_terms_of(rows.first, rows.source, rows.weights, o, x + low * inner, row,
                         (high - low + 1) * inner, between);
        return add_outputs(job, between, low, from, to, out);
    }
    over_outputs(job, from, to, [&](int64_t q, int64_t c, int64_t n, int64_t at) {
        for (int64_t i = 0; i < n; ++i) out[at + i] = T{};
        for (int64_t j = job.first[q]; j < job.first[q + 1]; ++j) {
            add_terms_of(rows.first, rows.source, rows.weights, o, x + job.source[j] * inner + c,
                         row, n, between);
            const T weight = static_cast<const T*>(job.weights)[j];
            for (int64_t i = 0; i < n; ++i) out[at + i] += weight * between[i];
        }
    });
}

template <class T>
void resize(const void* untyped, int64_t begin, int64_t end) {
    const ResizeJob& job = *static_cast<const ResizeJob*>(untyped);
    const int64_t width = job.m * job.inner, pieces = (width + job.columns - 1) / job.columns;
    const auto where = [&](int64_t item) {
        return item / pieces * width + item % pieces * job.columns;
    };
    Writer<T> out(static_cast<T*>(job.out) + where(begin), job.stream);
    for (int64_t item = begin; item < end; ++item) {
        int64_t row = item / pieces;
        const int64_t from = item % pieces * job.columns, to = smaller(from + job.columns, width);
        const T* x = static_cast<const T*>(job.x);
        T* made = out.room(to - from);
        if (job.rows) {
            const int64_t outer = row / job.rows->m;
            x += outer * job.rows->n * job.n * job.inner;
            resize_both(job, x, row - outer * job.rows->m, from, to, made);
        } else if (job.inner == 1) {
            resize_row(job, x + row * job.n, from, to, made);
        } else {
            add_outputs(job, x + row * job.n * job.inner, 0, from, to, made);
        }
        out.wrote(to - from);
    }
}

// The same where every output is a copy of one input: out[o] = x[source[o]].
template <class E>
void pick(const void* untyped, int64_t begin, int64_t end) {
    const ResizeJob& job = *static_cast<const ResizeJob*>(untyped);
    const int64_t width = job.m * job.inner, pieces = (width + job.columns - 1) / job.columns;
    const auto where = [&](int64_t item) {
        return item / pieces * width + item % pieces * job.columns;
    };
    Writer<E> out(static_cast<E*>(job.out) + where(begin), job.stream);
    for (int64_t item = begin; item < end; ++item) {
        int64_t row = item / pieces;
        const int64_t from = item % pieces * job.columns;
        const int64_t n = smaller(job.columns, width - from);
        if (const ResizeRows* rows = job.rows)
            row = row / rows->m * rows->n + rows->source[row % rows->m];
        const E* x = static_cast<const E*>(job.x) + row * job.n * job.inner;
        E* made = out.room(n);
        if (job.inner == 1) {
            for (int64_t i = 0; i < n; ++i) made[i] = x[job.source[from + i]];
        } else {
            over_outputs(job, from, from + n, [&](int64_t o, int64_t c, int64_t m, int64_t at) {
                copy(made + at, x + job.source[o] * job.inner + c, m);
            });
        }
        out.wrote(n);
    }
}
