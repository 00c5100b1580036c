"""Other projects' detectors, with their own documented signs, find the errors of made problems.

Left out where the extra `peers` is not installed; SAFETYCAGE_PYTHON names the Python that has SafetyCage.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import problems
import pytest

from experiments.peers import projects
from experiments.peers.detector import Known
from experiments.shared.last_layer import LastLayer
from uncertainty import ModelOutputs
from uncertainty.metrics import auroc

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # warnings of other projects are not ours to turn into errors
]
for module in projects.PACKAGES.values():
    pytest.importorskip(module)

SAFETYCAGE = os.environ.get("SAFETYCAGE_PYTHON")
DETECTORS = {d.key: d for d in projects.detectors(Path(SAFETYCAGE) if SAFETYCAGE else None)}
CLASSES, DIMENSIONS, PASSES = 4, 32, 20
OWN_CLASS = np.kron(np.eye(CLASSES), np.ones(DIMENSIONS // CLASSES))
FOR_ACTIVATIONS = ("DICE", "LTS", "ReAct", "VRA", "SCALE", "ASH", "GradNorm", "GradUncertainty", "NACUE", "DEUP")
"""What is made for activations that are 0 or above, or is trained for a few steps only: a problem of that form."""


def clustered() -> tuple[Known, ModelOutputs]:
    """Features of either sign around class centres; damage adds noise."""
    reference, calibration = problems.known_good(1500, seed=1), problems.made_problem(800, seed=2)
    weight = np.linalg.lstsq(reference.features, reference.logits, rcond=None)[0].T.astype(np.float32)
    return Known(reference, calibration, LastLayer(weight, np.zeros(CLASSES, np.float32))), problems.made_problem(
        1000, 3
    )


def fading() -> tuple[Known, ModelOutputs]:
    """Each class has units of its own, at least 0; damage dims them."""
    layer = LastLayer((1.3 * OWN_CLASS - 0.3).astype(np.float32), np.zeros(CLASSES, np.float32))
    reference, calibration, incoming = (_faded(n, seed, layer) for n, seed in ((1500, 1), (800, 2), (1000, 3)))
    return Known(reference.take(~reference.wrong), calibration, layer), incoming


def _faded(n: int, seed: int, layer: LastLayer) -> ModelOutputs:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, n)
    faint = np.where(rng.random(n) < 0.35, rng.uniform(0.5, 1.0, n), 0.0)[:, None]
    clear = (1 - 0.8 * faint) * OWN_CLASS[labels] * rng.uniform(0.7, 1.3, (n, DIMENSIONS))
    noise = 0.5 * (1 - 0.3 * faint) * rng.normal(size=(n, DIMENSIONS))
    features = (clear + noise - 0.1).clip(0).astype(np.float32)
    logits = features @ layer.weight.T + layer.bias
    return ModelOutputs(ids=[f"{seed}-{i}" for i in range(n)], logits=logits, features=features, labels=labels)


@pytest.fixture(scope="module")
def made() -> dict[str, tuple[Known, ModelOutputs]]:
    return {"clustered": clustered(), "fading": fading()}


def test_last_layers_give_the_logits(made: dict[str, tuple[Known, ModelOutputs]]) -> None:
    for known, incoming in made.values():
        assert known.last_layer.fits(known.calibration)
        assert known.last_layer.fits(incoming)


@pytest.mark.parametrize("key", DETECTORS)
def test_documented_sign_finds_errors(key: str, made: dict[str, tuple[Known, ModelOutputs]]) -> None:
    detector = DETECTORS[key]
    known, outputs = made["fading" if detector.name.startswith(FOR_ACTIVATIONS) else "clustered"]
    score = detector.fit(known)
    scores = score(outputs)
    assert scores.shape == (len(outputs),)
    assert scores.dtype == np.float64
    assert auroc(outputs.wrong, scores) > 0.6
    np.testing.assert_allclose(score(outputs.take(np.arange(100))), scores[:100], rtol=1e-4, atol=1e-5)


def test_keys_are_unique() -> None:
    assert len(DETECTORS) == len(projects.detectors(Path(SAFETYCAGE) if SAFETYCAGE else None))
