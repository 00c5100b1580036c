"""A ranking of real image files with names and classes that trip tools up."""

import numpy as np
import pyarrow as pa
from PIL import Image

from uncertainty.exports import export
from uncertainty.exports.base import Ranking

CLASSES = ("cat", "big dog", 'e&l <"x">')
NAMES = ("mon/a b.png", "mon/c#1.jpg", "tue/c#1.png", "Käfer's=%20.png", "=1+1.png", "d.png")


def images(root):
    """Write one small file for each name; the widths differ."""
    rng = np.random.default_rng(0)
    for i, name in enumerate(NAMES):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (5, 7 + i, 3), dtype=np.uint8)).save(root / name)
    return root


def ranking(names=NAMES, several=False, **more):
    """What `rank` writes: the last image ranks first, so that order is not that of names."""
    n = len(names)
    labels = ["cat;big dog", "", "cat"] if several else CLASSES
    columns = {
        "rank": pa.array(range(n, 0, -1), pa.int64()),
        "file_name": pa.array(names, pa.string()),
        "predicted_label": [labels[i % 3] for i in range(n)],
        "confidence": pa.array([0.6 + 0.05 * i for i in range(n)], pa.float32()),
        "p_wrong": pa.array([0.1 + 0.1 * i for i in range(n)], pa.float32()),
        "flagged": [i % 2 == 0 for i in range(n)],
        "reasons": pa.array([["low_margin", "dark"] if i % 2 == 0 else [] for i in range(n)], pa.list_(pa.string())),
        "group": pa.array(range(n), pa.int32()),
        "inclusion_probability": pa.array([0.5] * n, pa.float64()),
        "est_margin": pa.array([0.5] * n, pa.float32()),
    }
    return pa.table(columns | more)


def write(table, *to_out, classes=None, model_version=None, **options):
    """Export a table."""
    return export.write(Ranking.of(table, classes, model_version), *to_out, **options)
