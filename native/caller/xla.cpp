// The only file that knows XLA: buffers and a plan in, kernels called, errors out.
//
// A custom call carries its plan as an array of integers, not as an address: compiled programs are
// cached on disk and outlive the process. What is made of the integers is kept here. Handlers run
// on threads of XLA's and never ask for Python's lock, which a thread that waits for them may hold.
#include "xla.h"

#include <stdio.h>
#include <string.h>

#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <string>

#include "../conv/call.h"
#include "../conv/convolution.h"
#include "../move/calls.h"

namespace unsample {
namespace {

using Numbers = std::vector<int64_t>;

struct Kind {
    int64_t bytes;
    int dtype;  // an Element, or -1
};

Kind kind(Element element) { return {kElementBytes[int(element)], int(element)}; }

Kind kind_of(int dtype) {
    switch (dtype) {
        case xla::F32:
            return kind(Element::f32);
        case xla::F64:
            return kind(Element::f64);
        case xla::F16:
            return kind(Element::f16);
        case xla::BF16:
            return kind(Element::bf16);
        case xla::S8:
            return kind(Element::i8);
        case xla::S16:
            return kind(Element::i16);
        case xla::S32:
            return kind(Element::i32);
        case xla::S64:
            return kind(Element::i64);
        case xla::PRED:
        case xla::U8:
            return kind(Element::u8);
        case xla::U16:
            return kind(Element::u16);
        case xla::U32:
            return kind(Element::u32);
        case xla::U64:
            return kind(Element::u64);
        case xla::C64:
            return {8, -1};
        case xla::C128:
            return {16, -1};
    }
    throw std::invalid_argument("no kernel takes elements of this type");
}

bool never() { return false; }

struct Xla {
    using Handle = const xla::Buffer*;
    struct Memory {
        Handle buffer;
        Memory(Handle given, bool, int64_t bytes) : buffer(given) {
            int64_t found = kind_of(buffer->dtype).bytes;
            for (int64_t axis = 0; axis < buffer->rank; ++axis)
                found = times(found, buffer->dims[axis]);
            if (found != bytes)
                throw std::invalid_argument("expected " + std::to_string(bytes) + " bytes, got " +
                                            std::to_string(found));
        }
        void* data() const { return buffer->data; }
    };
    static bool absent(Handle buffer) { return buffer == nullptr; }
    static void run(Range kernel, const void* job, int64_t items, int64_t grain) {
        parallel(kernel, job, items, grain, threads_now(), never);
    }
    static void ran(const char*) {}
};

// What one custom call brings.
struct Frame {
    const xla::CallFrame& frame;

    const xla::Buffer* operand(int64_t i) const { return buffer(frame.args, i); }
    const xla::Buffer* result(int64_t i) const { return buffer(frame.rets, i); }
    int64_t operands() const { return frame.args.size; }
    int64_t results() const { return frame.rets.size; }

    template <class T>
    std::vector<T> attribute(const char* name, int dtype) const {
        for (int64_t i = 0; i < frame.attrs.size; ++i) {
            const xla::Name& found = *frame.attrs.names[i];
            if (found.len != strlen(name) || memcmp(found.ptr, name, found.len) != 0) continue;
            const xla::Array& array = *static_cast<const xla::Array*>(frame.attrs.attrs[i]);
            if (frame.attrs.types[i] != xla::kArray || array.dtype != dtype) break;
            const T* first = static_cast<const T*>(array.data);
            return std::vector<T>(first, first + array.size);
        }
        throw std::invalid_argument(std::string("the call has no attribute ") + name);
    }
    Numbers plan() const { return attribute<int64_t>("plan", xla::S64); }

private:
    static const xla::Buffer* buffer(const xla::Buffers& buffers, int64_t i) {
        if (i >= buffers.size) throw std::invalid_argument("the call has too few arrays");
        return static_cast<const xla::Buffer*>(buffers.items[i]);
    }
};

// Integers one after the other.
class Reader {
public:
    explicit Reader(const Numbers& given) : numbers(given) {}
    int64_t next() {
        if (at >= numbers.size()) throw std::invalid_argument("the plan is too short");
        return numbers[at++];
    }
    Numbers next(int64_t count) {
        if (count < 0 || uint64_t(count) > numbers.size() - at)
            throw std::invalid_argument("the plan is too short");
        const auto from = numbers.begin() + int64_t(at);
        at += size_t(count);
        return Numbers(from, from + count);
    }
    // How many there are comes first, then each with its own length before it.
    std::vector<Numbers> lists() {
        std::vector<Numbers> found;
        for (int64_t left = next(); left > 0; --left) found.push_back(next(next()));
        return found;
    }

private:
    const Numbers& numbers;
    size_t at = 0;
};

template <class... Vectors>
int64_t bytes_of(const Vectors&... vectors) {
    return (int64_t(vectors.size() * sizeof(vectors[0])) + ...);
}
int64_t bytes_of(const Plan& plan) { return bytes_of(plan.tables); }
int64_t bytes_of(const Terms& t) {
    return bytes_of(t.first, t.source, t.weights, t.rounded, t.slot_source, t.slot_weights,
                    t.slot_rounded);
}
int64_t bytes_of(const ConvPlan::Tables& t) {
    return bytes_of(t.segments, t.slices, t.phases, t.tap_rows);
}
int64_t bytes_of(const Conv& conv) {
    const ConvPlan& p = conv.plan;
    return bytes_of(p.full) + bytes_of(p.tail) +
           bytes_of(p.columns, p.outer_columns, p.offsets, p.sources, p.meetings, p.meetings_of);
}
int64_t bytes_of(const WeightGrad& grad) { return bytes_of(grad.plan.offsets); }

// What `make` makes of a key, kept for the next call: 1024 of a kind and MOST bytes at most.
constexpr int64_t MOST = 64 << 20;

template <class Made, class Make>
std::shared_ptr<const Made> kept(const Numbers& key, Make make) {
    struct Known {
        std::mutex mutex;
        std::map<Numbers, std::shared_ptr<const Made>> made;
        int64_t bytes = 0;
    };
    static Known& known = *new Known;  // never destroyed
    std::lock_guard<std::mutex> lock(known.mutex);
    const auto found = known.made.find(key);
    if (found != known.made.end()) return found->second;
    std::shared_ptr<const Made> made = make(key);
    const int64_t bytes = bytes_of(*made) + bytes_of(key);
    if (bytes > MOST) return made;
    if (known.made.size() >= 1024 || known.bytes + bytes > MOST) {
        known.made.clear();  // calls that are running hold their own
        known.bytes = 0;
    }
    if (known.made.emplace(key, made).second) known.bytes += bytes;
    return made;
}

std::shared_ptr<const Plan> plan_of(const Numbers& numbers) {
    return kept<Plan>(numbers, [](const Numbers& key) {
        Reader read(key);
        const int64_t planes = read.next(), channels = read.next();
        const bool blocks = read.next() != 0, inside = read.next() != 0, tiles = read.next() != 0;
        return std::make_shared<const Plan>(planes, read.lists(), channels, blocks, inside, tiles);
    });
}

// Over `count` elements `stride` apart.
int64_t step(int64_t stride, int64_t count) {
    if (!counts(count)) throw std::invalid_argument("no array has this shape");
    return times(stride, count);
}

template <class Made>
std::shared_ptr<const Made> convolution_of(const Frame& call) {
    // The tier may be another one at the next call.
    Numbers numbers = call.plan();
    numbers.push_back(int64_t(reinterpret_cast<uintptr_t>(current())));
    const int element = kind_of(call.operand(0)->dtype).dtype;
    if (element < 0 || element >= kFloats)
        throw std::invalid_argument("no convolution has these elements");
    numbers.push_back(element);
    return kept<Made>(numbers, [](const Numbers& key) {
        Reader read(key);
        const bool transposed = read.next() != 0;
        const int64_t batch = read.next(), groups = read.next(), in = read.next(),
                      out = read.next();
        const std::vector<Numbers> axes = read.lists();
        const size_t rank = axes.size();
        Numbers strides[2];
        for (int side = 0; side < 2; ++side) {
            strides[side].assign(rank + 2, 1);
            for (size_t axis = rank; axis > 0; --axis)
                strides[side][axis] =
                    step(strides[side][axis + 1], axes[axis - 1].at(size_t(side)));
            strides[side][0] = step(strides[side][1], side ? out : in);
        }
        return std::make_shared<const Made>(int(key.back()), transposed, batch, groups, in, out,
                                            axes, strides[0], strides[1]);
    });
}

// -- the calls
// -------------------------------------------------------------------------------------

// Programs are read from disk, and what each array is made of is theirs to say.
void check_alike(const xla::Buffer* a, const xla::Buffer* b) {
    if (a->dtype != b->dtype) throw std::invalid_argument("arrays are of several types");
}

void check_switches(const xla::Buffer* taps) {
    if (taps->dtype != xla::U8 && taps->dtype != xla::U16 && taps->dtype != xla::U32)
        throw std::invalid_argument("switches are unsigned integers");
}

template <Range (Kernels::*TABLE)[WIDTHS], bool UP, bool SHUFFLE>
void move_call(const Frame& call) {
    check_alike(call.operand(0), call.result(0));
    move<Xla, TABLE, UP, SHUFFLE>(*plan_of(call.plan()), call.operand(0), call.result(0),
                                  kind_of(call.operand(0)->dtype).bytes);
}

void window_sum_call(const Frame& call) {
    const int dtype = kind_of(call.operand(0)->dtype).dtype;
    const int sum = kind_of(call.result(0)->dtype).dtype;
    const bool wide = sum == kind_of(xla::S64).dtype || sum == kind_of(xla::U64).dtype;
    if (dtype >= kFloats ? !wide : sum != dtype)
        throw std::invalid_argument("no kernel sums like this");
    window_sum<Xla>(*plan_of(call.plan()), call.operand(0), call.result(0), dtype,
                    kind_of(call.result(0)->dtype).bytes);
}

void pool_call(const Frame& call) {
    const xla::Buffer* taps = call.results() > 1 ? call.result(1) : nullptr;
    check_alike(call.operand(0), call.result(0));
    if (taps) check_switches(taps);
    pool<Xla>(*plan_of(call.plan()), call.operand(0), call.result(0), taps,
              kind_of(call.operand(0)->dtype).dtype, taps ? kind_of(taps->dtype).bytes : 1);
}

template <Rule RULE>
void unpool_call(const Frame& call) {
    const Kind element = kind_of(call.operand(0)->dtype);
    check_alike(call.operand(0), call.result(0));
    check_switches(call.operand(1));
    unpool<Xla>(*plan_of(call.plan()), call.operand(0), call.operand(1), call.result(0),
                RULE == LAST ? element.bytes : element.dtype, kind_of(call.operand(1)->dtype).bytes,
                RULE);
}

void gather_call(const Frame& call) {
    check_alike(call.operand(0), call.result(0));
    check_switches(call.operand(1));
    gather<Xla>(*plan_of(call.plan()), call.operand(0), call.operand(1), call.result(0),
                kind_of(call.operand(0)->dtype).bytes, kind_of(call.operand(1)->dtype).bytes);
}

void resize_call(const Frame& call) {
    const std::vector<double> weights = call.attribute<double>("weights", xla::F64);
    Numbers key = call.plan();
    const size_t numbers = key.size();
    key.resize(numbers + weights.size());
    if (!weights.empty()) memcpy(&key[numbers], weights.data(), weights.size() * sizeof(double));
    const auto terms = kept<Terms>(key, [&](const Numbers& given) {
        Reader read(given);
        read.next(3);
        const int64_t n = read.next(), m = read.next();
        if (!counts(m)) throw std::invalid_argument("no axis has these terms");
        Numbers first = read.next(m + 1), source = read.next(int64_t(weights.size()));
        return std::make_shared<const Terms>(n, m, std::move(first), std::move(source), weights);
    });
    Reader read(key);
    const int64_t outer = read.next(), inner = read.next();
    const bool copy = read.next() != 0;
    const int dtype = call.operand(0)->dtype;
    check_alike(call.operand(0), call.result(0));
    if (!copy && dtype != xla::F32 && dtype != xla::F64)
        throw std::invalid_argument("no kernel adds these");
    resize<Xla>(*terms, call.operand(0), call.result(0), outer, inner, kind_of(dtype).bytes, copy);
}

void conv_call(const Frame& call) {
    for (int64_t i = 1; i < call.operands(); ++i) check_alike(call.operand(0), call.operand(i));
    check_alike(call.operand(0), call.result(0));
    const auto conv = convolution_of<Conv>(call);
    const Xla::Memory from(call.operand(0), false, conv->in_bytes);
    const Xla::Memory weight(call.operand(1), false, conv->weight_bytes);
    const Xla::Memory to(call.result(0), true, conv->out_bytes);
    ConvArguments given{from.data(), weight.data(), nullptr, nullptr, to.data()};
    if (call.operands() > 2)
        given.bias = Xla::Memory(call.operand(2), false, conv->bias_bytes).data();
    const char* ran = "";
    run_conv(conv->plan, given, workers_for(conv->plan.work, never), &ran);
}

void weight_grad_call(const Frame& call) {
    check_alike(call.operand(0), call.operand(1));
    check_alike(call.operand(0), call.result(0));
    const auto grad = convolution_of<WeightGrad>(call);
    const Xla::Memory fine(call.operand(0), false, grad->in_bytes);
    const Xla::Memory coarse(call.operand(1), false, grad->out_bytes);
    const Xla::Memory to(call.result(0), true, grad->weight_bytes);
    const char* ran = "";
    run_weight_grad(grad->plan, fine.data(), coarse.data(), to.data(),
                    workers_for(grad->plan.work, never), &ran);
}

xla::Error* error(const xla::CallFrame* frame, int code, const char* message) {
    xla::NewError wanted{sizeof(xla::NewError), nullptr, message, code};
    return frame->api->create_error(&wanted);
}

template <void (*CALL)(const Frame&)>
xla::Error* handle(xla::CallFrame* frame) {
    const xla::Extension* first = frame->extension_start;
    if (first && first->type == xla::kMetadata) {  // XLA asks what it may expect
        xla::Metadata* asked = reinterpret_cast<const xla::MetadataExtension*>(first)->metadata;
        // Minor versions only add to the structs, so we are of any that the runtime is of. Those
        // that do not say here what they are of (jax 0.5 to 0.8.0) are of the first.
        asked->api_version.major_version = xla::kMajorVersion;
        asked->api_version.minor_version =
            frame->api ? frame->api->api_version.minor_version : xla::kFirstMinorVersion;
        asked->traits = 0;
        return nullptr;
    }
    try {
        CALL(Frame{*frame});
    } catch (const std::bad_alloc&) {
        return error(frame, xla::kResourceExhausted, "unsample: no memory for the workspace");
    } catch (const std::exception& caught) {
        char message[256];
        snprintf(message, sizeof message, "unsample: %s", caught.what());
        return error(frame, xla::kInvalidArgument, message);
    }
    return nullptr;
}

constexpr CustomCall CALLS[] = {
    {"unsample_nearest", handle<move_call<&Kernels::nearest, true, false>>},
    {"unsample_bed_of_nails", handle<move_call<&Kernels::nails, true, false>>},
    {"unsample_decimate", handle<move_call<&Kernels::decimate, false, false>>},
    {"unsample_pixel_shuffle", handle<move_call<&Kernels::shuffle, true, true>>},
    {"unsample_pixel_unshuffle", handle<move_call<&Kernels::unshuffle, false, true>>},
    {"unsample_window_sum", handle<window_sum_call>},
    {"unsample_max_pool", handle<pool_call>},
    {"unsample_max_unpool", handle<unpool_call<LAST>>},
    {"unsample_max_unpool_sum", handle<unpool_call<SUM>>},
    {"unsample_max_unpool_max", handle<unpool_call<MAX>>},
    {"unsample_max_gather", handle<gather_call>},
    {"unsample_resize", handle<resize_call>},
    {"unsample_conv", handle<conv_call>},
    {"unsample_conv_weight_grad", handle<weight_grad_call>},
};

}  // namespace

const CustomCall* custom_calls(int* count) {
    *count = int(sizeof CALLS / sizeof CALLS[0]);
    return CALLS;
}

}  // namespace unsample
