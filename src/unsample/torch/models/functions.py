"""`patched`: the functions of torch.nn.functional by our kernels, with torch's own results and gradients.

Every function here has the signature of torch's and answers as it does, or says `NotImplemented`: then
torch's own is called. That is so for whatever the kernels do not take, and wherever something looks on
(compiling, exporting, tracing, transforms, autocast): what torch records there is torch's own operators.
"""

from collections import Counter
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch._prims_common import suggest_memory_format
from torch.overrides import TorchFunctionMode

from unsample import cache
from unsample.errors import ShapeError
from unsample.geometry.arguments import is_sequence
from unsample.geometry.window import Window
from unsample.switches import Switches
from unsample.torch import direct, functional
from unsample.torch.layers.resize import MODES
from unsample.torch.layout import laid_out

Tensor = torch.Tensor
HALVES = frozenset((torch.float16, torch.bfloat16))
FLOATS = HALVES | {torch.float32, torch.float64}
_PLAIN = (Tensor, torch.nn.Parameter)


def ready(*tensors: Tensor | None) -> bool:
    """Whether the kernels take these tensors, here and now."""
    if not direct.COMPILED or torch.compiler.is_compiling() or direct.observed():
        return False
    first = tensors[0]
    assert first is not None
    if first.dtype not in FLOATS:
        return False
    for x in tensors:
        if x is None:
            continue
        if type(x) not in _PLAIN or x.dtype != first.dtype or x.device.type != "cpu":
            return False
        if x.layout is not torch.strided or 0 in x.shape or x.is_neg():
            return False
    return True


class Setting(NamedTuple):
    """What decides, beside sizes, what torch calls and how its result lies.

    Parameters
    ----------
    dtype : torch.dtype
        Of the input.
    cast : torch.dtype or None
        Of autocast, where that is on.
    format : torch.memory_format
        Of the input.
    """

    dtype: torch.dtype
    cast: torch.dtype | None
    format: torch.memory_format


def setting_of(input: Tensor) -> Setting:
    """The setting of a call with this input, here and now."""
    return Setting(input.dtype, autocast_dtype(), format_of(input))


def autocast_dtype() -> torch.dtype | None:
    """The element type of autocast on the CPU, where that is on."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None


def format_of(x: Tensor) -> torch.memory_format:
    """The memory format of a tensor."""
    if x.ndim in (4, 5) and x.stride(1) <= x.stride(2):
        found: torch.memory_format = suggest_memory_format(x)
        return found
    return torch.contiguous_format


TIMED = "_unsample_timed"  # an attribute: setting -> format of torch's result, of what a layer was timed in


def through(layer: torch.nn.Module, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """`function(*args, **kwargs)`, a function of torch.nn.functional, by our kernels where they take it.

    And where the layer was timed so: elsewhere torch's may be the faster one.
    """
    if not torch.compiler.is_compiling() and type(args[0]) in _PLAIN:
        made = vars(layer).get(TIMED, {}).get(setting_of(args[0]))
        if made is not None:
            result = taken_in(made, function, args, kwargs)
            if result is not NotImplemented:
                return result
    return function(*args, **kwargs)


def taken_in(made: torch.memory_format, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """`taken`, with a result in the memory format `made`, and of the element type that autocast gives."""
    args, name = list(args), function.__name__
    if format_of(args[0]) != made:
        args[0] = args[0].contiguous(memory_format=made)
    if name.startswith("conv"):
        args[1] = args[1].contiguous()
    cast = autocast_dtype()
    if cast is None:
        return taken(function, args, kwargs)
    to = cast if name.startswith("conv") else torch.float32 if name in _IN_FLOAT32 else None
    if to is not None:
        args = [x.to(to) if isinstance(x, Tensor) and x.dtype in _CAST else x for x in args]
    with torch.autocast("cpu", enabled=False):
        return taken(function, args, kwargs)


_CAST = frozenset((torch.float32, *HALVES))  # what autocast takes for numbers to cast
# Convolutions it casts to its own type and these to float32; the others run in the type of their input.
_IN_FLOAT32 = frozenset(
    (
        *(f"max_unpool{rank}d" for rank in (1, 2, 3)),
        *("max_pool3d", "adaptive_max_pool3d", "adaptive_max_pool3d_with_indices"),
    )
)


def taken(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """What our kernels make of a call, or NotImplemented; what they refuse, torch answers or refuses."""
    ours = FUNCTIONS.get(function)
    if ours is None:
        return NotImplemented
    try:
        return ours(*args, **kwargs)
    except (ShapeError, TypeError, ValueError, IndexError, OverflowError, AttributeError):
        return NotImplemented


# -- convolutions ------------------------------------------------------------------------------------------


def conv_transpose(
    rank: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    """F.conv_transpose1d, 2d, 3d."""
    if not _convolves(rank, input, weight, bias):
        return NotImplemented
    return functional.conv_transpose(
        input,
        weight,
        bias,
        stride=_each(stride, rank),
        padding=_each(padding, rank),
        output_padding=_each(output_padding, rank),
        groups=groups,
        dilation=_each(dilation, rank),
    )


def conv(
    rank: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    """F.conv1d, 2d, 3d."""
    if isinstance(padding, str) or not _convolves(rank, input, weight, bias):
        return NotImplemented
    return functional.conv(
        input,
        weight,
        bias,
        stride=_each(stride, rank),
        padding=_each(padding, rank),
        dilation=_each(dilation, rank),
        groups=groups,
    )


def _convolves(rank: int, input: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    if not ready(input, weight, bias) or weight.ndim != rank + 2:
        return False
    # A channels_last weight makes torch's result channels_last too; ours has the format of the input.
    return weight.is_contiguous() or not input.is_contiguous()


def _each(value: Any, rank: int) -> tuple[int, ...]:
    """One per axis; torch also takes one for all in a sequence."""
    numbers = tuple(value) if is_sequence(value) else (value,)
    if len(numbers) not in (1, rank):  # more of them would reach into the channels
        raise ShapeError(f"patched: an argument must hold 1 or {rank} numbers, got {numbers}")
    return numbers * rank if len(numbers) == 1 else numbers


# -- pooling ----------------------------------------------------------------------------------------------


def max_pool(
    rank: int,
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """F.max_pool1d, 2d, 3d, with and without indices."""
    if not ready(input) or input.ndim not in (rank + 1, rank + 2):
        return NotImplemented
    kernel = _each(kernel_size, rank)
    words: dict[str, Any] = {
        "stride": kernel if stride is None or stride in ((), []) else _each(stride, rank),
        "padding": _each(padding, rank),
        "dilation": _each(dilation, rank),
        "ceil_mode": bool(ceil_mode),
    }
    if any(
        2 * p > d * (k - 1) + 1 for k, p, d in zip(kernel, words["padding"], words["dilation"], strict=True)
    ):
        return NotImplemented  # torch refuses it
    if not return_indices:
        return functional.max_pool(input, kernel, return_switches=False, **words)
    return _with_indices(*functional.max_pool(input, kernel, **words))


def adaptive_max_pool(rank: int, input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """F.adaptive_max_pool1d, 2d, 3d, with and without indices."""
    if not ready(input) or input.ndim not in (rank + 1, rank + 2):
        return NotImplemented
    sizes = tuple(output_size) if is_sequence(output_size) else (output_size,) * rank
    own = input.shape[input.ndim - rank :]
    sizes = tuple(n if m is None else m for n, m in zip(own, sizes, strict=True))
    if not return_indices:
        return functional.adaptive_max_pool(input, sizes, return_switches=False)
    return _with_indices(*functional.adaptive_max_pool(input, sizes))


def _indexed(pool: Callable[..., Any], *args: Any, return_indices: bool = True, **kwargs: Any) -> Any:
    """The forms of torch's functions that give indices whatever `return_indices` says."""
    return pool(*args, return_indices=True, **kwargs)


def _with_indices(values: Tensor, switches: Switches) -> tuple[Tensor, Tensor]:
    indices = _indices(switches)
    remember(indices, switches)
    return values, indices


def _indices(switches: Switches) -> Tensor:
    """The indices of switches just made, which need no check."""
    windows = tuple(window for window in switches.windows if isinstance(window, Window))
    if len(windows) < len(switches.windows) or switches.taps.dtype != torch.uint8:
        return functional.switches_to_indices(switches)
    starts, steps = _places(windows)
    # Tensors of inference mode do not count who writes to them, see `remember`.
    with torch.inference_mode(False):
        found = laid_out(steps[switches.taps.to(torch.int32)], switches.taps)
        return found.add_(starts)


def _places(windows: tuple[Window, ...]) -> tuple[Tensor, Tensor]:
    """Where every window starts, flat in its plane, and how far its taps are from there."""
    key = _places, windows
    found: tuple[Tensor, Tensor] | None = cache.find(key)
    if found is None:
        with torch.inference_mode(False):  # they are kept, and used with and without it
            found = _found_places(windows)
        cache.keep(key, found, sum(each.nbytes for each in found))
    return found


def _found_places(windows: tuple[Window, ...]) -> tuple[Tensor, Tensor]:
    starts = torch.zeros((), dtype=torch.int64)
    steps = torch.zeros((1,), dtype=torch.int64)
    for w in windows:
        first = torch.arange(w.coarse) * w.stride - w.before
        starts = starts.unsqueeze(-1) * w.fine + first
        tap = torch.arange(w.size) * w.dilation
        steps = (steps.unsqueeze(-1) * w.fine + tap).reshape(-1)
    return starts, steps


_ATTRIBUTE = "_unsample_switches"


def remember(indices: Tensor, switches: Switches) -> None:
    """Let indices know the switches that say the same, for as long as nobody writes to them."""
    if not indices.is_inference():
        setattr(indices, _ATTRIBUTE, (switches, indices._version))


def remembered(indices: Tensor) -> Switches | None:
    """The switches that indices came from."""
    switches, version = getattr(indices, _ATTRIBUTE, (None, None))
    return switches if switches is not None and indices._version == version else None


class _Unpool(torch.autograd.Function):
    """torch's rule where windows overlap: the last value written stays, every one of them gets its gradient.

    torch's forward keeps the last of one of its threads, ours the last.

    Source: aten/src/ATen/native/MaxUnpooling.cpp, `max_unpooling2d_backward`: a gather at the indices.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, switches: Switches) -> Tensor:
        ctx.switches = switches
        return functional.max_unpool(values, switches)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return functional.max_gather(gradient, ctx.switches), None


def max_unpool(
    rank: int,
    input: Tensor,
    indices: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
) -> Any:
    """F.max_unpool1d, 2d, 3d of indices that came from our pooling: any others are torch's own to read."""
    switches = remembered(indices)
    if switches is None or not ready(input) or input.shape != indices.shape:
        return NotImplemented
    kernel = _each(kernel_size, rank)
    steps = kernel if stride is None else _each(stride, rank)
    sized: Any = F  # its own rule of the size, a private name
    wanted = sized._unpool_output_size(input, kernel, steps, _each(padding, rank), output_size)
    if tuple(wanted[len(wanted) - rank :]) != switches.input_size:
        return NotImplemented  # another size: torch reads the same numbers as other places
    result: Tensor = _Unpool.apply(input, switches)  # type: ignore[no-untyped-call]
    return result


# -- interpolation and shuffling ---------------------------------------------------------------------------


def interpolate(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Any:
    """F.interpolate: nearest in every form, linear between two sizes or by whole factors."""
    if mode not in _INTERPOLATED or antialias or not ready(input):
        return NotImplemented
    method, convention, axes = MODES[mode]
    rank = input.ndim - 2
    if (size is None) == (scale_factor is None) or axes not in (None, rank) or rank not in (1, 2, 3):
        return NotImplemented
    own = tuple(input.shape[2:])
    if size is not None:
        sizes = tuple(size) if is_sequence(size) else (size,) * rank
        if len(sizes) != rank:  # more of them would reach into the channels
            return NotImplemented
        factors: tuple[float | None, ...] = (None,) * rank
    else:
        factors = tuple(scale_factor) if is_sequence(scale_factor) else (scale_factor,) * rank
        sizes = tuple(int(n * float(f)) for n, f in zip(own, factors, strict=True) if f is not None)
        if recompute_scale_factor:
            factors = (None,) * rank
    if method == "nearest":
        if align_corners is not None:
            return NotImplemented
        if not all(_agrees(mode, *axis) for axis in zip(own, sizes, factors, strict=True)):
            return NotImplemented
        if all(m % n == 0 for n, m in zip(own, sizes, strict=True)):
            return functional.nearest(input, tuple(m // n for n, m in zip(own, sizes, strict=True)))
        return functional.resize(input, sizes, method=method, convention=convention)
    if any(f is not None and not float(f).is_integer() for f in factors):
        return NotImplemented  # positions then come from the factor, not from the sizes
    return functional.resize(
        input, sizes, method=method, convention="align_corners" if align_corners else convention
    )


# Bicubic and area: torch's own are faster, or not by interpolation.
_INTERPOLATED = frozenset(("nearest", "nearest-exact", "linear", "bilinear", "trilinear"))


@lru_cache(maxsize=1024)
def _agrees(mode: str, n: int, m: int, factor: float | None) -> bool:
    """Whether torch, which finds positions in float32, takes the elements that exact arithmetic takes.

    It does not for some factors: from 49 elements per element on, the first of a block may be the last of the
    one before (torch's issue 62396).
    """
    if m == n or m == 2 * n:
        return True
    line = torch.arange(n, dtype=torch.float64).reshape(1, 1, n)
    with torch.no_grad():
        theirs = F.interpolate(line, None if factor else m, factor or None, mode)
    if theirs.shape[-1] != m:
        return False
    ours = functional.resize(line, (m,), method="nearest", convention=MODES[mode][1])
    return torch.equal(theirs, ours)


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Any:
    """F.pixel_shuffle."""
    if not ready(input):
        return NotImplemented
    return functional.pixel_shuffle(input, (upscale_factor, upscale_factor))


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Any:
    """F.pixel_unshuffle."""
    if not ready(input):
        return NotImplemented
    return functional.pixel_unshuffle(input, (downscale_factor, downscale_factor))


def _table() -> dict[Callable[..., Any], Callable[..., Any]]:
    table: dict[Callable[..., Any], Callable[..., Any]] = {
        F.interpolate: interpolate,
        F.pixel_shuffle: pixel_shuffle,
        F.pixel_unshuffle: pixel_unshuffle,
    }
    for rank in (1, 2, 3):
        table |= {
            getattr(F, f"conv_transpose{rank}d"): partial(conv_transpose, rank),
            getattr(F, f"conv{rank}d"): partial(conv, rank),
            getattr(torch, f"max_pool{rank}d"): partial(max_pool, rank),
            getattr(F, f"max_pool{rank}d"): partial(max_pool, rank),
            getattr(F, f"max_pool{rank}d_with_indices"): partial(_indexed, max_pool, rank),
            getattr(F, f"adaptive_max_pool{rank}d"): partial(adaptive_max_pool, rank),
            getattr(F, f"adaptive_max_pool{rank}d_with_indices"): partial(_indexed, adaptive_max_pool, rank),
            getattr(F, f"max_unpool{rank}d"): partial(max_unpool, rank),
        }
    return table


FUNCTIONS = _table()
# Not in `patched`, which does not time what it takes: torch's convolutions down are often the faster ones,
# and so is what it does with HALVES where the machine has instructions for them.
TIMED_ONLY = frozenset(getattr(F, f"conv{rank}d") for rank in (1, 2, 3))


def name_of(function: Callable[..., Any]) -> str:
    """The name that users call a function by."""
    return function.__name__.removesuffix("_with_indices")


class Patched(TorchFunctionMode):
    """What `patched()` gives: which calls went to our kernels, and which to torch."""

    def __init__(self) -> None:
        super().__init__()
        self.ours: Counter[str] = Counter()
        self.theirs: Counter[str] = Counter()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Called by torch in the place of every one of its functions, with this mode switched off."""
        kwargs = kwargs or {}
        if func not in FUNCTIONS or func in TIMED_ONLY:
            return func(*args, **kwargs)
        first = args[0] if args else kwargs.get("input")
        half = isinstance(first, Tensor) and first.dtype in HALVES
        result = NotImplemented if half else taken(func, args, kwargs)
        name = name_of(func)
        if result is NotImplemented:
            self.theirs[name] += 1
            return func(*args, **kwargs)
        self.ours[name] += 1
        return result

    def __repr__(self) -> str:
        names = sorted(self.ours | self.theirs)
        calls = [f"{name} {self.ours[name]} of {self.ours[name] + self.theirs[name]}" for name in names]
        return "patched: " + (", ".join(calls) + " calls by unsample" if calls else "no calls yet")


def patched() -> Patched:
    """Let the functions of torch.nn.functional run on our kernels inside a `with`.

    Interpolation (nearest and linear), pixel shuffling, transposed convolution, max pooling and max
    unpooling of its indices, called as functions or by the layers of torch.nn, wherever they were imported
    from. Results and gradients are torch's; calls that our kernels do not take go to torch.

    Returns
    -------
    Patched
        A context manager; it counts the calls, and prints them.

    Notes
    -----
    It holds for the thread that enters it, may be nested, and ends with the block however that ends. Nothing
    is put in the place of torch's functions: this is a torch.overrides.TorchFunctionMode, through which
    torch sends every call, about 2 us each. While torch compiles, exports, traces, maps or casts, and for
    tensors that are not float32 or float64 on the CPU, torch's own functions are called. Nothing is timed
    here: `accelerate` times layers, and takes only those that are faster.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> x = torch.tensor([[[[1.0, 2.0]]]])
    >>> with ut.patched() as calls:
    ...     torch.nn.functional.interpolate(x, scale_factor=2)
    tensor([[[[1., 1., 2., 2.],
              [1., 1., 2., 2.]]]])
    >>> calls
    patched: interpolate 1 of 1 calls by unsample
    """
    return Patched()
