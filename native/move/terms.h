// What a resize along one axis is made of.
#pragma once
#include <algorithm>
#include <stdexcept>
#include <utility>
#include <vector>

#include "../common/int_math.h"

namespace unsample {

// One axis of a resize: which inputs make an output, with what weights; none for copies.
struct Terms {
    int64_t n, m, longest = 0, alike = 0, alike_end = 0, slots = 0;
    std::vector<int64_t> first, source, slot_source;
    std::vector<double> weights, slot_weights;
    std::vector<float> rounded, slot_rounded;

    Terms(int64_t n, int64_t m, std::vector<int64_t> starts, std::vector<int64_t> sources,
          std::vector<double> factors)
        : n(n),
          m(m),
          first(std::move(starts)),
          source(std::move(sources)),
          weights(std::move(factors)) {
        bool good = counts(m) && int64_t(first.size()) == m + 1 && first.front() == 0 &&
                    first.back() == int64_t(source.size()) && weights.size() == source.size();
        for (int64_t o = 0; good && o < m; ++o) {
            good = first[o + 1] >= first[o];
            longest = std::max(longest, first[o + 1] - first[o]);
        }
        for (const int64_t i : source) good = good && i >= 0 && i < n;
        if (!good) throw std::invalid_argument("no axis has these terms");
        rounded.assign(weights.begin(), weights.end());
        lay_out_slots();
    }

private:
    int64_t length(int64_t o) const { return first[o + 1] - first[o]; }

    // The longest run of outputs with as many terms each; at the border there are fewer.
    void lay_out_slots() {
        for (int64_t o = 0, begin = 0; o < m; ++o) {
            if (length(o) != length(begin)) begin = o;
            if (o + 1 - begin > alike_end - alike) alike = begin, alike_end = o + 1;
        }
        slots = alike < alike_end ? length(alike) : 0;
        if (slots > 16) alike_end = alike;
        if (alike == alike_end) return;
        slot_source.resize(slots * m);
        slot_weights.resize(slots * m);
        for (int64_t o = alike; o < alike_end; ++o) {
            for (int64_t slot = 0; slot < slots; ++slot) {
                slot_source[slot * m + o] = source[first[o] + slot];
                slot_weights[slot * m + o] = weights[first[o] + slot];
            }
        }
        slot_rounded.assign(slot_weights.begin(), slot_weights.end());
    }
};

}  // namespace unsample
