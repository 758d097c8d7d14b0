// The kernels that move, compare and add, built once per target: see common/target.h.
#include "../../common/halves.h"
#include "../../common/int_math.h"
#include "../../common/lanes.h"
#include "../../common/target.h"
#include "../../targets.h"

namespace unsample {
namespace UNSAMPLE_TARGET {

extern const Kernels KERNELS;
extern const ConvKernels CONV_KERNELS;  // conv/kernels/table.cpp

namespace {
// In the order in which they build on each other:
// clang-format off
#include "lanes.h"
#include "rows.h"
#include "elements.h"
#include "windows.h"
#include "positions.h"
#include "nearest.h"
#include "nails.h"
#include "shuffle.h"
#include "pool.h"
#include "unpool.h"
#include "window_sum.h"
#include "resize.h"
// clang-format on

#define S(...) signed_by_target<__VA_ARGS__>
#define WIDTHS_OF(kernel)                                                               \
    {S(kernel<uint8_t>), S(kernel<uint16_t>), S(kernel<uint32_t>), S(kernel<uint64_t>), \
     S(kernel<Wide>)}
#define WIDTHS_WITH(kernel, Tap)                                                  \
    {S(kernel<uint8_t, Tap>), S(kernel<uint16_t, Tap>), S(kernel<uint32_t, Tap>), \
     S(kernel<uint64_t, Tap>), S(kernel<Wide, Tap>)}
// In the order of `Element`.
#define DTYPES_OF(kernel)                                                             \
    {S(kernel<Float32>), S(kernel<Float64>), S(kernel<Float16>), S(kernel<BFloat16>), \
     S(kernel<Int8>),    S(kernel<Int16>),   S(kernel<Int32>),   S(kernel<Int64>),    \
     S(kernel<UInt8>),   S(kernel<UInt16>),  S(kernel<UInt32>),  S(kernel<UInt64>)}
#define DTYPES_WITH(kernel, Tap)                                                 \
    {S(kernel<Float32, Tap>),  S(kernel<Float64, Tap>), S(kernel<Float16, Tap>), \
     S(kernel<BFloat16, Tap>), S(kernel<Int8, Tap>),    S(kernel<Int16, Tap>),   \
     S(kernel<Int32, Tap>),    S(kernel<Int64, Tap>),   S(kernel<UInt8, Tap>),   \
     S(kernel<UInt16, Tap>),   S(kernel<UInt32, Tap>),  S(kernel<UInt64, Tap>)}
#define TAPS_OF(form, kernel) \
    {form(kernel, uint8_t), form(kernel, uint16_t), form(kernel, uint32_t)}
}  // namespace

const Kernels KERNELS = {
    kTarget,
    VECTOR,
    WIDTHS_OF(nearest),
    WIDTHS_OF(nails),
    WIDTHS_OF(decimate),
    WIDTHS_OF(shuffle),
    WIDTHS_OF(unshuffle),
    TAPS_OF(DTYPES_WITH, pool),
    DTYPES_OF(pool_values),
    TAPS_OF(WIDTHS_WITH, unpool),
    TAPS_OF(WIDTHS_WITH, gather),
    TAPS_OF(DTYPES_WITH, unpool_sum),
    TAPS_OF(DTYPES_WITH, unpool_max),
    DTYPES_OF(window_sum_of),
    {S(resize<float>), S(resize<double>)},
    WIDTHS_OF(pick),
    &CONV_KERNELS,
};

}  // namespace UNSAMPLE_TARGET
}  // namespace unsample
