// Every call with numbers of all sizes, up to those that no product may be made of: either its plan
// is refused, or the result is that of plain loops, whose sums are 128 bits wide.
#pragma once
#include <memory>

#include "../conv/call.h"
#include "../conv/convolution.h"
#include "../move/calls.h"
#include "check.h"

namespace {

__extension__ typedef __int128 Whole;

int64_t planned = 0, refused = 0;

int64_t wild() {
    switch (draw(0, 9)) {
        case 0:
            return (int64_t(1) << draw(0, 62)) + draw(-1, 1);
        case 1:
            return INT64_MAX - draw(0, 2);
        case 2:
            return draw(0, 1) ? -draw(1, 9) : INT64_MIN + draw(0, 2);
        case 3:
            return draw(0, 1) ? draw(100, 5000) : draw(int64_t(1) << 31, int64_t(1) << 33);
        default:
            return draw(1, 5);
    }
}

struct Numbered {
    std::vector<int64_t> numbers;
    int64_t fine, coarse, size, stride, dilation, before;
    std::vector<int64_t> start, length;

    bool mild = true;  // so small that a refusal is a fault

    // Which tap of window o meets element p; -1: none.
    Whole tap(int64_t o, int64_t p) const {
        if (!start.empty()) {
            const int64_t t = p - start[size_t(o)];
            return t >= 0 && t < length[size_t(o)] ? t : -1;
        }
        const Whole at = Whole(p) + before - Whole(o) * stride;
        return at >= 0 && at % dilation == 0 && at / dilation < size ? at / dilation : -1;
    }
};

// `fine` elements, and windows that often reach them, however long their steps.
Numbered windows_of(int64_t fine, int64_t coarse, bool small_kernel) {
    Numbered a;
    a.fine = fine, a.coarse = coarse;
    a.size = small_kernel || draw(0, 1) ? draw(1, 4) : wild();
    a.stride = wild(), a.dilation = wild();
    const Whole first = Whole(draw(0, 3)) * a.stride + Whole(draw(0, 3)) * a.dilation - draw(0, 4);
    const bool fits = draw(0, 3) && first > INT64_MIN && first < INT64_MAX;
    a.before = fits ? int64_t(first) : draw(0, 1) ? wild() : draw(-2, 2);
    a.numbers = {a.fine, a.coarse, a.size, a.stride, a.dilation, a.before};
    const int64_t most = 1 << 16;
    for (const int64_t each : {a.size, a.stride, a.dilation})
        a.mild = a.mild && each >= 1 && each <= most;
    a.mild = a.mild && a.before >= -most && a.before <= most;
    return a;
}

struct Handled {
    void* data;
    int64_t bytes;
    bool given = true;
};

// A caller whose memory is checked as Python's is.
struct Checked {
    using Handle = Handled;
    struct Memory {
        void* at;
        Memory(Handle given, bool, int64_t bytes) : at(given.data) {
            if (given.bytes != bytes) throw std::invalid_argument("other bytes than planned");
        }
        void* data() const { return at; }
    };
    static bool absent(Handle handle) { return !handle.given; }
    static void run(Range kernel, const void* job, int64_t items, int64_t grain) {
        parallel(kernel, job, items, grain, 2, [] { return false; });
    }
    static void ran(const char*) {}
};

template <class T>
Handled handle(Array<T>& array) {
    return {array.data, array.size * int64_t(sizeof(T))};
}

// Call, and whether it was let through; what is refused must have been wild.
template <class Call>
bool let(const char* what, bool mild, Call call) {
    try {
        call();
        ++planned;
        return true;
    } catch (const std::invalid_argument& error) {
        ++refused;
        if (mild && ++failures < 20) printf("%s refused: %s\n", what, error.what());
        return false;
    } catch (const std::bad_alloc&) {  // a table for windows as wild as these
        ++refused;
        if (mild && ++failures < 20) printf("%s had no memory\n", what);
        return false;
    }
}

// Elements, windows and taps of some axes, numbered in C order.
struct Space {
    std::vector<Numbered> axes;

    int64_t elements() const {
        int64_t n = 1;
        for (const Numbered& a : axes) n *= a.fine;
        return n;
    }
    int64_t windows() const {
        int64_t n = 1;
        for (const Numbered& a : axes) n *= a.coarse;
        return n;
    }
    // The number of the tap by which window o meets element p; -1: none.
    Whole tap(int64_t o, int64_t p) const {
        Whole number = 0, scale = 1;
        for (size_t i = axes.size(); i-- > 0; scale *= axes[i].size) {
            const Numbered& a = axes[i];
            const Whole t = a.tap(o % a.coarse, p % a.fine);
            if (t < 0) return -1;
            number += t * scale;
            o /= a.coarse, p /= a.fine;
        }
        return number;
    }
    bool mild() const {
        bool all = true;
        Whole taps = 1;
        for (const Numbered& a : axes) all = all && a.mild, taps *= all ? a.size : 1;
        return all && taps <= 1 << 16;
    }
    std::vector<std::vector<int64_t>> numbers() const {
        std::vector<std::vector<int64_t>> found;
        for (const Numbered& a : axes) found.push_back(a.numbers);
        return found;
    }
};

template <class T, class Tap>
void wild_windows(const Kernels& k, int dtype) {
    Space space;
    const int64_t planes = draw(0, 9) ? draw(1, 2) : wild();
    const bool single = draw(0, 3) == 0;
    for (int64_t rank = draw(1, 3), axis = 0; axis < rank; ++axis) {
        Numbered a = windows_of(draw(0, 19) ? draw(1, 9) : 0, single ? 1 : draw(0, 4), false);
        if (draw(0, 7) == 0) {  // a table, now and then of windows outside
            for (int64_t o = 0; o < a.coarse; ++o) a.start.push_back(draw(0, a.fine));
            std::sort(a.start.begin(), a.start.end());
            int64_t end = 0;
            for (const int64_t first : a.start) {
                end = draw(std::max(first, end), std::max(a.fine, end));
                a.length.push_back(end - first);
            }
            a.size = a.fine + 1;
            a.numbers = {a.fine, a.coarse, a.size, 1, 1, 0};
            if (a.coarse && draw(0, 3) == 0) {
                (draw(0, 1) ? a.start : a.length)[size_t(draw(0, a.coarse - 1))] = wild();
                a.mild = false;
            } else {
                a.mild = true;
            }
            a.numbers.insert(a.numbers.end(), a.start.begin(), a.start.end());
            a.numbers.insert(a.numbers.end(), a.length.begin(), a.length.end());
        }
        space.axes.push_back(a);
    }
    const int64_t some = planes >= 0 && planes <= 2 ? planes : 1;
    const int64_t elements = space.elements(), windows = space.windows();
    Array<T> x(some * elements, draw(0, 9)), values(some * windows, 0), alone(some * windows, 0),
        up(some * elements, 0), down(some * windows, 0);
    Array<Tap> taps(some * windows, 0);
    std::unique_ptr<Plan> plan;
    const bool mild = space.mild() && some == planes;
    if (!let("a plan", mild, [&] {
            plan.reset(new Plan(planes, space.numbers(), 1, false, draw(0, 1), draw(0, 1)));
        }))
        return;
    std::vector<T> best(size_t(values.size));
    std::vector<Tap> winner(size_t(values.size));
    std::vector<int64_t> where(size_t(values.size), -1);
    for (int64_t o = 0; o < values.size; ++o) {
        for (int64_t p = o / windows * elements; p < (o / windows + 1) * elements; ++p) {
            const Whole t = space.tap(o % windows, p % elements);
            if (t < 0 || (where[size_t(o)] >= 0 && !(x[p] > best[size_t(o)]))) continue;
            best[size_t(o)] = x[p], winner[size_t(o)] = Tap(t), where[size_t(o)] = p;
        }
    }
    const bool narrow = mild && plan->geometry.taps <= 256;
    if (let("a pool", mild,
            [&] { pool<Checked>(*plan, handle(x), handle(alone), {nullptr, 0, false}, dtype, 1); }))
        same("wild pool of values", k.name, alone, best);
    if (!let("a pool with switches", narrow, [&] {
            pool<Checked>(*plan, handle(x), handle(values), handle(taps), dtype, sizeof(Tap));
        }))
        return;
    same("wild pool", k.name, values, best);
    same("wild pool's switches", k.name, taps, winner);

    // Switches of the pool where every window has one, and others.
    if (draw(0, 2) == 0)
        for (int64_t o = 0; o < taps.size; ++o)
            if (draw(0, 2) == 0) taps[o] = Tap(wild());
    bool good = true;
    std::vector<T> placed(size_t(x.size)), found(size_t(values.size));
    for (int64_t o = 0; o < values.size; ++o) {
        int64_t at = -1;
        for (int64_t p = o / windows * elements; p < (o / windows + 1) * elements; ++p)
            if (space.tap(o % windows, p % elements) == Whole(taps[o])) at = p;
        good = good && at >= 0;
        if (at < 0) continue;
        found[size_t(o)] = x[at];
        placed[size_t(at)] = values[o];
    }
    bool said = false;
    if (let("a gather", narrow, [&] {
            said = gather<Checked>(*plan, handle(x), handle(taps), handle(down), sizeof(T),
                                   sizeof(Tap));
        })) {
        failures += said != good;
        same("wild gather", k.name, down, found);
    }
    // Where there are no elements nothing is asked for, and no switch looked at.
    if (x.size == 0) return;
    if (let("an unpool", narrow, [&] {
            said = unpool<Checked>(*plan, handle(values), handle(taps), handle(up), sizeof(T),
                                   sizeof(Tap), LAST);
        }))
        if (good) same("wild unpool", k.name, up, placed);
}

void wild_moves(const Kernels& k) {
    Space space;
    bool mild = true, divided = true, nailed = true;
    const bool nails = draw(0, 1);
    for (int64_t rank = draw(1, 3), axis = 0; axis < rank; ++axis) {
        Numbered a;
        a.coarse = draw(0, 4);
        a.size = a.stride = wild();
        a.dilation = draw(0, 9) ? 1 : wild();
        const bool known = a.stride >= 1 && a.stride <= 9;
        const int64_t f = known ? a.stride : draw(1, 9), nail = nails ? draw(0, f - 1) : 0;
        a.fine = nails && a.coarse ? draw((a.coarse - 1) * f + nail + 1, a.coarse * f + nail)
                                   : a.coarse * f;
        a.before = draw(0, 19) ? -nail : wild();
        if (draw(0, 19) == 0) a.fine = draw(0, 20);
        if (nails) a.size = 1;
        if (draw(0, 4) == 0 && a.coarse <= 1) a.stride = wild();
        a.numbers = {a.fine, a.coarse, a.size, a.stride, a.dilation, a.before};
        const bool valid =
            a.size >= 1 && a.stride >= 1 && (a.dilation == 1 || (a.size == 1 && a.dilation >= 1));
        mild = mild && valid && a.stride <= 9 && a.size <= 9 && a.before > -99 && a.before < 99;
        divided = divided && valid && a.before == 0 && Whole(a.fine) == Whole(a.coarse) * a.size &&
                  (a.coarse <= 1 || a.stride == a.size);
        // One element of every block, and no element behind the last block.
        const Whole at = -Whole(a.before), last = Whole(a.coarse - 1) * a.stride + at;
        nailed = nailed && valid && a.size == 1 && at >= 0 &&
                 (a.coarse == 0 ? a.fine <= at
                                : last < a.fine && (a.coarse == 1 ||
                                                    (at < a.stride && a.fine <= last + a.stride)));
        space.axes.push_back(a);
    }
    const int64_t elements = space.elements(), windows = space.windows();
    std::unique_ptr<Plan> plan;
    if (!let("a plan of moves", mild && (nails ? nailed : divided),
             [&] { plan.reset(new Plan(2, space.numbers(), 1, false, true, true)); }))
        return;
    Array<uint16_t> small(2 * windows, draw(0, 9)), large(2 * elements, draw(0, 9)),
        back(2 * windows, 0);
    Array<double> y(2 * elements, 0), sum(2 * windows, 0);
    std::vector<uint16_t> stamped(size_t(large.size)), pulled(size_t(small.size));
    std::vector<double> sums(size_t(sum.size));
    for (int64_t o = 0; o < small.size; ++o)
        for (int64_t p = o / windows * elements; p < (o / windows + 1) * elements; ++p) {
            if (space.tap(o % windows, p % elements) < 0) continue;
            stamped[size_t(p)] = small[o];
            pulled[size_t(o)] = large[p];
            sums[size_t(o)] += y[p];
        }
    // Memory of another size is refused, whatever the plan.
    const bool done = let("nearest", false, [&] {
        move<Checked, &Kernels::nearest, true, false>(*plan, handle(small), handle(back), 2);
    });
    failures += done && elements != windows;
    if (let("nearest", mild && divided, [&] {
            Array<uint16_t> out(large.size, 0);
            move<Checked, &Kernels::nearest, true, false>(*plan, handle(small), handle(out), 2);
            same("wild nearest", k.name, out, stamped);
        }))
        failures += !divided;
    if (let("window sum", mild && divided, [&] {
            window_sum<Checked>(*plan, handle(y), handle(sum), 1, 8);
            same("wild window sum", k.name, sum, sums);
        }))
        failures += !divided;
    if (let("nails", mild && nailed, [&] {
            Array<uint16_t> out(large.size, 0);
            move<Checked, &Kernels::nails, true, false>(*plan, handle(small), handle(out), 2);
            same("wild nails", k.name, out, stamped);
            move<Checked, &Kernels::decimate, false, false>(*plan, handle(large), handle(back), 2);
            same("wild decimate", k.name, back, pulled);
        }))
        failures += !nailed;
    let("no such width", false, [&] {
        move<Checked, &Kernels::nails, true, false>(*plan, handle(small), handle(large), wild());
    });
}

void wild_resize(const Kernels& k) {
    const int64_t n = draw(0, 5), m = draw(0, 5), outer = draw(0, 2) ? draw(0, 3) : wild(),
                  inner = draw(0, 2) ? draw(0, 3) : wild();
    std::vector<int64_t> first{0}, source;
    std::vector<double> weights;
    for (int64_t o = 0; o < m; ++o) {
        if (n) source.push_back(draw(0, n - 1)), weights.push_back(double(draw(-2, 2)));
        first.push_back(int64_t(source.size()));
    }
    let("terms", false, [&] { Terms(wild(), wild(), first, source, weights); });
    std::unique_ptr<Terms> terms;
    if (!let("terms", true, [&] { terms.reset(new Terms(n, m, first, source, weights)); })) return;
    const bool mild = outer >= 0 && outer <= 3 && inner >= 0 && inner <= 3;
    const int64_t a = mild ? outer : draw(0, 3), b = mild ? inner : draw(0, 3);
    Array<double> x(a * n * b, 0), out(a * m * b, 0);
    std::vector<double> expected(size_t(out.size));
    if (n && mild)
        for (int64_t i = 0; i < out.size; ++i) {
            const int64_t o = i / b % m;
            expected[size_t(i)] =
                weights[size_t(o)] * x[(i / b / m * n + source[size_t(o)]) * b + i % b];
        }
    if (let("resize", mild,
            [&] { resize<Checked>(*terms, handle(x), handle(out), outer, inner, 8, false); }) &&
        mild)
        same("wild resize", k.name, out, expected);
}

// What stands for position p of an axis with padding; -1: a zero.
int64_t folded_of(Whole p, int64_t size, int64_t fold) {
    if (p >= 0 && p < size) return int64_t(p);
    if (fold == 0 || size == 0) return -1;
    if (fold == 1) return int64_t((p % size + size) % size);
    if (fold == 3) return p < 0 ? 0 : size - 1;
    if (size == 1) return 0;
    const Whole period = 2 * (size - 1), j = (p % period + period) % period;
    return int64_t(j < size ? j : period - j);
}

template <class T>
void wild_convolutions(const Kernels& k, int element) {
    if (!static_cast<const ConvKernels*>(k.conv)->vector_bytes) return;
    const int64_t rank = draw(1, 3), groups = draw(0, 2) ? 1 : draw(2, 20);
    const int64_t fold = draw(0, 2) ? 0 : draw(0, 3);
    const int64_t c_x = draw(0, 9) ? draw(1, 9) : 0, c_y = draw(0, 9) ? draw(1, 20) : 0;
    const int64_t batch = draw(0, 9) ? draw(1, 2) : 0;
    std::vector<Numbered> axes;
    std::vector<int64_t> fine_strides(size_t(rank) + 2), coarse_strides(size_t(rank) + 2);
    int64_t fine = 1, coarse = 1, taps = 1;
    bool mild = true;
    for (int64_t a = 0; a < rank; ++a) {
        Numbered axis = windows_of(rank == 1 && draw(0, 9) == 0 ? draw(1, 9000) : draw(0, 6),
                                   draw(0, 2) ? draw(0, 4) : 1, true);
        axis.numbers.push_back(fold);
        taps *= axis.size;
        // A tile of scratch memory holds what is between the taps too.
        mild = mild && axis.mild && axis.stride <= 4 && axis.dilation <= 4;
        axes.push_back(axis);
    }
    for (int64_t a = rank - 1; a >= 0; --a) {
        fine_strides[size_t(a) + 2] = fine, coarse_strides[size_t(a) + 2] = coarse;
        fine *= axes[size_t(a)].fine, coarse *= axes[size_t(a)].coarse;
        if (axes[size_t(a)].fine == 1 && draw(0, 3) == 0) fine_strides[size_t(a) + 2] = wild();
        if (axes[size_t(a)].coarse == 1 && draw(0, 3) == 0) coarse_strides[size_t(a) + 2] = wild();
    }
    fine_strides[1] = fine, fine_strides[0] = fine * c_x * groups;
    coarse_strides[1] = coarse, coarse_strides[0] = coarse * c_y * groups;
    Array<T> x(batch * groups * c_x * fine, 0), y(batch * groups * c_y * coarse, 0),
        w(groups * c_y * c_x * taps, 0);
    std::vector<T> down(size_t(y.size)), up(size_t(x.size)), grad(size_t(w.size));
    // Every window with every tap.
    for (int64_t o = 0; o < coarse; ++o)
        for (int64_t t = 0; t < taps; ++t) {
            int64_t at = 0, scale = 1, rest_o = o, rest_t = t;
            bool zero = false, inside = true;
            for (int64_t a = rank - 1; a >= 0; --a) {
                const Numbered& axis = axes[size_t(a)];
                const Whole p = Whole(rest_o % axis.coarse) * axis.stride +
                                Whole(rest_t % axis.size) * axis.dilation - axis.before;
                const int64_t i = folded_of(p, axis.fine, fold);
                zero = zero || i < 0;
                inside = inside && p >= 0 && p < axis.fine;
                at += i * scale;
                scale *= axis.fine;
                rest_o /= axis.coarse, rest_t /= axis.size;
            }
            if (zero) continue;
            for (int64_t n = 0; n < batch; ++n)
                for (int64_t c = 0; c < groups * c_y; ++c)
                    for (int64_t i = 0; i < c_x; ++i) {
                        const int64_t from = ((n * groups + c / c_y) * c_x + i) * fine + at;
                        const int64_t to = (n * groups * c_y + c) * coarse + o;
                        const size_t weight = size_t((c * c_x + i) * taps + t);
                        down[size_t(to)] += w.data[weight] * x[from];
                        if (inside) up[size_t(from)] += w.data[weight] * y[to];
                        grad[weight] += x[from] * y[to];
                    }
        }
    const Workers workers{2, [] { return false; }};
    const char* ran = "";
    for (const bool transposed : {false, true}) {
        std::vector<std::vector<int64_t>> numbers;
        for (const Numbered& a : axes) {
            numbers.push_back(a.numbers);
            if (transposed) std::swap(numbers.back()[0], numbers.back()[1]);
        }
        const auto &in = transposed ? coarse_strides : fine_strides,
                   &out = transposed ? fine_strides : coarse_strides;
        Array<T> result(transposed ? x.size : y.size, 0);
        if (let("a convolution", mild, [&] {
                const Conv conv(element, transposed, batch, groups,
                                groups * (transposed ? c_y : c_x),
                                groups * (transposed ? c_x : c_y), numbers, in, out);
                if (conv.in_bytes != (transposed ? y.size : x.size) * int64_t(sizeof(T)) ||
                    conv.out_bytes != result.size * int64_t(sizeof(T)) ||
                    conv.weight_bytes != w.size * int64_t(sizeof(T)))
                    ++failures;
                run_conv(conv.plan,
                         {transposed ? y.data : x.data, w.data, nullptr, nullptr, result.data},
                         workers, &ran);
            }))
            same(transposed ? "wild conv_transpose" : "wild conv", k.name, result,
                 transposed ? up : down);
        if (transposed) continue;
        Array<T> weight(w.size, 0);
        if (let("a gradient", mild, [&] {
                const WeightGrad conv(element, false, batch, groups, groups * c_x, groups * c_y,
                                      numbers, in, out);
                run_weight_grad(conv.plan, x.data, y.data, weight.data, workers, &ran);
            }))
            same("wild conv_weight_grad", k.name, weight, grad);
    }
    // Other numbers that are none of an axis.
    let("no convolution", false, [&] {
        const int64_t a = wild(), b = wild();
        std::vector<std::vector<int64_t>> some(size_t(rank),
                                               {2, 2, wild(), wild(), wild(), wild(), wild()});
        if (draw(0, 1)) some[0][size_t(draw(0, 1))] = wild() % 65536;
        Conv(int(draw(-1, 4)), draw(0, 1), draw(0, 1) ? a : 1, draw(0, 1) ? b : 1,
             draw(0, 1) ? wild() : 2, draw(0, 1) ? wild() : 2, some, fine_strides, coarse_strides);
    });
}

// One round of everything; small numbers among the large ones.
void numbers(const Kernels& k) {
    use(k.name);
    wild_windows<float, uint32_t>(k, 0);
    wild_windows<double, uint8_t>(k, 1);
    wild_windows<int16_t, uint16_t>(k, 5);
    wild_windows<uint8_t, uint8_t>(k, 8);
    wild_moves(k);
    wild_resize(k);
    wild_convolutions<float>(k, 0);
    wild_convolutions<double>(k, 1);
}

}  // namespace
