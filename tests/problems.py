"""Made problems with everything in them that estimators read, and errors that each kind of evidence can find."""

from __future__ import annotations

import numpy as np

from uncertainty.outputs import ModelOutputs, Task

CLASSES, DIMENSIONS, PASSES, VIEWS = 4, 16, 20, 4
# Brightness, darkness, contrast, blur, saturation, entropy, size, aspect of a good image, and what damage adds.
_GOOD = np.array([0.55, 0.35, 0.22, 0.10, 0.40, 7.0, 16.0, 0.4])
_SPREAD = np.array([0.06, 0.05, 0.03, 0.03, 0.08, 0.3, 0.0, 0.1])
_DAMAGE = np.array([-0.15, 0.12, -0.08, 0.15, -0.10, -1.0, 0.0, 0.0])
_WORLD = np.random.default_rng(7)
_CENTRES = _WORLD.normal(size=(CLASSES, DIMENSIONS))
_CENTRES /= np.linalg.norm(_CENTRES, axis=1, keepdims=True)
_SECOND = np.linalg.qr(_WORLD.normal(size=(DIMENSIONS, DIMENSIONS)))[0]
_MASKS = (_WORLD.random((PASSES, DIMENSIONS)) < 0.85) / 0.85


def made_problem(n: int, seed: int, task: Task = "multiclass") -> ModelOutputs:
    """Make n labelled rows: clustered features, linear logits, dropout on the features, quality that tells of damage.

    A quarter of the rows are damaged: fainter and noisier features, so more often wrong (one row in ten, over all). All
    seeds share the classes and the dropout masks; ids start with the seed, so sets of different seeds are disjoint.
    """
    rng = np.random.default_rng(seed)
    damage = np.where(rng.random(n) < 0.25, rng.uniform(0.3, 1.0, n), 0.0)[:, None]
    classes = rng.integers(0, CLASSES, n)
    noise = 0.18 if task == "multilabel" else 0.28
    labels = np.eye(CLASSES, dtype=np.int64)[classes]
    if task == "multilabel":
        labels |= rng.random((n, CLASSES)) < 0.1
    features = (1 - 0.5 * damage) * (labels @ _CENTRES) + noise * (1 + damage) * rng.normal(size=(n, DIMENSIONS))
    mc_logits = np.einsum("nd,td,cd->ntc", features, _MASKS, _weights(), optimize=True)
    quality = _GOOD + _SPREAD * rng.normal(size=(n, 8)) + damage * _DAMAGE * rng.uniform(0.7, 1.3, (n, 8))
    views = features[:, None] + 0.5 * noise * rng.normal(size=(n, VIEWS, DIMENSIONS))
    return ModelOutputs(
        ids=[f"{seed}-{i:05}" for i in range(n)],
        logits=_logits(features @ _weights().T, task),
        features=features.astype(np.float32),
        mc_probs=_probs(_logits(mc_logits, task), task).astype(np.float32),
        quality=quality,
        tta_probs=_probs(_logits(views @ _weights().T, task), task).astype(np.float32),
        embedding=(features @ _SECOND + 0.05 * rng.normal(size=features.shape)).astype(np.float32),
        labels=labels if task == "multilabel" else classes,
        task=task,
    )


def known_good(n: int, seed: int, task: Task = "multiclass") -> ModelOutputs:
    """Return the rows of a made problem that the classifier gets right: a reference set."""
    outputs = made_problem(n, seed, task)
    return outputs.take(~outputs.wrong)


def _weights() -> np.ndarray:
    # The dual basis: each row responds to its own class alone.
    return np.linalg.pinv(_CENTRES).T


def _logits(responses: np.ndarray, task: Task) -> np.ndarray:
    return 14 * (responses - 0.5) if task == "multilabel" else 8 * responses


def _probs(logits: np.ndarray, task: Task) -> np.ndarray:
    if task == "multilabel":
        return 0.5 * (1 + np.tanh(logits / 2))
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
