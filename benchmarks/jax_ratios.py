"""How much faster `unsample` is than `jax.lax` inside a jitted program, for the workloads of `workloads.py`.

`python benchmarks/jax_ratios.py` asks both in turn (A B A B ...) in one process, on arrays that stay on the
device, checks that they agree, and prints the median of the ratios.
"""

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import peers
import workloads


def ours(work: Any) -> Callable[[], Any]:
    """`unsample.conv_transpose` under jit."""
    import jax

    import unsample as us

    x, w, _ = work.arrays()
    words = {
        "stride": work.stride,
        "padding": work.padding,
        "output_padding": work.output_padding,
        "groups": work.groups,
    }
    compiled = jax.jit(lambda x, w: us.conv_transpose(x, w, **words))
    given = jax.device_put(x), jax.device_put(w)
    return lambda: compiled(*given).block_until_ready()


def seconds(call: Callable[[], Any]) -> float:
    """Of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> int:
    """A line per workload."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="workloads whose name contains this")
    arguments = parser.parse_args()
    ratios = []
    print(f"{'workload':44} {'lax ms':>9} {'ours ms':>9} {'ratio':>7}")
    for work in workloads.TRANSPOSED:
        if arguments.only not in work.name:
            continue
        prepared = peers.jax("conv_transpose", work, "nchw")
        assert prepared is not None
        theirs, mine = prepared[0], ours(work)
        a, b = np.asarray(theirs()), np.asarray(mine())
        np.testing.assert_allclose(b, a, rtol=1e-3, atol=1e-3 * float(np.abs(a).max()))
        pairs = [(seconds(theirs), seconds(mine)) for _ in range(arguments.rounds)]
        ratio = float(np.median([lax / us for lax, us in pairs]))
        ratios.append(ratio)
        lax, us = (1e3 * float(np.median(each)) for each in zip(*pairs, strict=True))
        print(f"{work.name:44} {lax:9.2f} {us:9.2f} {ratio:7.2f}", flush=True)
    print(f"geometric mean {np.exp(np.mean(np.log(ratios))):.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
