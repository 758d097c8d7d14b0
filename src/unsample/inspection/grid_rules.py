"""What each kind of operation does to a layout: which axis of the input every axis of its result follows."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from unsample.geometry.window import AdaptiveWindow, Window
from unsample.inspection import grids
from unsample.inspection.grids import Dim, Grid, Layout, Parts, Phase, Piece, Spread
from unsample.inspection.vocabulary import Op
from unsample.pairs import OPERATIONS

_WINDOWED = {name: operation.up for name, operation in OPERATIONS.items() if operation.lies != "resampled"}
DOWN = ("pool", "im2col", *(name for name, up in _WINDOWED.items() if not up))
UP = ("col2im", *(name for name, up in _WINDOWED.items() if up))


def through(
    op: Op, layouts: Sequence[Layout], shape: Sequence[int]
) -> tuple[Layout, tuple[grids.Moved, ...]]:
    """The layout of the result, and what a reshape amounted to."""
    plain = grids.plain(shape)
    if not layouts:
        return plain, ()
    first = layouts[0]
    if op.kind == "im2col":
        tall = _spatial(first, (*plain[:-1], *_coarse(op)), op.windows, grids.down)
        return (*tall[:-2], tall[-2] + tall[-1]), ()
    if op.kind == "col2im":
        tokens = tuple((piece,) for piece in first[-1])
        known = list(map(grids.elements, tokens)) == [w.coarse for w in op.windows]
        return _spatial((*first[:-1], *(tokens if known else _coarse(op))), plain, op.windows, grids.up), ()
    if op.kind in DOWN and op.windows:
        return _spatial(first, plain, op.windows, grids.down), ()
    if op.kind in UP:
        return _spatial(first, plain, op.windows, grids.up), ()
    if op.kind == "resize":
        told = op.steps or (None,) * len(op.resamples)
        rules = list(zip(op.resamples, told, strict=True))
        layout = first
        for dim, rule in zip(moving(op, len(first)), rules, strict=True):
            layout = _on(layout, shape, dim, partial(_resized, rule=rule))
        return layout, ()
    if op.kind == "pad":
        return _padded(first, plain, op), ()
    if op.kind == "slice":
        return _sliced(first, shape, op.details["moves"]), ()
    if op.kind == "roll":
        layout = first
        for dim, shift in zip(op.details["dims"], op.details["shifts"], strict=True):
            layout = _on(layout, shape, dim, partial(grids.rolled, shift=shift))
        return layout, ()
    if op.kind == "stack":
        dim = op.details["dim"]
        inner = _joined(layouts, (*shape[:dim], *shape[dim + 1 :]), None)
        alike = len(set(op.inputs)) == 1
        return (*inner[:dim], _repeated(shape[dim]) if alike else (shape[dim],), *inner[dim:]), ()
    if op.kind == "unfold":
        return _unfolded(first, plain, op), ()
    if op.kind == "keep":
        return _kept(first, shape, op), ()
    if op.kind == "permute":
        layout = tuple(first[d] for d in op.details["permutation"])
        return _sliced(layout, shape, op.details.get("moves", ())), ()
    if op.kind == "reshape":
        return _reshape(first, shape)
    if op.kind == "select":
        return tuple(dim for d, dim in enumerate(first) if d != op.details["dim"]), ()
    if op.kind == "reduce":
        return _fitting(_reduced(first, op), plain), _pooled(first, op)
    if op.kind == "matmul":
        return _matmul(op, layouts, plain), ()
    if op.kind == "mix":
        mixed = _mixed(first, first)
        if len(mixed) != len(plain):
            return plain, ()
        pairs = zip(mixed, plain, strict=True)
        return tuple(a if grids.elements(a) == grids.elements(b) else b for a, b in pairs), ()
    if op.kind == "attention":
        query, key, value = layouts[:3]
        return _fitting(_mixed((*query[:-1], value[-1]), [key[-2]]), plain), ()
    if op.kind == "elementwise" and len(layouts) == 1:
        return _fitting(first, plain), ()
    if op.kind in ("elementwise", "cat"):
        return _joined(layouts, shape, op.details.get("dim") if op.kind == "cat" else None), ()
    return plain, ()


def moving(op: Op, rank: int) -> Sequence[int]:
    """The axes along which an operation moves: the last ones, where it does not say others."""
    if op.kind == "resize" and "dims" in op.details:
        return list(op.details["dims"])
    return range(rank - (len(op.windows) or len(op.resamples)), rank)


def _resized(grid: Grid, rule: Any) -> Grid:
    return grids.resized(grid, *rule)


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


def _coarse(op: Op) -> Layout:
    return tuple((window.coarse,) for window in op.windows)


def _sliced(layout: Layout, shape: Sequence[int], moves: Sequence[Mapping[str, int]]) -> Layout:
    for move in moves:
        dim, start, step = (move[word] for word in ("dim", "start", "step"))
        size, parts = shape[dim], layout[dim][0]
        whole = parts.cut(start, size) if isinstance(parts, Parts) and step == 1 else None
        if whole is not None:
            layout = (*layout[:dim], whole, *layout[dim + 1 :])
        elif step != 1 or size != grids.elements(layout[dim]):
            layout = _on(layout, shape, dim, partial(grids.sliced, start=start, step=step, size=size))
    return layout


def _on(first: Layout, shape: Sequence[int], dim: int, through: Any) -> Layout:
    grid = grids.grid_of(first[dim])
    new = (shape[dim],) if grid is None else (through(grid),)
    return (*first[:dim], new, *first[dim + 1 :])


def _repeated(size: int) -> Dim:
    return (Spread(size, 0, size),)


def _padded(first: Layout, plain: Layout, op: Op) -> Layout:
    pads, out = op.details["pads"], list(first)
    for i in range(len(pads) // 2):
        dim = len(first) - 1 - i
        before, after = pads[2 * i : 2 * i + 2]
        grid = grids.grid_of(first[dim])
        if not before and not after:
            continue
        if grid is not None:
            out[dim] = (grids.padded(grid, before, after, op.details["mode"]),)
        elif first[dim] == (1,) and op.details["mode"] == "zeros" and min(before, after) >= 0:
            out[dim] = (Spread(before + 1 + after, before, 1),)
        else:
            out[dim] = plain[dim]
    return tuple(out)


def _reshape(first: Layout, shape: Sequence[int]) -> tuple[Layout, tuple[grids.Moved, ...]]:
    if math.prod(map(grids.elements, first)) == math.prod(shape):
        return grids.reshaped(first, shape)
    new = len(shape) - len(first)  # expand
    if new < 0:
        return grids.plain(shape), ()
    pairs = zip(first, shape[new:], strict=True)
    kept = (dim if grids.elements(dim) == n else _repeated(n) for dim, n in pairs)
    return (*grids.plain(shape[:new]), *kept), ()


def _pooled(first: Layout, op: Op) -> tuple[grids.Moved, ...]:
    """The places of blocks that are reduced while their blocks stay: a pooling written with a reshape."""
    rest = [dim for d, dim in enumerate(first) if d not in op.details["dims"]]
    blocks = [piece.whole for piece in grids.pieces_of(rest) if isinstance(piece, Grid)]
    return tuple(
        grids.Moved(op.what, d, piece.size)
        for d in op.details["dims"]
        for piece in first[d]
        if isinstance(piece, Phase) and any(piece.whole is whole for whole in blocks)
    )


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
    return _fitting(_mixed((*shared, *a[len(shared) : -1], b[-1]), (a[-1], b[-2])), plain)


def _mixed(layout: Layout, dims: Sequence[Dim]) -> Layout:
    """What depends on all positions of dimensions that are summed over: their axis, or their blocks of it."""
    summed = list(grids.pieces_of(dims))
    axes = {piece.source for piece in summed if isinstance(piece, Grid)}
    inside = {id(piece.whole) for piece in summed if isinstance(piece, Phase)}
    throughout = {piece.source for piece in summed if isinstance(piece, Grid) and piece.whole is None}

    def mixed(piece: Piece) -> Piece:
        if isinstance(piece, Grid):
            return piece.everything() if piece.source in axes else piece
        if isinstance(piece, Phase) and (id(piece.whole) in inside or piece.whole.source in throughout):
            return replace(piece, mixed=True)
        return (
            Parts(tuple(tuple(map(mixed, dim)) for dim in piece.dims)) if isinstance(piece, Parts) else piece
        )

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


def _kept(first: Layout, shape: Sequence[int], op: Op) -> Layout:
    """Axes of the result that are those of the argument as they were, or at known places; None for others."""
    out: list[Dim] = []
    for n, axis in zip(shape, op.details["axes"], strict=True):
        places, grid = op.details.get("at", {}).get(len(out)), None
        if places is not None and (whole := grids.grid_of(first[places[0]])) is not None:
            grid = grids.gathered(whole, places[1])
        out.append((grid,) if grid is not None else (n,) if axis is None else first[axis])
    return tuple(out)


def _joined(layouts: Sequence[Layout], shape: Sequence[int], dim: int | None) -> Layout:
    """Where branches meet: the positions of the branch that saw least of the input (the skip), all fields."""
    out: list[grids.Dim] = []
    for axis, n in enumerate(shape):
        here = [layout[axis - len(shape)] for layout in layouts if len(layout) >= len(shape) - axis]
        found = [g for d in here if (g := grids.grid_of(d)) is not None and g.size == n]
        if axis == dim:
            out.append(grids.chained(here) if sum(map(grids.elements, here)) == n else (n,))
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
    if isinstance(piece, Parts):
        return tuple(tuple(map(_place, dim)) for dim in piece.dims)
    return (piece.size, id(piece.whole)) if isinstance(piece, Phase) else piece


def _merged_piece(pieces: Sequence[Piece]) -> Piece:
    found = [piece for piece in pieces if isinstance(piece, Grid)]
    if found:
        return grids.joined(grids.leading(found))
    parts = [piece.dims for piece in pieces if isinstance(piece, Parts)]
    if parts:
        return Parts(tuple(_merged(dims) for dims in zip(*parts, strict=True)))
    phases = [piece for piece in pieces if isinstance(piece, Phase)]
    return replace(phases[0], mixed=any(p.mixed for p in phases)) if phases else pieces[0]
