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

template <class T>
void resize(const void* untyped, int64_t begin, int64_t end) {
    const ResizeJob& job = *static_cast<const ResizeJob*>(untyped);
    const T* weights = static_cast<const T*>(job.weights);
    const int64_t width = job.inner == 1 ? job.m : job.inner;
    const int64_t pieces = (width + job.columns - 1) / job.columns;
    const auto where = [&](int64_t item) {
        return item / pieces * width + item % pieces * job.columns;
    };
    Writer<T> out(static_cast<T*>(job.out) + where(begin), job.stream);
    for (int64_t item = begin; item < end; ++item) {
        const int64_t row = item / pieces, from = item % pieces * job.columns;
        const int64_t n = smaller(job.columns, width - from);
        T* made = out.room(n);
        if (job.inner == 1) {
            const T* x = static_cast<const T*>(job.x) + row * job.n;
            resize_row(job, x, from, from + n, made);
        } else {
            const int64_t o = row % job.m;
            const T* x = static_cast<const T*>(job.x) + row / job.m * job.n * job.inner + from;
            for (int64_t i = 0; i < n; ++i) made[i] = T{};
            for (int64_t j = job.first[o]; j < job.first[o + 1]; ++j) {
                const T weight = weights[j];
                const T* source = x + job.source[j] * job.inner;
                for (int64_t i = 0; i < n; ++i) made[i] += weight * source[i];
            }
        }
        out.wrote(n);
    }
}

// The same where every output is a copy of one input: out[o] = x[source[o]].
template <class E>
void pick(const void* untyped, int64_t begin, int64_t end) {
    const ResizeJob& job = *static_cast<const ResizeJob*>(untyped);
    const int64_t width = job.inner == 1 ? job.m : job.inner;
    const int64_t pieces = (width + job.columns - 1) / job.columns;
    const auto where = [&](int64_t item) {
        return item / pieces * width + item % pieces * job.columns;
    };
    Writer<E> out(static_cast<E*>(job.out) + where(begin), job.stream);
    for (int64_t item = begin; item < end; ++item) {
        const int64_t row = item / pieces, from = item % pieces * job.columns;
        const int64_t n = smaller(job.columns, width - from);
        E* made = out.room(n);
        if (job.inner == 1) {
            const E* x = static_cast<const E*>(job.x) + row * job.n;
            for (int64_t i = 0; i < n; ++i) made[i] = x[job.source[from + i]];
        } else {
            const E* x = static_cast<const E*>(job.x) + row / job.m * job.n * job.inner + from;
            memcpy(static_cast<void*>(made), x + job.source[row % job.m] * job.inner,
                   size_t(n) * sizeof(E));
        }
        out.wrote(n);
    }
}
