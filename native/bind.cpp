// The only file that knows Python: arguments in, kernels called, errors out.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "calls.h"
#include "memory.h"
#include "xla.h"

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

thread_local const char* last_target = "";

bool interrupted() {
    nb::gil_scoped_acquire gil;
    return PyErr_CheckSignals() != 0;  // the exception stays set on this thread
}

struct Python {
    using Handle = nb::handle;
    using Memory = ::Memory;
    static bool absent(Handle object) { return object.is_none(); }
    static void run(Range kernel, const void* job, int64_t items, int64_t grain) {
        const int threads = threads_now();
        bool finished;
        {
            nb::gil_scoped_release nogil;
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
        nb::gil_scoped_release nogil;
        finished = call(workers, &ran);
    }
    if (!finished) throw nb::python_error();
    last_target = ran;
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

}  // namespace

NB_MODULE(_native, m) {
    nb::class_<Plan>(m, "Plan").def(
        nb::init<int64_t, const std::vector<std::vector<int64_t>>&, int64_t, bool, bool, bool>());
    nb::class_<Terms>(m, "Terms")
        .def(nb::init<int64_t, int64_t, std::vector<int64_t>, std::vector<int64_t>,
                      std::vector<double>>());

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
    m.def("resize", &resize<Python>);

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
