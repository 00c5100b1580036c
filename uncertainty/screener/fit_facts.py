"""What a fit has counted of classifier and second opinion, beside what p_wrong is learnt from; plain numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from uncertainty.estimators.base import Estimator
from uncertainty.estimators.second_opinion_probe import SecondOpinionProbe
from uncertainty.outputs import ModelOutputs


def of_reference(reference: ModelOutputs, known: NDArray[np.bool_] | None = None) -> dict[str, int]:
    """Count the reference rows that have a label, and those of them that the classifier gets right.

    `known` (n,) are the rows whose label is the truth, where others have one that stands for none.

    >>> of_reference(ModelOutputs(ids=["a", "b"], logits=[[1.0, 0.0]] * 2, labels=[0, 1]))
    {'reference_labelled': 2, 'reference_right': 1}
    """
    if reference.labels is None:
        return {}
    wrong = reference.wrong if known is None else reference.wrong[known]
    return {"reference_labelled": len(wrong), "reference_right": int((~wrong).sum())}


def of_calibration(estimators: Sequence[Estimator], calibration: ModelOutputs) -> dict[str, int]:
    """Count what the second network gets right, and of several labels the known decisions, and the right ones of them.

    >>> one = ModelOutputs(ids=["a"], logits=[[1.0, 1.0]], labels=[[1, 0]], task="multilabel")
    >>> of_calibration([], one)
    {'decisions': 2, 'decisions_right': 1}
    """
    return _of_decisions(calibration) | _of_second_opinion(estimators, calibration)


def _of_decisions(calibration: ModelOutputs) -> dict[str, int]:
    if calibration.task != "multilabel" or calibration.labels is None:
        return {}
    known = int(calibration.known.sum())
    return {"decisions": known, "decisions_right": known - int(calibration.wrong_decisions.sum())}


def _of_second_opinion(estimators: Sequence[Estimator], calibration: ModelOutputs) -> dict[str, int]:
    """Count the calibration rows of a known class that the second network gets right by itself.

    Its class is that of the linear probe, which was learnt on the reference alone.
    """
    probe = next((one for one in estimators if isinstance(one, SecondOpinionProbe)), None)
    if probe is None or calibration.labels is None:
        return {}
    return {"second_opinion_right": int((probe.classes(calibration) == calibration.labels).sum())}
