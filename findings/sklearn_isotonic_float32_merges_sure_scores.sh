#!/usr/bin/env bash
# scikit-learn's isotonic regression forgets the order of float32 scores that lie closer than 1e-6.
#
# Versions: scikit-learn 1.9.1, numpy 2.4.6.
# Expected: isotonic regression keeps every order that the scores have; float32 tells 1e-8 from 1e-7 as well as float64.
# Seen: 1 - confidence of an over-confident network, as float32, all below 1e-6: one single threshold, one calibrated
#   value for all images, AUROC 0.5, without a warning. The same numbers as float64 keep AUROC 0.83. Scores closer than
#   np.finfo(dtype).resolution (1e-6 for float32) are taken for equal, absolutely and not relative to their size.
# Source: sklearn/_isotonic.pyx, _make_unique.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scikit-learn==1.9.1 numpy==2.4.6
export OMP_NUM_THREADS=1
"$folder/venv/bin/python" - <<'PY'
import numpy as np
import sklearn
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import roc_auc_score

rng = np.random.default_rng(0)
exponent = rng.uniform(-12, -6.1, 2000)
unsure = (10.0**exponent).astype(np.float32)  # 1 - confidence
wrong = rng.random(2000) < (exponent + 12) / 6


def auroc(scores):
    calibrated = IsotonicRegression(out_of_bounds="clip").fit(scores, wrong).predict(scores)
    return roc_auc_score(wrong, calibrated), np.unique(calibrated).size


(single, values), (double, more) = auroc(unsure), auroc(unsure.astype(np.float64))
print(f"scikit-learn {sklearn.__version__}, numpy {np.__version__}; {np.unique(unsure).size} different scores")
print(f"expected: AUROC after calibration about that before, {roc_auc_score(wrong, unsure):.3f}")
print(f"seen: float32 {single:.3f} ({values} value), the same numbers as float64 {double:.3f} ({more} values)")
assert np.unique(unsure).size > 1900
assert (single, values) == (0.5, 1)
assert double > 0.8 and more > 20
PY
