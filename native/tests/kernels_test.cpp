// Every kernel of every tier against plain loops, over random geometries, in memory of exactly the
// size: built with sanitizers (`make sanitize`) it shows that nothing outside is read or written.
#include <algorithm>
#include <cstdlib>
#include <limits>
#include <new>

#include "../targets.h"
#include "../threads/threads.h"
#include "check.h"
#include "convolutions.h"
#include "numbers.h"

namespace {

struct Case {
    Geometry g{};
    std::vector<int64_t> tables;
    int64_t fine = 1, coarse = 1;

    void finish() {
        g.taps = 1;
        fine = coarse = g.planes * g.channels;
        for (int axis = 0; axis < g.rank; ++axis) {
            g.taps *= g.axes[axis].size;
            fine *= g.axes[axis].fine;
            coarse *= g.axes[axis].coarse;
        }
    }

    // Now and then with the channels last, more than a piece of a row holds where there is room.
    void lay_out() {
        finish();
        g.last = draw(0, 2) == 0;
        const int64_t room = std::max<int64_t>(1, 60000 / std::max(fine, coarse));
        if (g.last) g.channels = draw(1, std::min<int64_t>(draw(0, 3) ? 40 : 700, room));
        finish();
    }
    int64_t row(int64_t positions) const { return positions * g.inner(); }
    // Pieces of a row need not be whole blocks, nor whole positions, where the channels lie last.
    int64_t block(int64_t factor) const { return g.last ? draw(1, 40) : factor; }
};

Case blocks(bool nails) {
    Case c;
    c.g.rank = int(draw(1, 3));
    c.g.planes = draw(0, 9) ? draw(1, 3) : 40;  // so much that a Writer flushes more than once
    c.g.channels = 1;
    c.g.tiles = c.g.inside = true;
    const bool long_blocks = draw(0, 19) == 0;  // longer than a piece of a row
    for (int axis = 0; axis < c.g.rank; ++axis) {
        const bool last = axis == c.g.rank - 1;
        const int64_t f = last && long_blocks ? draw(500, 1100) : draw(1, last ? 5 : 3),
                      nail = nails ? draw(0, f - 1) : 0;
        const int64_t m = last && !long_blocks ? draw(1, 70) : draw(1, 4);
        const int64_t n = nails ? draw((m - 1) * f + nail + 1, m * f + nail) : m * f;
        c.g.axes[axis] = {n, m, nails ? 1 : f, f, 1, -nail, nullptr, nullptr};
    }
    c.lay_out();
    return c;
}

Case windows() {
    Case c;
    c.g.rank = int(draw(1, 3));
    c.g.planes = draw(1, 3);
    c.g.channels = 1;
    c.g.tiles = c.g.inside = true;
    c.tables.reserve(1000);
    const bool adaptive = draw(0, 4) == 0, common = draw(0, 1) == 0;
    for (int axis = 0; axis < c.g.rank; ++axis) {
        Axis& a = c.g.axes[axis];
        const int64_t n = axis == c.g.rank - 1 ? draw(4, 150) : draw(4, 9);
        if (adaptive) {
            const int64_t m = draw(1, n + 3);
            int64_t longest = 0;
            const int64_t* start = c.tables.data() + c.tables.size();
            for (int64_t o = 0; o < m; ++o) c.tables.push_back(o * n / m);
            for (int64_t o = 0; o < m; ++o) {
                c.tables.push_back(((o + 1) * n + m - 1) / m - o * n / m);
                longest = std::max(longest, c.tables.back());
            }
            a = {n, m, longest, 1, 1, 0, start, start + m};
            c.g.inside = c.g.tiles = false;
            continue;
        }
        const int64_t k = common ? draw(2, 3) : draw(1, 4), s = common ? 2 : draw(1, 4);
        const int64_t d = common || k > 2 ? 1 : draw(1, 3), extent = d * (k - 1) + 1;
        const int64_t before = draw(0, 1) ? draw(0, extent / 2) : 0;
        const int64_t after = draw(0, 1) ? draw(0, extent / 2) : 0;
        if (extent > n) {
            --axis;
            continue;
        }
        a = {n, (n + before + after - extent) / s + 1, k, s, d, before, nullptr, nullptr};
        c.g.inside = c.g.inside && before == 0 && (a.coarse - 1) * s + extent <= n;
        c.g.tiles = c.g.tiles && d == 1 && k <= s;
    }
    c.lay_out();
    return c;
}

// The elements under the taps of window `o` of the coarse side (flat), by tap number; -1: none.
std::vector<int64_t> under(const Case& c, int64_t o) {
    const Geometry& g = c.g;
    std::vector<int64_t> at(size_t(g.rank)), found;
    const int64_t channel = o % g.inner();
    int64_t plane = o / g.inner();
    for (int axis = g.rank - 1; axis >= 0; --axis) {
        at[size_t(axis)] = plane % g.axes[axis].coarse;
        plane /= g.axes[axis].coarse;
    }
    for (int64_t number = 0; number < g.taps; ++number) {
        int64_t rest = number, element = 0, stride = 1;
        bool inside = true;
        for (int axis = g.rank - 1; axis >= 0; --axis) {
            const Axis& a = g.axes[axis];
            const int64_t t = rest % a.size, w = at[size_t(axis)];
            const int64_t p = a.first(w) + t * a.dilation;
            rest /= a.size;
            inside = inside && p >= 0 && p < a.fine && t < a.taps(w);
            element += p * stride;
            stride *= a.fine;
        }
        found.push_back(inside ? (plane * stride + element) * g.inner() + channel : -1);
    }
    return found;
}

Report run(Range kernel, Job job, int64_t elements, int64_t row, int64_t block) {
    Report report{"", 0};
    job.report = &report;
    const int64_t most = draw(0, 3) ? 512 : 16;
    job.columns = block <= most ? most / block * block : block <= 512 ? block : 512;
    job.stream = draw(0, 1);
    const int64_t items = elements / row * ((row + job.columns - 1) / job.columns);
    if (!parallel(kernel, &job, items, draw(1, 5), int(draw(1, 3)), [] { return false; })) abort();
    return report;
}

template <class T>
void moves(const Kernels& k, int width) {
    Case c = blocks(false);
    const int64_t f_last = c.g.axes[c.g.rank - 1].stride, offset = draw(0, 9);
    const Axis& along = c.g.axes[c.g.rank - 1];
    Array<T> small(c.coarse, offset), large(c.fine, offset);
    std::vector<T> expected(size_t(c.fine));
    for (int64_t o = 0; o < c.coarse; ++o)
        for (const int64_t p : under(c, o)) expected[size_t(p)] = small[o];
    run(k.nearest[width], {nullptr, &c.g, small.data, nullptr, large.data}, c.fine,
        c.row(along.fine), c.block(f_last));
    same("nearest", k.name, large, expected);

    // Shuffle: plane and tap change places.
    const int64_t plane = c.coarse / c.g.planes / c.g.channels;
    c.g.channels = draw(1, 3);
    c.g.blocks = draw(0, 1);
    c.finish();
    Array<T> channels(c.fine, offset), image(c.fine, offset), back(c.fine, offset);
    expected.assign(size_t(c.fine), T{});
    for (int64_t o = 0; o < c.coarse; ++o) {
        const auto elements = under(c, o);
        const int64_t n = o / plane / c.g.channels;
        const int64_t ch = c.g.last ? o % c.g.channels : o / plane % c.g.channels;
        for (int64_t t = 0; t < c.g.taps; ++t) {
            const int64_t group = c.g.blocks ? t * c.g.channels + ch : ch * c.g.taps + t;
            const int64_t from = c.g.last
                                     ? o / c.g.channels * c.g.channels * c.g.taps + group
                                     : (n * c.g.channels * c.g.taps + group) * plane + o % plane;
            expected[size_t(elements[size_t(t)])] = channels[from];
        }
    }
    run(k.shuffle[width], {nullptr, &c.g, channels.data, nullptr, image.data}, c.fine,
        c.row(along.fine), c.block(f_last));
    same("shuffle", k.name, image, expected);
    run(k.unshuffle[width], {nullptr, &c.g, image.data, nullptr, back.data}, c.fine,
        along.coarse * (c.g.last ? c.g.channels * c.g.taps : 1), 1);
    same("unshuffle", k.name, back, std::vector<T>(channels.data, channels.data + c.fine));

    Case n = blocks(true);
    Array<T> nails(n.coarse, offset), bed(n.fine, offset), pulled(n.coarse, offset);
    expected.assign(size_t(n.fine), T{});
    for (int64_t o = 0; o < n.coarse; ++o) expected[size_t(under(n, o)[0])] = nails[o];
    const Axis& last = n.g.axes[n.g.rank - 1];
    run(k.nails[width], {nullptr, &n.g, nails.data, nullptr, bed.data}, n.fine, n.row(last.fine),
        n.block(last.stride));
    same("nails", k.name, bed, expected);
    run(k.decimate[width], {nullptr, &n.g, bed.data, nullptr, pulled.data}, n.coarse,
        n.row(last.coarse), 1);
    same("decimate", k.name, pulled, std::vector<T>(nails.data, nails.data + n.coarse));
}

template <class T, class Tap>
void pools(const Kernels& k, int dtype, int width, int tap) {
    Case c = windows();
    const Axis& last = c.g.axes[c.g.rank - 1];
    const int64_t offset = draw(0, 9);
    Array<T> x(c.fine, offset), values(c.coarse, offset), alone(c.coarse, offset);
    Array<T> up(c.fine, offset), down(c.coarse, offset);
    Array<Tap> taps(c.coarse, offset);
    if (std::numeric_limits<T>::has_quiet_NaN && draw(0, 3) == 0)
        for (int64_t i = draw(0, 5); i < c.fine; i += draw(1, 9))
            x[i] = std::numeric_limits<T>::quiet_NaN();
    std::vector<T> best;
    std::vector<Tap> winner;
    std::vector<int64_t> where;
    for (int64_t o = 0; o < c.coarse; ++o) {
        int64_t won = -1, number = 0, element = 0;
        for (const int64_t p : under(c, o)) {
            const bool wins = p >= 0 && (won < 0 || x[p] > x[element] || x[p] != x[p]);
            if (wins) won = number, element = p;
            ++number;
        }
        best.push_back(x[element]);
        winner.push_back(Tap(won));
        where.push_back(element);
    }
    const int64_t fine_row = c.row(last.fine), coarse_row = c.row(last.coarse);
    run(k.pool[tap][dtype], {nullptr, &c.g, x.data, nullptr, values.data, taps.data}, c.coarse,
        coarse_row, 1);
    same("pool", k.name, values, best);
    same("pool's switches", k.name, taps, winner);
    run(k.pool_values[dtype], {nullptr, &c.g, x.data, nullptr, alone.data}, c.coarse, coarse_row,
        1);
    same("pool of values", k.name, alone, best);

    // Other values than those pooled: where windows meet, it shows which of them stays.
    std::vector<T> placed(size_t(c.fine)), added(size_t(c.fine)), largest(size_t(c.fine));
    std::vector<bool> met(size_t(c.fine));
    Array<T> other(c.coarse, offset);
    for (int64_t o = 0; o < c.coarse; ++o) {
        const size_t p = size_t(where[size_t(o)]);
        placed[p] = other[o];
        added[p] = T(added[p] + other[o]);
        if (!met[p] || other[o] > largest[p]) largest[p] = other[o];
        met[p] = true;
    }
    const Job job{nullptr, &c.g, other.data, taps.data, up.data};
    // Whole blocks too, which have a way of their own.
    const int64_t block = draw(0, 1) ? last.stride * c.g.inner() : c.block(last.stride);
    failures += run(k.unpool[tap][width], job, c.fine, fine_row, block).bad;
    same("unpool", k.name, up, placed);
    failures += run(k.unpool_sum[tap][dtype], job, c.fine, fine_row, block).bad;
    same("unpool, added", k.name, up, added);
    failures += run(k.unpool_max[tap][dtype], job, c.fine, fine_row, block).bad;
    same("unpool, largest", k.name, up, largest);
    const Job job_down{nullptr, &c.g, x.data, taps.data, down.data};
    failures += run(k.gather[tap][width], job_down, c.coarse, coarse_row, 1).bad;
    same("gather", k.name, down, best);

    // Any value of one switch: found, and nothing outside touched.
    const int64_t changed = draw(0, taps.size - 1);
    taps[changed] = Tap(draw(0, 3) ? draw(0, c.g.taps) : draw(0, 255));
    const int64_t value = taps[changed];
    const bool bad = value >= c.g.taps || under(c, changed)[size_t(value)] < 0;
    for (const Range kernel :
         {k.unpool[tap][width], k.unpool_sum[tap][dtype], k.unpool_max[tap][dtype]})
        failures += run(kernel, job, c.fine, fine_row, block).bad != bad;
    failures += run(k.gather[tap][width], job_down, c.coarse, coarse_row, 1).bad != bad;
}

template <class T, class Sum>
void sums(const Kernels& k, int dtype) {
    const Case c = blocks(false);
    Array<T> y(c.fine, draw(0, 9));
    Array<Sum> out(c.coarse, draw(0, 9));
    std::vector<Sum> expected(size_t(c.coarse));
    for (int64_t o = 0; o < c.coarse; ++o)
        for (const int64_t p : under(c, o)) expected[size_t(o)] += Sum(y[p]);
    run(k.window_sum[dtype], {nullptr, &c.g, y.data, nullptr, out.data}, c.coarse,
        c.row(c.g.axes[c.g.rank - 1].coarse), 1);
    same("window sum", k.name, out, expected);
}

void resizes(const Kernels& k) {
    const int64_t outer = draw(1, 3), n = draw(1, 40), m = draw(1, 80),
                  inner = draw(0, 1)   ? 1
                          : draw(0, 4) ? draw(2, 70)
                                       : draw(2, 700);
    std::vector<int64_t> first{0}, source, one;
    std::vector<float> weights;
    for (int64_t o = 0; o < m; ++o) {
        for (int64_t i = draw(0, 5) ? 2 : draw(0, 4); i > 0; --i)
            source.push_back(draw(0, n - 1)), weights.push_back(float(draw(-2, 2)));
        first.push_back(int64_t(source.size()));
        one.push_back(draw(0, n - 1));
    }
    // Now and then the axis before as well.
    const bool both = inner > 1 && draw(0, 1);
    const int64_t n_rows = both ? draw(1, 9) : 1, m_rows = both ? draw(1, 9) : 1;
    std::vector<int64_t> rows_first{0}, rows_source, one_row;
    std::vector<float> rows_weights;
    for (int64_t o = 0; o < m_rows; ++o) {
        for (int64_t i = both ? draw(0, 4) : 0; i > 0; --i)
            rows_source.push_back(draw(0, n_rows - 1)), rows_weights.push_back(float(draw(-2, 2)));
        rows_first.push_back(int64_t(rows_source.size()));
        one_row.push_back(draw(0, n_rows - 1));
    }
    Array<float> x(outer * n_rows * n * inner, draw(0, 9)),
        out(outer * m_rows * m * inner, draw(0, 9));
    std::vector<float> expected(size_t(out.size)), picked(size_t(out.size));
    for (int64_t a = 0; a < outer * m_rows; ++a) {
        const int64_t p = a / m_rows, q = a % m_rows;
        const auto above = [&](int64_t i) {  // element i of row a between the two axes
            if (!both) return x[p * n * inner + i];
            float sum = 0;
            for (int64_t j = rows_first[size_t(q)]; j < rows_first[size_t(q) + 1]; ++j)
                sum += rows_weights[size_t(j)] *
                       x[(p * n_rows + rows_source[size_t(j)]) * n * inner + i];
            return sum;
        };
        for (int64_t o = 0; o < m; ++o)
            for (int64_t i = 0; i < inner; ++i) {
                const size_t to = size_t((a * m + o) * inner + i);
                for (int64_t j = first[size_t(o)]; j < first[size_t(o) + 1]; ++j)
                    expected[to] += weights[size_t(j)] * above(source[size_t(j)] * inner + i);
                picked[to] =
                    x[((p * n_rows + one_row[size_t(q)]) * n + one[size_t(o)]) * inner + i];
            }
    }
    Report report{"", 0};
    ResizeJob job{};
    job.report = &report;
    job.x = x.data, job.out = out.data;
    job.n = n, job.m = m, job.inner = inner;
    job.first = first.data(), job.source = source.data(), job.weights = weights.data();
    std::vector<int64_t> slot_source(size_t(4 * m));
    std::vector<float> slot_weights(size_t(4 * m));
    const auto length = [&](int64_t o) { return first[size_t(o) + 1] - first[size_t(o)]; };
    job.alike = draw(0, m - 1), job.alike_end = job.alike, job.slots = length(job.alike);
    for (int64_t o = job.alike; o < m && length(o) == job.slots; job.alike_end = ++o)
        for (int64_t slot = 0; slot < job.slots; ++slot) {
            slot_source[size_t(slot * m + o)] = source[size_t(first[size_t(o)] + slot)];
            slot_weights[size_t(slot * m + o)] = weights[size_t(first[size_t(o)] + slot)];
        }
    job.slot_source = slot_source.data(), job.slot_weights = slot_weights.data();
    job.columns = inner == 1 || draw(0, 1) ? 512 : draw(1, 2048), job.stream = draw(0, 1) == 1;
    ResizeRows rows{n_rows, m_rows, rows_first.data(), rows_source.data(), rows_weights.data()};
    if (both) job.rows = &rows;
    const int64_t items = outer * m_rows * ((m * inner + job.columns - 1) / job.columns);
    parallel(k.resize[0], &job, items, 1, 2, [] { return false; });
    same("resize", k.name, out, expected);
    job.source = one.data(), rows.source = one_row.data();
    parallel(k.pick[2], &job, items, 1, 2, [] { return false; });
    same("pick", k.name, out, picked);
}

}  // namespace

// Tables for wild windows may be of any length. The address sanitizer ends the process where its
// own operator throws; this one only refuses, as it does without a sanitizer.
void* operator new(std::size_t bytes) {
    void* memory = bytes < (std::size_t(1) << 32) ? std::malloc(bytes ? bytes : 1) : nullptr;
    if (!memory) throw std::bad_alloc();
    return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

int main(int argc, char** argv) {
    const int rounds = argc > 1 ? atoi(argv[1]) : 300;          // of random geometries
    const int wilder = argc > 2 ? atoi(argv[2]) : 10 * rounds;  // of numbers of all sizes
    int count;
    const Kernels* const* tiers = available(&count);
    for (int tier = 0; tier < count; ++tier) {
        const Kernels& k = *tiers[tier];
        for (int i = 0; i < rounds; ++i) {
            moves<uint8_t>(k, 0);
            moves<uint16_t>(k, 1);
            moves<uint32_t>(k, 2);
            moves<uint64_t>(k, 3);
            pools<float, uint8_t>(k, 0, 2, 0);
            pools<double, uint8_t>(k, 1, 3, 0);
            pools<int8_t, uint8_t>(k, 4, 0, 0);
            pools<int16_t, uint16_t>(k, 5, 1, 1);
            pools<uint8_t, uint8_t>(k, 8, 0, 0);
            pools<uint64_t, uint32_t>(k, 11, 3, 2);
            sums<float, float>(k, 0);
            sums<double, double>(k, 1);
            sums<int8_t, int64_t>(k, 4);
            sums<uint32_t, uint64_t>(k, 10);
            resizes(k);
            convolutions<float>(k, Element::f32);
            convolutions<double>(k, Element::f64);
        }
        for (int i = 0; i < wilder; ++i) numbers(k);
        printf(
            "%-9s %d arrays compared so far, %d wrong; of wild calls %lld let through, %lld not\n",
            k.name, checked, failures, (long long)planned, (long long)refused);
    }
    return failures != 0;
}
