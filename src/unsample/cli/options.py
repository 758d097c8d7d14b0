"""How options are declared: those that belong together are one frozen dataclass, one option per field."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

# How the help shows what an option takes.
AXES = "N or N,N"


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """The command as typer takes it: for a parameter that is a dataclass, one option per field.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Look:
    ...     dark: bool = False
    >>> def draw(name: str, *, look: Look) -> None:
    ...     print(name, look)
    >>> inspect.signature(grouped(draw))
    <Signature (*, name: str, dark: bool = False)>
    >>> grouped(draw)(name="conv", dark=True)
    conv Look(dark=True)
    """
    hints = get_type_hints(command, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if isinstance(hint, type) and is_dataclass(hint)}
    options = []
    for name, parameter in inspect.signature(command).parameters.items():
        defaults = {name: parameter.default}
        if name in groups:
            defaults = {field.name: field.default for field in fields(groups[name])}
        annotations = get_type_hints(groups[name], include_extras=True) if name in groups else hints
        options += [
            inspect.Parameter(each, parameter.KEYWORD_ONLY, default=default, annotation=annotations[each])
            for each, default in defaults.items()
        ]

    def run(**typed: Any) -> None:
        made = {
            name: group(**{field.name: typed.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        command(**typed, **made)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    return run


def one_of(words: Sequence[str]) -> str:
    """The words that an option takes, as its help lists them.

    Examples
    --------
    >>> one_of(("last", "sum", "max"))
    'last, sum or max'
    """
    return f"{', '.join(words[:-1])} or {words[-1]}"
