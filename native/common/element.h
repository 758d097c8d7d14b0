// The element types that are compared, added or multiplied.
#pragma once
#include <stdint.h>

namespace unsample {

// bool is u8. Convolutions take the floats, which come first.
enum class Element : int32_t { f32, f64, f16, bf16, i8, i16, i32, i64, u8, u16, u32, u64 };
constexpr int kElements = 12, kFloats = 4;
constexpr int kElementBytes[kElements] = {4, 8, 2, 2, 1, 2, 4, 8, 1, 2, 4, 8};

}  // namespace unsample
