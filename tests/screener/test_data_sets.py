"""Screening and fitting from data sets and loaders: the verdicts of the same images as files, and their labels."""

import numpy as np
import pytest
import torch
from conftest import CLASSES, stripes
from torch.utils.data import DataLoader, Dataset

from uncertainty import Outcomes, Screener
from uncertainty.errors import InputError

CALM = {"passes": 0, "expect_damage": 0.05, "expect_unknown": 0.0}


class Stripes(Dataset):
    def __init__(self, n, seed):
        self.pixels, self.labels = stripes(n, seed)

    def __len__(self):
        return len(self.pixels)

    def __getitem__(self, index):
        return self.pixels[index % len(self.pixels)], self.labels[index % len(self.pixels)]


INCOMING = Stripes(40, seed=3)


class Tensors(Stripes):
    def __getitem__(self, index):
        pixels, label = super().__getitem__(index)
        return torch.from_numpy(pixels.transpose(2, 0, 1).copy()), int(label)


@pytest.fixture(scope="module")
def of_arrays(world):
    """A screener that was fitted to arrays with labels beside them."""
    (good, _), (pixels, labels) = stripes(120, 1), stripes(150, 2)
    named = [CLASSES[k] for k in labels]
    return Screener.fit(world.classifier, good, list(pixels), labels=named, **CALM)


def test_arrays_with_labels_and_data_sets_fit_the_same(world, of_arrays):
    loader = DataLoader(Tensors(150, 2), batch_size=32)
    for calibration in (Stripes(150, 2), loader):
        other = Screener.fit(world.classifier, Stripes(120, 1), calibration, **CALM)
        assert other.calibrated_on["errors"] == of_arrays.calibrated_on["errors"] > 0
        assert np.allclose(other.screen(INCOMING)["est_entropy"], of_arrays.screen(INCOMING)["est_entropy"])


def test_one_data_set_is_divided(world):
    screener = Screener.fit(world.classifier, None, Stripes(150, 2), **CALM)
    assert screener.calibrated_on["calibration"] == 75


def test_verdicts_on_a_data_set_are_those_of_its_files_and_carry_its_labels(world):
    verdicts = world.screener.screen(INCOMING)
    files = world.screener.screen(world.incoming)
    assert (verdicts["p_wrong"] == files["p_wrong"]).all()
    assert verdicts["label"] == [CLASSES[k] for k in INCOMING.labels]
    assert "label" not in files.table.column_names
    beside = world.screener.screen(world.incoming, labels=INCOMING.labels)
    assert beside["label"] == verdicts["label"]
    assert Outcomes.from_verdicts(verdicts).wrong.sum() == (~verdicts["correct"]).sum() > 0


@pytest.mark.parametrize("workers", [1, 3])
def test_a_loader_is_streamed(world, workers):
    loader = DataLoader(Tensors(40, 3), batch_size=7)
    found = world.screener.screen(loader, workers=workers, batch_size=16)
    assert (found["p_wrong"] == world.screener.screen(world.incoming, batch_size=16)["p_wrong"]).all()
    assert found["file_name"] == [str(k) for k in range(40)]


def test_outputs_and_outcomes_of_a_data_set(world):
    outputs = world.classifier.run(INCOMING, passes=0)
    assert outputs.labels.tolist() == INCOMING.labels.tolist()
    found = Outcomes.from_images(world.classifier, INCOMING)
    assert found.wrong.tolist() == outputs.wrong.tolist()
    again = Outcomes.from_images(world.classifier, INCOMING.pixels, labels=[CLASSES[k] for k in INCOMING.labels])
    assert again.wrong.tolist() == found.wrong.tolist()
    with pytest.raises(InputError, match="none of 40 images has a label"):
        Outcomes.from_images(world.classifier, INCOMING.pixels)


def test_who_shuffles_is_told(world):
    loader = DataLoader(Tensors(150, 2), batch_size=32, shuffle=True)
    with pytest.raises(InputError, match="don't shuffle"):
        Screener.fit(world.classifier, Stripes(120, 1), loader, **CALM)


def test_what_can_be_read_once_is_no_calibration(world):
    rows = ((pixels, label) for pixels, label in zip(*stripes(150, 2), strict=True))
    with pytest.raises(InputError, match="is read once only; give a Dataset or a list"):
        Screener.fit(world.classifier, Stripes(120, 1), rows, **CALM)
    with pytest.raises(InputError, match="can't be divided; give a reference too"):
        Screener.fit(world.classifier, None, DataLoader(Stripes(9, 2)), **CALM)


def test_progress_is_a_line(world, capsys):
    world.screener.screen(INCOMING, progress=True)
    assert "\r40 of 40 images, " in capsys.readouterr().err
    world.screener.screen(DataLoader(Tensors(40, 3)), progress=True)
    assert "\r40 images, " in capsys.readouterr().err
    world.screener.screen(INCOMING)
    assert "\r" not in capsys.readouterr().err
