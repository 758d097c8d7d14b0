// One target of the driver: compiled with -DUNSAMPLE_TARGET=<name> and its flags.
#include "../kernels/conv.h"

#define UNSAMPLE_NAME2(target) target##_conv_kernels
#define UNSAMPLE_NAME(target) UNSAMPLE_NAME2(target)
extern const unsample::ConvKernels& UNSAMPLE_NAME(UNSAMPLE_TARGET)();
const unsample::ConvKernels& UNSAMPLE_NAME(UNSAMPLE_TARGET)() {
    return unsample::UNSAMPLE_TARGET::conv_kernels;
}
