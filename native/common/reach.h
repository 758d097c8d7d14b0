// How far the windows of an axis reach, where they are windows.
#pragma once
#include "../targets.h"
#include "int_math.h"

namespace unsample {

// How far from the first element of an axis one of its taps may be: kMany where they are no
// windows, or reach too far. Of a window alone the stride does not matter, of a tap alone the
// dilation.
static inline int64_t reach_of(const Axis& a) {
    if (!counts(a.fine) || !counts(a.coarse) || a.size < 1 || a.stride < 1 || a.dilation < 1 ||
        a.before <= -kMany || a.before >= kMany)
        return kMany;
    const int64_t reach = (a.before < 0 ? -a.before : a.before) + a.fine +
                          times(a.coarse, a.coarse > 1 ? a.stride : 1) +
                          times(a.dilation, a.size - 1) + 1;
    return reach < kMany ? reach : kMany;
}

}  // namespace unsample
