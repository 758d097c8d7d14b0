"""The one error of a plan."""


class ShapeError(ValueError):
    """A shape or a parameter that no plan can be made of.

    The message is one sentence: operation, argument, requirement, what came.
    """

    __module__ = "unsample"  # as tracebacks should name it
