// Vectors of the target this file is compiled for, and moving a block of rows into columns with
// them. No function here may be shared between targets: everything lies in the target's own
// namespace.
#pragma once
#include "../../common/lanes.h"

#if defined(__AVX512F__)
#define UNSAMPLE_VECTOR_BYTES 64
#elif defined(__AVX__)
#define UNSAMPLE_VECTOR_BYTES 32
#else
#define UNSAMPLE_VECTOR_BYTES 16
#endif

namespace unsample {
namespace UNSAMPLE_TARGET {

template <class T>
constexpr int kLanes = UNSAMPLE_VECTOR_BYTES / sizeof(T);
template <class T>
constexpr int kPiece = 16 / sizeof(T);  // elements that move together inside a vector

template <class T>
struct Vec {
    typedef Lanes<T, kLanes<T>> type;
    typedef type loose __attribute__((aligned(alignof(T)), may_alias));
    typedef Lanes<T, kPiece<T>> piece;
    typedef piece loose_piece __attribute__((aligned(alignof(T)), may_alias));
};

// Not by memcpy: for two vectors of output channels GCC 12 makes 295 instructions of it, not 244.
template <class T>
UNSAMPLE_INLINE typename Vec<T>::type load(const T* p) {
    return *reinterpret_cast<const typename Vec<T>::loose*>(p);
}

template <class T>
UNSAMPLE_INLINE void store(T* p, typename Vec<T>::type v) {
    *reinterpret_cast<typename Vec<T>::loose*>(p) = v;
}

template <class T>
UNSAMPLE_INLINE typename Vec<T>::type splat(T x) {
    return splat<kLanes<T>>(x);
}

UNSAMPLE_INLINE void stream(float* p, Vec<float>::type v) {
#if UNSAMPLE_VECTOR_BYTES == 64
    _mm512_stream_ps(p, (__m512)v);
#elif UNSAMPLE_VECTOR_BYTES == 32
    _mm256_stream_ps(p, (__m256)v);
#elif defined(__SSE2__)
    _mm_stream_ps(p, (__m128)v);
#else
    store(p, v);
#endif
}

UNSAMPLE_INLINE void stream(double* p, Vec<double>::type v) {
#if UNSAMPLE_VECTOR_BYTES == 64
    _mm512_stream_pd(p, (__m512d)v);
#elif UNSAMPLE_VECTOR_BYTES == 32
    _mm256_stream_pd(p, (__m256d)v);
#elif defined(__SSE2__)
    _mm_stream_pd(p, (__m128d)v);
#else
    store(p, v);
#endif
}

#define UNSAMPLE_SHUFFLE(name, T, ...)                                  \
    UNSAMPLE_INLINE Vec<T>::type name(Vec<T>::type a, Vec<T>::type b) { \
        return __builtin_shufflevector(a, b, __VA_ARGS__);              \
    }

// low/high: interleave the lower (upper) halves of each 16 bytes, by elements or by pairs of them.
#if UNSAMPLE_VECTOR_BYTES == 64
UNSAMPLE_SHUFFLE(low, float, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
UNSAMPLE_SHUFFLE(high, float, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
UNSAMPLE_SHUFFLE(low_pair, float, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
UNSAMPLE_SHUFFLE(high_pair, float, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)
UNSAMPLE_SHUFFLE(low, double, 0, 8, 2, 10, 4, 12, 6, 14)
UNSAMPLE_SHUFFLE(high, double, 1, 9, 3, 11, 5, 13, 7, 15)
#elif UNSAMPLE_VECTOR_BYTES == 32
UNSAMPLE_SHUFFLE(low, float, 0, 8, 1, 9, 4, 12, 5, 13)
UNSAMPLE_SHUFFLE(high, float, 2, 10, 3, 11, 6, 14, 7, 15)
UNSAMPLE_SHUFFLE(low_pair, float, 0, 1, 8, 9, 4, 5, 12, 13)
UNSAMPLE_SHUFFLE(high_pair, float, 2, 3, 10, 11, 6, 7, 14, 15)
UNSAMPLE_SHUFFLE(low, double, 0, 4, 2, 6)
UNSAMPLE_SHUFFLE(high, double, 1, 5, 3, 7)
#else
UNSAMPLE_SHUFFLE(low, float, 0, 4, 1, 5)
UNSAMPLE_SHUFFLE(high, float, 2, 6, 3, 7)
UNSAMPLE_SHUFFLE(low_pair, float, 0, 1, 4, 5)
UNSAMPLE_SHUFFLE(high_pair, float, 2, 3, 6, 7)
UNSAMPLE_SHUFFLE(low, double, 0, 2)
UNSAMPLE_SHUFFLE(high, double, 1, 3)
#endif
#undef UNSAMPLE_SHUFFLE

// Row i beside row i + kPiece (and + 2, + 3 of them where the vector has four pieces).
UNSAMPLE_INLINE Vec<float>::type load_pieces(const float* p, int64_t step) {
    typedef Vec<float>::loose_piece P;
    Vec<float>::piece a = *reinterpret_cast<const P*>(p);
#if UNSAMPLE_VECTOR_BYTES == 16
    (void)step;
    return a;
#else
    Vec<float>::piece b = *reinterpret_cast<const P*>(p + 4 * step);
    auto ab = __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7);
#if UNSAMPLE_VECTOR_BYTES == 32
    return ab;
#else
    Vec<float>::piece c = *reinterpret_cast<const P*>(p + 8 * step);
    Vec<float>::piece d = *reinterpret_cast<const P*>(p + 12 * step);
    auto cd = __builtin_shufflevector(c, d, 0, 1, 2, 3, 4, 5, 6, 7);
    return __builtin_shufflevector(ab, cd, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
#endif
#endif
}

UNSAMPLE_INLINE Vec<double>::type load_pieces(const double* p, int64_t step) {
    typedef Vec<double>::loose_piece P;
    Vec<double>::piece a = *reinterpret_cast<const P*>(p);
#if UNSAMPLE_VECTOR_BYTES == 16
    (void)step;
    return a;
#else
    Vec<double>::piece b = *reinterpret_cast<const P*>(p + 2 * step);
    auto ab = __builtin_shufflevector(a, b, 0, 1, 2, 3);
#if UNSAMPLE_VECTOR_BYTES == 32
    return ab;
#else
    Vec<double>::piece c = *reinterpret_cast<const P*>(p + 4 * step);
    Vec<double>::piece d = *reinterpret_cast<const P*>(p + 6 * step);
    auto cd = __builtin_shufflevector(c, d, 0, 1, 2, 3);
    return __builtin_shufflevector(ab, cd, 0, 1, 2, 3, 4, 5, 6, 7);
#endif
#endif
}

// The transpose inside every 16 bytes.
UNSAMPLE_INLINE void turn(Vec<float>::type (&v)[4]) {
    Vec<float>::type a = low(v[0], v[1]), b = high(v[0], v[1]);
    Vec<float>::type c = low(v[2], v[3]), d = high(v[2], v[3]);
    v[0] = low_pair(a, c);
    v[1] = high_pair(a, c);
    v[2] = low_pair(b, d);
    v[3] = high_pair(b, d);
}

UNSAMPLE_INLINE void turn(Vec<double>::type (&v)[2]) {
    Vec<double>::type a = low(v[0], v[1]), b = high(v[0], v[1]);
    v[0] = a;
    v[1] = b;
}

// kLanes rows of kPiece elements, `step` apart, as kPiece columns: columns[j][i] = rows[i * step +
// j].
template <class T>
UNSAMPLE_INLINE void columns_of(const T* rows, int64_t step,
                                typename Vec<T>::type (&columns)[kPiece<T>]) {
    for (int i = 0; i < kPiece<T>; ++i) columns[i] = load_pieces(rows + i * step, step);
    turn(columns);
}

// Each 16 bytes of a vector to a place of its own.
template <class T>
UNSAMPLE_INLINE void store_pieces(T* to, int64_t step, typename Vec<T>::type v) {
    char bytes[sizeof v];
    memcpy(bytes, &v, sizeof v);
    for (int i = 0; i < UNSAMPLE_VECTOR_BYTES / 16; ++i) memcpy(to + i * step, bytes + 16 * i, 16);
}

// to[j * to_step + i] = from[i * from_step + j] for i < rows, j < columns. Blocks at the ends
// overlap their neighbours instead of going element by element.
template <class T>
UNSAMPLE_INLINE void transpose(const T* from, int64_t from_step, int64_t rows, int64_t columns,
                               T* to, int64_t to_step) {
    constexpr int L = kLanes<T>, P = kPiece<T>;
    if (rows < L || columns < P) {
        for (int64_t i = 0; i < rows; ++i)
            for (int64_t j = 0; j < columns; ++j) to[j * to_step + i] = from[i * from_step + j];
        return;
    }
    for (int64_t i = 0; i < rows; i += L) {
        if (i > rows - L) i = rows - L;
        for (int64_t j = 0; j < columns; j += P) {
            if (j > columns - P) j = columns - P;
            typename Vec<T>::type v[P];
            columns_of(from + i * from_step + j, from_step, v);
            for (int k = 0; k < P; ++k) store(to + (j + k) * to_step + i, v[k]);
        }
    }
}

}  // namespace UNSAMPLE_TARGET
}  // namespace unsample
