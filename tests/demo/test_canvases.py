"""The demo of several labels: its pictures, its network, and once in a while all of it."""

import subprocess
import sys

import numpy as np
import pytest

from uncertainty.demo.canvas_network import classifier
from uncertainty.demo.canvases import CANVAS_SIDE, made


def test_a_picture_has_the_digits_that_its_labels_say():
    digits = np.stack([np.full((8, 8, 3), 20 * (k + 1), dtype=np.uint8) for k in range(10)])
    pictures = made(digits, np.arange(10), 50, [0, 1])
    assert pictures.images.shape == (50, CANVAS_SIDE, CANVAS_SIDE, 3)
    for pixels, row, text in zip(pictures.images, pictures.labels, pictures.texts, strict=True):
        assert [20 * (k + 1) for k in np.flatnonzero(row)] == np.unique(pixels)[1:].tolist()
        assert text == ";".join(map(str, np.flatnonzero(row)))
    assert np.array_equal(made(digits, np.arange(10), 50, [0, 1]).images, pictures.images)
    assert classifier().run(pictures.images[:2]).task == "multilabel"


@pytest.mark.simulation
def test_the_demo_of_several_labels_runs(tmp_path):
    command = [sys.executable, "-m", "uncertainty", "demo", "--multilabel", "--out", str(tmp_path / "demo")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "decisions, " in done.stdout
    assert done.stdout.endswith(f"open {tmp_path / 'demo' / 'out' / 'report.html'} in a browser\n")
