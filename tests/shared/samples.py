"""One list of samples per pair, used by tests and benchmarks.

A sample is a call of the pair's way *down*; its way up follows from it (`Pair.up_call`). Axis sizes
differ from each other and are mostly prime, so that a swapped axis cannot hide. Values are small
integers in float64: every sum is exact, and "equal" means equal.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

import unsample as us
from unsample import PAIRS, Pair


@dataclass(frozen=True)
class Sample:
    """`pair.down(x, *args, **kwargs)` with x of `shape`."""

    pair: Pair
    name: str
    shape: tuple[int, ...]
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.pair.name}-{self.name}"

    @property
    def up(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """args, kwargs of the way up."""
        return self.pair.up_call(self.shape, self.args, self.kwargs)

    @property
    def coarse_shape(self) -> tuple[int, ...]:
        """Shape of what the way down gives."""
        return self.pair.plan_down(self.shape, *self.args, **self.kwargs).output_shape

    def x(self) -> np.ndarray:
        """Input of the way down."""
        return integers(self.shape, 1)

    def y(self) -> np.ndarray:
        """Input of the way up."""
        return integers(self.coarse_shape, 2)


def integers(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Integers from -9 to 9 as float64, none of them 0."""
    rng = np.random.default_rng([seed, *shape])
    return rng.integers(1, 10, shape) * rng.choice([-1.0, 1.0], shape)


def _switches(shape: tuple[int, ...], kernel_size: Any, **kwargs: Any) -> us.Switches:
    # Distinct values, so that every window has one maximum wherever it is looked for.
    x = np.random.default_rng([3, *shape]).permutation(int(np.prod(shape))).reshape(shape)
    return us.max_pool(x.astype(float), kernel_size, **kwargs)[1]


def _adaptive(shape: tuple[int, ...], output_size: Any) -> us.Switches:
    x = np.random.default_rng([4, *shape]).permutation(int(np.prod(shape))).reshape(shape)
    return us.adaptive_max_pool(x.astype(float), output_size)[1]


# name, shape of x, args, kwargs. Every argument of the operation appears in each form it may have.
_CALLS: dict[str, list[tuple[str, tuple[int, ...], tuple[Any, ...], dict[str, Any]]]] = {
    "nearest": [
        ("1d", (2, 3, 10), (2,), {}),
        ("2d", (2, 3, 4, 10), (2,), {}),
        ("2d-per-axis", (3, 6, 10), ((3, 5),), {}),
        ("3d", (1, 2, 4, 6, 2), (2,), {}),
        ("plain-array", (6, 4), ((3, 2),), {}),
        ("factor-1", (2, 3, 5), (1,), {}),
        ("4d", (2, 4, 2, 6), ((1, 2, 2, 3),), {}),
    ],
    "bed_of_nails": [
        ("1d", (2, 3, 11), (2,), {}),
        ("2d-corner", (2, 3, 4, 7), (2,), {"at": "corner"}),
        ("2d-center", (2, 1, 7, 11), (3,), {"at": "center"}),
        ("2d-per-axis", (3, 7, 10), ((3, 4),), {"at": (1, 3)}),
        ("3d", (1, 2, 5, 3, 7), (2,), {"at": 1}),
        ("odd-size", (5, 3), ((2, 2),), {}),
        ("cut-off", (2, 2), ((4, 3),), {"at": (0, 1)}),
        ("factor-1", (2, 3, 5), (1,), {}),
    ],
    "max_unpool": [
        ("1d", (2, 3, 11), (_switches((2, 3, 11), 2),), {}),
        ("2d", (2, 3, 6, 10), (_switches((2, 3, 6, 10), 2),), {}),
        ("2d-overlap", (1, 2, 7, 11), (_switches((1, 2, 7, 11), 3, stride=2),), {}),
        ("2d-padding", (2, 7, 11), (_switches((2, 7, 11), (3, 2), stride=2, padding=1),), {}),
        ("dilation", (1, 2, 11, 7), (_switches((1, 2, 11, 7), 2, stride=1, dilation=(3, 2)),), {}),
        ("ceil", (1, 1, 5, 7), (_switches((1, 1, 5, 7), 2, ceil_mode=True),), {}),
        ("same", (1, 1, 5, 7), (_switches((1, 1, 5, 7), 3, stride=2, padding="same"),), {}),
        (
            "per-side",
            (5, 7),
            (_switches((5, 7), (3, 3), stride=2, padding=((1, 0), (0, 1))),),
            {},
        ),
        ("3d", (1, 2, 4, 3, 5), (_switches((1, 2, 4, 3, 5), 2, ceil_mode=True),), {}),
        ("adaptive", (1, 2, 7, 11), (_adaptive((1, 2, 7, 11), (3, 5)),), {}),
        ("adaptive-up", (1, 1, 3, 2), (_adaptive((1, 1, 3, 2), (5, 3)),), {}),
        ("two-bytes", (1, 17, 17), (_switches((1, 17, 17), (17, 16)),), {}),
        ("gaps", (1, 1, 11), (_switches((1, 1, 11), 2, stride=4),), {}),
    ],
    "conv_transpose": [
        ("1d", (2, 3, 11), (integers((5, 3, 3), 5),), {"stride": 2}),
        ("2d", (1, 3, 5, 7), (integers((2, 3, 3, 2), 5),), {}),
        ("2d-stride", (1, 2, 7, 10), (integers((3, 2, 4, 4), 5),), {"stride": 2, "padding": 1}),
        ("2d-dilation", (1, 2, 9, 11), (integers((3, 2, 3, 2), 5),), {"dilation": (2, 3)}),
        (
            "dilation-stride",
            (2, 13),
            (integers((3, 2, 3), 5),),
            {"dilation": 3, "stride": 2, "padding": 2},
        ),
        ("groups", (1, 4, 5, 7), (integers((6, 2, 3, 3), 5),), {"groups": 2, "stride": (2, 1)}),
        ("depthwise", (2, 5, 11), (integers((5, 1, 4), 5),), {"groups": 5, "stride": 3}),
        ("multiplier", (1, 3, 7), (integers((6, 1, 3), 5),), {"groups": 3, "padding": "same"}),
        ("kernel-below-stride", (1, 1, 11, 7), (integers((2, 1, 2, 1), 5),), {"stride": 3}),
        (
            "per-side",
            (1, 2, 5, 7),
            (integers((3, 2, 3, 3), 5),),
            {"padding": ((2, 0), (0, 1)), "stride": 2},
        ),
        ("crop", (1, 1, 7, 11), (integers((2, 1, 3, 3), 5),), {"padding": ((-1, -2), -1)}),
        ("same", (1, 2, 7, 10), (integers((1, 2, 4, 3), 5),), {"padding": "same", "stride": (3, 2)}),
        ("full", (1, 2, 5), (integers((3, 2, 3), 5),), {"padding": "full", "stride": 2}),
        ("3d", (1, 2, 4, 5, 3), (integers((3, 2, 2, 3, 2), 5),), {"stride": (2, 1, 2), "padding": 1}),
        ("4d", (1, 1, 3, 4, 2, 5), (integers((2, 1, 2, 2, 1, 3), 5),), {"stride": 2, "padding": 1}),
        ("unbatched", (3, 5, 7), (integers((2, 3, 3, 3), 5),), {"padding": 1}),
        *(
            (
                f"{mode}-{name}",
                shape,
                (integers((2, shape[-len(kernel) - 1], *kernel), 5),),
                {"padding_mode": mode, **more},
            )
            for mode in ("circular", "reflect", "replicate")
            for name, shape, kernel, more in [
                ("1d", (1, 2, 5), (5,), {"padding": 3}),
                ("2d", (1, 2, 4, 5), (3, 3), {"padding": (1, 2), "stride": 2}),
                ("same", (2, 7, 3), (4, 2), {"padding": "same", "dilation": (2, 1)}),
                ("wraps", (1, 1, 3), (2,), {"padding": ((8, 1),), "stride": 3}),
            ]
        ),
    ],
    "pixel_shuffle": [
        ("1d", (2, 3, 10), (2,), {}),
        ("2d", (2, 3, 4, 10), (2,), {}),
        ("2d-dcr", (2, 3, 4, 10), (2,), {"order": "DCR"}),
        ("2d-per-axis", (5, 6, 10), ((3, 5),), {}),
        ("3d", (1, 3, 4, 6, 2), (2,), {}),
        ("3d-dcr", (1, 2, 4, 3, 2), ((2, 3, 1),), {"order": "DCR"}),
        ("factor-1", (2, 3, 5), (1,), {}),
    ],
    "resize": [
        (f"{method}-{convention}{'-antialias' * antialias}-{name}", shape, (size,), options)
        for method, convention, antialias in [
            *((m, c, False) for m in ("nearest", "linear") for c in ("half_pixel", "align_corners")),
            *((m, "asymmetric", False) for m in ("nearest", "linear", "cubic")),
            ("nearest", "legacy", False),
            ("cubic", "half_pixel", False),
            ("catmull_rom", "half_pixel", False),
            ("cubic", "align_corners", False),
            ("area", "half_pixel", False),
            ("linear", "half_pixel", True),
            ("cubic", "half_pixel", True),
            ("catmull_rom", "half_pixel", True),
        ]
        for options in [{"method": method, "convention": convention, "antialias": antialias}]
        for name, shape, size in [
            ("double", (2, 1, 10), 5),
            ("mixed", (1, 7, 5), (3, 11)),
            *([("one", (1, 2, 1, 7), (3, 1))] if convention != "asymmetric" else []),
            *([("3d", (1, 1, 3, 4, 6), (2, 4, 3))] if method == "linear" else []),
            # So much growth or shrinking that one element of the short side meets many of the long.
            *([("grows", (29, 3), (2, 3))] if convention == "half_pixel" else []),
            *([("shrinks", (2, 3), (29, 3))] if convention == "half_pixel" else []),
        ]
    ]
    + [
        (f"{name}-{'-'.join(map(str, options.values()))}", shape, (size,), options)
        for name, shape, size in [("mixed", (1, 7, 5), (3, 11)), ("one", (1, 2, 1, 7), (3, 1))]
        for options in [
            {"method": "nearest_ties_down"},
            {"method": "floor"},
            {"method": "ceil", "convention": "asymmetric"},
            {"method": "lanczos3"},
            {"method": "lanczos3", "antialias": True},
            {"method": "lanczos5", "antialias": True, "exclude_outside": False},
            {"method": "cubic", "exclude_outside": True},
            {"method": "linear", "antialias": True, "exclude_outside": False},
        ]
    ]
    + [
        (f"positions-{name}", shape, (size,), {"convention": pairs, **options})
        for name, shape, size, pairs, options in [
            ("mixed", (1, 7, 5), (3, 11), ((-0.25, 0.4), (1.5, 2)), {"method": "cubic"}),
            ("copied", (1, 7, 5), (3, 11), ((-0.25, 0.4), (1.5, 2)), {"method": "nearest"}),
            ("same-size", (2, 4), (4,), ((Fraction(1, 3), Fraction(3, 4)),), {}),
            ("antialias", (2, 3), (11,), ((0.75, 2.5),), {"antialias": True}),
        ]
    ],
}

# The third of the convolution triple, as a function of the weight: x is fixed, the weight is the unknown.
_CALLS["conv_weight_grad"] = [
    (
        name,
        args[0].shape,
        (integers(shape, 6), args[0].shape[2:]),
        kwargs,
    )
    for name, shape, args, kwargs in _CALLS["conv_transpose"]
]

SAMPLES: tuple[Sample, ...] = tuple(
    Sample(pair, name, shape, args, kwargs)
    for pair in PAIRS
    for name, shape, args, kwargs in _CALLS[pair.name]
)

COPIES = ("nearest", "bed_of_nails", "max_unpool", "pixel_shuffle")

# For tests that take long: of each pair two samples of three, which `make slow` tries and the gate does not.
MORE = frozenset(
    str(sample)
    for pair in PAIRS
    for number, sample in enumerate(each for each in SAMPLES if each.pair is pair)
    if number % 3
)
