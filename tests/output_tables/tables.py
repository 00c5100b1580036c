"""One set of outputs, written as Parquet with lists, as CSV with a column a number, and as arrays."""

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

CLASSES = ("cat", "dog", "eel")


def rows(n=12, seed=0, tag="a"):
    """Names, logits, features and labels of n made-up images, of which about one in five is wrong."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % len(CLASSES)
    features = rng.normal(size=(n, 4)).astype(np.float32)
    features[np.arange(n), truth] += 2.0
    logits = (features[:, :3] * 1.5 + rng.normal(size=(n, 3)) * 0.3).astype(np.float32)
    names = [f"{tag}/{i:03}.png" for i in range(n)]
    return {"name": names, "logits": logits, "features": features, "label": [CLASSES[k] for k in truth]}


def probabilities(logits):
    """Softmax, in double precision."""
    e = np.exp(logits.astype(np.float64))
    return e / e.sum(axis=1, keepdims=True)


def write_parquet(path, data, classes=CLASSES, **options):
    """Arrays become lists; class names go into the schema."""
    columns = {name: list(values) if isinstance(values, np.ndarray) else values for name, values in data.items()}
    metadata = None if classes is None else {"classes": json.dumps(classes)}
    pq.write_table(pa.table(columns, metadata=metadata), path, **options)
    return f"table:{path}"


def write_csv(path, data, classes=CLASSES, answers="logit"):
    """A column for each class, and one for each feature."""
    header = ["name", *(f"{answers}_{name}" for name in classes), *(f"feature_{k}" for k in range(4)), "label"]
    body = zip(data["name"], data["logits"], data["features"], data["label"], strict=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *([n, *map(float, z), *map(float, f), y] for n, z, f, y in body)])
    return f"table:{path}"


def write_npz(path, data, classes=CLASSES, **more):
    """Arrays under the names of the columns of outputs."""
    np.savez(
        path,
        names=data["name"],
        logits=data["logits"],
        features=data["features"],
        labels=data["label"],
        classes=np.array(classes),
        **more,
    )
    return f"table:{path}"


WRITERS = {".parquet": write_parquet, ".csv": write_csv, ".npz": write_npz}
