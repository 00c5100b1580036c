"""Other projects' scores of the same outputs, one file a project; each is imported only when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from experiments.peers import baal, cleanlab, pytorch_ood, safetycage, torch_uncertainty
from experiments.peers.detector import Detector

PACKAGES = {
    "pytorch-ood": "pytorch_ood",
    "torch-uncertainty": "torch_uncertainty",
    "cleanlab": "cleanlab",
    "baal": "baal",
}
"""Distributions that the extra `peers` installs, and what they are imported as."""
LEFT_OUT = (
    *pytorch_ood.LEFT_OUT,
    *torch_uncertainty.LEFT_OUT,
    *cleanlab.LEFT_OUT,
    *baal.LEFT_OUT,
    *safetycage.LEFT_OUT,
)
"""What could not be compared, and why."""


def require_packages() -> None:
    """Stop with a clear message where a peer is not installed."""
    needed = {**PACKAGES, "matplotlib": "matplotlib"}
    if missing := [name for name, module in needed.items() if find_spec(module) is None]:
        raise SystemExit(f"{', '.join(missing)} is not installed: run pip install '.[peers]'")


def detectors(safetycage_python: Path | None) -> Sequence[Detector]:
    """Return every detector; SafetyCage's only with the Python that has it."""
    found = [*pytorch_ood.detectors(), *torch_uncertainty.detectors(), *cleanlab.detectors(), *baal.detectors()]
    return found if safetycage_python is None else [*found, *safetycage.detectors(safetycage_python)]


def versions(safetycage_python: Path | None) -> dict[str, str]:
    """Return the version of each peer, and of what they compute with."""
    found = {name: version(name) for name in (*PACKAGES, "torch", "numpy", "scikit-learn")}
    return found if safetycage_python is None else {**found, "safetycage": safetycage.version(safetycage_python)}
