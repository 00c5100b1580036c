"""Pages of the desk as HTML, made on the server; every value is escaped, and no script or style stands in a page."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import Any

from uncertainty.errors import InputError, MissingDependencyError
from uncertainty.report.page import embedded

_SCRIPTS = (
    ("uncertainty.report", ("base.js", "heat.js")),
    ("uncertainty.service.desk", ("saving.js", "choosing.js", "showing.js", "desk.js")),
)
_STYLES = {"report.css": "uncertainty.report", "desk.css": "uncertainty.service.desk"}
_WHOLE, _SESSION = "desk.js", "session.js"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""Nothing that stands in a page runs, whatever an image or a class is called."""


@lru_cache(maxsize=8)
def asset(name: str) -> tuple[str, str]:
    """Return the script or a style, and its media type; InputError for another name.

    The script is made of the desk's and of what it shares with the report.

    >>> asset("desk.css")[1], asset("desk.js")[0].startswith("(() => {"), asset("desk.js")[1]
    ('text/css', True, 'text/javascript')
    """
    if name == _WHOLE:
        parts = [_read(room, one) for room, names in _SCRIPTS for one in names]
        return "(() => {\n'use strict';\n" + "\n".join(parts) + "\n})();\n", "text/javascript"
    if name == _SESSION:
        return _read("uncertainty.service.desk", name), "text/javascript"
    if name not in _STYLES:
        raise InputError("there is no such file")
    return _read(_STYLES[name], name), "text/css"


def _read(room: str, name: str) -> str:
    return (resources.files(room) / "assets" / name).read_text("utf-8")


def page(name: str, **values: Any) -> str:
    """Return a page made from one of the templates."""
    text: str = _environment().get_template(name).render(styles=list(_STYLES), **values)
    return text


@lru_cache(maxsize=1)
def _environment() -> Any:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
        from markupsafe import Markup
    except ImportError as error:
        raise MissingDependencyError(
            "the desk needs jinja2; run pip install 'uncertainty-vision[serve]' (or pip install jinja2)"
        ) from error

    found = Environment(loader=PackageLoader("uncertainty.service.desk"), autoescape=True, undefined=StrictUndefined)
    # JSON in which nothing can end the element that it stands in, see `report.page.embedded`.
    found.filters["embedded"] = lambda value: Markup(embedded(value))  # noqa: S704
    return found
