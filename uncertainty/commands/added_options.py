"""Options that several commands take together: listed in one place, and handed to each command as one value."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

Command = Callable[..., None]


def with_options(
    name: str, options: Mapping[str, tuple[Any, Any]], made: Callable[[dict[str, Any]], Any]
) -> Callable[[Command], Command]:
    """Return what gives a command these options, by name with type and default, in place of its argument `name`.

    The command gets as that argument what `made` makes of their values.

    >>> @with_options("size", {"width": (int, 2), "height": (int, 3)}, lambda given: given["width"] * given["height"])
    ... def draw(colour: str, size: int) -> None:
    ...     print(colour, size)
    >>> draw(colour="red", width=4, height=3), str(inspect.signature(draw))
    red 12
    (None, '(colour: str, *, width: int = 2, height: int = 3)')
    """

    def given_to(command: Command) -> Command:
        own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name != name]
        added = [
            inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for option, (kind, default) in options.items()
        ]

        @wraps(command)
        def run(**given: Any) -> None:
            command(**{p.name: given[p.name] for p in own}, **{name: made({p.name: given[p.name] for p in added})})

        run.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in (*own, *added)}
        return run

    return given_to
