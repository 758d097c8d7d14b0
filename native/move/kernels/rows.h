// The way through an output: row after row, in the order of memory, written once.

// Which row an item is. Axes are those of the output side but the last, which the row runs along;
// `inner` elements lie at each of its positions.
// On a way up, element at[axis] is tap[axis] of window[axis], were the windows `stride` taps long;
// counted along, because divisions for every row cost as much as a short row itself.
template <bool UP>
struct Walk {
    const Job& job;
    const int outer;
    int64_t width, pieces;  // elements of a row, items that make one
    int64_t plane, piece;
    int64_t at[MAX_RANK], window[MAX_RANK], tap[MAX_RANK];

    static int64_t size(const Axis& axis) { return UP ? axis.fine : axis.coarse; }

    Walk(const Job& j, int64_t item) : Walk(j, item, j.geometry->inner()) {}
    Walk(const Job& j, int64_t item, int64_t inner) : job(j), outer(j.geometry->rank - 1) {
        const Geometry& g = *job.geometry;
        width = size(g.axes[outer]) * inner;
        pieces = (width + job.columns - 1) / job.columns;
        piece = item % pieces;
        item /= pieces;
        for (int axis = outer - 1; axis >= 0; --axis) {
            at[axis] = item % size(g.axes[axis]);
            item /= size(g.axes[axis]);
            count(axis);
        }
        plane = item;
    }

    void next() {
        if (++piece < pieces) return;
        piece = 0;
        for (int axis = outer - 1; axis >= 0; --axis) {
            const Axis& a = job.geometry->axes[axis];
            if (++at[axis] < size(a)) {
                if (UP && ++tap[axis] == a.stride) {
                    tap[axis] = 0;
                    ++window[axis];
                }
                return;
            }
            at[axis] = 0;
            count(axis);
        }
        ++plane;
    }

    int64_t from() const { return piece * job.columns; }
    int64_t to() const { return piece + 1 < pieces ? from() + job.columns : width; }

    // Where the item starts in the output.
    int64_t offset() const {
        int64_t row = plane;
        for (int axis = 0; axis < outer; ++axis)
            row = row * size(job.geometry->axes[axis]) + at[axis];
        return row * width + from();
    }

private:
    void count(int axis) {
        if (!UP) return;
        const Axis& a = job.geometry->axes[axis];
        const int64_t p = at[axis] + a.before;
        window[axis] = floor_div(p, a.stride);
        tap[axis] = p - window[axis] * a.stride;
    }
};

constexpr int64_t ROOM = 8192;  // bytes that one item may write
constexpr int64_t BUFFER = 2 * ROOM;

// Large outputs are made in a buffer that stays in the first cache and leave it in whole cache
// lines, past the caches: 27 instead of 20 GB/s. Others are written where they belong.
template <class E>
class Writer {
public:
    Writer(E* out, bool streaming) : to(reinterpret_cast<char*>(out)), stream(streaming) {
        head = end = streaming ? int64_t(reinterpret_cast<uintptr_t>(to) % 64) : 0;
    }
    ~Writer() {
        if (!stream) return;
        flush(true);
        finish_streaming();
    }
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;

    // Where the next `n` elements go; at most ROOM bytes.
    E* room(int64_t n) {
        if (!stream) return reinterpret_cast<E*>(to);
        if (end + n * int64_t(sizeof(E)) > BUFFER) flush(false);
        return reinterpret_cast<E*>(buffer + end);
    }
    void wrote(int64_t n) {
        if (stream)
            end += n * int64_t(sizeof(E));
        else
            to += n * int64_t(sizeof(E));
    }

private:
    alignas(64) char buffer[BUFFER];
    char* to;           // where buffer[head] belongs; buffer and output agree on cache lines
    int64_t head, end;  // what is in the buffer
    bool stream;

    void flush(bool all) {
        const int64_t until = all ? end : end & ~int64_t(63);
        if (head % 64 && head < until) {
            const int64_t line = (head | 63) + 1;
            copy((line < until ? line : until) - head);
        }
        for (; head + 64 <= until; head += 64, to += 64) stream_line(to, buffer + head);
        if (head < until) copy(until - head);
        memcpy(buffer, buffer + until, size_t(end - until));
        end -= until;
        head = 0;
    }

    void copy(int64_t bytes) {
        memcpy(to, buffer + head, size_t(bytes));
        to += bytes;
        head += bytes;
    }

#if defined(__AVX2__)
    static void stream_line(char* to, const char* from) {
        const __m256i* line = reinterpret_cast<const __m256i*>(from);
        _mm256_stream_si256(reinterpret_cast<__m256i*>(to), _mm256_load_si256(line));
        _mm256_stream_si256(reinterpret_cast<__m256i*>(to) + 1, _mm256_load_si256(line + 1));
    }
#elif defined(__SSE2__)
    static void stream_line(char* to, const char* from) {
        for (int i = 0; i < 4; ++i)
            _mm_stream_si128(reinterpret_cast<__m128i*>(to) + i,
                             _mm_load_si128(reinterpret_cast<const __m128i*>(from) + i));
    }
#else
    static void stream_line(char* to, const char* from) { memcpy(to, from, 64); }
#endif
};

// Every kernel of the table enters here.
template <Range F>
void signed_by_target(const void* job, int64_t begin, int64_t end) {
    sign(&(*static_cast<Report* const*>(job))->target);
    F(job, begin, end);
}
