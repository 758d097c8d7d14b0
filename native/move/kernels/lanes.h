// Elements in memory as lanes: side by side, in pairs, every other one, with switches beside them.
//
// Included inside the namespace of a target, so that code built for one CPU never serves another.

#if defined(__AVX2__)
constexpr int VECTOR = 32;  // also for AVX-512: these kernels wait for memory, not for lanes
#elif defined(__GNUC__)
constexpr int VECTOR = 16;
#else
constexpr int VECTOR = 0;
#endif

struct Wide {  // 16 bytes that are only moved: complex128, or a long double
    uint64_t low, high;
};

template <class T>
constexpr int FULL = VECTOR > int(sizeof(T)) ? VECTOR / int(sizeof(T)) : 1;
template <>
constexpr int FULL<Wide> = 1;

// The unsigned integer as wide as T, which counts taps beside it.
template <int BYTES>
struct Unsigned;
template <>
struct Unsigned<1> {
    typedef uint8_t Type;
};
template <>
struct Unsigned<2> {
    typedef uint16_t Type;
};
template <>
struct Unsigned<4> {
    typedef uint32_t Type;
};
template <>
struct Unsigned<8> {
    typedef uint64_t Type;
};
template <>
struct Unsigned<16> {
    typedef Wide Type;
};
template <class T>
using UnsignedOf = typename Unsigned<int(sizeof(T))>::Type;

template <bool FIRST, class A, class B>
struct Either {
    typedef A Type;
};
template <class A, class B>
struct Either<false, A, B> {
    typedef B Type;
};

template <int N>
struct Count {
    static constexpr int value = N;
};

template <int L, class T>
UNSAMPLE_INLINE Lanes<T, L> load(const T* from) {
    Lanes<T, L> v;
    memcpy(&v, from, sizeof v);
    return v;
}

template <class T, class V>
UNSAMPLE_INLINE void store(T* to, V v) {
    memcpy(to, &v, sizeof v);
}

// Ask for memory that will be read soon; may lie outside any array.
UNSAMPLE_INLINE void prefetch(const void* where) {
#if defined(__GNUC__)
    __builtin_prefetch(where);
#else
    (void)where;
#endif
}

#if defined(__GNUC__)
template <class V, int... I>
UNSAMPLE_INLINE V low_pairs(V a, V b, Indices<I...>) {
    return __builtin_shufflevector(a, b, (I % 2 ? int(sizeof...(I)) : 0) + I / 2 ...);
}
template <class V, int... I>
UNSAMPLE_INLINE V high_pairs(V a, V b, Indices<I...>) {
    constexpr int L = sizeof...(I);
    return __builtin_shufflevector(a, b, (I % 2 ? L : 0) + L / 2 + I / 2 ...);
}
template <int FIRST, class V, int... I>
UNSAMPLE_INLINE V every_other(V a, V b, Indices<I...>) {
    return __builtin_shufflevector(a, b, FIRST + 2 * I...);
}
template <class V, int... I>
UNSAMPLE_INLINE V every_other_overlapping(V a, V b, Indices<I...>) {
    // b starts one element before the end of a
    constexpr int L = sizeof...(I);
    return __builtin_shufflevector(a, b, (2 * I < L ? 2 * I : 2 * I + 1)...);
}
template <int RATIO, class V, int... I>
UNSAMPLE_INLINE auto low_bytes(V v, Indices<I...>) {
    typedef Lanes<uint8_t, int(sizeof(V))> Bytes;
    return __builtin_shufflevector((Bytes)v, (Bytes)v, RATIO * I...);
}
#endif

// out[2 i] = a[i], out[2 i + 1] = b[i]
template <int L, class T>
UNSAMPLE_INLINE void store_pairs(T* to, Lanes<T, L> a, Lanes<T, L> b) {
    if constexpr (L == 1) {
        to[0] = a;
        to[1] = b;
    } else {
        store(to, low_pairs(a, b, typename UpTo<L>::Type{}));
        store(to + L, high_pairs(a, b, typename UpTo<L>::Type{}));
    }
}

#if defined(__GNUC__)
template <int F, int J, class V, int... I>
UNSAMPLE_INLINE V repeated(V v, Indices<I...>) {
    return __builtin_shufflevector(v, v, (J * int(sizeof...(I)) + I) / F...);
}
template <int F, int L, class T, int... J>
UNSAMPLE_INLINE void store_each(T* to, Lanes<T, L> v, Indices<J...>) {
    (store(to + J * L, repeated<F, J>(v, typename UpTo<L>::Type{})), ...);
}
#endif

// out[i] = v[i / F]
template <int F, int L, class T>
UNSAMPLE_INLINE void store_repeated(T* to, Lanes<T, L> v) {
    if constexpr (L == 1) {
        for (int i = 0; i < F; ++i) to[i] = v;
    } else {
#if defined(__GNUC__)
        store_each<F, L>(to, v, typename UpTo<F>::Type{});
#endif
    }
}

// a[i] = from[2 i], b[i] = from[2 i + 1]
template <int L, class T>
UNSAMPLE_INLINE void load_pairs(const T* from, Lanes<T, L>& a, Lanes<T, L>& b) {
    if constexpr (L == 1) {
        a = from[0];
        b = from[1];
    } else {
        const auto low = load<L>(from), high = load<L>(from + L);
        a = every_other<0>(low, high, typename UpTo<L>::Type{});
        b = every_other<1>(low, high, typename UpTo<L>::Type{});
    }
}

// Lanes in the order in which a whole vector's pairs are cheapest to tell apart: within each 16
// bytes. `in_order` puts them right at the end of a computation, once instead of for every load.
template <class T, int L>
constexpr bool LOCAL = VECTOR == 32 && sizeof(T) >= 4 && int(sizeof(T)) * L == 32;

#if defined(__GNUC__)
template <int FIRST, class V, int... I>
UNSAMPLE_INLINE V every_other_local(V a, V b, Indices<I...>) {
    constexpr int L = sizeof...(I), B = L / 2;  // two blocks of B lanes
    return __builtin_shufflevector(
        a, b,
        (I % B < B / 2 ? I / B * B + 2 * (I % B) : L + I / B * B + 2 * (I % B - B / 2)) + FIRST...);
}
template <class V, int... I>
UNSAMPLE_INLINE V ordered(V v, Indices<I...>) {
    constexpr int L = sizeof...(I), B = L / 2;
    return __builtin_shufflevector(v, v, I % B / (B / 2) * B + I % (B / 2) + I / B * (B / 2)...);
}
#endif

template <int L, class T>
UNSAMPLE_INLINE void load_pairs_local(const T* from, Lanes<T, L>& a, Lanes<T, L>& b) {
    if constexpr (LOCAL<T, L>) {
        const auto low = load<L>(from), high = load<L>(from + L);
        a = every_other_local<0>(low, high, typename UpTo<L>::Type{});
        b = every_other_local<1>(low, high, typename UpTo<L>::Type{});
    } else {
        load_pairs<L>(from, a, b);
    }
}
template <class T, int L>
UNSAMPLE_INLINE Lanes<T, L> in_order(Lanes<T, L> v) {
    if constexpr (LOCAL<T, L>)
        return ordered(v, typename UpTo<L>::Type{});
    else
        return v;
}

// `number`, one more where the comparison held.
template <class T, int L, class Mask>
UNSAMPLE_INLINE Lanes<T, L> counted(Lanes<T, L> number, Mask mask) {
    if constexpr (L == 1)
        return T(number + (mask ? 1 : 0));
    else
        return number - Lanes<T, L>(mask);  // true is -1
}

// from[i * stride], reading nothing behind the last of them. STRIDE is 1, 2 or 0 for any other.
template <int L, int STRIDE, class T>
UNSAMPLE_INLINE Lanes<T, L> load_every(const T* from, int64_t stride) {
    if constexpr (L == 1) {
        return from[0];
    } else if constexpr (STRIDE == 1) {
        return load<L>(from);
    } else if constexpr (STRIDE == 2) {
        return every_other_overlapping(load<L>(from), load<L>(from + L - 1),
                                       typename UpTo<L>::Type{});
    } else {
        Lanes<T, L> v;
        for (int i = 0; i < L; ++i) v[i] = from[i * stride];
        return v;
    }
}

// from[4 i + TAP], reading 4 L elements from `from` on.
template <int L, int TAP, class T>
UNSAMPLE_INLINE Lanes<T, L> load_fourth(const T* from) {
    if constexpr (L == 1) {
        return from[TAP];
    } else {
        typedef typename UpTo<L>::Type All;
        const auto low = every_other<TAP % 2>(load<L>(from), load<L>(from + L), All{});
        const auto high = every_other<TAP % 2>(load<L>(from + 2 * L), load<L>(from + 3 * L), All{});
        return every_other<TAP / 2>(low, high, All{});
    }
}

#if defined(__GNUC__)
// Every T of a vector as an integer of twice its width.
template <class T>
UNSAMPLE_INLINE Lanes<uint8_t, 16> spread(Lanes<uint8_t, 16> v) {
    constexpr int L = 16 / int(sizeof(T));
    return (Lanes<uint8_t, 16>)low_pairs((Lanes<T, L>)v, Lanes<T, L>{}, typename UpTo<L>::Type{});
}
// The first bytes at `from` as integers of WIDTH bytes that fill a vector. GCC 12 takes
// __builtin_convertvector apart byte by byte: half the time of an unpool.
template <int WIDTH>
UNSAMPLE_INLINE Lanes<uint8_t, 16> between_zeros(const uint8_t* from) {
    Lanes<uint8_t, 16> v{};
    memcpy(&v, from, 16 / WIDTH);
    if constexpr (WIDTH >= 2) v = spread<uint8_t>(v);
    if constexpr (WIDTH >= 4) v = spread<uint16_t>(v);
    if constexpr (WIDTH >= 8) v = spread<uint32_t>(v);
    return v;
}
#endif
#if defined(__AVX2__)
template <int WIDTH>
UNSAMPLE_INLINE __m256i widened(const uint8_t* from) {
    __m128i bytes{};
    memcpy(&bytes, from, 32 / WIDTH);
    if constexpr (WIDTH == 2) return _mm256_cvtepu8_epi16(bytes);
    if constexpr (WIDTH == 4) return _mm256_cvtepu8_epi32(bytes);
    return _mm256_cvtepu8_epi64(bytes);
}
#endif

// Switches, one byte each, as lanes of the elements' width, and back.
template <class T, int L>
UNSAMPLE_INLINE Lanes<T, L> widen(const uint8_t* from) {
    if constexpr (L == 1) {
        return T(from[0]);
    } else if constexpr (sizeof(T) == 1) {
        return load<L>(from);
    } else {
#if defined(__GNUC__)
        typedef Lanes<T, L> Wider;
#if defined(__AVX2__)
        if constexpr (sizeof(Wider) == 32) return (Wider)widened<sizeof(T)>(from);
#endif
        if constexpr (sizeof(Wider) == 16) return (Wider)between_zeros<int(sizeof(T))>(from);
        return __builtin_convertvector(load<L>(from), Wider);
#endif
    }
}
template <class T, int L>
UNSAMPLE_INLINE void store_narrow(uint8_t* to, Lanes<T, L> v) {
    if constexpr (L == 1) {
        to[0] = uint8_t(v);
    } else if constexpr (sizeof(T) == 1) {
        store(to, v);
    } else {
        // GCC 12 takes __builtin_convertvector apart lane by lane, a shuffle it does not.
        store(to, low_bytes<int(sizeof(T))>(v, typename UpTo<L>::Type{}));
    }
}

// The same of switches of any width.
template <class T, int L, class Tap>
UNSAMPLE_INLINE Lanes<T, L> load_switches(const Tap* from) {
    if constexpr (L == 1) {
        return T(from[0]);
    } else if constexpr (sizeof(Tap) == 1) {
        return widen<T, L>(from);
    } else {
#if defined(__GNUC__)
        return __builtin_convertvector(load<L>(from), Lanes<T, L>);
#endif
    }
}
template <class T, int L, class Tap>
UNSAMPLE_INLINE void store_switches(Tap* to, Lanes<T, L> v) {
    if constexpr (L == 1) {
        to[0] = Tap(v);
    } else if constexpr (sizeof(Tap) == 1) {
        store_narrow<T, L>(to, v);
    } else {
#if defined(__GNUC__)
        typedef Lanes<Tap, L> Narrow;
        store(to, __builtin_convertvector(v, Narrow));
#endif
    }
}

// step(Count<L>, i) for i in [0, n): whole vectors, the last one moved back over its neighbour,
// half vectors where there is no whole one, single elements where there is no half one.
template <int L, int LEVEL = 0, class Step>
UNSAMPLE_INLINE void over(int64_t n, Step step) {
    if constexpr (L >= 2) {
        if (n >= L) {
            int64_t i = 0;
            for (; i + L <= n; i += L) step(Count<L>{}, i);
            if (i < n) step(Count<L>{}, n - L);
            return;
        }
        if constexpr (LEVEL < 2 && L >= 4) return over<L / 2, LEVEL + 1>(n, step);
    }
    for (int64_t i = 0; i < n; ++i) step(Count<1>{}, i);
}

// The same with no element twice, for what is added to: what no whole vector holds goes by halves.
template <int L, class Step>
UNSAMPLE_INLINE void over_once(int64_t n, Step step, int64_t i = 0) {
    for (; i + L <= n; i += L) step(Count<L>{}, i);
    if constexpr (L > 1) over_once<L / 2>(n, step, i);
}

template <class E>
UNSAMPLE_INLINE void clear(E* out, int64_t n) {
    over<FULL<E>>(
        n, [=](auto lanes, int64_t i) { store(out + i, splat<decltype(lanes)::value>(E{})); });
}
