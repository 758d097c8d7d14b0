// Every kernel, built once per target into a namespace of its own.
//
// No STL and no nanobind here: an inline function of a shared header, compiled for a new CPU, could
// be the copy that the linker keeps for the old ones.
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "../targets.h"

#define UNSAMPLE_QUOTED(name) #name
#define UNSAMPLE_NAME(name) UNSAMPLE_QUOTED(name)

namespace unsample {
namespace UNSAMPLE_TARGET {

extern const Kernels KERNELS;

namespace {
constexpr const char* NAME = UNSAMPLE_NAME(UNSAMPLE_TARGET);

#include "lanes.h"
#include "rows.h"
// above all others
#include "nearest.h"

#define UNSAMPLE_WIDTHS(kernel)                                                        \
    {signed_by_target<kernel<uint8_t>>, signed_by_target<kernel<uint16_t>>,            \
     signed_by_target<kernel<uint32_t>>, signed_by_target<kernel<uint64_t>>,           \
     signed_by_target<kernel<Wide>>}
}  // namespace

const Kernels KERNELS = {NAME, VECTOR, UNSAMPLE_WIDTHS(nearest), nullptr};

}  // namespace UNSAMPLE_TARGET
}  // namespace unsample
