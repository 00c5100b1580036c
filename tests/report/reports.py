"""Verdict tables of any kind, with images to go with them, and the data that a page carries."""

import csv
import json
import re

import numpy as np
import pyarrow as pa
from PIL import Image

from uncertainty.checks.class_columns import decision_columns, probability_columns
from uncertainty.images.label_text import joined
from uncertainty.verdicts import FLAGGED_LABELS, schema, write_table

ESTIMATORS = ("least_confidence", "nn_distance")
REASONS = ("low_margin", "far_from_known_good", "blurry")


def verdict_table(names, classes, seed=0, budget=0.2, unreadable=0):
    """Return a verdict table for these names: predictions, p_wrong and flags drawn by the seed."""
    rng = np.random.default_rng(seed)
    n, read = len(names), np.arange(len(names)) >= unreadable
    probs = rng.dirichlet(np.full(len(classes), 0.4), n).astype(np.float32)
    p_wrong = np.where(read, rng.beta(0.6, 3, n), np.nan).astype(np.float32)
    order = np.argsort(np.where(read, -p_wrong, np.inf), kind="stable")
    rank = np.empty(n, np.int64)
    rank[order] = np.arange(1, n + 1)
    flagged = ~read | (rank <= budget * n)
    predicted = probs.argmax(1)

    def known(values):
        return [value if ok else None for value, ok in zip(values, read, strict=True)]

    columns = {
        "file_name": list(names),
        "predicted_label": known([classes[k] for k in predicted]),
        "predicted_index": known(predicted.tolist()),
        "confidence": known(probs.max(1)),
        "p_wrong": known(p_wrong),
        "flagged": flagged.tolist(),
        "threshold": np.full(n, 0.5, np.float32),
        "rank": rank,
        "reasons": [
            [REASONS[i % 3]] if flag and ok else [] for i, (flag, ok) in enumerate(zip(flagged, read, strict=True))
        ],
        "error": [None if ok else "is truncated" for ok in read],
        **{f"est_{name}": known(rng.random(n).astype(np.float32)) for name in ESTIMATORS},
        "screen_id": ["s"] * n,
        "model_sha256": ["m"] * n,
    }
    columns["est_least_confidence"] = known(1 - probs.max(1))
    if len(classes) <= 200:
        columns |= {f"prob_{name}": known(probs[:, k]) for k, name in enumerate(classes)}
    else:
        columns["probs"] = known(probs.tolist())
    provenance = {"calibrated_on": {"calibration": 100, "errors": 10}, "notes": ["a <b>note</b>"]}
    described = schema(classes, ESTIMATORS, provenance)
    return pa.table({name: pa.array(columns[name], described.field(name).type) for name in described.names}, described)


def several_table(names, classes, seed=0, flags=False):
    """Return a verdict table of a classifier of several labels; `flags`: by a policy on single decisions."""
    rng = np.random.default_rng(seed)
    n, c = len(names), len(classes)
    likely = rng.random((n, c)) < min(0.4, 3 / c)
    probs = np.where(likely, rng.beta(4, 1.5, (n, c)), rng.beta(0.7, 6, (n, c))).astype(np.float32)
    of_decisions = (np.minimum(probs, 1 - probs) * rng.uniform(0.6, 1, (n, c))).astype(np.float32)
    p_wrong = 1 - np.prod(1 - of_decisions, axis=1)
    rank = np.empty(n, np.int64)
    rank[np.argsort(-p_wrong, kind="stable")] = np.arange(1, n + 1)
    flagged = (of_decisions > 0.4).any(axis=1) if flags else rank <= 0.2 * n
    columns = {
        "file_name": list(names),
        "predicted_label": [";".join(np.array(classes)[row >= 0.5]) for row in probs],
        "predicted_index": [None] * n,
        "confidence": np.maximum(probs, 1 - probs).min(axis=1),
        "p_wrong": p_wrong,
        "flagged": flagged.tolist(),
        FLAGGED_LABELS: [";".join(np.array(classes)[row > 0.4]) for row in of_decisions],
        "threshold": [None] * n if flags else np.full(n, 0.5, np.float32),
        "rank": rank,
        "reasons": [["decision_in_doubt"] if flag else [] for flag in flagged],
        "error": [None] * n,
        **{f"est_{name}": rng.random(n).astype(np.float32) for name in ESTIMATORS},
        **probability_columns(classes, probs),
        **decision_columns(classes, of_decisions),
        "screen_id": ["s"] * n,
        "model_sha256": ["m"] * n,
    }
    more = ("decisions", FLAGGED_LABELS) if flags else ("decisions",)
    described = schema(classes, ESTIMATORS, {"calibrated_on": {"calibration": 100, "errors": 10}}, more=more)
    return pa.table({name: pa.array(columns[name], described.field(name).type) for name in described.names}, described)


def label_sets_for(table, classes, seed=0, wrong=0.05, unanswered=0.02):
    """Return sets of labels by name, as text: mostly what was predicted, single decisions the other way or open."""
    rng, labels = np.random.default_rng([seed, 1]), {}
    for name, predicted in zip(table["file_name"].to_pylist(), table["predicted_label"].to_pylist(), strict=True):
        drawn = rng.random(len(classes))
        said = predicted.split(";")
        carried = [c for c, u in zip(classes, drawn, strict=True) if (u >= 0.2 if c in said else u < wrong)]
        open_ = [c for c, u in zip(classes, drawn, strict=True) if u > 1 - unanswered]
        labels[name] = joined([c for c in carried if c not in open_], open_)
    return labels


def labels_for(table, classes, seed=0, wrong=0.2):
    """Return labels by name: mostly the predictions, the others another class."""
    rng = np.random.default_rng([seed, 1])
    labels = {}
    for name, predicted in zip(table["file_name"].to_pylist(), table["predicted_label"].to_pylist(), strict=True):
        others = [c for c in classes if c != predicted]
        labels[name] = predicted or classes[0]
        if rng.random() < wrong and others:
            labels[name] = str(rng.choice(others))
    return labels


def write_screening(folder, table, images=None):
    """Write an output folder as `uncertainty screen` would, and the images at `images`, if given."""
    folder.mkdir(parents=True, exist_ok=True)
    write_table(table, folder / "verdicts.parquet")
    summary = {
        "images": len(table),
        "threshold": 0.5,
        "provenance": {"calibrated_on": {"calibration": 100, "errors": 10}},
    }
    if images is not None:
        summary["input_root"] = str(images)
        for i, name in enumerate(table["file_name"].to_pylist()):
            (images / name).parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(i).integers(0, 255, (12, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(images / name, format="PNG")
    (folder / "summary.json").write_text(json.dumps(summary), "utf-8")
    return folder


def write_labels(path, labels):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file_name", "label"), *labels.items()])
    return path


def data_of(page):
    """Return the data that a page carries."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text("utf-8"), re.DOTALL)
    return json.loads(found[1])
