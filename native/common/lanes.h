// A few elements at a time: the compiler's vector types, or single elements where it has none.
#pragma once
#include "target.h"

namespace unsample {
namespace UNSAMPLE_TARGET {
namespace {

template <class T, int L>
struct LanesOf {
#if defined(__GNUC__)
    typedef T Type __attribute__((vector_size(sizeof(T) * L)));
#endif
};
template <class T>
struct LanesOf<T, 1> {
    typedef T Type;
};
template <class T, int L>
using Lanes = typename LanesOf<T, L>::Type;

template <int... I>
struct Indices {};
template <int N, int... I>
struct UpTo : UpTo<N - 1, N - 1, I...> {};
template <int... I>
struct UpTo<0, I...> {
    typedef Indices<I...> Type;
};

// Streaming stores are ordered before whatever tells other threads that the work is done.
UNSAMPLE_INLINE void finish_streaming() {
#if defined(__SSE2__)
    _mm_sfence();
#endif
}

template <class V, class T, int... I>
UNSAMPLE_INLINE V filled(T value, Indices<I...>) {
    return V{((void)I, value)...};
}

// Floats are written lane by lane: `Lanes{} + value` is an addition for the compiler (-0.0 + 0.0 is
// 0.0), and a loop over the lanes becomes one insertion each. Whole numbers are added to zeros:
// written lane by lane, GCC 12 inserts them one by one, and an unpool took three times as long.
template <int L, class T>
UNSAMPLE_INLINE Lanes<T, L> splat(T value) {
    if constexpr (L == 1)
        return value;
    else if constexpr (T(1) / T(2) == T(0))
        return Lanes<T, L>{} + value;
    else
        return filled<Lanes<T, L>>(value, typename UpTo<L>::Type{});
}

}  // namespace
}  // namespace UNSAMPLE_TARGET
}  // namespace unsample
