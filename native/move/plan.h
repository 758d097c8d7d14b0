// The plan of a movement, of a pooling or of its way back.
#pragma once
#include <algorithm>
#include <stdexcept>
#include <vector>

#include "../common/int_math.h"
#include "../common/reach.h"
#include "../targets.h"

namespace unsample {

// The plan of a call, kept on the C++ side. Kernels trust it: what is no plan is refused here.
struct Plan {
    Geometry geometry{};
    std::vector<int64_t> tables;
    int64_t fine = 1, coarse = 1;        // elements of both sides
    bool divided = true, nailed = true;  // blocks without gaps; one element of every block

    Plan(int64_t planes, const std::vector<std::vector<int64_t>>& axes, int64_t channels,
         bool blocks, bool inside, bool tiles, bool last = false) {
        if (axes.empty() || axes.size() > size_t(MAX_RANK) || !counts(planes) ||
            !counts(channels) || channels < 1)
            throw std::invalid_argument("no plan has these axes");
        geometry.rank = int(axes.size());
        geometry.planes = planes;
        geometry.channels = channels;
        geometry.blocks = blocks;
        geometry.last = last;
        geometry.inside = inside;
        geometry.tiles = tiles;
        geometry.taps = 1;
        size_t entries = 0;
        for (const auto& axis : axes) entries += axis.size();
        tables.reserve(entries);  // so that the pointers into it stay
        fine = coarse = times(planes, channels);
        for (size_t i = 0; i < axes.size(); ++i) {
            Axis& axis = geometry.axes[i];
            take(axes[i], axis);
            geometry.taps = times(geometry.taps, axis.size);
            fine = times(fine, axis.fine);
            coarse = times(coarse, axis.coarse);
        }
        if (geometry.taps == kMany) throw std::invalid_argument("windows have too many taps");
        check_reach();
    }
    Plan(const Plan&) = delete;
    Plan& operator=(const Plan&) = delete;

private:
    void take(const std::vector<int64_t>& numbers, Axis& axis) {
        if (numbers.size() < 6) throw std::invalid_argument("an axis is at least six numbers");
        axis = {numbers[0], numbers[1], numbers[2], numbers[3],
                numbers[4], numbers[5], nullptr,    nullptr};
        if (reach_of(axis) == kMany) throw std::invalid_argument("no axis has these windows");
        if (axis.size == 1) axis.dilation = 1;
        if (numbers.size() > 6) return take_table(numbers, axis);
        // One window: of such a stride that it has every element, as if it were a block.
        if (axis.coarse <= 1)
            axis.stride =
                std::max(axis.size, axis.fine + (axis.before < 0 ? -axis.before : axis.before));
        const int64_t last = (axis.coarse - 1) * axis.stride - axis.before;
        const int64_t extent = (axis.size - 1) * axis.dilation + 1;
        geometry.inside = geometry.inside &&
                          (axis.coarse == 0 || (axis.before <= 0 && last + extent <= axis.fine));
        divided = divided && axis.fine == axis.coarse * axis.size && axis.size == axis.stride &&
                  axis.before == 0 && axis.dilation == 1;
        nailed = nailed && axis.size == 1 && axis.before <= 0 &&
                 (axis.coarse == 0 || (-axis.before < axis.stride && last < axis.fine)) &&
                 floor_div(axis.fine - 1 + axis.before, axis.stride) < axis.coarse;
    }

    // Where each window starts, then how long it is.
    void take_table(const std::vector<int64_t>& numbers, Axis& axis) {
        if (numbers.size() != size_t(6 + 2 * axis.coarse))
            throw std::invalid_argument("a table has two numbers per window");
        const int64_t* start = tables.data() + tables.size();
        tables.insert(tables.end(), numbers.begin() + 6, numbers.end());
        axis.start = start;
        axis.length = start + axis.coarse;
        axis.stride = axis.dilation = 1;
        axis.before = 0;
        int64_t begin = 0, end = 0;  // of the window before
        for (int64_t o = 0; o < axis.coarse; ++o) {
            const int64_t first = axis.start[o], length = axis.length[o];
            if (first < begin || first > axis.fine || length < 0 || length > axis.fine - first ||
                length > axis.size || first + length < end)
                throw std::invalid_argument("no axis has these windows");
            begin = first, end = first + length;
            geometry.inside = geometry.inside && length == axis.size;
        }
        divided = nailed = false;
    }

    // Kernels add up, over the axes, how far each one's taps reach times the elements of all
    // others.
    void check_reach() const {
        int64_t total = 0;
        for (int axis = 0; axis < geometry.rank; ++axis) {
            const Axis& a = geometry.axes[axis];
            int64_t step = times(std::max<int64_t>(geometry.planes, 1), geometry.channels);
            for (int other = 0; other < geometry.rank; ++other) {
                const Axis& b = geometry.axes[other];
                if (other != axis)
                    step = times(step, std::max<int64_t>(1, std::max(b.fine, b.coarse)));
            }
            const int64_t far = times(step, reach_of(a));
            total += far;
            if (far == kMany || total >= 2 * kMany)
                throw std::invalid_argument("windows reach too far");
        }
    }
};

}  // namespace unsample
