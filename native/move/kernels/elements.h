// What elements mean where they are compared or added: one tag per dtype.
//
//   Raw    how an element lies in memory          wins   whether v beats the best so far
//   Sum    what sums of them are taken in         load, store   between the two
//
// NaN beats every number and the last NaN the others before it; equal numbers (-0.0 and 0.0 are)
// never beat each other, so that the first one stays.

template <class T, class S>
struct Plain {
    typedef T Raw;
    typedef S Sum;

    template <int L>
    static UNSAMPLE_INLINE auto wins(Lanes<T, L> v, Lanes<T, L> best) {
        return (v > best) | (v != v);
    }
    static UNSAMPLE_INLINE bool number(T v) { return v == v; }
    static UNSAMPLE_INLINE S load(T v) { return S(v); }
    static UNSAMPLE_INLINE T store(S v) { return T(v); }
};

// float16 and bfloat16 are compared as the integers they are: sign and magnitude, NaN above
// INFINITE.
template <int INFINITE>
struct Half {
    typedef uint16_t Raw;
    typedef float Sum;

    template <int L>
    static UNSAMPLE_INLINE Lanes<int16_t, L> order(Lanes<uint16_t, L> v) {
        typedef Lanes<int16_t, L> Signed;
        const Signed sign = Signed(Signed(v) >> 15), size = Signed(v & 0x7fff);
        const Signed key = Signed((size ^ sign) - sign);
        return size > Signed(splat<L>(int16_t(INFINITE))) ? splat<L>(int16_t(0x7fff)) : key;
    }
    template <int L>
    static UNSAMPLE_INLINE auto wins(Lanes<uint16_t, L> v, Lanes<uint16_t, L> best) {
        typedef Lanes<int16_t, L> Signed;
        return (order<L>(v) > order<L>(best)) |
               (Signed(v & 0x7fff) > Signed(splat<L>(int16_t(INFINITE))));
    }
    static UNSAMPLE_INLINE bool number(uint16_t v) { return (v & 0x7fff) <= INFINITE; }
};

struct Float16 : Half<0x7c00> {
    static UNSAMPLE_INLINE float load(uint16_t h) { return from_float16(h); }
    static UNSAMPLE_INLINE uint16_t store(float f) { return to_float16(f); }
};

struct BFloat16 : Half<0x7f80> {
    static UNSAMPLE_INLINE float load(uint16_t h) { return from_bfloat16(h); }
    static UNSAMPLE_INLINE uint16_t store(float f) { return to_bfloat16(f); }
};

typedef Plain<float, float> Float32;
typedef Plain<double, double> Float64;
// Sums of integers wrap, which only unsigned ones may do.
typedef Plain<int8_t, uint64_t> Int8;
typedef Plain<int16_t, uint64_t> Int16;
typedef Plain<int32_t, uint64_t> Int32;
typedef Plain<int64_t, uint64_t> Int64;
typedef Plain<uint8_t, uint64_t> UInt8;
typedef Plain<uint16_t, uint64_t> UInt16;
typedef Plain<uint32_t, uint64_t> UInt32;
typedef Plain<uint64_t, uint64_t> UInt64;
