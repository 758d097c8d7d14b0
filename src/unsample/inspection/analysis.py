"""What a trace says: one `Step` per way down or up, which undoes which, and where branches do not meet."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from unsample.errors import ShapeError
from unsample.geometry.sizes import fine_range
from unsample.geometry.window import AdaptiveWindow, AnyWindow, Window
from unsample.inspection import grids
from unsample.inspection.checkerboard import Score, score_of
from unsample.inspection.grid_rules import DOWN, UP, moving, through
from unsample.inspection.grids import Grid, Layout
from unsample.inspection.torch_rules import short
from unsample.inspection.vocabulary import Op, Trace


@dataclass(frozen=True, slots=True)
class Step:
    """One way down or up.

    Parameters
    ----------
    number : int
        From 1, in the order of the run.
    layer : str
        Path in the model.
    what : str
        Layer class or function.
    direction : "down" or "up"
    settings : dict
    input_shape, output_shape : tuple of int
    axes, input_sizes : tuple of int
        Axes of the input of the model on which the result lies, and how many elements they have.
    parameters, multiply_adds : int
    activation_bytes : int
        Of the result, indices included.
    saved_bytes : int
        What autograd keeps for it, parameters left out.
    switch_bytes : int
        Of `saved_bytes`, the indices of a pooling.
    milliseconds : float or None
    receptive_field : tuple of (int, int)
        Smallest and largest number of input elements that an output depends on, per axis; they differ
        where outputs of different phases reach differently far.
    scale, offset : tuple of Fraction
        Element i of the output has its centre at offset + scale * i on the input, per axis.
    undoes : tuple of int
        Numbers of the ways down that a way up undoes, the deepest first.
    short : tuple of int
        Elements that are missing after a way up, compared with what its way down started from.
    shift : tuple of Fraction
        How far the result lies from where that started, in elements of there.
    checkerboard : Score or None
        Of a way up.
    legal : tuple of (int, int)
        Sizes that a transposed convolution can make of this input, per axis.
    unplaced : int
        Axes of it whose positions on the input are not known; they are left out of `axes`, `receptive_field`,
        `scale` and `offset`.
    lost : str
        Where their positions were lost; nothing where the input has no such axes.
    """

    number: int
    layer: str
    what: str
    direction: str
    settings: dict[str, Any]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    axes: tuple[int, ...] = ()
    input_sizes: tuple[int, ...] = ()
    parameters: int = 0
    multiply_adds: int = 0
    activation_bytes: int = 0
    saved_bytes: int = 0
    switch_bytes: int = 0
    milliseconds: float | None = None
    receptive_field: tuple[tuple[int, int], ...] = ()
    scale: tuple[Fraction, ...] = ()
    offset: tuple[Fraction, ...] = ()
    undoes: tuple[int, ...] = ()
    short: tuple[int, ...] = ()
    shift: tuple[Fraction, ...] = ()
    checkerboard: Score | None = None
    legal: tuple[tuple[int, int], ...] = ()
    unplaced: int = 0
    lost: str = ""


@dataclass(frozen=True, slots=True)
class Merge:
    """A place where branches meet, and how far apart their grids lie there.

    Parameters
    ----------
    layer, what : str
        Where, and "cat", "add", ...
    shape : tuple of int
        Of the result.
    apart : tuple of Fraction
        Per axis, the distance in elements of this map; where the scales differ, the largest.
    scales : tuple of bool
        Per axis, whether the scales differ, so that the distance grows along the axis.
    step : int or None
        Number of the way up (or down) that is to blame.
    """

    layer: str
    what: str
    shape: tuple[int, ...]
    apart: tuple[Fraction, ...]
    scales: tuple[bool, ...]
    step: int | None = None

    @property
    def aligned(self) -> bool:
        """Whether all branches lie alike."""
        return not any(self.apart)


@dataclass(frozen=True, slots=True)
class _Patches:
    """All slices of an array put together: of which array, and in which step each axis was sliced."""

    base: int
    steps: dict[int, int]


@dataclass(slots=True)
class _State:
    """What is known while the ops are walked."""

    trace: Trace
    layouts: dict[int, Layout] = field(default_factory=dict)
    past: dict[int, int] = field(default_factory=dict)  # steps on which a value depends, a bit for each
    latest: dict[int, int] = field(default_factory=dict)  # the last of them on its own branch
    pools: dict[int, int] = field(default_factory=dict)  # indices -> number of the op that pooled
    maker: dict[int, Op] = field(default_factory=dict)
    views: dict[int, tuple[int, tuple[int, ...]]] = field(
        default_factory=dict
    )  # slice -> of what, from where
    steps: list[Step] = field(default_factory=list)
    before: list[tuple[Grid | None, ...]] = field(default_factory=list)
    after: list[tuple[Grid | None, ...]] = field(default_factory=list)
    merges: list[Merge] = field(default_factory=list)
    grids: list[Grid] = field(default_factory=list)
    lost: dict[int, str] = field(default_factory=dict)  # where the positions of a value were lost
    level: dict[int, Fraction] = field(default_factory=dict)  # input elements per element without a position
    patches: dict[int, "_Patches"] = field(default_factory=dict)  # by the number of the cat
    silent: set[int] = field(default_factory=set)  # slices of which such a cat is made
    origins: int = 0  # axes whose positions begin anew
    positions: int = 0
    work: int = 0


@dataclass(frozen=True, slots=True)
class Analysis:
    """The result: steps, merges, and what the sizes repeat with."""

    steps: tuple[Step, ...]
    merges: tuple[Merge, ...]
    period: int
    blame: int | None  # the step before a merge whose sizes do not meet
    fixed: bool  # whether an operation makes a size that does not follow its input's


def analyse(trace: Trace) -> Analysis:
    """Walk the operations in order and carry the grids along."""
    state = _State(trace)
    if trace.foreign:
        _held(state, sum(sum(trace.values[i].shape[2:]) for i in trace.inputs), 0)
    for number, value in enumerate(trace.inputs):
        state.layouts[value] = _of_input(state, number, trace.values[value].shape)
    _find_patches(state)
    for index, op in enumerate(trace.ops):
        _walk(state, index, op)
    blame = None
    if trace.failure is not None and trace.failure.merge:
        blame = _latest_up(state, trace.failure.inputs)
    fixed = any(op.details.get("adaptive") and any(w.coarse > 1 for w in op.windows) for op in trace.ops)
    period = math.lcm(grids.period(state.grids), *(level.numerator for level in state.level.values()))
    return Analysis(tuple(state.steps), tuple(state.merges), period, blame, fixed)


def _of_input(state: _State, number: int, shape: Sequence[int]) -> Layout:
    # Inputs of the same size are taken to lie on the same grid.
    for earlier, value in enumerate(state.trace.inputs[:number]):
        if state.trace.values[value].shape[2:] == tuple(shape[2:]):
            number = earlier
            break
    return tuple((n,) if axis < 2 else (grids.of_input(number, axis, n),) for axis, n in enumerate(shape))


def _walk(state: _State, index: int, op: Op) -> None:
    shapes = [state.trace.values[i].shape for i in op.outputs]
    if not shapes:
        return
    if op.kind == "max_unpool" and not op.windows:
        op = op.but(windows=_windows_of_pool(state, op, shapes[0]))
    _begin_anew(state, op)
    layouts = [_layout(state, i) for i in op.inputs]
    if state.trace.foreign:
        _weigh(state, op, layouts, shapes[0])
    patch, start = state.patches.get(index), layouts[0] if layouts else ()
    if patch is not None:
        start = _layout(state, patch.base)
        op, layouts = _as_patches(op, patch, start)
    out, moved = through(op, layouts, shapes[0])
    past = _united(state.past.get(i, 0) for i in op.inputs)
    latest = max((state.latest.get(i, 0) for i in op.inputs), default=0)
    if op.kind in ("elementwise", "cat", "stack") and patch is None:
        _meet(state, op, layouts, shapes[0])
    if op.kind == "slice" and all(each["step"] == 1 for each in op.details["moves"]):
        state.views[op.outputs[0]] = _view(state, op, len(shapes[0]))
    if op.kind == "copy" and len(op.inputs) == 2:
        _copied(state, *op.inputs)
        out = _layout(state, op.inputs[1]) if shapes[0] == state.trace.values[op.inputs[1]].shape else out
    lost, level = _lost(state, op, layouts, out)
    out = _replaced(state, op, layouts, out, level)
    direction = "" if index in state.silent else _direction(op, moved, layouts, shapes[0])
    if direction:
        number = len(state.steps) + 1
        before, after = _placed(start), _placed(out)
        state.before.append(before)
        state.after.append(after)
        step = _step(state, op, number, direction, moved, start, after, lost)
        state.steps.append(_paired(state, op, step, past) if direction == "up" else step)
        past, latest = past | 1 << number, number
        if op.kind == "pool":
            state.pools.update(dict.fromkeys(op.outputs[1:], number))
    parts = _parts(op, layouts, shapes) if op.kind == "split" else None
    for number, (value, shape) in enumerate(zip(op.outputs, shapes, strict=True)):
        same = len(shape) == len(out) and shape == shapes[0]
        state.layouts[value] = parts[number] if parts else out if same else grids.plain(shape)
        if lost is not None:
            state.lost[value] = lost
        if level != 1:
            state.level[value] = level
        state.past[value], state.latest[value], state.maker[value] = past, latest, op
    state.grids.extend(grids.grids_in([out]))


def _view(state: _State, op: Op, rank: int) -> tuple[int, tuple[int, ...]]:
    """Of which array a slice is a part, and from where on."""
    base, at = state.views.get(op.inputs[0], (op.inputs[0], (0,) * rank))
    starts = {each["dim"]: each["start"] for each in op.details["moves"]}
    return base, tuple(n + starts.get(dim, 0) for dim, n in enumerate(at))


def _parts(op: Op, layouts: Sequence[Layout], shapes: Sequence[tuple[int, ...]]) -> list[Layout]:
    """The layouts of all results of a splitting operator: slices that follow on each other."""
    found, start, dim = [], 0, op.details["dim"]
    for shape in shapes:
        part = op.but(kind="slice", details={"moves": [{"dim": dim, "start": start, "step": 1}]})
        found.append(through(part, layouts, shape)[0])
        start += shape[dim]
    return found


def _placed(layout: Layout) -> tuple[Grid | None, ...]:
    """The grids of all dimensions, those of tokens one after the other; None for one without.

    Of blocks whose places are there as well, the axis that they are of.
    """
    pieces = [piece for dim in layout for piece in dim]
    split = {id(piece.whole) for piece in pieces if isinstance(piece, grids.Phase)}
    found: list[Grid | None] = []
    for dim in layout:
        here = [piece for piece in dim if isinstance(piece, Grid)]
        found += [g.whole if g.whole and id(g.whole) in split else g for g in here] or [None]
    return tuple(found)


def _axes_in(layout: Layout) -> dict[tuple[int, ...], Fraction]:
    """The axes of the input that a layout follows, and input elements per element."""
    return {grid.source: grid.level for grid in grids.grids_in([layout])}


def _lost(state: _State, op: Op, layouts: Sequence[Layout], out: Layout) -> tuple[str | None, Fraction]:
    """Where the positions of the result were lost, and how many input elements there are to an element."""
    lost = next((state.lost[i] for i in op.inputs if i in state.lost), None)
    level = max((state.level.get(i, Fraction(1)) for i in op.inputs), default=Fraction(1))
    after = _axes_in(out)
    for layout in layouts:
        gone = {axis: each for axis, each in _axes_in(layout).items() if axis not in after}
        if gone:
            level = max(level, *gone.values())
            if lost is None or any(number >= 0 for number, *_ in gone):
                lost = f"{op.what} in {op.layer or 'the model'}"
    return lost, level


def _begin_anew(state: _State, op: Op) -> None:
    """Give the axes along which an operation moves, and that have no positions, some among themselves.

    Those are its last axes, as everywhere in torch. So all that comes behind is followed as if it began here.
    """
    if not op.inputs:
        return
    value = op.inputs[0]
    layout, shape = list(_layout(state, value)), state.trace.values[value].shape
    axes: Sequence[int] = moving(op, len(shape))
    if op.kind == "slice" and value in state.lost and len(shape) == len(state.trace.image):
        # Attention slices channels as well, but not the first axis of a map.
        axes = (
            range(2, len(shape)) if any(m["dim"] == 2 and m["step"] > 1 for m in op.details["moves"]) else ()
        )
    if op.kind == "col2im":
        if not grids.grids_in([layout[-1:]]):
            layout[-1] = tuple(_anew(state, value, -1, w.coarse) for w in op.windows)
    else:
        for axis in axes:
            if shape[axis] > 1 and not grids.grids_in([layout[axis : axis + 1]]):
                layout[axis] = (_anew(state, value, axis, shape[axis]),)
    state.layouts[value] = tuple(layout)


def _replaced(state: _State, op: Op, layouts: Sequence[Layout], out: Layout, level: Fraction) -> Layout:
    """The layout, where axes whose elements lie at unknown places begin anew."""
    if op.kind != "keep":
        return out
    gone = [d for d in range(len(layouts[0])) if d not in op.details["axes"] and grids.grid_of(layouts[0][d])]
    new = [
        d
        for d, axis in enumerate(op.details["axes"])
        if axis is None and not grids.grids_in([out[d : d + 1]])
    ]
    if len(gone) != len(new):
        return out
    state.level[op.outputs[0]] = level
    parts = {d: (_anew(state, op.outputs[0], d, grids.elements(out[d])),) for d in new}
    return tuple(parts.get(d, dim) for d, dim in enumerate(out))


def _anew(state: _State, value: int, axis: int, size: int) -> Grid:
    if state.trace.foreign:
        _held(state, size, 0)
    state.origins += 1
    return grids.of_input(-state.origins, axis, size, state.level.get(value, Fraction(1)))


# -- patches ----------------------------------------------------------------------------------------------


def _find_patches(state: _State) -> None:
    """Every cat of all the slices x[0::2, 0::2], x[1::2, 0::2], ...: a pixel unshuffle and no merge."""
    made = {value: index for index, op in enumerate(state.trace.ops) for value in op.outputs}
    for index, op in enumerate(state.trace.ops):
        if op.kind != "cat" or len(op.inputs) < 2:
            continue
        found = [_slices_before(state, made, value) for value in op.inputs]
        bases, steps = {base for base, _, _ in found}, {tuple(sorted(step.items())) for _, step, _ in found}
        starts = {tuple(sorted(start.items())) for _, _, start in found}
        (step,) = map(dict, steps) if len(steps) == 1 else ({},)
        whole = math.prod(step.values()) == len(found) == len(starts)
        if len(bases) == 1 and whole and op.details["dim"] not in step:
            state.patches[index] = _Patches(next(iter(bases)), step)
            for value in op.inputs:
                while value not in bases:
                    state.silent.add(made[value])
                    value = state.trace.ops[made[value]].inputs[0]


def _slices_before(
    state: _State, made: dict[int, int], value: int
) -> tuple[int, dict[int, int], dict[int, int]]:
    """The array of which a value is a slice, with the steps and the starts of the slice per axis."""
    steps: dict[int, int] = {}
    starts: dict[int, int] = {}
    while value in made:
        op = state.trace.ops[made[value]]
        moves = op.details["moves"] if op.kind == "slice" else ()
        if not moves or not all(_is_of_patches(state, op, each) for each in moves):
            break
        strided = {each["dim"]: each for each in moves if each["step"] > 1}
        if strided.keys() & steps.keys():
            break
        steps.update({dim: each["step"] for dim, each in strided.items()})
        starts.update({dim: each["start"] for dim, each in strided.items()})
        value = op.inputs[0]
    return value, steps, starts


def _is_of_patches(state: _State, op: Op, move: dict[str, int]) -> bool:
    """Whether a slice leaves an axis as it is, or takes one of every whole patch."""
    n, made = (state.trace.values[each].shape[move["dim"]] for each in (op.inputs[0], op.outputs[0]))
    if move["step"] == 1:
        return not move["start"] and n == made
    return 0 <= move["start"] < move["step"] and n % move["step"] == 0


def _as_patches(op: Op, patch: _Patches, base: Layout) -> tuple[Op, list[Layout]]:
    """A cat of slices, and the layout that all of them have together."""
    layout = list(base)
    for dim, step in patch.steps.items():
        grid, n = grids.grid_of(base[dim]), grids.elements(base[dim]) // step
        layout[dim] = (n,) if grid is None else (grids.down(grid, Window(grid.size, n, step, step)),)
    factors = patch.steps.values()
    settings = {"factor": short(list(factors))}
    return op.but(what=PATCHES, settings=settings), [tuple(layout)]


PATCHES = "pixel_unshuffle (slices)"


POSITIONS = 2**24  # of all axes of all feature maps: each takes 16 bytes
WORK = 2**30  # meetings of a tap and a window
STEPS = 4096
BITS = 4096  # of a fraction


def _weigh(state: _State, op: Op, layouts: Sequence[Layout], shape: Sequence[int]) -> None:
    """Refuse an operation of a file that takes more time or memory than its file is worth, before it does."""
    found = grids.grids_in(layouts)
    if not found:
        return
    positions, work = sum(grid.size for grid in found), 0
    for window in map(grids.met, op.windows):
        positions += window.fine + window.coarse
        few = min(window.fine, window.coarse) if isinstance(window, AdaptiveWindow) else window.size
        work += few * window.coarse + 64 * (window.fine + window.coarse) * isinstance(window, AdaptiveWindow)
    for axis in op.resamples:
        positions += axis.source + axis.target
        work += 64 * (axis.source + axis.target)
    if op.kind in ("pad", "slice"):
        positions += max(shape, default=0)
    _held(state, positions, work)
    large = max(max(g.scale.denominator, g.offset.denominator).bit_length() for g in found)
    large = max(large, *(max(abs(g.scale.numerator), abs(g.offset.numerator)).bit_length() for g in found))
    if len(state.steps) >= STEPS or large > BITS:
        raise ShapeError(
            f"inspect: a file must have at most {STEPS} ways down and up, with scales of at most {BITS} bits"
        )


def _held(state: _State, positions: int, work: int) -> None:
    state.positions, state.work = state.positions + positions, state.work + work
    if state.positions > POSITIONS or state.work > WORK:
        raise ShapeError(
            f"inspect: the feature maps of a file must have at most {POSITIONS} positions along their axes "
            f"and {WORK} taps that meet them, got more: give a smaller example"
        )


def _united(sets: Iterable[int]) -> int:
    total = 0
    for each in sets:
        total |= each
    return total


def _layout(state: _State, value: int) -> Layout:
    known = state.layouts.get(value)
    return known if known is not None else grids.plain(state.trace.values[value].shape)


def _windows_of_pool(state: _State, op: Op, shape: Sequence[int]) -> tuple[AnyWindow, ...]:
    """The windows of the pooling that made an unpooling's indices, where it was told none itself."""
    pooled = state.maker.get(op.inputs[1]) if len(op.inputs) > 1 else None
    if pooled is None or pooled.kind != "pool" or op.inputs[1] not in pooled.outputs[1:]:
        return ()
    sizes = shape[len(shape) - len(pooled.windows) :]
    return tuple(
        AdaptiveWindow(n, w.coarse) if isinstance(w, AdaptiveWindow) else replace(w, fine=n)
        for w, n in zip(pooled.windows, sizes, strict=True)
    )


def _copied(state: _State, target: int, source: int) -> None:
    """Elements written into a part of an array: padding by hand, and torch's own circular padding."""
    base, at = state.views.get(target, (target, ()))
    shape, part = state.trace.values[base].shape, _layout(state, source)
    if len(at) != len(shape) or len(part) != len(shape):
        return
    new = list(_layout(state, base))
    for axis, start in enumerate(at):
        grid, old = grids.grid_of(part[axis]), grids.grid_of(new[axis])
        if grid is None:
            continue
        if old is None:
            new[axis] = (grids.sliced(grid, -start, 1, shape[axis]),)
        elif grid.size < old.size:  # only here do elements of this axis come from elsewhere
            low, high = old.low.copy(), old.high.copy()
            low[start : start + grid.size], high[start : start + grid.size] = grid.low, grid.high
            new[axis] = (replace(old, low=low, high=high),)
    state.layouts[base] = tuple(new)
    state.past[base] = state.past.get(base, 0) | state.past.get(source, 0)
    state.latest[base] = max(state.latest.get(base, 0), state.latest.get(source, 0))


# -- steps ------------------------------------------------------------------------------------------------


def _sizes(layout: Layout) -> tuple[int, ...]:
    return tuple(math.prod(map(grids.size_of, dim)) for dim in layout)


def _direction(op: Op, moved: Sequence[grids.Moved], layouts: Sequence[Layout], shape: Sequence[int]) -> str:
    """Whether an operation is a way down, a way up or neither."""
    if moved:
        return "up" if moved[0].kind in UP else "down"
    if op.kind == "max_unpool" or not layouts:
        return "up" if op.kind == "max_unpool" else ""
    if op.kind == "cat":
        return "down" if op.what == PATCHES else ""
    if op.kind == "resize":
        ratios = [(r.target, r.source) for r in op.resamples]
        if all(m == n for m, n in ratios):
            return ""
        return "up" if math.prod(m for m, _ in ratios) > math.prod(n for _, n in ratios) else "down"
    if op.kind == "sample":
        more = math.prod(shape[2:]) - math.prod(_sizes(layouts[0])[2:])
        return "up" if more > 0 else "down" if more < 0 else ""
    if op.kind in UP or op.kind in DOWN:
        if all(grids.centre(w)[0] == 1 for w in op.windows):
            return ""
        return "up" if op.kind in UP else "down"
    if op.kind == "slice" and _strided(op, layouts[0]):
        return "down"
    return ""


def _strided(op: Op, layout: Layout) -> list[dict[str, int]]:
    """What a slice does to axes of which it leaves elements out."""
    return [m for m in op.details["moves"] if abs(m["step"]) > 1 and grids.grid_of(layout[m["dim"]])]


def _step(
    state: _State,
    op: Op,
    number: int,
    direction: str,
    moved: Sequence[grids.Moved],
    layout: Layout,
    after: Sequence[Grid | None],
    lost: str | None,
) -> Step:
    values = state.trace.values
    settings, what = dict(op.settings), op.what
    if moved:
        what = f"{moved[0].kind} (reshape)"
        factors = [each.factor for each in moved]
        settings = {"factor": factors[0] if len(set(factors)) == 1 else "x".join(map(str, factors))}
    if op.kind == "slice":
        strided = _strided(op, layout)
        what, settings = (
            "slice",
            {
                "step": short([m["step"] for m in strided]),
                "from": short([m["start"] for m in strided]),
            },
        )
    known = [g for g in after if g is not None and g.placed]
    rank = (
        len(op.windows) or len(op.resamples) or (len(after) - 2 if op.kind in ("sample", "max_unpool") else 0)
    )
    without = sum(g is None for g in after[len(after) - rank :])
    unplaced = without + sum(g is not None and not g.placed for g in after)
    return Step(
        number=number,
        layer=op.layer,
        what=what,
        direction=direction,
        settings=settings,
        input_shape=values[op.inputs[0]].shape,
        output_shape=values[op.outputs[0]].shape,
        axes=tuple(g.source[1] for g in known),
        input_sizes=tuple(g.source[2] for g in known),
        parameters=sum(math.prod(values[i].shape) for i in (op.weight, op.bias) if i is not None),
        multiply_adds=op.multiply_adds,
        activation_bytes=sum(values[i].bytes for i in op.outputs)
        if not moved
        else values[op.outputs[0]].bytes,
        saved_bytes=op.saved_bytes,
        switch_bytes=op.switch_bytes,
        milliseconds=op.milliseconds,
        receptive_field=tuple(g.field() for g in known),
        scale=tuple(g.scale for g in known),
        offset=tuple(g.offset for g in known),
        checkerboard=score_of(state.trace, op, moved, state.maker) if direction == "up" else None,
        legal=tuple(_legal(w) for w in op.windows) if op.kind == "conv_transpose" else (),
        unplaced=unplaced,
        lost=(lost or "") if unplaced else "",
    )


def _legal(window: Any) -> tuple[int, int]:
    pads = ((window.before, window.after),)
    low, high, _ = fine_range(window.coarse, window.size, window.stride, window.dilation, pads)
    return low, high


def _paired(state: _State, op: Op, step: Step, past: int) -> Step:
    """The ways down that a way up undoes: those that lead from where it arrives to where it starts."""
    found = _undone(state, op, step, past)
    if not found:
        return step
    start, here = state.before[found[-1] - 1], state.after[step.number - 1]
    both = [
        (a, b) for a, b in zip(start[-len(here) :], here, strict=False) if a is not None and b is not None
    ]
    return replace(
        step,
        undoes=found,
        short=tuple(a.size - b.size for a, b in both),
        shift=tuple(grids.apart(a, b) for a, b in both),
    )


def _undone(state: _State, op: Op, step: Step, past: int) -> tuple[int, ...]:
    if op.kind == "max_unpool" and len(op.inputs) > 1 and op.inputs[1] in state.pools:
        return (state.pools[op.inputs[1]],)
    downs = [
        each.number for each in reversed(state.steps) if past >> each.number & 1 and each.direction == "down"
    ]
    low, high = state.before[step.number - 1], state.after[step.number - 1]

    def like(a: Sequence[Grid | None], b: Sequence[Grid | None]) -> bool:
        one, two = [g for g in a if g], [g for g in b if g]
        return 0 < len(one) == len(two) and all(
            x.source == y.source and (x.scale == y.scale or x.size == y.size)
            for x, y in zip(one, two, strict=True)
        )

    for n in downs:
        if like(state.after[n - 1], low) and like(state.before[n - 1], high):
            return (n,)
    # Several ways down at once, such as a way up by 4 after two by 2: a chain from `low` to `high`.
    chain: list[int] = []
    at = low
    for n in downs:
        if like(state.after[n - 1], at):
            chain.append(n)
            at = state.before[n - 1]
            if like(at, high):
                return tuple(chain)
    return ()


# -- merges -----------------------------------------------------------------------------------------------


def _meet(state: _State, op: Op, layouts: Sequence[Layout], shape: Sequence[int]) -> None:
    """Write down a merge whose branches have different positions somewhere, or could have."""
    branches = [
        layout
        for layout in layouts
        if len(layout) == len(shape) and any(grids.grid_of(dim) is not None for dim in layout)
    ]
    if len(branches) < 2:
        return
    apart, scales, several = [], [], False
    for axis, n in enumerate(shape):
        found = [g for layout in branches if (g := grids.grid_of(layout[axis])) is not None and g.size == n]
        if not found or axis == op.details.get("dim"):
            continue
        found = grids.leading(found)
        several = several or any(g.source == found[0].source for g in found[1:])
        distances = [grids.apart(found[0], g) for g in found[1:]]
        apart.append(max(distances, key=abs, default=Fraction(0)))
        scales.append(any(g.scale != found[0].scale for g in found))
    if not several:  # positions of at most one are known
        return
    blamed = _latest_up(state, op.inputs)
    state.merges.append(Merge(op.layer, op.what, tuple(shape), tuple(apart), tuple(scales), blamed))


def _latest_up(state: _State, inputs: Sequence[int]) -> int | None:
    """The last way up before a merge, else the last way down."""
    numbers = [state.latest.get(i, 0) for i in inputs]
    ups = [n for n in numbers if n and state.steps[n - 1].direction == "up"]
    return max(ups, default=None) or (max(numbers, default=0) or None)
