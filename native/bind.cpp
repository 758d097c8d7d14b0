// The only file that knows Python: arguments in, kernels called, errors out.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

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

    Plan(int64_t planes, const std::vector<std::vector<int64_t>>& axes, int64_t channels, bool blocks,
         bool inside, bool tiles) {
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

bool interrupted() {
    nb::gil_scoped_acquire gil;
    return PyErr_CheckSignals() != 0;  // the exception stays set on this thread
}

// Run a kernel over the rows of an output of `elements` elements of `width` bytes.
bool run(Range kernel, Job& job, int64_t elements, int64_t row, int64_t width, int threads) {
    if (elements == 0) return true;
    Report report{"", 0};
    job.report = &report;
    job.columns = COLUMNS;
    const int64_t bytes = elements * width;
    job.stream = bytes >= STREAM;
    const int64_t items = elements / row * ((row + COLUMNS - 1) / COLUMNS);
    if (bytes < SMALL) {
        kernel(&job, 0, items);
    } else {
        const int64_t per_item = bytes / items;
        const int64_t grain = per_item < CHUNK ? CHUNK / per_item : 1;
        const int cpus = usable_cpus();
        bool finished;
        {
            nb::gil_scoped_release nogil;
            finished = parallel(kernel, &job, items, grain, threads < cpus ? threads : cpus,
                                interrupted);
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

void nearest(const Plan& plan, nb::handle x, nb::handle out, int64_t bytes, int threads) {
    const Memory from(x, false, plan.coarse * bytes), to(out, true, plan.fine * bytes);
    Job job{&plan.geometry, from.data(), nullptr, to.data()};
    const int64_t row = plan.geometry.axes[plan.geometry.rank - 1].fine;
    run(current()->nearest[width_of(bytes)], job, plan.fine, row, bytes, threads);
}

}  // namespace

NB_MODULE(_native, m) {
    nb::class_<Plan>(m, "Plan").def(
        nb::init<int64_t, const std::vector<std::vector<int64_t>>&, int64_t, bool, bool, bool>());
    m.def("nearest", &nearest);

    m.def("tiers", [] {
        int count;
        const Kernels* const* found = available(&count);
        std::vector<std::string> names;
        for (int i = 0; i < count; ++i) names.push_back(found[i]->name);
        return names;
    });
    m.def("tier", [] { return current()->name; });
    m.def("use_tier", [](const std::string& name) { return use(name.c_str()); });
    m.def("last_tier", [] { return last_target; });
    m.def("usable_cpus", &usable_cpus);
}
