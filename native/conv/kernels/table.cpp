// The convolution kernels, built once per target like those of move/: no STL, no nanobind.
#include "table.h"

#if defined(__GNUC__)
#include "kernels.h"
#else
// Without vector types the definition runs.
namespace unsample {
namespace UNSAMPLE_TARGET {
extern const ConvKernels CONV_KERNELS;
const ConvKernels CONV_KERNELS = {};
}  // namespace UNSAMPLE_TARGET
}  // namespace unsample
#endif
