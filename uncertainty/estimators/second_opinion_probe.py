"""A linear classifier on the features of a second, independent network says whether it agrees."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import InputError
from uncertainty.estimators._discriminant import discriminant
from uncertainty.estimators._features import features_like
from uncertainty.estimators._known_good import enough, known_classes
from uncertainty.estimators.base import Estimator
from uncertainty.outputs import ModelOutputs, probs_from_logits


class SecondOpinionProbe(Estimator):
    """Probability that the predicted class is wrong, by a linear probe on the embedding of a second network.

    Formula: 1 - softmax(W e + b)_ŷ, W and b of linear discriminant analysis on known-good rows: the covariance within
    classes is shrunk towards the identity by Ledoit & Wolf's rule, which regularises it without a parameter. 1 where
    no known-good row has the predicted class. Multilabel: none.
    Range: [0, 1].
    Needs: embedding and logits; reference rows with embedding, of two classes at least.
    Fit keeps: `weights_` (c', e), `intercepts_` (c',), `known_` (c',) the classes seen; `enough_`.
    Cost: one pass of the second network; fit O(m e²) and e² numbers, score O(n c e).
    Source: Ledoit & Wolf 2004, "Honey, I Shrunk the Sample Covariance Matrix"; Alain & Bengio 2016 for linear probes.

    Examples
    --------
    Two classes mirrored at 0; an embedding at 0 is in the middle, whatever the prediction.

    >>> rows = [[-1.0, 0.0], [-2.0, 1.0], [1.0, 0.0], [2.0, -1.0]]
    >>> known = ModelOutputs(ids=list("abcd"), logits=[[1.0, 0.0]] * 2 + [[0.0, 1.0]] * 2, embedding=rows)
    >>> new = ModelOutputs(ids=["e"], logits=[[1.0, 0.0]], embedding=[[0.0, 0.0]])
    >>> SecondOpinionProbe().fit(known).score(new).round(4).tolist()
    [0.5]

    """

    needs = ("embedding", "logits")
    fit_needs = ("embedding",)
    bounds = (0.0, 1.0)
    scale = "logit"
    tasks = ("multiclass",)
    family = "second opinion"
    reason = "second_opinion_disagrees"
    start = 0.25

    def _fit(self, reference: ModelOutputs) -> None:
        classes = known_classes(reference)
        self.known_, positions = np.unique(classes, return_inverse=True)
        if len(self.known_) < 2:
            raise InputError(
                f"{self.name} needs known-good rows of two classes at least; they are of {len(self.known_)}"
            )
        x = np.asarray(reference.embedding, dtype=np.float64)
        self.enough_ = int(enough(classes))
        self.weights_, self.intercepts_ = discriminant(x, positions)

    def begins(self) -> float:
        """Return 0 where a class has too few known-good rows to learn it from."""
        return self.start if self.enough_ else 0.0

    def classes(self, outputs: ModelOutputs) -> NDArray[np.int64]:
        """Return (n,) the class that the second network alone finds likeliest, of those that are known-good."""
        return np.asarray(self.known_[self._log_odds(outputs).argmax(axis=1)], dtype=np.int64)

    def _log_odds(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        embedding = features_like(outputs, self.weights_.shape[1], "embedding")
        return np.asarray(embedding @ self.weights_.T + self.intercepts_)

    def _score(self, outputs: ModelOutputs) -> NDArray[np.float64]:
        log_odds = self._log_odds(outputs)
        is_predicted = self.known_ == outputs.predictions[:, None]
        agreed = (probs_from_logits(log_odds) * ~is_predicted).sum(axis=1)
        return np.asarray(np.where(is_predicted.any(axis=1), agreed, 1.0).clip(0, 1))
