"""Exported programs: the same verdicts as the module, with its dropout; what can't be read is told in one line."""

import functools
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from tests.classifiers.formats.conformance import CLASSES, KEYS, SIZE, check_same_verdicts, network, other_network
from uncertainty import Classifier, Preprocess
from uncertainty.errors import ModelError

INPUTS = np.random.default_rng(0).normal(size=(5, 3, SIZE, SIZE)).astype(np.float32)


class Viewed(nn.Module):
    """Dropout before the last layer; the number of images is written into an export with a fixed batch."""

    def __init__(self, p=0.3):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        self.drop = nn.Dropout(p)
        self.fc = nn.Linear(8, 3)

    def forward(self, x):
        return self.fc(self.drop(self.body(x).view(x.size(0), 8)))


def export(module, path, images=3, dynamic=True, decomposed=False, **extra):
    """Write a program as torch does."""
    shapes = ({0: torch.export.Dim("n")},) if dynamic else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(module, (torch.from_numpy(INPUTS[:images]),), dynamic_shapes=shapes)
        torch.export.save(program.run_decompositions() if decomposed else program, path, **extra)
    return f"pt2:{path}"


load = functools.partial(Classifier.load, trust=True)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pt2")
    made = {"same": (network(), {}), "other": (other_network(), {}), "dynamic": (Viewed().eval(), {})}
    made |= {"fixed": (Viewed().eval(), {"images": 2, "dynamic": False}), "training": (Viewed().train(), {})}
    made |= {"batch_norm": (nn.Sequential(*network().body, network().fc), {"decomposed": True})}
    return {name: export(module, folder / f"{name}.pt2", **how) for name, (module, how) in made.items()}


def outputs(one, **options):
    return one.outputs_from_inputs(list("abcde"), INPUTS, **options)


def test_the_verdicts_are_those_of_the_module(files):
    check_same_verdicts(load(f"{files['same']}?{KEYS}", classes=CLASSES))
    check_same_verdicts(load(f"{files['batch_norm']}?{KEYS}", classes=CLASSES))


def test_the_fingerprint_sees_weights_and_preprocessing(files):
    specs = [files["same"], files["other"], f"{files['same']}?mean=0.5"]
    assert len({load(spec).sha256 for spec in specs}) == 3


@pytest.mark.parametrize("name", ["dynamic", "training"])
def test_dropout_is_replayed_behind_the_cut(files, name, caplog):
    one, module = load(files[name]), Classifier.from_module(Viewed().eval(), preprocess=Preprocess(size=SIZE))
    assert one.network.replay is not None
    assert one.network.dropout_cost == module.network.dropout_cost
    found, expected = outputs(one), outputs(module)
    for column in ("logits", "features", "mc_probs"):
        np.testing.assert_allclose(getattr(found, column), getattr(expected, column), atol=1e-6)
    assert ("exported in training mode" in caplog.text) == (name == "training")


def test_a_fixed_batch_is_filled_up_and_has_no_dropout(files):
    one, expected = load(files["fixed"]), outputs(load(files["dynamic"]))
    found = outputs(one)
    np.testing.assert_allclose(found.logits, expected.logits, atol=1e-6)
    np.testing.assert_allclose(found.features, expected.features, atol=1e-6)
    assert found.mc_probs is None
    assert any("fixed to batches of 2 images" in note for note in one.notes)
    named = outputs(load(f"{files['fixed']}?features=fc"))
    np.testing.assert_allclose(named.features, expected.features, atol=1e-6)


def test_a_layer_of_the_exported_network_can_be_named(files):
    one = load(f"{files['dynamic']}?features=body")
    np.testing.assert_allclose(outputs(one).features, outputs(load(files["dynamic"])).features, atol=1e-6)
    with pytest.raises(ModelError, match=r"features='nix' is no layer of it; its last ones are .*drop, fc"):
        load(f"{files['dynamic']}?features=nix")


def test_classes_and_preprocessing_beside_the_program_are_taken(tmp_path):
    known = (
        '{"classes": ["a", "b", "c"], "preprocess": {"size": 16, "mean": 0.5}, "task": "multiclass", '
        '"decision_thresholds": null}'
    )
    one = load(export(network(), tmp_path / "m.pt2", extra_files={"uncertainty.json": known}))
    assert (one.classes, one.preprocess, one.assumed) == (("a", "b", "c"), Preprocess(size=16, mean=0.5, draft=0), ())
    with pytest.raises(ModelError, match=r"damaged description"):
        load(export(network(), tmp_path / "m.pt2", extra_files={"uncertainty.json": "[]"}))


class Two(nn.Module):
    def forward(self, x, y):
        return (x + y).flatten(1)[:, :3]


def test_what_can_not_be_read_is_told_in_one_line(files, tmp_path):
    with pytest.raises(ModelError, match=r"may run code .* --trust-model-file \(from Python: trust=True\)$"):
        Classifier.load(files["same"])
    (tmp_path / "text.pt2").write_text("no program")
    torch.save({"a": 1}, tmp_path / "pickle.pt2")
    x = torch.from_numpy(INPUTS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(Two(), (x, x)), tmp_path / "two.pt2")
    normed = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3 * SIZE**2, 3)).train()
    export(normed, tmp_path / "normed.pt2")
    known = {
        "text.pt2": "it is no archive of torch",
        "pickle.pt2": "torch.save wrote it as a pickle",
        "two.pt2": "it takes 2 inputs",
        "normed.pt2": "exported in training mode, so its batch norm takes the statistics of the batch",
        "none.pt2": "there is no",
    }
    for name, message in known.items():
        with pytest.raises(ModelError, match=message) as raised:
            load(f"pt2:{tmp_path / name}")
        assert "\n" not in str(raised.value)
    with pytest.raises(ModelError, match="it takes images of 16x16"):
        load(f"{files['same']}?size=20")
