"""Predicts which images a trained classifier will get wrong, before labels are known."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uncertainty.classifiers import Classifier, Preprocess
    from uncertainty.decisions.policies import Policy
    from uncertainty.errors import UncertaintyError
    from uncertainty.estimators.base import Estimator
    from uncertainty.evaluation.outcomes import Outcomes
    from uncertainty.outputs import ModelOutputs
    from uncertainty.screener import Screener
    from uncertainty.verdicts import Verdicts

__version__ = "0.1.0"
__all__ = [
    "Classifier",
    "Estimator",
    "ModelOutputs",
    "Outcomes",
    "Policy",
    "Preprocess",
    "Screener",
    "UncertaintyError",
    "Verdicts",
]

# Loaded on first use, so that `import uncertainty` and `uncertainty --help` stay quick.
_HOMES = {
    "Classifier": "classifiers",
    "Estimator": "estimators.base",
    "ModelOutputs": "outputs",
    "Outcomes": "evaluation.outcomes",
    "Policy": "decisions.policies",
    "Preprocess": "classifiers",
    "Screener": "screener",
    "UncertaintyError": "errors",
    "Verdicts": "verdicts",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'uncertainty' has no attribute {name!r}")
    return getattr(import_module(f"uncertainty.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
