from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from uncertainty.classifiers.weights import load_weights
from uncertainty.errors import ModelError


def network() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 8), nn.ReLU(), nn.Linear(8, 3))


STATE = dict(network().state_dict())
OTHER = {name: value + 1 for name, value in STATE.items()}


def before(prefix: str, state: Any = None) -> dict[str, Any]:
    return {prefix + name: value for name, value in (state or STATE).items()}


CHECKPOINTS: dict[str, tuple[Any, str]] = {
    "DataParallel": (before("module."), "its names without 'module.'"),
    "compiled": (before("_orig_mod."), "its names without '_orig_mod.'"),
    "both": (before("_orig_mod.module."), "its names without '_orig_mod.module.'"),
    "Lightning": ({"state_dict": before("model."), "epoch": 3, "hyper_parameters": {"lr": 0.1}}, "its entry 'state_d"),
    "a loss beside": (
        {"state_dict": {**before("net."), "loss.weight": torch.ones(3)}},
        "left out: 1 tensors of other modules",
    ),
    "averaged": ({**before("module."), "n_averaged": torch.tensor(5)}, "its names without 'module.'"),
    "two levels down": ({"app": {"model": before("module.")}}, "its entry 'app.model' and its names"),
    "optimizer beside": ({"model": STATE, "optimizer": {"state": {0: {"step": torch.ones(1)}}}}, "its entry 'model'"),
    "two of them": ({"ema": before("x.y.z.", {"a": torch.ones(1)}), "net": STATE}, "its entry 'net'"),
}


@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_one_prefix_and_one_entry_are_taken_and_said(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content, said = CHECKPOINTS[kind]
    torch.save(content, tmp_path / "w.pth")
    module = nn.Sequential(nn.Flatten(), nn.Linear(48, 8), nn.ReLU(), nn.Linear(8, 3))
    with caplog.at_level(logging.WARNING, "uncertainty"):
        load_weights(module, tmp_path / "w.pth")
    assert all(torch.equal(value, STATE[name]) for name, value in module.state_dict().items())
    assert said in caplog.text


def test_a_module_with_a_prefix_takes_weights_without(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    torch.save(STATE, tmp_path / "w.pth")
    module = nn.ModuleDict({"module": network()})
    with caplog.at_level(logging.WARNING, "uncertainty"):
        load_weights(module, tmp_path / "w.pth")
    assert "taken were 'module.' before its names" in caplog.text


def test_a_plain_state_dict_says_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    torch.save(OTHER, tmp_path / "w.pth")
    with caplog.at_level(logging.WARNING, "uncertainty"):
        load_weights(module := network(), tmp_path / "w.pth")
    assert torch.equal(module.state_dict()["1.bias"], OTHER["1.bias"])
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"teacher": STATE, "student": OTHER}, r"has tensors in \['student', 'teacher'\]"),
        ({"epoch": 3}, "holds no tensors, but epoch; save a state dict"),
        ({}, "is empty; save model.state_dict"),
        (before("module.", {"a": torch.ones(1)}), "does not fit"),
        ({**before("model."), **before("ema.", OTHER)}, "does not fit"),
        ({**before("model."), "model.extra": torch.ones(1)}, "does not fit"),
        (torch.ones(3), "does not fit"),
    ],
)
def test_what_could_be_meant_in_two_ways_is_refused(content: Any, said: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(ModelError, match=said) as caught:
        load_weights(network(), tmp_path / "w.pth")
    assert "\n" not in str(caught.value)


def test_a_pickled_model_is_named_by_what_it_holds(tmp_path: Path) -> None:
    torch.save(network(), tmp_path / "w.pth")
    with pytest.raises(ModelError, match=r"alone \(it holds a torch.nn.modules.container.Sequential\); save model"):
        load_weights(network(), tmp_path / "w.pth")
