"""Files that may run code, in workers of Ray: trust travels with the task, and without it nothing begins."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.classifiers.formats import conformance
from uncertainty import Classifier, Screener
from uncertainty.errors import ModelError
from uncertainty.images.sources import find_images
from uncertainty.screening.part_tables import Screen
from uncertainty.screening.saved_screener import SavedScreener
from uncertainty.workflows.screen import OnRay, screen_folder


def write(prefix: str, path: Path) -> str:
    images = torch.zeros(2, 3, conformance.SIZE, conformance.SIZE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if prefix == "pt2":
            shapes = ({0: torch.export.Dim("n")},)
            torch.export.save(torch.export.export(conformance.network(), (images,), dynamic_shapes=shapes), path)
        else:
            torch.jit.save(torch.jit.trace(conformance.network(), images), path)
    return f"{prefix}:{path}?{conformance.KEYS}"


@pytest.mark.parametrize("prefix", ["pt2", "torchscript"])
def test_workers_load_what_is_trusted_and_nothing_begins_without(prefix: str, tmp_path: Path) -> None:
    one = Classifier.load(write(prefix, tmp_path / "model"), classes=conformance.CLASSES, trust=True)
    (known, _), (labelled, labels) = (conformance.pictures(n, seed) for n, seed in ((60, 1), (120, 2)))
    options = {"labels": labels, "expect_damage": 0, "expect_unknown": 0}
    screener = Screener.fit(one, list(known), list(labelled), **options)
    screener.save(tmp_path / "screener")
    (tmp_path / "images").mkdir()
    for k, pixels in enumerate(conformance.pictures(4, 3)[0]):
        Image.fromarray(pixels).save(tmp_path / "images" / f"{k}.png")
    arrived = pickle.loads(pickle.dumps(Screen(tmp_path / "screener", trust=True)))
    table = arrived(find_images(str(tmp_path / "images")))
    expected = screener.screen(tmp_path / "images").table.sort_by("file_name")
    np.testing.assert_allclose(table["p_wrong"], expected["p_wrong"], atol=1e-6)
    with pytest.raises(ModelError, match="give --trust-model-file"):
        SavedScreener(tmp_path / "screener").load_for_workers()
    assert SavedScreener(tmp_path / "screener", trust=True).load_for_workers().classifier is None
    pytest.importorskip("ray")
    with pytest.raises(ModelError, match="give --trust-model-file"):
        screen_folder(SavedScreener(tmp_path / "screener"), str(tmp_path / "images"), tmp_path / "out", ray=OnRay())
    assert not (tmp_path / "out").exists()
