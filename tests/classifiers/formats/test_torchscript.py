"""TorchScript: the same verdicts as the module, features found below what hides them, no dropout."""

import warnings

import pytest
import torch
from torch import nn

from tests.classifiers.formats.conformance import CLASSES, KEYS, SIZE, check_same_verdicts, network, other_network
from uncertainty import Classifier
from uncertainty.classifiers.heat_maps import heat_maps
from uncertainty.errors import ModelError


@pytest.fixture(scope="module")
def save(tmp_path_factory):
    """Write a module as TorchScript: scripted, traced or frozen."""
    folder = tmp_path_factory.mktemp("torchscript")

    def save(module, name, how="scripted"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            images = torch.zeros(2, 3, SIZE, SIZE)
            made = torch.jit.trace(module, images) if how == "traced" else torch.jit.script(module)
            torch.jit.save(torch.jit.freeze(made) if how == "frozen" else made, folder / name)
        return f"torchscript:{folder / name}?{KEYS}"

    return save


@pytest.mark.parametrize("how", ["scripted", "traced", "frozen"])
def test_the_verdicts_are_those_of_the_module(save, how):
    one = Classifier.load(save(network(), f"{how}.pt", how), classes=CLASSES, trust=True)
    check_same_verdicts(one)
    assert any("it is scripted" in note for note in one.notes)


def test_the_fingerprint_sees_the_weights_of_frozen_files(save):
    specs = [save(network(), "a.pt", "frozen"), save(other_network(), "b.pt", "frozen")]
    first, second = (Classifier.load(spec, trust=True).sha256 for spec in specs)
    assert first != second


class Viewed(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3 * SIZE**2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x.view(2, -1))


def test_a_fixed_batch_is_said_and_filled_up(save):
    spec, pixels = save(Viewed(), "viewed.pt"), torch.rand(5, 3, SIZE, SIZE).numpy()
    with pytest.raises(ModelError, match="fails on an input of shape"):
        Classifier.load(spec, trust=True)
    one = Classifier.load(f"{spec}&batch=2", trust=True)
    found = one.outputs_from_inputs(list("abcde"), pixels)
    alone = one.outputs_from_inputs(["e"], pixels[4:])
    assert abs(found.logits[4] - alone.logits[0]).max() < 1e-5
    assert found.features.shape == (5, 3 * SIZE**2)
    with pytest.raises(ModelError, match="batch='x'; it must be a whole number"):
        Classifier.load(f"{spec}&batch=x", trust=True)


def test_what_can_not_be_done_is_told_in_one_line(save, tmp_path):
    spec = save(network(), "m.pt")
    with pytest.raises(ModelError, match="give --trust-model-file"):
        Classifier.load(spec)
    with pytest.raises(ModelError, match="no layer whose output"):
        heat_maps(Classifier.load(spec, trust=True), torch.zeros(1, 3, SIZE, SIZE).numpy(), [0])
    (tmp_path / "text.pt").write_text("no program")
    with pytest.raises(ModelError, match="can't be read as TorchScript"):
        Classifier.load(f"torchscript:{tmp_path / 'text.pt'}", trust=True)
