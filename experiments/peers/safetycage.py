"""SafetyCage's DOCTOR and MSP, run by a Python of its own, since it pins NumPy 1.25 and scikit-learn 1.1.

Each method says itself whether it flags from below (`leq`); where it does, the sign turns.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiments.peers.detector import CALIBRATION, Detector, Known, Score
from uncertainty import ModelOutputs

PROJECT = "safetycage"
LEFT_OUT = (
    "safetycage Mahalanobis and SPARDACUS: they read inner layers that the user picks, which outputs do not hold.",
    "safetycage RED: it needs gpytorch (safetycage[red]), and the pixels.",
)
METHODS = ("DOCTOR-sum", "DOCTOR-max", "MSP")
_SCRIPT = Path(__file__).with_name("safetycage_process.py")


def detectors(python: Path) -> Sequence[Detector]:
    """Return the detectors."""
    return [Detector(PROJECT, method, ("logits", CALIBRATION), _method(python, method)) for method in METHODS]


def version(python: Path) -> str:
    """Return the version of the package that this Python has."""
    code = "import importlib.metadata as m; print(m.version('safetycage'))"
    try:
        return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"{python} can't import safetycage: run {python} -m pip install safetycage") from error


def _method(python: Path, method: str) -> Callable[[Known], Score]:
    def fit(known: Known) -> Score:
        def score(outputs: ModelOutputs) -> NDArray[np.float64]:
            return _run(python, method, known.calibration, outputs)

        return score

    return fit


def _run(python: Path, method: str, calibration: ModelOutputs, outputs: ModelOutputs) -> NDArray[np.float64]:
    with tempfile.TemporaryDirectory() as folder:
        asked, answer = Path(folder) / "asked.npz", Path(folder) / "answer.npy"
        labels = np.asarray(calibration.labels)
        np.savez(asked, method=method, known=calibration.probs, labels=labels, probs=outputs.probs)
        subprocess.run([python, "-I", _SCRIPT, asked, answer], check=True)
        return np.load(answer)
