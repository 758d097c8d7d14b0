"""`unsample.inspect`: every way down and up of a model, what each costs and where they do not fit.

Start with `vocabulary.py`, the words for what a run did. `torch_trace.py` (with `torch_rules.py`) and
`onnx_trace.py` (with `matrices.py`) write them down; `constants.py` has the values that do not depend on
the input. `pt2.py` reads the program of a .pt2 file as data: `archive.py` its bytes, `expressions.py` its
sizes, and `operators.py` says what it may call. `grids.py` carries positions and receptive fields,
`grid_rules.py` says what each kind of operation does to them, `analysis.py` walks the run;
`checkerboard.py` reads the weights, `sizes_that_run.py` tries input sizes. `report.py` is the result,
`table.py`, `sentences.py` and `page.py` show it; `given.py` ties it together, and `weights.py`
loads what a factory's model has learned. Nothing prints here, nothing
changes the model.

The package is not called `inspect`, because `unsample.inspect` is the function.
"""

from typing import Any

from unsample.inspection.analysis import Merge, Step
from unsample.inspection.checkerboard import Score
from unsample.inspection.report import Inspection
from unsample.inspection.sizes_that_run import Sizes
from unsample.inspection.vocabulary import Failure

__all__ = ["Failure", "Inspection", "Merge", "Score", "Sizes", "Step", "inspect"]


def inspect(
    model: Any,
    example: Any = None,
    *,
    sizes: bool = True,
    seconds: float = 20.0,
    repeats: int = 0,
) -> Inspection:
    """Every way down and up of a model: what it is and costs, what undoes what, what lies apart.

    The model is copied into fake tensors and the copy is run once: no memory, nothing of the model changed.
    Functions called in `forward` are seen as layers are.

    Parameters
    ----------
    model : Module, ExportedProgram, str or Path
        Or the path of a .pt2 or .onnx file.
    example : Tensor, shape, or tuple or dict of arguments
        What the model is called with; of tensors only shape, dtype and device matter, unless the model
        goes on as their values say. A tuple of ints is
        the shape of one float tensor; where there is no tensor at all, inside of lists, tuples and dicts
        too. A dict whose keys are names of arguments is taken for these. Files know theirs.
    sizes : bool
        Whether to try which input sizes work.
    seconds : float
        At most so long.
    repeats : int
        Real runs (of a real copy of the model) to time the steps; 0 for none. None on the meta device, and
        none of what a file holds.

    Returns
    -------
    Inspection
        Prints as a table; a page in notebooks; `to_json()`, `to_csv()`.

    Raises
    ------
    TypeError, ValueError
        Where the model or the example is no such thing. A model that fails on the way does not raise: the
        result has the steps so far and `failure`.

    Notes
    -----
    A multiply-add is one multiplication of an element by a weight together with the addition of its product;
    taps that meet padding are left out, as in every `Plan` of this library. docs/inspect.md derives the rest.

    Examples
    --------
    >>> import torch, unsample
    >>> model = torch.nn.Sequential(
    ...     torch.nn.MaxPool2d(2), torch.nn.ConvTranspose2d(3, 3, 3, stride=2, padding=1)
    ... )
    >>> found = unsample.inspect(model, (1, 3, 32, 32))
    >>> [(step.layer, step.direction, step.output_shape[2:]) for step in found.steps]
    [('0', 'down', (16, 16)), ('1', 'up', (31, 31))]
    >>> found.steps[1].undoes, found.steps[1].short
    ((1,), (1, 1))
    """
    from unsample.inspection.given import inspected

    return inspected(model, example, sizes=sizes, seconds=seconds, repeats=repeats)
