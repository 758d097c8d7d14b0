// The only file that knows Python: arguments in, kernels called, errors out.
//
// Numbers come as objects and are read here: nanobind's own casters to std::vector allocate where
// nothing may be thrown, so that a failed allocation would end the process.
#include <nanobind/nanobind.h>
#include <string.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "../conv/call.h"
#include "../conv/convolution.h"
#include "../memory/memory.h"
#include "../move/calls.h"
#include "xla.h"

#ifndef _WIN32
#include <pthread.h>
#endif

namespace nb = nanobind;
using namespace unsample;

namespace {

// The memory of a Python object for as long as this lives, in C order or as `spread` as its plan
// knows, or an address from who vouches for it. Requires Python's lock.
class Elements {
public:
    Elements(nb::handle object, bool writable, int64_t bytes, const Spread* spread = nullptr) {
        if (nb::isinstance<nb::int_>(object)) {
            view.buf = reinterpret_cast<void*>(nb::cast<uintptr_t>(object));
            return;
        }
        const int flags = (writable ? PyBUF_WRITABLE : 0) | (spread ? PyBUF_STRIDES : 0);
        if (PyObject_GetBuffer(object.ptr(), &view, flags) != 0) throw nb::python_error();
        if (view.len == bytes && (!spread || bytes == 0 || spread_of(view) == *spread)) return;
        const auto found = view.len;
        PyBuffer_Release(&view);
        if (found == bytes) throw std::invalid_argument("expected the strides of the plan");
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

    static Spread spread_of(const Py_buffer& view) {
        Spread found;
        for (int axis = 0; axis < view.ndim; ++axis)
            found.add(view.shape[axis], view.strides[axis]);
        return found;
    }
};

// In C order.
struct Memory : Elements {
    Memory(nb::handle object, bool writable, int64_t bytes) : Elements(object, writable, bytes) {}
};

using Numbers = std::vector<int64_t>;

// The elements of an array of T: int64_t or double, in C order.
template <class T>
std::vector<T> elements_of(nb::handle object) {
    Py_buffer view;
    if (PyObject_GetBuffer(object.ptr(), &view, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS) != 0)
        throw nb::python_error();
    const std::unique_ptr<Py_buffer, void (*)(Py_buffer*)> held(&view, PyBuffer_Release);
    const char* const formats = std::is_same_v<T, double> ? "d" : "lq";
    if (view.itemsize != sizeof(T) || !view.format || strlen(view.format) != 1 ||
        !strchr(formats, view.format[0]))
        throw std::invalid_argument("expected int64 and float64");
    const T* const first = static_cast<const T*>(view.buf);
    return std::vector<T>(first, first + view.len / Py_ssize_t(sizeof(T)));
}

// The integers of a list or tuple.
Numbers numbers_of(nb::handle object) {
    Numbers numbers;
    numbers.reserve(nb::len(object));
    for (const nb::handle each : nb::cast<nb::sequence>(object)) {
        const long long number = PyLong_AsLongLong(each.ptr());
        if (number == -1 && PyErr_Occurred()) throw nb::python_error();
        numbers.push_back(number);
    }
    return numbers;
}

std::vector<Numbers> lists_of(nb::handle object) {
    std::vector<Numbers> lists;
    for (const nb::handle each : nb::cast<nb::sequence>(object)) lists.push_back(numbers_of(each));
    return lists;
}

thread_local const char* last_target = "";

// The one thread on which Python handles signals; a forked child goes on with the one that forked.
std::atomic<unsigned long> signal_thread{0};

#ifndef _WIN32
void handle_signals_here() { signal_thread.store(PyThread_get_thread_ident()); }
#endif

// Another thread has nothing to ask. It must not, either: from its wait for Python's lock it never
// comes back where the interpreter ends meanwhile, and the workers still have its call.
bool interrupted() {
    if (PyThread_get_thread_ident() != signal_thread.load(std::memory_order_relaxed)) return false;
    nb::gil_scoped_acquire gil;
    return PyErr_CheckSignals() != 0;  // the exception stays set on this thread
}

// Without Python's lock for as long as this lives. Nobody gets it back once the interpreter ends:
// until 3.13 CPython then ends the thread, by unwinding its stack through destructors that need the
// lock and through nanobind, which lets nothing pass, so that the process would abort. The thread
// sleeps until the process is gone instead, as 3.14 has it.
class Unlocked {
public:
    Unlocked() : state(PyEval_SaveThread()) {}
    ~Unlocked() {
        try {
            PyEval_RestoreThread(state);
        } catch (...) {
            for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
        }
    }
    Unlocked(const Unlocked&) = delete;
    Unlocked& operator=(const Unlocked&) = delete;

private:
    PyThreadState* const state;
};

struct Python {
    using Handle = nb::handle;
    using Memory = ::Memory;
    static bool absent(Handle object) { return object.is_none(); }
    static void run(Range kernel, const void* job, int64_t items, int64_t grain) {
        const int threads = threads_now();
        bool finished;
        {
            const Unlocked unlocked;
            finished = parallel(kernel, job, items, grain, threads, interrupted);
        }
        if (!finished) throw nb::python_error();
    }
    static void ran(const char* target) { last_target = target; }
};

template <class Call>
void convolve(int64_t work, Call call) {
    const char* ran = "";
    bool finished;
    const Workers workers = workers_for(work, interrupted);
    if (!workers.interrupted) {
        finished = call(workers, &ran);
    } else {
        const Unlocked unlocked;
        finished = call(workers, &ran);
    }
    if (!finished) throw nb::python_error();
    last_target = ran;
}

template <class Made>
void init_convolution(Made* self, int element, bool transposed, int64_t batch, int64_t groups,
                      int64_t in_channels, int64_t out_channels, nb::handle axes,
                      nb::handle in_strides, nb::handle out_strides) {
    new (self) Made(element, transposed, batch, groups, in_channels, out_channels, lists_of(axes),
                    numbers_of(in_strides), numbers_of(out_strides));
}

// `packed`: the weight is what `pack` made of one.
void run_conv_of(const Conv& conv, nb::handle x, nb::handle weight, nb::handle bias, nb::handle out,
                 bool packed) {
    const Elements from(x, false, conv.in_bytes, &conv.in_spread),
        to(out, true, conv.out_bytes, &conv.out_spread);
    const Elements w(weight, false, packed ? conv.plan.packed_bytes : conv.weight_bytes);
    const std::unique_ptr<Elements> b(bias.is_none() ? nullptr
                                                     : new Elements(bias, false, conv.bias_bytes));
    const ConvArguments given{from.data(), w.data(), b ? b->data() : nullptr,
                              packed ? w.data() : nullptr, to.data()};
    convolve(conv.plan.work, [&](Workers workers, const char** ran) {
        return run_conv(conv.plan, given, workers, ran);
    });
}

void pack_conv(const Conv& conv, nb::handle weight, nb::handle packed) {
    const Elements from(weight, false, conv.weight_bytes), to(packed, true, conv.plan.packed_bytes);
    convolve(conv.plan.work, [&](Workers workers, const char** ran) {
        return pack_weight(conv.plan, from.data(), to.data(), workers, ran);
    });
}

void run_weight_grad_of(const WeightGrad& grad, nb::handle x, nb::handle y, nb::handle out) {
    const Elements fine(x, false, grad.in_bytes, &grad.in_spread),
        coarse(y, false, grad.out_bytes, &grad.out_spread);
    const Elements to(out, true, grad.weight_bytes);
    convolve(grad.plan.work, [&](Workers workers, const char** ran) {
        return run_weight_grad(grad.plan, fine.data(), coarse.data(), to.data(), workers, ran);
    });
}

struct GiveBack {
    void operator()(Block* block) const {
        if (block->start) give_back(*block);
        delete block;
    }
};

}  // namespace

NB_MODULE(_native, m) {
    nb::set_leak_warnings(false);  // a thread that sleeps until the end keeps what it holds
    const nb::object main_thread = nb::module_::import_("threading").attr("main_thread")();
    signal_thread.store(nb::cast<unsigned long>(main_thread.attr("ident")));
#ifndef _WIN32
    pthread_atfork(nullptr, nullptr, handle_signals_here);
#endif

    nb::class_<Plan>(m, "Plan").def(
        "__init__", [](Plan* self, int64_t planes, nb::handle axes, int64_t channels, bool blocks,
                       bool inside, bool tiles, bool last) {
            new (self) Plan(planes, lists_of(axes), channels, blocks, inside, tiles, last);
        });
    nb::class_<Terms>(m, "Terms")
        .def("__init__", [](Terms* self, int64_t n, int64_t m, nb::handle first, nb::handle source,
                            nb::handle weights) {
            new (self) Terms(n, m, elements_of<int64_t>(first), elements_of<int64_t>(source),
                             elements_of<double>(weights));
        });

    m.def("nearest", &move<Python, &Kernels::nearest, true, false>);
    m.def("nails", &move<Python, &Kernels::nails, true, false>);
    m.def("decimate", &move<Python, &Kernels::decimate, false, false>);
    m.def("shuffle", &move<Python, &Kernels::shuffle, true, true>);
    m.def("unshuffle", &move<Python, &Kernels::unshuffle, false, true>);
    m.def("pool", &pool<Python>, nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg(),
          nb::arg());
    m.def("unpool", &unpool<Python>);
    m.def("gather", &gather<Python>);
    m.def("window_sum", &window_sum<Python>);
    m.def("resize", &resize<Python>, nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(),
          nb::arg(), nb::arg(), nb::arg().none() = nb::none());

    nb::class_<Conv>(m, "Conv")
        .def("__init__", &init_convolution<Conv>)
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
        .def("__init__", &init_convolution<WeightGrad>)
        .def("run", &run_weight_grad_of)
        .def_prop_ro("scratch_bytes",
                     [](const WeightGrad& grad) { return grad.plan.job.scratch_bytes; });

    m.def("xla_calls", [] {  // for jax.ffi.register_ffi_target
        int count;
        const CustomCall* calls = custom_calls(&count);
        nb::dict found;
        for (int i = 0; i < count; ++i)
            found[calls[i].name] = nb::capsule(reinterpret_cast<void*>(calls[i].handler));
        return found;
    });

    m.def("tiers", [] {
        int count;
        const Kernels* const* found = available(&count);
        nb::list names;
        for (int i = 0; i < count; ++i) names.append(found[i]->name);
        return names;
    });
    m.def("tier", [] { return current()->name; });
    m.def("vector_bytes", [] { return current()->vector; });
    m.def("use_tier", [](const char* name) { return use(name); });
    m.def("last_tier", [] { return std::exchange(last_target, ""); });  // and forget it

    m.def("memory", [](int64_t bytes) -> nb::object {
        std::unique_ptr<Block, GiveBack> block(new Block(take(bytes)));
        if (!block->start) return nb::none();
        const nb::capsule owner(block.get(),
                                [](void* p) noexcept { GiveBack()(static_cast<Block*>(p)); });
        return nb::make_tuple(reinterpret_cast<uintptr_t>(block.release()->start), owner);
    });
    m.def("keep_at_most", &keep_at_most);
    m.def("kept_bytes", &kept_bytes);

    m.def("pauses", &pauses_here);
    m.def("threads", &threads_now);
    m.def("set_threads", [](int n) { threads_everywhere.store(n); });
    m.def("set_threads_here", [](int n) { return std::exchange(threads_here, n); });
    m.def("set_team", [](uintptr_t team) { set_team(reinterpret_cast<Team>(team)); });
    m.def("set_team_here", [](int n) { return std::exchange(team_here, n); });
    m.def("set_quota", [](int n) { quota.store(n); });
}
