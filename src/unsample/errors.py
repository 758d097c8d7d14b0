"""The errors of a plan, of switches and of dtypes.

Each is also a RuntimeError, which torch raises for the same mistakes, so that `except RuntimeError` around a
layer goes on catching them.
"""


class ShapeError(ValueError, RuntimeError):
    """A shape or a parameter that no plan can be made of.

    The message is one sentence: operation, argument, requirement, what came.
    """

    __module__ = "unsample"  # as tracebacks should name it


class SwitchError(IndexError, RuntimeError):
    """A switch or an index that does not point into its own window."""

    __module__ = "unsample"


class DtypeError(TypeError, RuntimeError):
    """A tensor of a dtype that a layer does not take."""

    __module__ = "unsample"
