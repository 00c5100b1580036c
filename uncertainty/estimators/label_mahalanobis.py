"""Mahalanobis distance to what the predicted labels make expected: would one label more, or less, fit better?"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray

from uncertainty.estimators._features import features_like
from uncertainty.estimators._label_discriminant import LabelDiscriminant, label_discriminant
from uncertainty.estimators.base import Estimator
from uncertainty.outputs import ModelOutputs


class LabelMahalanobis(Estimator):
    """How much nearer the features are to the best label set that differs in one label than to the predicted one.

    Formula: max_c ½ (D(ŷ) - D(ŷ with c the other way)), D(y) = (f - μ_y)ᵀ Σ⁻¹ (f - μ_y) with μ_y = μ + Σ_c y_c δ_c:
    each label adds a step of its own to the mean, learnt by least squares, and all label sets share the covariance Σ of
    what is left, shrunk by Ledoit & Wolf's rule. The log-likelihood ratio of two label sets. Multilabel: as above;
    multiclass: none.
    Range: all numbers, above 0 where another label set fits better.
    Needs: features and logits; reference rows with features, of which those that the classifier gets wrong teach too,
    under their labels, or the predicted ones where there are none.
    Fit keeps: `lines_` (c, d) Σ⁻¹ δ_c, `origins_` (c,), `gram_` (c, c) δᵀ Σ⁻¹ δ.
    Cost: fit O(m d² + d³), score O(n c (d + c)).
    Source: Lee et al. 2018, "A Simple Unified Framework for Detecting Out-of-Distribution Samples", for one label; with
    differences of distances as Ren et al. 2021 have, in which what is unusual for every label set alike cancels.

    Examples
    --------
    A label's step is one spread long: at (1, 1) both labels fit, and (0, 0) is predicted for the second row.

    >>> learnt = {"lines_": np.eye(2), "origins_": np.zeros(2), "gram_": np.eye(2)}
    >>> both = {"features": [[1.0, 1.0], [1.0, 0.0]], "logits": [[1.0, 1.0], [-1.0, -1.0]]}
    >>> LabelMahalanobis().restore(learnt).score(ModelOutputs(ids=["a", "b"], **both, task="multilabel")).tolist()
    [-0.5, 0.5]

    """

    needs = ("features", "logits")
    fit_needs = ("features", "logits")
    reference_needs = ("features", "logits")
    bounds = (-np.inf, np.inf)
    tasks = ("multilabel",)
    family = "neighbours"
    reason = "decision_in_doubt"

    lines_: NDArray[np.float64]
    origins_: NDArray[np.float64]
    gram_: NDArray[np.float64]

    def fit(self, rows: ModelOutputs, reference: ModelOutputs | None = None) -> Self:
        """Learn from the whole reference, or from the known-good rows of it where there is no more."""
        return super().fit(rows, rows if reference is None else reference)

    def _fit_both(self, rows: ModelOutputs, reference: ModelOutputs) -> None:
        learnt = label_discriminant(reference, "features")
        self.lines_, self.origins_, self.gram_ = learnt.lines, learnt.origins, learnt.gram

    def _score(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        said = outputs.predictions == 1
        x = features_like(outputs, self.lines_.shape[1])
        carried = LabelDiscriminant(self.lines_, self.origins_, self.gram_)(x, said.astype(np.float64))
        return np.asarray(np.where(said, -carried, carried).max(axis=1))
