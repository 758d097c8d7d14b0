"""torch's own samples (its OpInfo database) as an outside oracle: values, indices and gradients."""

import warnings
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest
import torch

import unsample as us

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # importing torch's test machinery warns of its own deprecations
    from torch.testing._internal.common_methods_invocations import op_db

OPERATORS = {
    f"{op.name}{'.' if op.variant_test_name else ''}{op.variant_test_name}".removeprefix("nn.functional."): op
    for op in op_db
}


def samples(name: str) -> Iterator[Any]:
    op = OPERATORS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield from op.sample_inputs("cpu", torch.float64, requires_grad=True)


def compare(ours: Callable[..., Any], theirs: Callable[..., Any], tensors: list[Any]) -> None:
    """Same values and same gradients for random cotangents."""
    a, b = ours(*tensors), theirs(*tensors)
    torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)
    wanted = [t for t in tensors if t is not None and t.requires_grad]
    if b.numel() and wanted:
        cotangent = torch.randn(b.shape, dtype=b.dtype, generator=torch.Generator().manual_seed(0))
        for x, y in zip(
            torch.autograd.grad(a, wanted, cotangent),
            torch.autograd.grad(b, wanted, cotangent),
            strict=True,
        ):
            torch.testing.assert_close(x, y, rtol=1e-11, atol=1e-11)


def check(name: str, run: Callable[[Any], bool], at_least: int, step: int = 1) -> None:
    """Run every sample, or one of `step`; `run` says whether it compared anything."""
    ran = sum(run(sample) for sample in islice(samples(name), None, None, step))
    assert ran >= at_least, f"only {ran} samples of {name} compared"


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("name", ["conv", "conv_transpose"])
def test_convolution(name: str, rank: int) -> None:
    theirs, ours = getattr(torch.nn.functional, f"{name}{rank}d"), getattr(us, name)
    order = ["stride", "padding", "dilation", "groups"]
    if name == "conv_transpose":
        order = ["stride", "padding", "output_padding", "groups", "dilation"]

    def run(sample: Any) -> bool:
        weight, bias, *rest = [*sample.args, None][: max(2, len(sample.args))]
        options = dict(zip(order, rest, strict=False)) | dict(sample.kwargs)
        options = {k: v[0] if isinstance(v, tuple) and len(v) == 1 else v for k, v in options.items()}
        compare(
            lambda *t: ours(*t, **options),
            lambda *t: theirs(*t, **sample.kwargs | options),
            [sample.input, weight, bias],
        )
        return True

    check(f"{name}{rank}d", run, at_least=4)


# The samples are a product of 2, 3 or 5 choices each: every seventh has every choice, with others each time.
@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_max_pool(rank: int, step: int) -> None:
    theirs = getattr(torch.nn.functional, f"max_pool{rank}d")

    def run(sample: Any) -> bool:
        options = dict(sample.kwargs)
        options.pop("return_indices", None)
        kernel = options.pop("kernel_size")
        kernel = (kernel,) * rank if isinstance(kernel, int) else kernel
        compare(
            lambda x: us.max_pool(x, kernel, **options)[0],
            lambda x: theirs(x, kernel, **options),
            [sample.input],
        )
        _, indices = theirs(sample.input, kernel, return_indices=True, **options)
        _, switches = us.max_pool(sample.input, kernel, **options)
        torch.testing.assert_close(switches.to_torch(), indices)
        again = us.Switches.from_torch(indices, sample.input.shape[-rank:], kernel, **options)
        torch.testing.assert_close(again.taps, switches.taps)
        assert again.windows == switches.windows
        return True

    check(f"max_pool{rank}d", run, at_least=350 // step, step=step)


@pytest.mark.parametrize("variant", ["", ".grad"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_max_unpool(rank: int, variant: str) -> None:
    theirs = getattr(torch.nn.functional, f"max_unpool{rank}d")

    def run(sample: Any) -> bool:
        (indices,), options = sample.args, dict(sample.kwargs)
        size = tuple(theirs(sample.input, indices, **options).shape[-rank:])
        kernel = options["kernel_size"]
        kernel = (kernel,) * rank if isinstance(kernel, int) else kernel
        pooling = {"stride": options["stride"], "padding": options["padding"]}
        try:
            switches = us.Switches.from_torch(indices, size, kernel, **pooling)
        except (us.ShapeError, IndexError):
            # The sample unpools to another size than was pooled: torch reads its flat indices
            # as other places, which switches refuse to do.
            return False
        flat = indices.reshape(-1, indices[(0,) * (indices.ndim - rank)].numel() if indices.numel() else 1)
        duplicates = any(len(plane.unique()) < len(plane) for plane in flat)
        # Where windows share a maximum torch's gradient does not belong to its forward
        # (pytorch#80827): ours does, as gradcheck shows in test_pool.py.
        values = sample.input.detach() if duplicates else sample.input
        compare(
            lambda v: us.max_unpool(v, switches),
            lambda v: theirs(v, indices, **options),
            [values],
        )
        return True

    check(f"max_unpool{rank}d{variant}", run, at_least=6)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_adaptive_max_pool(rank: int) -> None:
    theirs = getattr(torch.nn.functional, f"adaptive_max_pool{rank}d")

    def run(sample: Any) -> bool:
        size = sample.args[0]
        sizes = size if isinstance(size, tuple | list) else (size,) * rank
        spatial = sample.input.shape[-rank:]
        sizes = tuple(n if m is None else m for n, m in zip(spatial, sizes, strict=True))
        compare(
            lambda x: us.adaptive_max_pool(x, sizes)[0],
            lambda x: theirs(x, size),
            [sample.input],
        )
        _, indices = theirs(sample.input, size, return_indices=True)
        _, switches = us.adaptive_max_pool(sample.input, sizes)
        torch.testing.assert_close(switches.to_torch(), indices)
        again = us.Switches.from_torch(indices, spatial, output_size=sizes)
        torch.testing.assert_close(again.taps, switches.taps)
        return True

    check(f"adaptive_max_pool{rank}d", run, at_least=3)


@pytest.mark.parametrize("name", ["pixel_shuffle", "pixel_unshuffle"])
def test_pixel_shuffle(name: str) -> None:
    def run(sample: Any) -> bool:
        (factor,) = sample.args or sample.kwargs.values()
        compare(
            lambda x: getattr(us, name)(x, (factor, factor)),
            lambda x: getattr(torch.nn.functional, name)(x, factor),
            [sample.input],
        )
        return True

    check(name, run, at_least=3)


METHODS = {
    "nearest": ("nearest", "legacy"),
    "nearest-exact": ("nearest", "half_pixel"),
    "linear": ("linear", "half_pixel"),
    "bilinear": ("linear", "half_pixel"),
    "trilinear": ("linear", "half_pixel"),
    "bicubic": ("cubic", "half_pixel"),
    "area": ("area", "half_pixel"),
}


@pytest.mark.parametrize("mode", METHODS)
def test_interpolate(mode: str) -> None:
    method, convention = METHODS[mode]

    def run(sample: Any) -> bool:
        size, scale, _, align = [*sample.args, None, None, None, None][:4]
        options = dict(sample.kwargs)
        size, scale = options.get("size", size), options.get("scale_factor", scale)
        align = options.get("align_corners", align)
        rank = sample.input.ndim - 2
        where = "align_corners" if align else convention
        wanted: dict[str, Any] = {"method": method, "convention": where}
        # A factor only chooses the size here; positions follow from the sizes.
        exact: dict[str, Any] = {"mode": mode, "align_corners": align}
        if scale is not None:
            exact |= {"scale_factor": scale, "recompute_scale_factor": True}
            wanted["factor"] = tuple(scale) if isinstance(scale, tuple | list) else (scale,) * rank
        else:
            exact["size"] = size
            wanted["output_size"] = tuple(size) if isinstance(size, tuple | list) else (size,) * rank
        compare(
            lambda x: us.resize(x, **wanted),
            lambda x: torch.nn.functional.interpolate(x, **exact),
            [sample.input],
        )
        return True

    check(f"interpolate.{mode}", run, at_least=4)
