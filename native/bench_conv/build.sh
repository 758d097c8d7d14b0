#!/usr/bin/env bash
# Builds the driver library next to this file.
set -euo pipefail
cd "$(dirname "$0")"
flags="-std=c++17 -O3 -ffp-contract=fast -fPIC -Wall -Wextra -g -fno-math-errno"
out=../../build/bench_conv
mkdir -p $out
g++ $flags -DUNSAMPLE_TARGET=baseline -c ../kernels/conv.cpp -o $out/baseline.o &
g++ $flags -DUNSAMPLE_TARGET=baseline -c peak.cpp -o $out/peak_baseline.o &
g++ $flags -DUNSAMPLE_TARGET=avx2 -mavx2 -mfma -c ../kernels/conv.cpp -o $out/avx2.o &
g++ $flags -DUNSAMPLE_TARGET=avx2 -mavx2 -mfma -c peak.cpp -o $out/peak_avx2.o &
g++ $flags -DUNSAMPLE_TARGET=avx512 -mavx512f -mavx512vl -mavx512bw -mavx512dq -mfma -c ../kernels/conv.cpp -o $out/avx512.o &
g++ $flags -DUNSAMPLE_TARGET=avx512 -mavx512f -mavx512vl -mavx512bw -mavx512dq -mfma -c peak.cpp -o $out/peak_avx512.o &
g++ $flags -I.. -c ../conv_call.cpp -o $out/call.o &
g++ $flags -c ../threads.cpp -o $out/threads.o &
g++ $flags -c ../conv_plan.cpp -o $out/plan.o &
g++ $flags -c ../conv_plan_planes.cpp -o $out/plan_planes.o &
g++ $flags -c ../conv_plan_weight_grad.cpp -o $out/plan_weight_grad.o &
g++ $flags -c driver.cpp -o $out/driver.o &
wait
g++ -shared -o $out/libconv.so $out/*.o -pthread
