"""How much of a way up's answer follows its own grid instead of the input.

On a flat region every input channel c is a constant x[c]. The output at phase r of the block (its position
modulo the stride) is then

    y[o, r] = sum over c of R[c, o, r] x[c],      R[c, o, r] = sum of W[c, o, t] over the taps t of phase r

and everything in it that differs from phase to phase is a pattern that is not in the input: a checkerboard.
For channels that are independent, of mean 0 and the same variance, its share of the energy of y is

    score = sum (R - mean of R over r)**2 / sum R**2                  from 0 to 1

0 exactly where all phases answer alike, the condition of Sugawara, Shiota & Kiya (1806.02658); an untrained
kernel whose phases are independent has about 1 - 1 / (number of phases); bed of nails exactly that. Where n
sums R are independent of the same variance, the score is distributed as Beta(n (1 - 1 / P) / 2, n / P / 2)
for P phases: a score within three standard deviations of its mean says that the kernel is not trained.
A bias that differs between phases (of a convolution before a pixel shuffle) counts as one more channel.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unsample.geometry.window import Window
from unsample.inspection.vocabulary import Op, Trace

Floats = NDArray[np.float64]
PHASES = 2**16  # of a block
TAPS = 2**20  # of an axis


@dataclass(frozen=True, slots=True)
class Score:
    """The checkerboard of one way up.

    Parameters
    ----------
    value : float or None
        The share of the energy that follows the grid; None where there are no numbers to look at.
    overlap : tuple of tuple of int
        Per axis, how many stamps meet at each phase of the block: uneven ones make a checkerboard even of
        equal weights.
    remedies : tuple of (str, float)
        What would remove it, and the score after.
    why : str
        Why there is no value.
    fresh : bool
        Whether a random kernel that was never trained has such a value.
    """

    value: float | None
    overlap: tuple[tuple[int, ...], ...] = ()
    remedies: tuple[tuple[str, float], ...] = ()
    why: str = ""
    fresh: bool = False

    @property
    def band(self) -> str:
        """How strong it is: the pattern has the amplitude sqrt(value / (1 - value)) of what is no pattern."""
        if self.value is None:
            return ""
        if self.fresh:
            return "as a fresh random kernel has"
        return next(word for limit, word in BANDS if self.value <= limit)

    @property
    def even(self) -> bool:
        """Whether equally many stamps meet everywhere."""
        return all(len(set(axis)) == 1 for axis in self.overlap)


# Up to which score, and what it is called: amplitudes of up to 10 %, 23 %, 50 % and more.
BANDS = ((0.01, "none"), (0.05, "weak"), (0.2, "visible"), (1.0, "strong"))


def is_fresh(value: float, response: Floats) -> bool:
    """Whether an energy share is that of phases drawn at random, and of enough of them to tell."""
    phases, number = response.shape[-1], response.size
    if phases < 2 or number < 32:
        return False
    a, b = number * (1 - 1 / phases) / 2, number / phases / 2
    deviation = math.sqrt(a * b / ((a + b) ** 2 * (a + b + 1)))
    return bool(abs(value - (1 - 1 / phases)) <= 3 * deviation)


def energy_share(response: Floats) -> float:
    """The share of the energy that differs between phases, the last axis.

    Examples
    --------
    >>> energy_share(np.array([[1.0, 1.0]])), energy_share(np.array([[1.0, 0.0]]))
    (0.0, 0.5)
    """
    total = float((response**2).sum())
    if not total:
        return 0.0
    return float(((response - response.mean(axis=-1, keepdims=True)) ** 2).sum()) / total


def transposed_response(weight: Floats, stride: Sequence[int], dilation: Sequence[int]) -> Floats:
    """R of a transposed convolution, (in, out / groups, phases)."""
    phases = []
    for phase in itertools.product(*(range(s) for s in stride)):
        taps = weight
        for axis, (r, s, d) in enumerate(zip(phase, stride, dilation, strict=True)):
            of_phase = [t for t in range(weight.shape[2 + axis]) if t * d % s == r]
            taps = taps.take(of_phase, axis=2 + axis)
        phases.append(taps.sum(axis=tuple(range(2, weight.ndim))))
    return np.stack(phases, axis=-1)


def shuffled_response(weight: Floats, bias: Floats | None, phases: int, order: str) -> Floats:
    """R of a convolution that a pixel shuffle follows, (in / groups and the bias, out, phases)."""
    answer: Floats = weight.sum(axis=tuple(range(2, weight.ndim)))
    if bias is not None:
        answer = np.concatenate([answer, bias[:, None]], axis=1)
    channels = len(answer) // phases
    if order == "DCR":
        answer = answer.reshape(phases, channels, -1).transpose(2, 1, 0)
    else:
        answer = answer.reshape(channels, phases, -1).transpose(2, 0, 1)
    return answer


def overlap_of(window: Any) -> tuple[int, ...]:
    """Stamps that meet at each phase of the block, away from the border.

    Examples
    --------
    >>> overlap_of(Window(fine=9, coarse=4, size=3, stride=2))
    (2, 1)
    """
    if not isinstance(window, Window):
        return ()
    met = [0] * window.stride
    for t in range(window.size):
        met[t * window.dilation % window.stride] += 1
    return tuple(met)


def score_of(trace: Trace, op: Op, moved: Sequence[Any], maker: dict[int, Op]) -> Score | None:
    """The score of a way up, or why there is none."""
    windows = [w for w in op.windows if isinstance(w, Window)]
    if math.prod(w.stride for w in windows) > PHASES or any(w.size > TAPS for w in windows):
        return Score(None, why="its block has too many phases to look at")
    if op.kind == "conv_transpose":
        return _of_conv_transpose(trace, op)
    kind = moved[0].kind if moved else op.kind
    if kind == "pixel_shuffle":
        return _of_shuffle(trace, op, moved, maker)
    if kind == "bed_of_nails":
        phases = math.prod([w.stride for w in windows] or [each.factor for each in moved])
        return Score(1 - 1 / phases, tuple(overlap_of(w) for w in windows), _FIXED)
    if kind in ("nearest", "resize"):
        return Score(0.0, tuple(overlap_of(w) for w in windows))
    return Score(None, why="it depends on the switches") if kind == "max_unpool" else None


_FIXED = (("set_upsampler(model, 'nearest')", 0.0), ("set_upsampler(model, 'blur')", 0.0))


def _of_conv_transpose(trace: Trace, op: Op) -> Score:
    windows = [w for w in op.windows if isinstance(w, Window)]
    overlap = tuple(overlap_of(w) for w in windows)
    stride, dilation = [w.stride for w in windows], [w.dilation for w in windows]
    arrays = trace.read(op) if trace.read is not None else None
    if arrays is None:
        return Score(None, overlap, why="its weight has no numbers")
    weight = arrays[0]
    response = transposed_response(weight, stride, dilation)
    value = energy_share(response)
    remedies = []
    if value > 0:
        after = _after_icnr(weight, stride, dilation)
        if after is not None:
            remedies.append(("init.icnr_ (a new start)", after))
        # `set_upsampler` sees layers, and those alone that make exactly stride times the size.
        if not op.what.startswith(("F.", "unsample.")) and all(
            w.fine == w.coarse * w.stride for w in windows
        ):
            remedies.append(("set_upsampler(model, 'resize_conv')", 0.0))
    return Score(value, overlap, tuple(remedies), fresh=is_fresh(value, response))


def _after_icnr(weight: Floats, stride: Sequence[int], dilation: Sequence[int]) -> float | None:
    """The score of the same layer started by `icnr_`; None where that refuses."""
    if any(k < s for k, s in zip(weight.shape[2:], stride, strict=True)) or any(d != 1 for d in dilation):
        return None
    return energy_share(transposed_response(_icnr(weight, stride), stride, dilation))


def _icnr(weight: Floats, stride: Sequence[int]) -> Floats:
    """What `unsample.torch.init.icnr_` makes of the means over the blocks of a weight."""
    new = np.zeros_like(weight)
    values = weight
    for axis, s in enumerate(stride):
        whole = values.shape[2 + axis] // s
        values = values.take(range(whole * s), axis=2 + axis)
        shape = (*values.shape[: 2 + axis], whole, s, *values.shape[3 + axis :])
        values = np.repeat(values.reshape(shape).mean(axis=3 + axis), s, axis=2 + axis)
    begin: Any = (..., *(slice(n) for n in values.shape[2:]))
    new[begin] = values
    return new


def _of_shuffle(trace: Trace, op: Op, moved: Sequence[Any], maker: dict[int, Op]) -> Score:
    factors = [each.factor for each in moved] or list(op.details["factor"])
    phases = int(np.prod(factors))
    overlap = tuple((1,) * f for f in factors)
    before = maker.get(op.inputs[0])
    while before is not None and before.kind in ("reshape", "permute", "elementwise") and before.inputs:
        before = maker.get(before.inputs[0])
    if before is None or before.kind != "conv" or trace.values[before.inputs[1]].shape[0] % phases:
        return Score(None, overlap, why="no convolution comes before it")
    arrays = trace.read(before) if trace.read is not None else None
    if arrays is None:
        return Score(None, overlap, why="its weight has no numbers")
    weight, bias = arrays
    order = op.details.get("order", "CRD")
    response = shuffled_response(weight, bias, phases, order)
    value = energy_share(response)
    remedies = (("init.icnr_ (a new start)", 0.0),) if value > 0 else ()
    return Score(value, overlap, remedies, fresh=is_fresh(value, response))
