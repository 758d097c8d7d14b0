// Planned calls of the kernels, for whoever brings the memory: caller/bind.cpp, caller/xla.cpp.
//
// A Caller has a Handle that stands for an array (or `absent`), a Memory that opens a handle and
// throws where it has not as many bytes as the plan says, `run`, which works through a large call,
// and `ran`, which hears of the target that computed.
#pragma once
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "../common/int_math.h"
#include "../conv/call.h"
#include "../targets.h"
#include "../threads/threads.h"

namespace unsample {

template <class Caller>
using HandleOf = typename Caller::Handle;
template <class Caller>
using MemoryOf = typename Caller::Memory;

// Below this much work a call is over before a second thread or another one's Python has paid for
// its start: some 50 us, because a second core also fetches what lies in the cache of the first (1
// MB of nearest: 23 us on one thread, 46 on two). Work is counted in bytes that are only copied;
// what the slower kernels take more is in their `work`, all measured at 0.25, 0.5 and 1 MB.
constexpr double SMALL = 1 << 22;
// The same for convolutions, in multiply-adds: 64-64 channels, 4 x 4 taps on 8 x 8 take 59 us on
// one thread, 91 on two.
constexpr int64_t SMALL_CONV = 6'000'000;
// A chunk is what one thread takes at a time: long against taking it, short against Ctrl-C.
constexpr double CHUNK = 1 << 19;
// An output larger than this is not read from the cache again.
constexpr int64_t STREAM = 1 << 23;
// A work item stands for no more, unless one element of the output does: a millisecond or two.
constexpr double PIECE = 1 << 24;
// Elements that the kernels with vectors along an output row compute at once.
constexpr int64_t VECTOR = 16;
constexpr int64_t COLUMNS = 512;  // 16 bytes each fill the room of a row, see kernels/rows.h

// How far from the first element of an axis one of its taps may be: kMany where they are no
// windows, or reach too far. Of a window alone the stride does not matter, of a tap alone the
// dilation.
inline int64_t reach_of(const Axis& a) {
    if (!counts(a.fine) || !counts(a.coarse) || a.size < 1 || a.stride < 1 || a.dilation < 1 ||
        a.before <= -kMany || a.before >= kMany)
        return kMany;
    const int64_t reach = (a.before < 0 ? -a.before : a.before) + a.fine +
                          times(a.coarse, a.coarse > 1 ? a.stride : 1) +
                          times(a.dilation, a.size - 1) + 1;
    return std::min(reach, kMany);
}

// The plan of a call, kept on the C++ side. Kernels trust it: what is no plan is refused here.
struct Plan {
    Geometry geometry{};
    std::vector<int64_t> tables;
    int64_t fine = 1, coarse = 1;        // elements of both sides
    bool divided = true, nailed = true;  // blocks without gaps; one element of every block

    Plan(int64_t planes, const std::vector<std::vector<int64_t>>& axes, int64_t channels,
         bool blocks, bool inside, bool tiles) {
        if (axes.empty() || axes.size() > size_t(MAX_RANK) || !counts(planes) ||
            !counts(channels) || channels < 1)
            throw std::invalid_argument("no plan has these axes");
        geometry.rank = int(axes.size());
        geometry.planes = planes;
        geometry.channels = channels;
        geometry.blocks = blocks;
        geometry.inside = inside;
        geometry.tiles = tiles;
        geometry.taps = 1;
        size_t entries = 0;
        for (const auto& axis : axes) entries += axis.size();
        tables.reserve(entries);  // so that the pointers into it stay
        fine = coarse = times(planes, channels);
        for (size_t i = 0; i < axes.size(); ++i) {
            Axis& axis = geometry.axes[i];
            take(axes[i], axis);
            geometry.taps = times(geometry.taps, axis.size);
            fine = times(fine, axis.fine);
            coarse = times(coarse, axis.coarse);
        }
        if (geometry.taps == kMany) throw std::invalid_argument("windows have too many taps");
        check_reach();
    }
    Plan(const Plan&) = delete;
    Plan& operator=(const Plan&) = delete;

private:
    void take(const std::vector<int64_t>& numbers, Axis& axis) {
        if (numbers.size() < 6) throw std::invalid_argument("an axis is at least six numbers");
        axis = {numbers[0], numbers[1], numbers[2], numbers[3],
                numbers[4], numbers[5], nullptr,    nullptr};
        if (reach_of(axis) == kMany) throw std::invalid_argument("no axis has these windows");
        if (axis.size == 1) axis.dilation = 1;
        if (numbers.size() > 6) return take_table(numbers, axis);
        // One window: of such a stride that it has every element, as if it were a block.
        if (axis.coarse <= 1)
            axis.stride =
                std::max(axis.size, axis.fine + (axis.before < 0 ? -axis.before : axis.before));
        const int64_t last = (axis.coarse - 1) * axis.stride - axis.before;
        const int64_t extent = (axis.size - 1) * axis.dilation + 1;
        geometry.inside = geometry.inside &&
                          (axis.coarse == 0 || (axis.before <= 0 && last + extent <= axis.fine));
        divided = divided && axis.fine == axis.coarse * axis.size && axis.size == axis.stride &&
                  axis.before == 0 && axis.dilation == 1;
        nailed = nailed && axis.size == 1 && axis.before <= 0 &&
                 (axis.coarse == 0 || (-axis.before < axis.stride && last < axis.fine)) &&
                 floor_div(axis.fine - 1 + axis.before, axis.stride) < axis.coarse;
    }

    // Where each window starts, then how long it is.
    void take_table(const std::vector<int64_t>& numbers, Axis& axis) {
        if (numbers.size() != size_t(6 + 2 * axis.coarse))
            throw std::invalid_argument("a table has two numbers per window");
        const int64_t* start = tables.data() + tables.size();
        tables.insert(tables.end(), numbers.begin() + 6, numbers.end());
        axis.start = start;
        axis.length = start + axis.coarse;
        axis.stride = axis.dilation = 1;
        axis.before = 0;
        int64_t begin = 0, end = 0;  // of the window before
        for (int64_t o = 0; o < axis.coarse; ++o) {
            const int64_t first = axis.start[o], length = axis.length[o];
            if (first < begin || first > axis.fine || length < 0 || length > axis.fine - first ||
                length > axis.size || first + length < end)
                throw std::invalid_argument("no axis has these windows");
            begin = first, end = first + length;
            geometry.inside = geometry.inside && length == axis.size;
        }
        divided = nailed = false;
    }

    // Kernels add up, over the axes, how far each one's taps reach times the elements of all
    // others.
    void check_reach() const {
        int64_t total = 0;
        for (int axis = 0; axis < geometry.rank; ++axis) {
            const Axis& a = geometry.axes[axis];
            int64_t step = times(std::max<int64_t>(geometry.planes, 1), geometry.channels);
            for (int other = 0; other < geometry.rank; ++other) {
                const Axis& b = geometry.axes[other];
                if (other != axis)
                    step = times(step, std::max<int64_t>(1, std::max(b.fine, b.coarse)));
            }
            const int64_t far = times(step, reach_of(a));
            total += far;
            if (far == kMany || total >= 2 * kMany)
                throw std::invalid_argument("windows reach too far");
        }
    }
};

inline thread_local int threads_here = 0;  // of `with unsample.threads(n)`; 0: as everywhere
inline std::atomic<int> threads_everywhere{
    0};                                  // of set_num_threads; 0: as many as there are CPUs for us
inline std::atomic<int> quota{1 << 20};  // CPUs that the control group grants

inline int threads_now() {
    if (threads_here) return threads_here;
    if (const int n = threads_everywhere.load(std::memory_order_relaxed)) return n;
    const int cpus = usable_cpus(), granted = quota.load(std::memory_order_relaxed);
    return cpus < granted ? cpus : granted;
}

inline Workers workers_for(int64_t work, bool (*interrupted)()) {
    return work < SMALL_CONV ? Workers{1, nullptr} : Workers{threads_now(), interrupted};
}

// Run a kernel over an output of `elements` elements of `width` bytes in rows of `row`; `work` is
// how many bytes each of them stands for. Where that is much a work item is fewer of them, down to
// `least`. False where a switch pointed nowhere.
template <class Caller, class AnyJob>
bool run(Range kernel, AnyJob& job, int64_t elements, int64_t row, int64_t width, int64_t block,
         double work, int64_t least = COLUMNS) {
    if (elements == 0) return true;
    Report report{"", 0};
    job.report = &report;
    job.columns = block <= COLUMNS ? COLUMNS / block * block : COLUMNS;  // whole blocks
    if (work * double(job.columns) > PIECE)
        job.columns = std::min(job.columns, std::max(least, int64_t(PIECE / work)));
    job.stream = times(elements, width) >= STREAM;
    const int64_t items = elements / row * ((row + job.columns - 1) / job.columns);
    const double per_item = double(elements / items) * work + 1;
    if (double(items) * per_item < SMALL) {
        kernel(&job, 0, items);
    } else {
        const int64_t grain = per_item < CHUNK ? int64_t(CHUNK / per_item) : 1;
        Caller::run(kernel, &job, items, grain);
    }
    Caller::ran(report.target);
    return !report.bad;
}

inline int width_of(int64_t bytes) {
    for (int i = 0; i < WIDTHS; ++i)
        if (bytes == int64_t(1) << i) return i;
    throw std::invalid_argument("elements must have 1, 2, 4, 8 or 16 bytes");
}

inline int tap_of(int64_t bytes) {
    const int found = width_of(bytes);
    if (found >= TAPS) throw std::invalid_argument("switches must have 1, 2 or 4 bytes");
    return found;
}

constexpr int DTYPE_BYTES[DTYPES] = {4, 8, 2, 2, 1, 2, 4, 8, 1, 2, 4, 8};

inline int dtype_of(int64_t dtype) {
    if (dtype < 0 || dtype >= DTYPES) throw std::invalid_argument("no such dtype");
    return int(dtype);
}

template <class Caller, Range (Kernels::*TABLE)[WIDTHS], bool UP, bool SHUFFLE>
void move(const Plan& plan, HandleOf<Caller> x, HandleOf<Caller> out, int64_t bytes) {
    const Geometry& g = plan.geometry;
    const Axis& last = g.axes[g.rank - 1];
    const int64_t many = SHUFFLE ? plan.fine : UP ? plan.fine : plan.coarse;
    const int64_t few = SHUFFLE ? plan.fine : UP ? plan.coarse : plan.fine;
    const int width = width_of(bytes);
    if (!(SHUFFLE || TABLE == &Kernels::nearest ? plan.divided : plan.nailed))
        throw std::invalid_argument("no kernel moves like this");
    const MemoryOf<Caller> from(x, false, times(few, bytes)), to(out, true, times(many, bytes));
    Job job{nullptr, &g, from.data(), nullptr, to.data()};
    run<Caller>((current()->*TABLE)[width], job, many, UP ? last.fine : last.coarse, bytes,
                UP ? last.stride : 1, double(SHUFFLE ? 2 * bytes : bytes));
}

template <class Caller>
void pool(const Plan& plan, HandleOf<Caller> x, HandleOf<Caller> values, HandleOf<Caller> taps,
          int64_t dtype, int64_t tap_bytes) {
    const Geometry& g = plan.geometry;
    const int64_t width = DTYPE_BYTES[dtype_of(dtype)], row = g.axes[g.rank - 1].coarse;
    const MemoryOf<Caller> from(x, false, times(plan.fine, width)),
        to(values, true, times(plan.coarse, width));
    Job job{nullptr, &g, from.data(), nullptr, to.data()};
    const double work = 3.0 * double(width) * double(g.taps);
    if (Caller::absent(taps)) {
        run<Caller>(current()->pool_values[dtype], job, plan.coarse, row, width, 1, work, VECTOR);
        return;
    }
    const int tap = tap_of(tap_bytes);
    if (g.taps > int64_t(1) << 8 * tap_bytes)
        throw std::invalid_argument("switches cannot number these taps");
    const MemoryOf<Caller> which(taps, true, times(plan.coarse, tap_bytes));
    job.taps = which.data();
    // Windows of more than 256 taps are pooled one by one.
    run<Caller>(current()->pool[tap][dtype], job, plan.coarse, row, width, 1, work,
                tap_bytes == 1 ? VECTOR : 1);
}

// Windows that an element of the fine side belongs to, on average, where they overlap much.
inline double windows_of_one(const Geometry& g) {
    double windows = 1;
    for (int i = 0; i < g.rank && !g.tiles; ++i) {
        const Axis& a = g.axes[i];
        const double all = double(a.size) * double(a.coarse);
        windows *= std::max(1.0, std::floor(all / double(std::max<int64_t>(a.fine, 1))));
    }
    return windows;
}

// How unpooled values meet: the last one stays (and `dtype` is a width in bytes), sum, maximum.
enum Rule { LAST, SUM, MAX };

template <class Caller>
bool unpool(const Plan& plan, HandleOf<Caller> values, HandleOf<Caller> switches,
            HandleOf<Caller> out, int64_t dtype, int64_t tap_bytes, int rule) {
    const Geometry& g = plan.geometry;
    const Axis& last = g.axes[g.rank - 1];
    const int64_t width = rule == LAST ? dtype : DTYPE_BYTES[dtype_of(dtype)];
    const int tap = tap_of(tap_bytes), moved = width_of(width);
    const MemoryOf<Caller> from(values, false, times(plan.coarse, width)),
        to(out, true, times(plan.fine, width));
    const MemoryOf<Caller> which(switches, false, times(plan.coarse, tap_bytes));
    Job job{nullptr, &g, from.data(), which.data(), to.data()};
    const Kernels& k = *current();
    const Range kernel = rule == LAST  ? k.unpool[tap][moved]
                         : rule == SUM ? k.unpool_sum[tap][dtype]
                                       : k.unpool_max[tap][dtype];
    return run<Caller>(kernel, job, plan.fine, last.fine, width, last.stride,
                       3.0 * double(width) * windows_of_one(g));
}

template <class Caller>
bool gather(const Plan& plan, HandleOf<Caller> x, HandleOf<Caller> switches, HandleOf<Caller> out,
            int64_t width, int64_t tap_bytes) {
    const Geometry& g = plan.geometry;
    const int tap = tap_of(tap_bytes), moved = width_of(width);
    const MemoryOf<Caller> from(x, false, times(plan.fine, width)),
        to(out, true, times(plan.coarse, width));
    const MemoryOf<Caller> which(switches, false, times(plan.coarse, tap_bytes));
    Job job{nullptr, &g, from.data(), which.data(), to.data()};
    return run<Caller>(current()->gather[tap][moved], job, plan.coarse, g.axes[g.rank - 1].coarse,
                       width, 1, 12.0 * double(width));
}

template <class Caller>
void window_sum(const Plan& plan, HandleOf<Caller> y, HandleOf<Caller> out, int64_t dtype,
                int64_t out_bytes) {
    const Geometry& g = plan.geometry;
    const int64_t width = DTYPE_BYTES[dtype_of(dtype)];
    if (out_bytes != (dtype < 4 ? width : 8) || g.rank > 8 || !plan.divided)
        throw std::invalid_argument("no kernel sums like this");
    const MemoryOf<Caller> from(y, false, times(plan.fine, width)),
        to(out, true, times(plan.coarse, out_bytes));
    Job job{nullptr, &g, from.data(), nullptr, to.data()};
    run<Caller>(current()->window_sum[dtype], job, plan.coarse, g.axes[g.rank - 1].coarse,
                out_bytes, 1, 3.0 * double(width) * double(g.taps), VECTOR);
}

// One axis of a resize: which inputs make an output, with what weights; none for copies.
struct Terms {
    int64_t n, m, longest = 0, alike = 0, alike_end = 0, slots = 0;
    std::vector<int64_t> first, source, slot_source;
    std::vector<double> weights, slot_weights;
    std::vector<float> rounded, slot_rounded;

    Terms(int64_t n, int64_t m, std::vector<int64_t> starts, std::vector<int64_t> sources,
          std::vector<double> factors)
        : n(n),
          m(m),
          first(std::move(starts)),
          source(std::move(sources)),
          weights(std::move(factors)) {
        bool good = counts(m) && int64_t(first.size()) == m + 1 && first.front() == 0 &&
                    first.back() == int64_t(source.size()) && weights.size() == source.size();
        for (int64_t o = 0; good && o < m; ++o) {
            good = first[o + 1] >= first[o];
            longest = std::max(longest, first[o + 1] - first[o]);
        }
        for (const int64_t i : source) good = good && i >= 0 && i < n;
        if (!good) throw std::invalid_argument("no axis has these terms");
        rounded.assign(weights.begin(), weights.end());
        lay_out_slots();
    }

private:
    int64_t length(int64_t o) const { return first[o + 1] - first[o]; }

    // The longest run of outputs with as many terms each; at the border there are fewer.
    void lay_out_slots() {
        for (int64_t o = 0, begin = 0; o < m; ++o) {
            if (length(o) != length(begin)) begin = o;
            if (o + 1 - begin > alike_end - alike) alike = begin, alike_end = o + 1;
        }
        slots = alike < alike_end ? length(alike) : 0;
        if (slots > 16) alike_end = alike;
        if (alike == alike_end) return;
        slot_source.resize(slots * m);
        slot_weights.resize(slots * m);
        for (int64_t o = alike; o < alike_end; ++o) {
            for (int64_t slot = 0; slot < slots; ++slot) {
                slot_source[slot * m + o] = source[first[o] + slot];
                slot_weights[slot * m + o] = weights[first[o] + slot];
            }
        }
        slot_rounded.assign(slot_weights.begin(), slot_weights.end());
    }
};

template <class Caller>
void resize(const Terms& terms, HandleOf<Caller> x, HandleOf<Caller> out, int64_t outer,
            int64_t inner, int64_t width, bool copy) {
    if (!counts(outer) || !counts(inner)) throw std::invalid_argument("no array has this shape");
    const int64_t elements = times(times(outer, terms.m), inner);
    const int moved = width_of(width);
    const MemoryOf<Caller> from(x, false, times(times(times(outer, terms.n), inner), width));
    const MemoryOf<Caller> to(out, true, times(elements, width));
    const Kernels& k = *current();
    if (!copy && width != 4 && width != 8) throw std::invalid_argument("no kernel adds these");
    if (copy && int64_t(terms.source.size()) != terms.m)
        throw std::invalid_argument("a copy has one source");
    const Range kernel = copy ? k.pick[moved] : k.resize[width == 8];
    const bool wide = width == 8;
    ResizeJob job{
        nullptr,
        from.data(),
        to.data(),
        terms.n,
        terms.m,
        inner,
        terms.first.data(),
        terms.source.data(),
        wide ? static_cast<const void*>(terms.weights.data()) : terms.rounded.data(),
        terms.alike,
        terms.alike_end,
        terms.slots,
        terms.slot_source.data(),
        wide ? static_cast<const void*>(terms.slot_weights.data()) : terms.slot_rounded.data(),
        0,
        false,
    };
    run<Caller>(kernel, job, elements, inner == 1 ? terms.m : inner, width, 1,
                double(width) * (copy ? 1.0 : 3.0 * double(terms.longest)),
                inner == 1 ? 1 : VECTOR);
}

// How many bytes before the first element, and behind it, the elements of an array begin.
struct Spread {
    int64_t before = 0, behind = 0;

    void add(int64_t count, int64_t bytes) {  // an axis of elements so many bytes apart
        if (count > 1) (bytes < 0 ? before : behind) += (count - 1) * (bytes < 0 ? -bytes : bytes);
    }
    bool operator==(const Spread& other) const {
        return before == other.before && behind == other.behind;
    }
};

// A planned convolution, of either direction or of its weight's gradient.
template <class AnyPlan, bool (*plan_it)(const ConvShape&, const ConvKernels&, AnyPlan&)>
struct Convolution {
    AnyPlan plan;
    int64_t in_bytes, out_bytes, weight_bytes, bias_bytes;
    Spread in_spread, out_spread;

    Convolution(int element, bool transposed, int64_t batch, int64_t groups, int64_t in_channels,
                int64_t out_channels, const std::vector<std::vector<int64_t>>& axes,
                const std::vector<int64_t>& in_strides, const std::vector<int64_t>& out_strides) {
        const ConvKernels& kernels = *static_cast<const ConvKernels*>(current()->conv);
        const size_t rank = axes.size();
        if (!kernels.vector_bytes || element < 0 || element >= kElements || rank < 1 ||
            rank > size_t(kMaxRank) || in_strides.size() != rank + 2 ||
            out_strides.size() != rank + 2 || !counts(batch) || !counts(groups) || groups < 1 ||
            !counts(in_channels) || in_channels % groups || !counts(out_channels) ||
            out_channels % groups)
            throw std::invalid_argument("no plan has these axes");
        ConvShape shape{};
        shape.element = Element(element);
        shape.transposed = transposed;
        shape.rank = int64_t(rank);
        shape.batch = batch;
        shape.groups = groups;
        shape.in_channels = in_channels;
        shape.out_channels = out_channels;
        const int64_t width = DTYPE_BYTES[element];  // the floats come first there too
        in_bytes = times(times(batch, in_channels), width);
        out_bytes = times(times(batch, out_channels), width);
        weight_bytes = times(times(in_channels, out_channels / groups), width);
        bias_bytes = times(out_channels, width);
        for (size_t a = 0; a < rank; ++a) {
            if (axes[a].size() != 7) throw std::invalid_argument("an axis is seven numbers");
            shape.in_size[a] = axes[a][0];
            shape.out_size[a] = axes[a][1];
            shape.kernel[a] = axes[a][2];
            shape.stride[a] = axes[a][3];
            shape.dilation[a] = axes[a][4];
            shape.before[a] = axes[a][5];
            if (axes[a][6] < 0 || axes[a][6] > int64_t(Fold::replicate))
                throw std::invalid_argument("no padding is of this mode");
            shape.fold[a] = Fold(axes[a][6]);
            settle(shape, int64_t(a));
            in_bytes = times(in_bytes, shape.in_size[a]);
            out_bytes = times(out_bytes, shape.out_size[a]);
            weight_bytes = times(weight_bytes, shape.kernel[a]);
        }
        in_spread = take_strides(shape, in_channels, shape.in_size, in_strides, shape.in_strides);
        out_spread =
            take_strides(shape, out_channels, shape.out_size, out_strides, shape.out_strides);
        if (std::max({in_bytes, out_bytes, weight_bytes, bias_bytes}) > 8 * kArray)
            throw std::invalid_argument("no memory holds these arrays");
        if (!plan_it(shape, kernels, plan))
            throw std::invalid_argument("no plan fits the scratch memory");
    }

private:
    // More elements than an axis, and than an array, has in any memory.
    static constexpr int64_t kAxis = int64_t(1) << 40, kArray = int64_t(1) << 55;

    static Axis windows_of(const ConvShape& s, int64_t a) {
        const int64_t fine = s.transposed ? s.out_size[a] : s.in_size[a];
        const int64_t coarse = s.transposed ? s.in_size[a] : s.out_size[a];
        return {fine,          coarse,      s.kernel[a], s.stride[a],
                s.dilation[a], s.before[a], nullptr,     nullptr};
    }

    static void settle(ConvShape& s, int64_t a) {
        const Axis axis = windows_of(s, a);
        if (reach_of(axis) > kAxis) throw std::invalid_argument("windows reach too far");
        if (axis.size == 1) s.dilation[a] = 1;
        // One window: any stride is the same. On a way up it says how many neighbours have taps of
        // their own: as many as the window is long, so that none multiplies a zero.
        if (axis.coarse <= 1)
            s.stride[a] = s.transposed ? s.dilation[a] * (s.kernel[a] - 1) + 1 : 1;
    }

    // Steps are also taken over the padding, to addresses that are not read.
    static Spread take_strides(const ConvShape& s, int64_t channels, const int64_t* size,
                               const std::vector<int64_t>& given, int64_t* strides) {
        Spread spread;
        // Without elements there may be no address to step from.
        const bool empty =
            s.batch == 0 || channels == 0 || std::count(size, size + s.rank, int64_t(0)) > 0;
        for (int64_t a = 0; a < s.rank + 2; ++a) {
            const int64_t count = a == 0 ? s.batch : a == 1 ? channels : size[a - 2];
            int64_t outside = 0;
            if (a >= 2) {
                const Axis axis = windows_of(s, a - 2);
                const int64_t extent = axis.dilation * (axis.size - 1) + 1;
                const int64_t end = (axis.coarse - 1) * axis.stride + extent - axis.before;
                outside = extent + std::abs(axis.before) + std::abs(end - axis.fine);
            }
            int64_t step = given[size_t(a)];
            const int64_t size_of_step = step < -kMany ? kMany : std::abs(step);
            if (times(size_of_step, count) > kArray || times(size_of_step, outside) > kAxis) {
                if (count > 1) throw std::invalid_argument("strides reach too far");
                step = 0;  // it is not taken, so that it may be any number
            }
            strides[a] = empty ? 0 : step;
            spread.add(count, strides[a] * DTYPE_BYTES[int(s.element)]);
        }
        return spread;
    }
};
typedef Convolution<ConvPlan, plan_conv> Conv;
typedef Convolution<WeightGradPlan, plan_weight_grad> WeightGrad;

}  // namespace unsample
