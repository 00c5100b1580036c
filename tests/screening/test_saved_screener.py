"""Nothing that a screener names is run before it is known to be wanted, and what is run is named."""

import json
import logging
import sys
from dataclasses import replace

import pytest
import torch
from conftest import stripes
from safetensors.torch import save_file
from screener.sealing import edited, sealed_again

from uncertainty import Classifier
from uncertainty.errors import ArtifactError, ModelError, UncertaintyError
from uncertainty.screener import Screener
from uncertainty.screener.artifact import SavedModel
from uncertainty.screening.saved_screener import SavedScreener

NAME = "models_of_saved_screeners"
SOURCE = """
import torch
from torch import nn
from uncertainty.classifiers import Classifier, Preprocess

WAY = Preprocess(size=8, mean=(0.5,) * 3, std=(1.0,) * 3)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(192, 12), nn.Linear(12, 3)

    def forward(self, x):
        return self.last(torch.relu(self.first(x.flatten(1))))

def network():
    torch.manual_seed(4)
    return Classifier.from_module(Net(), ["cat", "dog", "eel"], WAY)

def other():
    torch.manual_seed(5)
    return Classifier.from_module(Net(), ["cat", "dog", "eel"], WAY)
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    (tmp_path / f"{NAME}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    return tmp_path


def fitted(home, embedder=None):
    classifier = Classifier.load(f"{NAME}:network")
    if embedder is not None:
        classifier = classifier.with_embedder(embedder)
    outputs = classifier.run(list(stripes(160, 5)[0]), passes=0)
    labels = outputs.predictions.copy()
    labels[::7] = (labels[::7] + 1) % 3
    outputs = replace(outputs, labels=labels)
    screener = Screener.fit_outputs(outputs[:70], outputs[70:], classes=classifier.classes, budget=0.2)
    screener = replace(screener, model=SavedModel.of(classifier))
    screener.save(home / "screener")
    return SavedScreener(home / "screener")


def again(monkeypatch, home, source):
    """Edit the module, as between two processes."""
    (home / f"{NAME}.py").write_text(source)
    monkeypatch.delitem(sys.modules, NAME, raising=False)


def test_what_is_loaded_because_a_screener_says_so_is_named(home, caplog):
    saved = fitted(home)
    with caplog.at_level(logging.WARNING, "uncertainty"):
        saved.load()
    assert [record.getMessage() for record in caplog.records] == [
        f"loading {NAME}:network from {home / f'{NAME}.py'}, as {home / 'screener'} says"
    ]
    caplog.clear()
    SavedScreener(home / "screener", model=f"{NAME}:network").load()
    assert caplog.records == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("torch.relu(", "torch.tanh("),
        ("x.flatten(1)", "x.flatten(1) * 0.7"),
        ("return self.last(", "return 2 * self.last("),
        ("x.flatten(1)", "x.flip(-1).flatten(1)"),
    ],
)
@pytest.mark.parametrize("by_name", [True, False])
def test_another_forward_with_the_same_weights_is_refused(home, monkeypatch, old, new, by_name):
    fitted(home)
    again(monkeypatch, home, SOURCE.replace(old, new))
    saved = SavedScreener(home / "screener", model=f"{NAME}:network" if by_name else None)
    with pytest.raises(
        ArtifactError, match="answers otherwise: its weights or what its forward pass computes"
    ) as caught:
        saved.load()
    assert f"{home / f'{NAME}.py'} is not as it was when the screener was fitted" in str(caught.value)
    with pytest.raises(ArtifactError, match="answers otherwise"):
        Screener.load(home / "screener", Classifier.load(f"{NAME}:network"))


def test_a_change_of_the_source_that_changes_no_answer_is_told(home, monkeypatch, caplog):
    fitted(home)
    again(monkeypatch, home, SOURCE + "\n# a comment\n")
    with caplog.at_level(logging.WARNING, "uncertainty"):
        SavedScreener(home / "screener").load()
    assert "is not as it was when the screener was fitted" in caplog.text


def test_another_second_opinion_is_refused(home, monkeypatch):
    fitted(home, f"{NAME}:other")
    assert SavedScreener(home / "screener").load().classifier.embedder is not None
    again(monkeypatch, home, SOURCE.replace("manual_seed(5)", "manual_seed(6)"))
    with pytest.raises(ArtifactError, match="second opinion or precision differ"):
        SavedScreener(home / "screener").load()


def test_the_second_opinion_that_a_screener_names_is_not_run_beside_a_model_of_mine(home, monkeypatch):
    fitted(home, f"{NAME}:other")
    stranger = home / "screener" / "manifest.json"
    (home / "stranger_model.py").write_text(f"open({str(home / 'ran')!r}, 'w')\nfrom {NAME} import other\n")
    content = json.loads(stranger.read_text())
    sealed_again(home / "screener", model=content["model"] | {"embedder": "stranger_model:other"})
    with pytest.raises(ModelError, match="'stranger_model:other' as its second opinion, and what it names is not run"):
        SavedScreener(home / "screener", model=f"{NAME}:network").load()
    with pytest.raises(ArtifactError, match="was fitted with a model that answers otherwise"):
        SavedScreener(home / "screener", model=f"{NAME}:other", embedder="stranger_model:other").load()
    assert not (home / "ran").exists()
    screener = SavedScreener(home / "screener", model=f"{NAME}:network", embedder=f"{NAME}:other").load()
    assert screener.classifier.embedder.spec == f"{NAME}:other"
    assert not (home / "ran").exists()


def test_an_embedder_for_a_screener_without_one_is_refused(home):
    fitted(home)
    with pytest.raises(ModelError, match=r"was fitted without a second opinion; leave --embedder x:y out"):
        SavedScreener(home / "screener", embedder="x:y").load()


def test_a_damaged_screener_runs_nothing(home):
    fitted(home)
    edited(home / "screener", passes=3)
    (home / f"{NAME}.py").write_text(f"open({str(home / 'ran')!r}, 'w')")
    sys.modules.pop(NAME)
    with pytest.raises(ArtifactError, match="its seal is broken"):
        SavedScreener(home / "screener").load()
    assert not (home / "ran").exists()


def test_what_is_wrong_with_a_spec_is_told_before_anything_is_imported(home):
    (home / "ran_anyway.py").write_text(f"open({str(home / 'ran')!r}, 'w')")
    save_file({"x": torch.zeros(1)}, home / "w.safetensors")
    for spec in (
        "weights=absent.pth",
        "size=0",
        "size=4&mean=1,2",
        "grayscale=perhaps",
        "colour=3",
        "classes=absent.txt",
    ):
        with pytest.raises(UncertaintyError):
            Classifier.load(f"ran_anyway:network?{spec}")
    assert not (home / "ran").exists()
