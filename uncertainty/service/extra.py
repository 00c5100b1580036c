"""Whether the packages of the extra `serve` are there, asked before anything that needs them is imported."""

from __future__ import annotations

from importlib.util import find_spec

from uncertainty.errors import MissingDependencyError

_PACKAGES = ("fastapi", "uvicorn", "python_multipart", "jinja2", "prometheus_client")


def needed() -> None:
    """Raise MissingDependencyError, with what to install, where one of them is absent."""
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise MissingDependencyError(f"the service needs {missing[0]}: pip install 'uncertainty-vision[serve]'")
