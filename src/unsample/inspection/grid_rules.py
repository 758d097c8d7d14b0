"""What each kind of operation does to a layout: which axis of the input every axis of its result follows."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from unsample.geometry.window import AdaptiveWindow, Window
from unsample.inspection import grids
from unsample.inspection.grids import Dim, Grid, Layout, Phase, Piece
from unsample.inspection.vocabulary import Op
from unsample.pairs import OPERATIONS

_WINDOWED = {name: operation.up for name, operation in OPERATIONS.items() if operation.lies != "resampled"}
DOWN = ("pool", *(name for name, up in _WINDOWED.items() if not up))
UP = tuple(name for name, up in _WINDOWED.items() if up)


def through(
    op: Op, layouts: Sequence[Layout], shape: Sequence[int]
) -> tuple[Layout, tuple[grids.Moved, ...]]:
    """The layout of the result, and what a reshape amounted to."""
    plain = grids.plain(shape)
    if not layouts:
        return plain, ()
    first = layouts[0]
    if op.kind in DOWN and op.windows:
        return _spatial(first, plain, op.windows, grids.down), ()
    if op.kind in UP:
        return _spatial(first, plain, op.windows, grids.up), ()
    if op.kind == "resize":
        told = op.steps or (None,) * len(op.resamples)
        rules = list(zip(op.resamples, told, strict=True))
        return _spatial(first, plain, rules, lambda grid, rule: grids.resized(grid, *rule)), ()
    if op.kind == "pad":
        return _padded(first, plain, op), ()
    if op.kind == "slice":
        dim = op.details["dim"]
        if op.details["step"] == 1 and shape[dim] == grids.elements(first[dim]):
            return first, ()
        return _on(
            first, plain, dim, lambda g: grids.sliced(g, op.details["start"], op.details["step"], shape[dim])
        )
    if op.kind == "slices":
        layout = first
        for each in op.details["moves"]:
            dim = each["dim"]
            layout, _ = _on(layout, plain, dim, _slicer(each, shape[dim]))
        return layout, ()
    if op.kind == "flip":
        layout = first
        for dim in op.details["dims"]:
            layout, _ = _on(layout, layout, dim, lambda g: grids.sliced(g, g.size - 1, -1, g.size))
        return layout, ()
    if op.kind == "roll":
        layout = first
        for dim, shift in zip(op.details["dims"], op.details["shifts"], strict=True):
            layout, _ = _on(layout, plain, dim, partial(grids.rolled, shift=shift))
        return layout, ()
    if op.kind == "stack":
        dim = op.details["dim"]
        inner = _joined(layouts, (*shape[:dim], *shape[dim + 1 :]), None)
        return (*inner[:dim], (shape[dim],), *inner[dim:]), ()
    if op.kind == "unfold":
        return _unfolded(first, plain, op), ()
    if op.kind == "keep":
        return _kept(first, shape, op.details["axes"]), ()
    if op.kind == "permute":
        return tuple(first[d] for d in op.details["permutation"]), ()
    if op.kind == "reshape":
        return _reshape(first, shape)
    if op.kind == "select":
        return tuple(dim for d, dim in enumerate(first) if d != op.details["dim"]), ()
    if op.kind == "reduce":
        return _fitting(_reduced(first, op), plain), ()
    if op.kind == "matmul":
        return _matmul(op, layouts, plain), ()
    if op.kind == "mix":
        mixed = _mixed(first, [piece for dim in first for piece in dim])
        if len(mixed) != len(plain):
            return plain, ()
        pairs = zip(mixed, plain, strict=True)
        return tuple(a if grids.elements(a) == grids.elements(b) else b for a, b in pairs), ()
    if op.kind == "attention":
        query, key, value = layouts[:3]
        return _fitting(_mixed((*query[:-1], value[-1]), key[-2]), plain), ()
    if op.kind in ("elementwise", "cat"):
        return _joined(layouts, shape, op.details.get("dim") if op.kind == "cat" else None), ()
    return plain, ()


def _spatial(first: Layout, plain: Layout, rules: Sequence[Any], through: Any) -> Layout:
    """The rule of each of the last axes on its grid."""
    out = list(plain)
    lead = len(first) - len(rules)
    for axis in range(lead):
        if plain[axis] == (grids.size_of(first[axis][0]),) or len(first[axis]) > 1:
            out[axis] = first[axis]
    if lead >= 1 and plain[lead - 1] != first[lead - 1]:
        out[lead - 1] = plain[lead - 1]  # channels
    for axis, rule in enumerate(rules):
        grid = grids.grid_of(first[lead + axis])
        if grid is not None:
            out[lead + axis] = (through(grid, rule),)
    return tuple(out)


def _slicer(move: dict[str, int], size: int) -> Any:
    return lambda grid: grids.sliced(grid, move["start"], move["step"], size)


def _on(first: Layout, plain: Layout, dim: int, through: Any) -> tuple[Layout, tuple[grids.Moved, ...]]:
    grid = grids.grid_of(first[dim])
    new = plain[dim] if grid is None else (through(grid),)
    return (*first[:dim], new, *first[dim + 1 :]), ()


def _padded(first: Layout, plain: Layout, op: Op) -> Layout:
    pads, out = op.details["pads"], list(first)
    for i in range(len(pads) // 2):
        dim = len(first) - 1 - i
        before, after = pads[2 * i : 2 * i + 2]
        grid = grids.grid_of(first[dim])
        if before or after:
            out[dim] = (
                plain[dim] if grid is None else (grids.padded(grid, before, after, op.details["mode"]),)
            )
    return tuple(out)


def _reshape(first: Layout, shape: Sequence[int]) -> tuple[Layout, tuple[grids.Moved, ...]]:
    before = math.prod(grids.size_of(piece) for dim in first for piece in dim)
    if before != math.prod(shape):  # expand
        if len(first) != len(shape):
            return grids.plain(shape), ()
        same = [
            sum(1 for _ in dim) > 1 or grids.size_of(dim[0]) == n for dim, n in zip(first, shape, strict=True)
        ]
        return tuple(d if k else (n,) for d, n, k in zip(first, shape, same, strict=True)), ()
    return grids.reshaped(first, shape)


def _reduced(first: Layout, op: Op) -> Layout:
    out: list[grids.Dim] = []
    for d, dim in enumerate(first):
        if d not in op.details["dims"]:
            out.append(dim)
        elif op.details["keep"]:
            grid = grids.grid_of(dim)
            out.append((1,) if grid is None else (grids.down(grid, AdaptiveWindow(grid.size, 1)),))
    return tuple(out)


def _matmul(op: Op, layouts: Sequence[Layout], plain: Layout) -> Layout:
    """Rows of the first factor, columns of the second; where positions are summed over, from all of them."""
    left = op.details["left"]
    a, b = layouts[left], layouts[left + 1]
    shared = tuple(_merged([x, y]) for x, y in zip(a[:-2], b[:-2], strict=False))
    return _fitting(_mixed((*shared, *a[len(shared) : -1], b[-1]), (*a[-1], *b[-2])), plain)


def _mixed(layout: Layout, summed: Sequence[Piece]) -> Layout:
    """What depends on all positions of the pieces that are summed over: their axis, or their blocks of it."""
    axes = {piece.source for piece in summed if isinstance(piece, Grid)}
    inside = {id(piece.whole) for piece in summed if isinstance(piece, Phase)}
    throughout = {piece.source for piece in summed if isinstance(piece, Grid) and piece.whole is None}

    def mixed(piece: Piece) -> Piece:
        if isinstance(piece, Grid):
            return piece.everything() if piece.source in axes else piece
        if isinstance(piece, Phase) and (id(piece.whole) in inside or piece.whole.source in throughout):
            return replace(piece, mixed=True)
        return piece

    return tuple(tuple(map(mixed, dim)) for dim in layout)


def _fitting(layout: Layout, plain: Layout) -> Layout:
    """The layout, or one without positions where it is not of that shape."""
    return layout if list(map(grids.elements, layout)) == [dim[0] for dim in plain] else plain


def _unfolded(first: Layout, plain: Layout, op: Op) -> Layout:
    """Windows of an axis, their places behind all other axes."""
    dim, size, step = (op.details[word] for word in ("dim", "size", "step"))
    grid, coarse = grids.grid_of(first[dim]), grids.size_of(plain[dim][0])
    if grid is None:
        return (*first[:dim], plain[dim], *first[dim + 1 :], (size,))
    if size == step and grid.size == size * coarse:
        blocks, places = grids.split(grid, coarse)
        return (*first[:dim], (blocks,), *first[dim + 1 :], (places,))
    return (
        *first[:dim],
        (grids.down(grid, Window(grid.size, coarse, size, step)),),
        *first[dim + 1 :],
        (size,),
    )


def _kept(first: Layout, shape: Sequence[int], axes: Sequence[int | None]) -> Layout:
    """Axes of the result that are those of the argument as they were; None for others."""
    return tuple((n,) if axis is None else first[axis] for n, axis in zip(shape, axes, strict=True))


def _joined(layouts: Sequence[Layout], shape: Sequence[int], dim: int | None) -> Layout:
    """Where branches meet: the positions of the branch that saw least of the input (the skip), all fields."""
    out: list[grids.Dim] = []
    for axis, n in enumerate(shape):
        here = [layout[axis - len(shape)] for layout in layouts if len(layout) >= len(shape) - axis]
        found = [g for d in here if (g := grids.grid_of(d)) is not None and g.size == n]
        if axis == dim:
            out.append((n,))
        elif found:
            out.append((grids.joined(grids.leading(found)),))
        else:
            several = [d for d in here if grids.grids_in([(d,)]) and grids.elements(d) == n]
            out.append(_merged(several) if several else (n,))
    return tuple(out)


def _merged(dims: Sequence[Dim]) -> Dim:
    """The pieces of the first, with the fields of all that are split in the same way."""
    first = dims[0]
    alike = [d for d in dims if [_place(piece) for piece in d] == [_place(piece) for piece in first]]
    return tuple(_merged_piece(pieces) for pieces in zip(*alike, strict=True))


def _place(piece: Piece) -> Any:
    """What a piece must have in common with another for both to be the same piece of the same axis."""
    if isinstance(piece, Grid):
        return piece.source, piece.size, id(piece.whole)
    return (piece.size, id(piece.whole)) if isinstance(piece, Phase) else piece


def _merged_piece(pieces: Sequence[Piece]) -> Piece:
    found = [piece for piece in pieces if isinstance(piece, Grid)]
    if found:
        return grids.joined(grids.leading(found))
    phases = [piece for piece in pieces if isinstance(piece, Phase)]
    return replace(phases[0], mixed=any(p.mixed for p in phases)) if phases else pieces[0]
