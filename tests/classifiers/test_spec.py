from __future__ import annotations

import json
import pickle
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from uncertainty import Classifier, Preprocess
from uncertainty.classifiers.network import Network
from uncertainty.classifiers.output_form import OutputForm
from uncertainty.errors import InputError, ModelError, UncertaintyError

SOURCE = """
import torch
from torch import nn
from uncertainty import Classifier, Preprocess

NOT_A_FUNCTION = 3


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 8), nn.Dropout(0.5), nn.Linear(8, 3))


def known():
    settings = Preprocess(size=4, resize="exact", mean=(0.5, 0.5, 0.5))
    return Classifier.from_module(
        network(), ["cat", "dog", "eel"], settings, task="multilabel", decision_thresholds=(0.3, 0.4, 0.5)
    )


def number():
    return 3


def fails():
    raise LookupError("no such\\ncheckpoint")
"""
NAME = "made_for_the_spec_tests"
NETWORK = f"{NAME}:network"
TENSORS = dict(nn.Sequential(nn.Flatten(), nn.Linear(48, 8), nn.Dropout(0.5), nn.Linear(8, 3)).state_dict())


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the factory's module and weights, as a user would have it."""
    (tmp_path / f"{NAME}.py").write_text(SOURCE)
    (tmp_path / f"{NAME}_broken.py").write_text("raise RuntimeError('half\\nwritten')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    save_file(TENSORS, tmp_path / "w.safetensors")
    torch.save(TENSORS, tmp_path / "w.pth")
    return tmp_path


def refused(spec: str, error: type[UncertaintyError] = ModelError, **options: Any) -> str:
    with pytest.raises(error) as caught:
        Classifier.load(spec, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def head(classifier: Classifier) -> torch.Tensor:
    return classifier.network.module.state_dict()["3.weight"]


@pytest.mark.parametrize("file", ["w.safetensors", "w.pth"])
def test_weights(file: str) -> None:
    classifier = Classifier.load(f"{NETWORK}?weights={file}&size=4")
    assert torch.equal(head(classifier), TENSORS["3.weight"])
    assert not torch.equal(head(Classifier.load(f"{NETWORK}?size=4")), TENSORS["3.weight"])
    assert classifier.notes == (
        "of how images are prepared this is only assumed: resize=short_side&crop_pct=1.0&"
        "interpolation=bicubic&mean=0.485,0.456,0.406&std=0.229,0.224,0.225; "
        "where the accuracy is not the one you know, say how",
    )
    assert classifier.classes == ("0", "1", "2")


@pytest.mark.parametrize("name", ["a b.safetensors", "a+b.safetensors", "a%20b=c.safetensors", "ä?.safetensors"])
def test_paths_are_taken_as_they_are(folder: Path, name: str) -> None:
    (folder / "w.safetensors").rename(folder / name)
    classifier = Classifier.load(f"{NETWORK}?weights={name}&size=4")
    assert torch.equal(head(classifier), TENSORS["3.weight"])
    assert Classifier.load(str(classifier.spec)).sha256 == classifier.sha256


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
        return Path.touch, (self.path,)  # type: ignore[return-value]


@pytest.mark.parametrize("zipped", [True, False])
def test_pickle_that_runs_code_is_refused(folder: Path, zipped: bool) -> None:
    if zipped:
        torch.save({"3.weight": Bomb(folder / "ran")}, folder / "bomb.pth")
    else:
        (folder / "bomb.pth").write_bytes(pickle.dumps(Bomb(folder / "ran")))
    assert "can't be read as tensors alone" in refused(f"{NETWORK}?weights=bomb.pth&size=4")
    assert not (folder / "ran").exists()


def test_whole_pickled_model_is_refused(folder: Path) -> None:
    torch.save(nn.Linear(2, 2), folder / "model.pth")
    said = refused(f"{NETWORK}?weights=model.pth&size=4")
    assert "model.pth can't be read as tensors alone" in said
    assert "state_dict()" in said


@pytest.mark.parametrize("file", ["w.safetensors", "w.pth"])
def test_damaged_weights(folder: Path, file: str) -> None:
    (folder / file).write_bytes((folder / file).read_bytes()[:200])
    assert re.search(rf"{file} is (damaged or )?cut short", refused(f"{NETWORK}?weights={file}&size=4"))


def test_weights_of_another_model(folder: Path) -> None:
    save_file({"fc.weight": torch.ones(2, 2)}, folder / "other.safetensors")
    assert "other.safetensors does not fit the model" in refused(f"{NETWORK}?weights=other.safetensors&size=4")
    torch.save([1, 2], folder / "list.pth")
    assert "list.pth does not fit the model" in refused(f"{NETWORK}?weights=list.pth&size=4")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (f"{NETWORK}?weights=absent.pth", "absent.pth does not exist"),
        (f"{NETWORK}?weight=w.pth&scale=3", "unknown keys ['scale', 'weight']; known are weights, arg., classes, size"),
        (f"{NETWORK}?size=big", "size='big'"),
        (f"{NETWORK}?size=0", "size >= 1"),
        (f"{NETWORK}?mean=0.5,0.5", "mean needs 3 numbers"),
        (f"{NETWORK}?mean=0.5,0.5,x", "mean='0.5,0.5,x'"),
        (f"{NETWORK}?grayscale=perhaps", "grayscale='perhaps'"),
        (f"{NETWORK}?interpolation=area", "'area' is no filter of pillow"),
        (f"{NETWORK}?size=5", "fails on an input of shape (3, 3, 5, 5)"),
        (f"{NAME}:number", f"{NAME}:number() returns int; it must return a torch.nn.Module or a Classifier"),
        (f"{NAME}:fails", f"{NAME}:fails() fails: no such checkpoint"),
        (f"{NAME}:absent", "has no function 'absent'"),
        (f"{NAME}:NOT_A_FUNCTION", "has no function 'NOT_A_FUNCTION'"),
        (f"{NAME}_broken:network", "half written"),
        ("no_such_package.at_all:network", "can't import 'no_such_package.at_all'"),
        (".relative:network", "can't import '.relative'"),
        (NAME, "is not of the form package.module:factory"),
        (":network", "is not of the form"),
        ("", "is not of the form"),
    ],
)
def test_what_can_be_wrong_with_a_spec(spec: str, said: str) -> None:
    assert said in refused(spec)


def test_device() -> None:
    assert Classifier.load(f"{NETWORK}?size=4", device="cpu").network.outputs == 3
    assert "'no such'" in refused(f"{NETWORK}?size=4", device="no such")


def test_preprocessing_keys() -> None:
    classifier = Classifier.load(
        f"{NETWORK}?size=4&crop_pct=0.9&resize=exact&interpolation=lanczos&mean=0.1,0.2,0.3&std=1,2,3&grayscale=false"
    )
    assert classifier.preprocess == Preprocess(4, 0.9, "exact", "lanczos", (0.1, 0.2, 0.3), (1, 2, 3))
    assert "1, 4, 4" in refused(f"{NETWORK}?size=4&grayscale=true")
    read = Classifier.load(f"{NETWORK}?size=4&bits=12&bands=4,3,2&frame=2")
    assert read.preprocess == Preprocess(4, bits=12, bands=(4, 3, 2), frame=2)
    assert read.sha256 != Classifier.load(f"{NETWORK}?size=4").sha256
    assert "bands=a,b" in refused(f"{NETWORK}?size=4&bands=a,b").replace("'", "")


def test_class_names(folder: Path) -> None:
    (folder / "names.txt").write_text("cat\ndog\neel\n")
    (folder / "names.json").write_text(json.dumps(["a", "b", "c"]))
    (folder / "two.txt").write_text("cat\ndog\n")
    assert Classifier.load(f"{NETWORK}?size=4&classes=names.txt").classes == ("cat", "dog", "eel")
    assert Classifier.load(f"{NETWORK}?size=4&classes=names.json").classes == ("a", "b", "c")
    assert Classifier.load(f"{NETWORK}?size=4&classes=names.txt", classes=["x", "y", "z"]).classes == ("x", "y", "z")
    assert "3 outputs and 2 class names" in refused(f"{NETWORK}?size=4&classes=two.txt")
    assert "absent.txt" in refused(f"{NETWORK}?size=4&classes=absent.txt", InputError)


def test_factory_that_knows_its_classes() -> None:
    classifier = Classifier.load(f"{NAME}:known?weights=w.pth")
    assert classifier.classes == ("cat", "dog", "eel")
    assert classifier.task == "multilabel"
    assert classifier.decision_thresholds == (0.3, 0.4, 0.5)
    assert classifier.preprocess == Preprocess(4, resize="exact", mean=(0.5, 0.5, 0.5))
    assert torch.equal(head(classifier), TENSORS["3.weight"])


def test_several_labels_are_stated_by_the_spec(tmp_path: Path) -> None:
    plain = Classifier.load(f"{NETWORK}?task=multilabel&size=4")
    assert (plain.task, plain.decision_thresholds) == ("multilabel", None)
    assert Classifier.load(f"{NETWORK}?task=multilabel&decision=0.4,0.5,0.6&size=4").decision_thresholds == (
        0.4,
        0.5,
        0.6,
    )
    (tmp_path / "t.json").write_text('{"eel": 0.3, "cat": 0.1, "dog": 0.2}')
    (tmp_path / "t.csv").write_text("class,threshold,note\ndog,0.2,x\ncat,0.1,\neel,0.3,\n")
    (tmp_path / "c.txt").write_text("cat\ndog\neel\n")
    for file in ("t.json", "t.csv"):
        spec = f"{NETWORK}?task=multilabel&decision={file}&classes=c.txt&size=4"
        classifier = Classifier.load(spec)
        assert classifier.decision_thresholds == (0.1, 0.2, 0.3)
        assert f"decision={tmp_path / file}" in str(classifier.spec)
    # What the spec states wins over what the factory returned, and one number is that of all classes.
    assert Classifier.load(f"{NAME}:known?decision=0.7").decision_thresholds == (0.7, 0.7, 0.7)
    assert Classifier.load(f"{NAME}:known?task=multiclass").decision_thresholds is None


def test_probabilities_of_several_labels_are_single_ones() -> None:
    x = torch.tensor([[0.25, 0.75]])
    logits = OutputForm(output="probabilities", several=True).logits(x, 1)
    assert torch.allclose(torch.sigmoid(logits), x)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("task=several", "task is 'several'; it must be 'multiclass' or 'multilabel'"),
        ("decision=0.4,0.5,0.6", "decision thresholds are for several labels an image; say task=multilabel"),
        ("task=multiclass&decision=0.4", "decision= is for several labels"),
        ("task=multilabel&decision=0.4,0.5", "decision has 2 thresholds for 3 classes"),
        ("task=multilabel&decision=0.4,0,0.5", "the decision threshold of '1' is 0; it must lie between 0 and 1"),
        ("task=multilabel&decision=0.4,1,nan", "the decision threshold of '1' is 1"),
        ("task=multilabel&decision=nan", "the decision threshold of '0' is nan"),
        ("task=multilabel&decision=high", "decision is 'high'; give numbers between 0 and 1"),
        ("task=multilabel&decision=none.json", "none.json can't be read (No such file"),
        ("task=multilabel&decision=bad.json", "bad.json is no file of thresholds"),
        ("task=multilabel&decision=names.json", "decision names 'fox', which is none of the 3 classes"),
        ("task=multilabel&decision=few.json", "decision has no threshold for the class '1'"),
        ("task=multilabel&decision=t.csv", "must have the columns class and threshold; it has 'class', 'value'"),
        ("task=multilabel&decision=twice.csv", "has the class '0' twice"),
        ("task=multilabel&binary=true", "with task=multilabel it is one label: leave it out"),
    ],
)
def test_tasks_and_decisions_that_can_not_be(tmp_path: Path, said: str, why: str) -> None:
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "names.json").write_text('{"fox": 0.5}')
    (tmp_path / "few.json").write_text('{"0": 0.5}')
    (tmp_path / "t.csv").write_text("class,value\n0,0.5\n")
    (tmp_path / "twice.csv").write_text("class,threshold\n0,0.5\n0,0.5\n")
    with pytest.raises(ModelError) as caught:
        Classifier.load(f"{NETWORK}?{said}&size=4")
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_the_spec_states_wins(folder: Path) -> None:
    (folder / "names.txt").write_text("a\nb\nc\n")
    classifier = Classifier.load(f"{NAME}:known?classes=names.txt&resize=short_side")
    assert classifier.classes == ("a", "b", "c")
    assert classifier.preprocess == Preprocess(4, mean=(0.5, 0.5, 0.5))
    assert Classifier.load(f"{NAME}:known", classes=["x", "y", "z"]).classes == ("x", "y", "z")


@pytest.mark.parametrize(
    "spec",
    [
        f"{NETWORK}?size=4",
        f"{NETWORK}?weights=w.safetensors&size=4&crop_pct=0.9&mean=0.1,0.2,0.3&std=0.5,0.5,0.5",
        f"{NETWORK}?size=4&weights=w.pth&classes=names.txt&interpolation=nearest",
        f"{NAME}:known",
        f"{NAME}:known?weights=w.pth&resize=short_side",
    ],
)
def test_spec_there_and_back_from_another_folder(spec: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "names.txt").write_text("a\nb\nc\n")
    classifier = Classifier.load(spec)
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    again = Classifier.load(str(classifier.spec))
    assert again.sha256 == classifier.sha256
    assert again.spec == classifier.spec
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), dtype=np.uint8)
    assert (again.run(images).mc_probs == classifier.run(images).mc_probs).all()


def test_classes_given_by_hand_need_no_file_later(folder: Path) -> None:
    (folder / "names.txt").write_text("a\nb\nc\n")
    classifier = Classifier.load(f"{NETWORK}?size=4&classes=names.txt")
    (folder / "names.txt").unlink()
    assert Classifier.load(str(classifier.spec), classes=classifier.classes).sha256 == classifier.sha256


# A Classifier that a factory returns is not probed twice


MADE = {
    "as it was": "",
    "other weights": "with torch.no_grad(): made.network.module[2].weight.mul_(2)",
    "other dropout": "made.network.module[1].p = 0.5",
    "another size": "?size=8",
    "a device": "?",
}


@pytest.mark.parametrize("what", MADE)
def test_a_classifier_is_probed_again_only_where_something_changed(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    after = MADE[what]
    statement = "" if after.startswith("?") else after
    (tmp_path / "wrapped_models.py").write_text(f"""
import torch
from torch import nn
from uncertainty import Classifier, Preprocess

def made():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.1), nn.Linear(48, 3))
    made = Classifier.from_module(network, None, Preprocess(size=4))
    {statement}
    return made
""")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "wrapped_models", raising=False)
    probes: list[Any] = []
    probe = Network.probe.__func__  # type: ignore[attr-defined]
    monkeypatch.setattr(Network, "probe", classmethod(lambda *given: probes.append(given) or probe(*given)))
    if what == "another size":
        with pytest.raises(ModelError, match="fails on an input of shape"):
            Classifier.load("wrapped_models:made?size=8")
        assert len(probes) == 2
        return
    device = "cpu" if what == "a device" else None
    loaded = Classifier.load("wrapped_models:made", device=device)
    assert len(probes) == (1 if what == "as it was" else 2)
    fresh = Classifier.from_module(loaded.network.module, preprocess=loaded.preprocess)
    assert np.array_equal(loaded.network.answers, fresh.network.answers)
