"""Data to one HTML file: style, script and data inside it, nothing loaded from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from uncertainty.report.words import Sentence, Stressed

SCRIPTS = (
    "base.js",
    "charts.js",
    "sections.js",
    "heat.js",
    "cards.js",
    "decisions.js",
    "together.js",
    "gallery.js",
    "reasons.js",
    "details.js",
    "report.js",
)
# What could end the script element or a line of it; as escapes they are the same JSON.
_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def page(title: str, sentences: Sequence[Sentence], data: Mapping[str, Any], *, beside: bool) -> str:
    """Return the page; `sentences` are its summary, with what is stressed in bold.

    `beside` says that pictures lie in a folder next to the page; otherwise they can come from inside it alone.
    """
    style = _asset("report.css")
    script = "(() => {\n'use strict';\n" + "\n".join(_asset(name) for name in SCRIPTS) + "\n})();\n"
    pieces = {
        "TITLE": html.escape(title),
        "POLICY": _policy(style, script, beside),
        "STYLE": style,
        "SUMMARY": "\n".join(f"<p>{_stressed(sentence)}</p>" for sentence in sentences),
        "DATA": embedded(data),
        "SCRIPT": script,
    }
    parts = _asset("report.html").split("@@")
    return "".join(pieces[part] if i % 2 else part for i, part in enumerate(parts))


def embedded(data: Any) -> str:
    r"""Return JSON that no HTML parser and no JavaScript parser can be led out of.

    >>> embedded({"name": "</script>&"})
    '{"name":"\\u003c/script\\u003e\\u0026"}'
    """
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)
    return text.encode("utf-8", "backslashreplace").decode().translate(_ESCAPES)


def _stressed(sentence: Sentence) -> str:
    pieces = [(isinstance(piece, Stressed), html.escape(piece)) for piece in sentence]
    return "".join(f"<strong>{text}</strong>" if stressed else text for stressed, text in pieces)


def _policy(style: str, script: str, beside: bool) -> str:
    images = "data: 'self' file:" if beside else "data:"
    return (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src {images}; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _asset(name: str) -> str:
    return (resources.files("uncertainty.report") / "assets" / name).read_text("utf-8")
