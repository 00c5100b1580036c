"""The examples are whole: notebooks that were run, without an error and without a folder of whoever ran them."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


def test_there_are_two():
    assert [path.stem for path in NOTEBOOKS] == ["arrays", "photographs"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_was_run_from_first_to_last(path):
    text = path.read_text("utf-8")
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert sum(bool(cell["outputs"]) for cell in cells) >= len(cells) - 1
    assert "error" not in {output["output_type"] for cell in cells for output in cell["outputs"]}
    assert not re.search(r"/(home|tmp|root|work|Users)/", text)
    assert len(text) < 300_000


def test_the_model_of_the_examples_is_one_that_a_spec_names(monkeypatch):
    from uncertainty import Classifier

    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.delitem(sys.modules, "my_models", raising=False)
    classifier = Classifier.load("my_models:painted")
    assert classifier.notes == ()
    pixels = np.zeros((2, 48, 48, 3), np.uint8)
    assert classifier.run(pixels, passes=2).mc_probs.shape == (2, 2, 10)
    sys.modules.pop("my_models")
