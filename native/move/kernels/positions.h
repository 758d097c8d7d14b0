// Channels last: the elements of a position lie side by side, and vectors run along them. A piece
// of a row may begin and end in the middle of a position.

// visit(position, its first channel, how many, where in the piece) for every position of a piece.
template <class Pieces, class Visit>
UNSAMPLE_INLINE void over_positions(const Pieces& walk, int64_t channels, Visit visit) {
    const int64_t from = walk.from(), to = walk.to();
    int64_t p = from / channels, c = from - p * channels;
    for (int64_t at = from; at < to; ++p, c = 0) {
        const int64_t n = smaller(channels - c, to - at);
        visit(p, c, n, at - from);
        at += n;
    }
}

// Element p of an axis as tap `tap` of `window`, were the windows `stride` taps long.
struct Place {
    int64_t stride, window, tap;

    Place(const Axis& axis, int64_t p) : stride(axis.stride) {
        window = floor_div(p + axis.before, stride);
        tap = p + axis.before - window * stride;
    }
    void next() {
        if (++tap < stride) return;
        tap = 0;
        ++window;
    }
};

template <class E>
UNSAMPLE_INLINE void copy(E* to, const E* from, int64_t n) {
    over<FULL<E>>(n, [=](auto lanes, int64_t i) {
        constexpr int L = decltype(lanes)::value;
        store(to + i, load<L>(from + i));
    });
}
