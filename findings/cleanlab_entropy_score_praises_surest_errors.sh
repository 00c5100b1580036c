#!/usr/bin/env bash
# cleanlab's confidence-weighted entropy gives the surest label errors the best quality scores.
#
# Versions: cleanlab 2.9.0, scikit-learn 1.9.1, numpy 2.4.6.
# Expected: get_label_quality_scores is "between 0 and 1, 1 a clean label"; the surer a network contradicts a label,
#   the lower is the label's score.
# Seen: with method="confidence_weighted_entropy" the score of a label of probability p falls to 0.145 at p = 1e-6 and
#   then *rises*: 0.88 at 1e-8, above a right label of probability 0.9 (0.80), and 0.99998 at 1e-12; at p = 0 it is 0.0
#   again. (p is clipped at 1e-6, the entropy is not.) Softmax outputs of over-confident networks are like that.
#   self_confidence and normalized_margin fall all the way.
# Source: cleanlab/rank.py, get_confidence_weighted_entropy_for_each_label.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet cleanlab==2.9.0 scikit-learn==1.9.1 numpy==2.4.6
export OMP_NUM_THREADS=1
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

import numpy as np
from cleanlab.rank import get_label_quality_scores

p = np.array([0.9, 1e-2, 1e-4, 1e-6, 1e-8, 1e-12, 0.0])  # of the given label, class 0; the first label is right
probabilities, labels = np.stack([p, 1 - p], axis=1), np.zeros(len(p), dtype=int)
entropy, self_confidence, margin = (
    get_label_quality_scores(labels, probabilities, method=method)
    for method in ("confidence_weighted_entropy", "self_confidence", "normalized_margin")
)
print(f"cleanlab {version('cleanlab')}, numpy {np.__version__}; probability of the given label: {p.tolist()}")
print("expected: scores that fall from left to right")
print(f"seen: confidence_weighted_entropy {entropy.round(5).tolist()}, self_confidence {self_confidence.tolist()}")
assert (np.diff(self_confidence) < 0).all() and (np.diff(margin) <= 0).all()
assert (np.diff(entropy[:4]) < 0).all()
assert entropy[0] < entropy[4] < entropy[5] and entropy[5] > 0.999
assert entropy[6] == 0
PY
