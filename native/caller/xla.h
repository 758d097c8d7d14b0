// The kernels as custom calls of XLA, which jax makes on the CPU.
#pragma once
#include "xla_ffi.h"

namespace unsample {

struct CustomCall {
    const char* name;
    xla::Handler* handler;
};

// All of them; `count` of them.
const CustomCall* custom_calls(int* count);

}  // namespace unsample
