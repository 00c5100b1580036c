"""What the page about tables says to write is what is read; with stand-ins for the frameworks."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.output_tables.tables import CLASSES, probabilities, rows
from uncertainty.output_tables.output_table import OutputTable

PAGE = (Path(__file__).parents[2] / "docs" / "outputs-in-tables.md").read_text("utf-8")
TENSORFLOW, JAX = re.findall(r"^```py\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def batches(data, size=5):
    names, truth = np.array(data["name"]), np.array([CLASSES.index(one) for one in data["label"]])
    return [tuple(one[i : i + size] for one in (data["features"], truth, names)) for i in range(0, len(names), size)]


class Dataset:
    """Gives strings as tf.data does: objects that are bytes."""

    def __init__(self, data):
        self.data = data

    def as_numpy_iterator(self):
        for x, y, n in batches(self.data):
            yield x, y, np.array([one.encode() for one in n], dtype=object)


class Both:
    """A keras.Model with two outputs."""

    def __init__(self, inputs, outputs):
        assert outputs == ["features", "answers"]

    def predict_on_batch(self, x):
        return x, probabilities(x[:, :3]).astype(np.float32)


def model():
    return SimpleNamespace(inputs="inputs", layers=[SimpleNamespace(output="features"), None], outputs=["answers"])


@pytest.mark.parametrize("script", [TENSORFLOW, JAX], ids=["tensorflow", "jax"])
def test_what_is_written_is_read(tmp_path, monkeypatch, script):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "keras", SimpleNamespace(Model=Both))
    monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(jit=lambda function: function))
    data = {name: rows(12, seed, name) for seed, name in enumerate(("train", "val"))}
    given = {
        "datasets": {name: Dataset(one) for name, one in data.items()},
        "loaders": {name: batches(one) for name, one in data.items()},
        "apply": lambda params, x: (x, params * x[:, :3]),
        "params": 1.0,
        "model": model(),
        "classes": list(CLASSES),
    }
    assert len([line for line in script.split("\n") if line.strip()]) <= 14
    exec(compile(script, "outputs-in-tables.md", "exec"), given)
    table = OutputTable.open("table:val.npz")
    found = table.collect()
    assert (found.failures, list(table.names), table.classes) == ((), data["val"]["name"], CLASSES)
    assert np.allclose(found.outputs.probs, probabilities(data["val"]["features"][:, :3]), atol=1e-6)
    assert [CLASSES[int(one)] for one in found.labels] == data["val"]["label"]
