"""What an inspection found, as numbers: `report.py` shows it."""

from dataclasses import dataclass
from fractions import Fraction

from unsample.inspection.analysis import Merge, Step
from unsample.inspection.sizes_that_run import Sizes
from unsample.inspection.vocabulary import Failure


@dataclass(frozen=True, slots=True)
class Findings:
    """What `inspect` found.

    Parameters
    ----------
    model : str
        Class or file.
    input_shapes, output_shapes : tuple
    steps : tuple of Step
        One per way down or up, in the order of the run.
    merges : tuple of Merge
        Where branches meet.
    sizes : tuple of Sizes
        Input sizes with which it runs, per group of axes that are treated alike.
    failure : Failure or None
        Where the run stopped; the steps are those before.
    repairs : tuple of str
        What would make failing sizes work.
    parameters, multiply_adds, saved_bytes : int
        Of the whole model; saved_bytes None where not known.
    milliseconds : float or None
        Of all operators together.
    decided : tuple of str
        Layers in which the values of the example decided how the run went on.
    """

    model: str
    input_shapes: tuple[tuple[int, ...], ...]
    output_shapes: tuple[tuple[int, ...], ...]
    steps: tuple[Step, ...]
    merges: tuple[Merge, ...]
    sizes: tuple[Sizes, ...] = ()
    failure: Failure | None = None
    repairs: tuple[str, ...] = ()
    parameters: int = 0
    multiply_adds: int = 0
    saved_bytes: int | None = None
    milliseconds: float | None = None
    decided: tuple[str, ...] = ()

    @property
    def checkerboard(self) -> float:
        """The largest score of a way up; 0 where none has one."""
        return max(
            (s.checkerboard.value for s in self.steps if s.checkerboard and s.checkerboard.value is not None),
            default=0.0,
        )

    @property
    def misaligned(self) -> tuple[Merge, ...]:
        """Merges whose branches lie apart."""
        return tuple(merge for merge in self.merges if not merge.aligned)

    @property
    def activation_bytes(self) -> int:
        """Bytes of the results of all steps."""
        return sum(step.activation_bytes for step in self.steps)

    def numbers(self) -> dict[str, float]:
        """What `--fail-if` may compare."""
        return {
            "activation_bytes": self.activation_bytes,
            "checkerboard": self.checkerboard,
            "failed": float(self.failure is not None),
            "milliseconds": self.milliseconds or 0.0,
            "misaligned": float(max((abs(d) for m in self.merges for d in m.apart), default=Fraction(0))),
            "multiply_adds": self.multiply_adds,
            "parameters": self.parameters,
            "period": max((s.period for s in self.sizes), default=1),
            "receptive_field": max((hi for s in self.steps for _, hi in s.receptive_field), default=0),
            "saved_bytes": self.saved_bytes or 0,
            "steps": len(self.steps),
        }
