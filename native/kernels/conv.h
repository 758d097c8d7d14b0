// The convolution kernels of one target as a table. Compiled once per target, with UNSAMPLE_TARGET
// defined.
#pragma once
#include "conv_gather.h"
#include "conv_planes.h"
#include "conv_table.h"
#include "conv_weight_grad.h"

namespace unsample {
namespace UNSAMPLE_TARGET {

#define UNSAMPLE_EACH_ELEMENT(f) \
    { f<float>, f<double>, f<Half>, f<Bfloat> }

static const ConvKernels conv_kernels = {
    UNSAMPLE_VECTOR_BYTES,
    {UNSAMPLE_EACH_ELEMENT(pack_weight), UNSAMPLE_EACH_ELEMENT(pack_columns)},
    {UNSAMPLE_EACH_ELEMENT(gather), UNSAMPLE_EACH_ELEMENT(planes)},
    UNSAMPLE_EACH_ELEMENT(weight_grad),
    UNSAMPLE_EACH_ELEMENT(add_parts),
};

#undef UNSAMPLE_EACH_ELEMENT

}  // namespace UNSAMPLE_TARGET
}  // namespace unsample
