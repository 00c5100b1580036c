"""Fused posterior: what several sources say of the classes, weighed by what calibration labels say of them."""

from __future__ import annotations

from uncertainty.estimators._label_fusion import LabelFusion


class FusedPosterior(LabelFusion):
    """Log-odds that the prediction is wrong, by one posterior over the classes that labels have fused from several.

    Formula: log Σ_{c ≠ ŷ} exp g_c - g_ŷ, g(x) = Σ_s w_s log p_s(x) + B φ(x) + b. Sources p_s, each at least
    1e-4: softmax; the mean of the dropout sub-networks; the mean of the views, and the first of several; on the
    embedding the vote of the k = 20 nearest known-good rows, a linear discriminant, and three logistic probes (ridges
    1e-3, 1e-4, 1e-5) that learn from all labelled reference rows. φ are the first 64 principal components of embedding
    and features over the spread of the first, within ±6, left out below 10 calibration rows a class. w >= 0, b and B
    minimise the log loss of calibration labels + ½ ‖w - w0‖² + 5 ‖b‖² + λ/2 ‖B‖², w0 = 1 for softmax and 0 elsewhere; λ
    30 or 300, or no B, by five folds. Every label teaches, not only those of errors. Multilabel: none.
    B φ and b are what calibration taught, so they count less where none of it was: both are multiplied by the support
    t = exp(-2 max(0, (log d_k - m) / σ - 2.5)), d_k the distance to the k-th nearest known-good row, m and σ median and
    spread of log d_k over calibration.
    Range: all numbers.
    Needs: embedding and logits; features, mc_probs and tta_probs are used where calibration has them. Labelled
    calibration rows, and the reference.
    Fit keeps: `index_` as second_opinion_vote does; `present_` (3,) which further columns; `lines_` (l, c', e) and
    `intercepts_` (l, c') of discriminant and probes, `seen_` (c',) their classes; `usual_` (2,) m and σ;
    `mean_`, `axes_` (q, e), and `feature_mean_`, `feature_axes_` (q', d) of φ; `ridge_` λ, 0 without B;
    `weights_` (s,), `bias_` (c,), `directions_` (c, q + q').
    Cost: one pass of the second network; fit O(m e²) and some 200 passes of O(m c e), score O(n c e) and a search.
    Source: Jacobs 1995, "Methods for Combining Experts' Probability Assessments", for logarithmic pools; Guo et al.
    2017, "On Calibration of Modern Neural Networks", for weights of log-probabilities learnt by label log loss.

    Examples
    --------
    Softmax alone counts, the vote does not: probabilities 3/4 and 1/4 have log-odds log(1/3) of an error.

    >>> import numpy as np
    >>> from uncertainty.outputs import ModelOutputs
    >>> learnt = {"weights_": np.array([1.0, 0.0]), "bias_": np.zeros(2), "directions_": np.empty((2, 0))}
    >>> learnt |= {"usual_": np.array([0.0, np.inf])}
    >>> alone = FusedPosterior().restore(learnt | {"present_": np.zeros(3, dtype=int), "lines_": np.empty((0, 2, 1))})
    >>> new = ModelOutputs(ids=["a"], logits=[[np.log(3.0), 0.0]], embedding=[[0.0]])
    >>> alone.score(new).round(4).tolist()
    [-1.0986]

    """

    column = "embedding"
    needs = ("embedding", "logits")
    fit_needs = ("embedding",)
    reference_needs = ("embedding",)
    family = "second opinion"
    reason = "second_opinion_disagrees"
    posterior = True
