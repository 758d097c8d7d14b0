"""Errors that `except RuntimeError` around torch code goes on catching."""

from unsample.errors import ShapeError


class TorchShapeError(ShapeError, RuntimeError):
    """An `unsample.ShapeError` that is a RuntimeError too, as torch raises for shapes that do not fit.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> try:
    ...     ut.window_sum(torch.ones(1, 1, 5), 2)
    ... except RuntimeError as error:
    ...     print(error)
    window_sum: the last 1 axis of y must be divisible by factor (2,), got y of shape (1, 1, 5)
    """

    __module__ = "unsample.torch"


class SwitchError(IndexError, RuntimeError):
    """An IndexError of a switch or index that is a RuntimeError too, as torch's max unpooling raises.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> issubclass(ut.SwitchError, IndexError) and issubclass(ut.SwitchError, RuntimeError)
    True
    """

    __module__ = "unsample.torch"


class TorchTypeError(TypeError, RuntimeError):
    """A TypeError of a dtype that is a RuntimeError too, as torch raises for dtypes that do not fit.

    Examples
    --------
    >>> import torch, unsample.torch as ut
    >>> try:
    ...     ut.MaxUnpool1d(2)(torch.ones(1, 2), torch.ones(1, 2))
    ... except RuntimeError as error:
    ...     print(error)
    MaxUnpool1d: indices must be integers or Switches, got dtype torch.float32
    """

    __module__ = "unsample.torch"
