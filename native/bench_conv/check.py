"""Random shapes against the definition in float64: `python check.py [count] [seed]`."""
# ruff: noqa: T201

import math
import sys

import driver
import ml_dtypes
import numpy as np

import unsample as us
from unsample.ops.conv import plan_conv, plan_conv_transpose

EPS = {"float32": 2.0**-24, "float64": 2.0**-53}
DTYPES = {"float32": np.float32, "float64": np.float64, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
STORED = {"float16": 2.0**-11, "bfloat16": 2.0**-8}


def sizes(rng, rank, top):
    """One size from 1 to `top` per axis."""
    return tuple(int(v) for v in rng.integers(1, top + 1, rank))


def sample(rng):
    """Shapes and options of one random call, as the fine side sees them."""
    rank = int(rng.integers(1, 4))
    top = {1: 60, 2: 24, 3: 9}[rank]
    groups = int(rng.choice([1, 1, 1, 2, 3, 5]))
    kernel = sizes(rng, rank, 6 if rank < 3 else 4)
    stride = sizes(rng, rank, 4)
    dilation = sizes(rng, rank, 3) if rng.random() < 0.3 else (1,) * rank
    padding = [tuple(int(v) for v in rng.integers(-2, 6, 2)) for _ in range(rank)]
    channels = [int(rng.choice([1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 21, 33])) for _ in range(2)]
    batch = int(rng.choice([0, 1, 2, 3, 7]))
    fine = tuple(int(v) for v in rng.integers(3, top + 3, rank))
    return batch, groups, channels[0] * groups, channels[1] * groups, kernel, fine, stride, dilation, padding


def laid_out(a, layout, dtype, rng):
    """`a` in the layout, its values kept."""
    if layout == "strided":
        padded = np.empty([2 * n + 1 for n in a.shape], dtype)
        view = padded[tuple(slice(1, 2 * n + 1, 2) for n in a.shape)]
        view = view[..., ::-1] if a.shape[-1] else view
    else:
        view = driver.empty(a.shape, dtype, layout)
    view[...] = a
    return view


def compare(what, call, out, want, size, terms, name):
    """The call's result against `want`, and the same bits from two threads."""
    call.run(threads=1)
    eps = EPS["float64" if name == "float64" else "float32"]
    bound = terms * eps * size + STORED.get(name, 0) * abs(want) + (2.0**-24 if name == "float16" else 0)
    error = abs(out.astype(np.float64) - want)
    if not (error <= bound).all():
        bad = np.argwhere(~(error <= bound))
        first = tuple(bad[0])
        raise SystemExit(f"{what}: {len(bad)} wrong of {out.size}, {first}: {out[first]} for {want[first]}")
    once = out.tobytes()
    call.run(threads=2)
    assert out.tobytes() == once, f"{what}: threads change the result"


def check(rng, tier):
    """One random call of all three; True where it was possible."""
    batch, groups, c_x, c_y, kernel, fine, stride, dilation, padding = sample(rng)
    mode = str(rng.choice(["zeros", "zeros", "circular", "reflect", "replicate"]))
    options = {"stride": stride, "dilation": dilation, "padding": padding, "groups": groups}
    wshape = (c_y, c_x // groups, *kernel)
    try:
        down = plan_conv((batch, c_x, *fine), wshape, padding_mode=mode, **options)
        up = plan_conv_transpose(down.output_shape, wshape, output_size=fine, **options)
    except us.ShapeError:
        return False
    name = str(rng.choice(["float32", "float32", "float64", "float16", "bfloat16"]))
    dtype = DTYPES[name]

    def random(shape):
        layout = str(rng.choice(["first", "last", "strided"]))
        return laid_out(rng.standard_normal(shape).astype(dtype), layout, dtype, rng)

    what = f"{tier} {name} {mode} {(batch, c_x, *fine)} {wshape} {options}"
    for plan, transposed in ((down, False), (up, True)):
        extra = {"output_size": fine} if transposed else {"padding_mode": mode}
        f = us.conv_transpose if transposed else us.conv
        x, out = random(plan.input_shape), random(plan.output_shape)
        w = rng.standard_normal(wshape).astype(dtype)
        bias = rng.standard_normal(plan.output_shape[1]).astype(dtype) if rng.random() < 0.5 else None
        same = {"groups": groups, "transposed": transposed, "tier": tier, "bias": bias}
        call = driver.Call(plan.windows, x, w, out, **same)
        doubles = [None if a is None else a.astype(np.float64) for a in (x, w, bias)]
        want = f(*doubles, **options, **extra)
        size = f(*(None if a is None else abs(a) for a in doubles), **options, **extra)
        compare(f"{what} {f.__name__}", call, out, want, size, math.prod(wshape) + 2, name)
    x, y = random(down.input_shape), random(down.output_shape)
    out = np.full(wshape, np.nan).astype(dtype)
    call = driver.WeightGrad(down.windows, x, y, out, groups=groups, tier=tier)
    doubles = [a.astype(np.float64) for a in (x, y)]
    want = us.conv_weight_grad(*doubles, kernel, padding_mode=mode, **options)
    size = us.conv_weight_grad(*(abs(a) for a in doubles), kernel, padding_mode=mode, **options)
    compare(f"{what} weight_grad", call, out, want, size, y.size // c_y + 2 if c_y else 2, name)
    return True


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    for tier in driver.TIERS:
        rng = np.random.default_rng(seed)
        done = sum(check(rng, tier) for _ in range(count))
        print(f"{tier}: {done} of {count} random calls of all three agree with the definition")
