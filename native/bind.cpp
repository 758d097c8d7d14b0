// The only file that knows Python: arguments in, kernels called, errors out.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "conv_call.h"
#include "memory.h"
#include "targets.h"
#include "threads.h"

namespace nb = nanobind;
using namespace unsample;

namespace {

// Below this many bytes a call is over before a second thread or another one's Python could start.
constexpr int64_t SMALL = 1 << 18;
// A chunk is what one thread takes at a time: long against taking it, short against Ctrl-C.
constexpr int64_t CHUNK = 1 << 18;
// An output larger than this is not read from the cache again.
constexpr int64_t STREAM = 1 << 23;
constexpr int64_t COLUMNS = 512;  // 16 bytes each fill the room of a row, see kernels/rows.h

// The plan of a call, kept on the C++ side.
struct Plan {
    Geometry geometry{};
    std::vector<int64_t> tables;
    int64_t fine = 1, coarse = 1;  // elements of both sides

    Plan(int64_t planes, const std::vector<std::vector<int64_t>>& axes, int64_t channels,
         bool blocks, bool inside, bool tiles) {
        if (axes.empty() || axes.size() > size_t(MAX_RANK) || planes < 0 || channels < 1)
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
        fine = coarse = planes * channels;
        for (size_t i = 0; i < axes.size(); ++i) {
            const auto& numbers = axes[i];
            if (numbers.size() < 6) throw std::invalid_argument("an axis is at least six numbers");
            Axis& axis = geometry.axes[i];
            axis = {numbers[0], numbers[1], numbers[2], numbers[3],
                    numbers[4], numbers[5], nullptr,    nullptr};
            if (numbers.size() > 6) {
                if (numbers.size() != size_t(6 + 2 * axis.coarse))
                    throw std::invalid_argument("a table has two numbers per window");
                const int64_t* start = tables.data() + tables.size();
                tables.insert(tables.end(), numbers.begin() + 6, numbers.end());
                axis.start = start;
                axis.length = start + axis.coarse;
            }
            geometry.taps *= axis.size;
            fine *= axis.fine;
            coarse *= axis.coarse;
        }
    }
    Plan(const Plan&) = delete;
    Plan& operator=(const Plan&) = delete;
};

// Contiguous memory of a Python object for as long as this lives. Requires Python's lock.
class Memory {
public:
    Memory(nb::handle object, bool writable, int64_t bytes) {
        if (PyObject_GetBuffer(object.ptr(), &view, writable ? PyBUF_WRITABLE : PyBUF_SIMPLE) != 0)
            throw nb::python_error();
        if (view.len != bytes) {
            const auto found = view.len;
            PyBuffer_Release(&view);
            throw std::invalid_argument("expected " + std::to_string(bytes) + " bytes, got " +
                                        std::to_string(found));
        }
    }
    ~Memory() { PyBuffer_Release(&view); }
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;

    void* data() const { return view.buf; }

private:
    Py_buffer view;
};

thread_local const char* last_target = "";
thread_local int threads_here = 0;       // of `with unsample.threads(n)`; 0: as everywhere
std::atomic<int> threads_everywhere{0};  // of set_num_threads; 0: as many as there are CPUs for us
std::atomic<int> quota{1 << 20};         // CPUs that the control group grants

int threads_now() {
    if (threads_here) return threads_here;
    if (const int n = threads_everywhere.load(std::memory_order_relaxed)) return n;
    const int cpus = usable_cpus(), granted = quota.load(std::memory_order_relaxed);
    return cpus < granted ? cpus : granted;
}

bool interrupted() {
    nb::gil_scoped_acquire gil;
    return PyErr_CheckSignals() != 0;  // the exception stays set on this thread
}

// Run a kernel over an output of `elements` elements of `width` bytes in rows of `row`; `work` is
// how many bytes each of them stands for. False where a switch pointed nowhere.
template <class AnyJob>
bool run(Range kernel, AnyJob& job, int64_t elements, int64_t row, int64_t width, int64_t block,
         int64_t work) {
    if (elements == 0) return true;
    Report report{"", 0};
    job.report = &report;
    job.columns = block <= COLUMNS ? COLUMNS / block * block : COLUMNS;  // whole blocks
    job.stream = elements * width >= STREAM;
    const int64_t items = elements / row * ((row + job.columns - 1) / job.columns);
    const int64_t per_item = elements / items * work + 1;
    if (items * per_item < SMALL) {
        kernel(&job, 0, items);
    } else {
        const int64_t grain = per_item < CHUNK ? CHUNK / per_item : 1;
        const int threads = threads_now();
        bool finished;
        {
            nb::gil_scoped_release nogil;
            finished = parallel(kernel, &job, items, grain, threads, interrupted);
        }
        if (!finished) throw nb::python_error();
    }
    last_target = report.target;
    return !report.bad;
}

int width_of(int64_t bytes) {
    for (int i = 0; i < WIDTHS; ++i)
        if (bytes == int64_t(1) << i) return i;
    throw std::invalid_argument("elements must have 1, 2, 4, 8 or 16 bytes");
}

int tap_of(int64_t bytes) {
    const int found = width_of(bytes);
    if (found >= TAPS) throw std::invalid_argument("switches must have 1, 2 or 4 bytes");
    return found;
}

constexpr int DTYPE_BYTES[DTYPES] = {4, 8, 2, 2, 1, 2, 4, 8, 1, 2, 4, 8};

int dtype_of(int64_t dtype) {
    if (dtype < 0 || dtype >= DTYPES) throw std::invalid_argument("no such dtype");
    return int(dtype);
}

template <Range (Kernels::*TABLE)[WIDTHS], bool UP, bool SHUFFLE>
void move(const Plan& plan, nb::handle x, nb::handle out, int64_t bytes) {
    const Geometry& g = plan.geometry;
    const Axis& last = g.axes[g.rank - 1];
    const int64_t many = SHUFFLE ? plan.fine : UP ? plan.fine : plan.coarse;
    const int64_t few = SHUFFLE ? plan.fine : UP ? plan.coarse : plan.fine;
    const Memory from(x, false, few * bytes), to(out, true, many * bytes);
    Job job{nullptr, &g, from.data(), nullptr, to.data()};
    run((current()->*TABLE)[width_of(bytes)], job, many, UP ? last.fine : last.coarse, bytes,
        UP ? last.stride : 1, bytes);
}

void pool(const Plan& plan, nb::handle x, nb::handle values, nb::handle taps, int64_t dtype,
          int64_t tap_bytes) {
    const Geometry& g = plan.geometry;
    const int64_t width = DTYPE_BYTES[dtype_of(dtype)], row = g.axes[g.rank - 1].coarse;
    const Memory from(x, false, plan.fine * width), to(values, true, plan.coarse * width);
    Job job{nullptr, &g, from.data(), nullptr, to.data()};
    if (taps.is_none()) {
        run(current()->pool_values[dtype], job, plan.coarse, row, width, 1, width * g.taps);
        return;
    }
    const Memory which(taps, true, plan.coarse * tap_bytes);
    job.taps = which.data();
    run(current()->pool[tap_of(tap_bytes)][dtype], job, plan.coarse, row, width, 1, width * g.taps);
}

// How unpooled values meet: the last one stays (and `dtype` is a width in bytes), sum, maximum.
enum Rule { LAST, SUM, MAX };

bool unpool(const Plan& plan, nb::handle values, nb::handle switches, nb::handle out, int64_t dtype,
            int64_t tap_bytes, int rule) {
    const Geometry& g = plan.geometry;
    const Axis& last = g.axes[g.rank - 1];
    const int64_t width = rule == LAST ? dtype : DTYPE_BYTES[dtype_of(dtype)];
    const Memory from(values, false, plan.coarse * width), to(out, true, plan.fine * width);
    const Memory which(switches, false, plan.coarse * tap_bytes);
    Job job{nullptr, &g, from.data(), which.data(), to.data()};
    const Kernels& k = *current();
    const int tap = tap_of(tap_bytes);
    const Range kernel = rule == LAST  ? k.unpool[tap][width_of(width)]
                         : rule == SUM ? k.unpool_sum[tap][dtype]
                                       : k.unpool_max[tap][dtype];
    return run(kernel, job, plan.fine, last.fine, width, last.stride, 2 * width);
}

bool gather(const Plan& plan, nb::handle x, nb::handle switches, nb::handle out, int64_t width,
            int64_t tap_bytes) {
    const Geometry& g = plan.geometry;
    const Memory from(x, false, plan.fine * width), to(out, true, plan.coarse * width);
    const Memory which(switches, false, plan.coarse * tap_bytes);
    Job job{nullptr, &g, from.data(), which.data(), to.data()};
    return run(current()->gather[tap_of(tap_bytes)][width_of(width)], job, plan.coarse,
               g.axes[g.rank - 1].coarse, width, 1, 4 * width);
}

void window_sum(const Plan& plan, nb::handle y, nb::handle out, int64_t dtype, int64_t out_bytes) {
    const Geometry& g = plan.geometry;
    const int64_t width = DTYPE_BYTES[dtype_of(dtype)];
    if (out_bytes != (dtype < 4 ? width : 8) || g.rank > 8)
        throw std::invalid_argument("no kernel sums like this");
    const Memory from(y, false, plan.fine * width), to(out, true, plan.coarse * out_bytes);
    Job job{nullptr, &g, from.data(), nullptr, to.data()};
    run(current()->window_sum[dtype], job, plan.coarse, g.axes[g.rank - 1].coarse, out_bytes, 1,
        width * g.taps);
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
        bool good = m >= 0 && int64_t(first.size()) == m + 1 && first.front() == 0 &&
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

void resize(const Terms& terms, nb::handle x, nb::handle out, int64_t outer, int64_t inner,
            int64_t width, bool copy) {
    const Memory from(x, false, outer * terms.n * inner * width);
    const Memory to(out, true, outer * terms.m * inner * width);
    const Kernels& k = *current();
    if (!copy && width != 4 && width != 8) throw std::invalid_argument("no kernel adds these");
    if (copy && int64_t(terms.source.size()) != terms.m)
        throw std::invalid_argument("a copy has one source");
    const Range kernel = copy ? k.pick[width_of(width)] : k.resize[width == 8];
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
    run(kernel, job, outer * terms.m * inner, inner == 1 ? terms.m : inner, width, 1,
        width * (copy ? 1 : terms.longest));
}

// The memory of a Python object in whatever strides its plan knows, or an address from who vouches
// for it.
class Elements {
public:
    Elements(nb::handle object, bool writable, int64_t bytes) {
        if (nb::isinstance<nb::int_>(object)) {
            view.buf = reinterpret_cast<void*>(nb::cast<uintptr_t>(object));
            return;
        }
        const int flags = writable ? PyBUF_STRIDED : PyBUF_STRIDED_RO;
        if (PyObject_GetBuffer(object.ptr(), &view, flags) != 0) throw nb::python_error();
        if (view.len == bytes) return;
        const auto found = view.len;
        PyBuffer_Release(&view);
        throw std::invalid_argument("expected " + std::to_string(bytes) + " bytes, got " +
                                    std::to_string(found));
    }
    ~Elements() {
        if (view.obj) PyBuffer_Release(&view);
    }
    Elements(const Elements&) = delete;
    Elements& operator=(const Elements&) = delete;

    void* data() const { return view.buf; }

private:
    Py_buffer view{};
};

// A planned convolution, of either direction or of its weight's gradient.
template <class AnyPlan, bool (*plan_it)(const ConvShape&, const ConvKernels&, AnyPlan&)>
struct Convolution {
    AnyPlan plan;
    int64_t in_bytes, out_bytes, weight_bytes, bias_bytes;

    Convolution(int element, bool transposed, int64_t batch, int64_t groups, int64_t in_channels,
                int64_t out_channels, const std::vector<std::vector<int64_t>>& axes,
                const std::vector<int64_t>& in_strides, const std::vector<int64_t>& out_strides) {
        const ConvKernels& kernels = *static_cast<const ConvKernels*>(current()->conv);
        const size_t rank = axes.size();
        if (!kernels.vector_bytes || element < 0 || element >= kElements || rank < 1 ||
            rank > size_t(kMaxRank) || in_strides.size() != rank + 2 ||
            out_strides.size() != rank + 2 || batch < 0 || groups < 1)
            throw std::invalid_argument("no plan has these axes");
        ConvShape shape{};
        shape.element = Element(element);
        shape.transposed = transposed;
        shape.rank = int64_t(rank);
        shape.batch = batch;
        shape.groups = groups;
        shape.in_channels = in_channels;
        shape.out_channels = out_channels;
        const int64_t width = element == 0 ? 4 : element == 1 ? 8 : 2;
        in_bytes = batch * in_channels * width;
        out_bytes = batch * out_channels * width;
        weight_bytes = in_channels * (out_channels / groups) * width;
        bias_bytes = out_channels * width;
        for (size_t a = 0; a < rank; ++a) {
            if (axes[a].size() != 7) throw std::invalid_argument("an axis is seven numbers");
            shape.in_size[a] = axes[a][0];
            shape.out_size[a] = axes[a][1];
            shape.kernel[a] = axes[a][2];
            shape.stride[a] = axes[a][3];
            shape.dilation[a] = axes[a][4];
            shape.before[a] = axes[a][5];
            shape.fold[a] = Fold(axes[a][6]);
            in_bytes *= axes[a][0];
            out_bytes *= axes[a][1];
            weight_bytes *= axes[a][2];
        }
        for (size_t a = 0; a < rank + 2; ++a) {
            shape.in_strides[a] = in_strides[a];
            shape.out_strides[a] = out_strides[a];
        }
        if (!plan_it(shape, kernels, plan))
            throw std::invalid_argument("no plan fits the scratch memory");
    }
};
typedef Convolution<ConvPlan, plan_conv> Conv;
typedef Convolution<WeightGradPlan, plan_weight_grad> WeightGrad;

template <class Call>
void convolve(Call call) {
    const char* ran = "";
    bool finished;
    {
        nb::gil_scoped_release nogil;
        finished = call(Workers{threads_now(), interrupted}, &ran);
    }
    if (!finished) throw nb::python_error();
    last_target = ran;
}

// `packed`: the weight is what `pack` made of one.
void run_conv_of(const Conv& conv, nb::handle x, nb::handle weight, nb::handle bias, nb::handle out,
                 bool packed) {
    const Elements from(x, false, conv.in_bytes), to(out, true, conv.out_bytes);
    const Elements w(weight, packed, packed ? conv.plan.packed_bytes : conv.weight_bytes);
    const std::unique_ptr<Elements> b(bias.is_none() ? nullptr
                                                     : new Elements(bias, false, conv.bias_bytes));
    const ConvArguments given{from.data(), packed ? nullptr : w.data(), b ? b->data() : nullptr,
                              packed ? w.data() : nullptr, to.data()};
    convolve([&](Workers workers, const char** ran) {
        return run_conv(conv.plan, given, workers, ran);
    });
}

void pack_conv(const Conv& conv, nb::handle weight, nb::handle packed) {
    const Elements from(weight, false, conv.weight_bytes), to(packed, true, conv.plan.packed_bytes);
    convolve([&](Workers workers, const char** ran) {
        return pack_weight(conv.plan, from.data(), to.data(), workers, ran);
    });
}

void run_weight_grad_of(const WeightGrad& grad, nb::handle x, nb::handle y, nb::handle out) {
    const Elements fine(x, false, grad.in_bytes), coarse(y, false, grad.out_bytes);
    const Elements to(out, true, grad.weight_bytes);
    convolve([&](Workers workers, const char** ran) {
        return run_weight_grad(grad.plan, fine.data(), coarse.data(), to.data(), workers, ran);
    });
}

}  // namespace

NB_MODULE(_native, m) {
    nb::class_<Plan>(m, "Plan").def(
        nb::init<int64_t, const std::vector<std::vector<int64_t>>&, int64_t, bool, bool, bool>());
    nb::class_<Terms>(m, "Terms")
        .def(nb::init<int64_t, int64_t, std::vector<int64_t>, std::vector<int64_t>,
                      std::vector<double>>());

    m.def("nearest", &move<&Kernels::nearest, true, false>);
    m.def("nails", &move<&Kernels::nails, true, false>);
    m.def("decimate", &move<&Kernels::decimate, false, false>);
    m.def("shuffle", &move<&Kernels::shuffle, true, true>);
    m.def("unshuffle", &move<&Kernels::unshuffle, false, true>);
    m.def("pool", &pool, nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg(), nb::arg());
    m.def("unpool", &unpool);
    m.def("gather", &gather);
    m.def("window_sum", &window_sum);
    m.def("resize", &resize);

    typedef std::vector<int64_t> Numbers;
    nb::class_<Conv>(m, "Conv")
        .def(nb::init<int, bool, int64_t, int64_t, int64_t, int64_t, const std::vector<Numbers>&,
                      const Numbers&, const Numbers&>())
        .def("run", &run_conv_of, nb::arg(), nb::arg(), nb::arg().none(), nb::arg(),
             nb::arg("packed") = false)
        .def("pack", &pack_conv)
        .def_prop_ro("form",
                     [](const Conv& conv) {
                         const char* const names[] = {"panels", "planes", "pixels"};
                         return names[conv.plan.form];
                     })
        .def_prop_ro("packed_bytes", [](const Conv& conv) { return conv.plan.packed_bytes; })
        .def_prop_ro("scratch_bytes", [](const Conv& conv) { return conv.plan.job.scratch_bytes; });
    nb::class_<WeightGrad>(m, "WeightGrad")
        .def(nb::init<int, bool, int64_t, int64_t, int64_t, int64_t, const std::vector<Numbers>&,
                      const Numbers&, const Numbers&>())
        .def("run", &run_weight_grad_of)
        .def_prop_ro("scratch_bytes",
                     [](const WeightGrad& grad) { return grad.plan.job.scratch_bytes; });

    m.def("tiers", [] {
        int count;
        const Kernels* const* found = available(&count);
        std::vector<std::string> names;
        for (int i = 0; i < count; ++i) names.push_back(found[i]->name);
        return names;
    });
    m.def("tier", [] { return current()->name; });
    m.def("vector_bytes", [] { return current()->vector; });
    m.def("use_tier", [](const std::string& name) { return use(name.c_str()); });
    m.def("last_tier", [] { return std::exchange(last_target, ""); });  // and forget it

    m.def("memory", [](int64_t bytes) -> nb::object {
        const Block block = take(bytes);
        if (!block.start) return nb::none();
        const nb::capsule owner(new Block(block), [](void* p) noexcept {
            const std::unique_ptr<Block> mine(static_cast<Block*>(p));
            give_back(*mine);
        });
        typedef nb::ndarray<nb::numpy, uint8_t, nb::ndim<1>> Bytes;
        return nb::cast(Bytes(block.start, {size_t(bytes)}, owner));
    });
    m.def("keep_at_most", &keep_at_most);
    m.def("kept_bytes", &kept_bytes);

    m.def("threads", &threads_now);
    m.def("set_threads", [](int n) { threads_everywhere.store(n); });
    m.def("set_threads_here", [](int n) { return std::exchange(threads_here, n); });
    m.def("set_quota", [](int n) { quota.store(n); });
}
