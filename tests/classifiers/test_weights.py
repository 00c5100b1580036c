from __future__ import annotations

import gzip
import io
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save
from torch import nn

from uncertainty.classifiers.weights import load_weights, refuse_missing
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


def bytes_of(write: Any) -> bytes:
    write(file := io.BytesIO())
    return file.getvalue()


ZIP = bytes_of(lambda file: torch.save(STATE, file))
OLD = bytes_of(lambda file: torch.save(STATE, file, _use_new_zipfile_serialization=False))


@pytest.mark.parametrize("ending", ["w", "w.bin", "w.pt", "w.safetensors"])
@pytest.mark.parametrize("content", [save(STATE), ZIP, OLD], ids=["safetensors", "zip", "pickle"])
def test_what_a_file_is_called_says_nothing(ending: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / ending).write_bytes(content)
    module = nn.Sequential(nn.Flatten(), nn.Linear(48, 8), nn.ReLU(), nn.Linear(8, 3))
    load_weights(module, tmp_path / ending)
    assert torch.equal(module.state_dict()["1.bias"], STATE["1.bias"])


OTHER_FILES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "is empty; copy or download it again"),
    "a page": (b"\n<!DOCTYPE html><html>404</html>", "is a web page and not the file; download it"),
    "a pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid",
        "is a pointer of Git LFS and not the file; run git",
    ),
    "JSON": (b'{"error": "not found"}', "is JSON; name the file of weights"),
    "compressed": (gzip.compress(ZIP), "is compressed; unpack it first"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(60), "is HDF5, as Keras writes it; save the weights of the torch model"),
    "NumPy": (bytes_of(lambda file: np.savez(file, a=np.zeros(2))), "is arrays of NumPy; save model.state_dict"),
    "TFLite": (b"\x1c\0\0\0TFL3" + bytes(60), "is TensorFlow Lite; say tflite:FILE"),
    "a tar": (bytes(257) + b"ustar" + bytes(250), "is a tar archive; unpack it first"),
    "text": (b"hello, this is text", "is of another kind, or damaged; save model.state_dict"),
    "zeros": (bytes(1000), "is of another kind, or damaged; save model.state_dict"),
    "half a zip": (ZIP[: len(ZIP) // 2], "is cut short; copy or download it again"),
    "half of tensors": (save(STATE)[:-3], r"is damaged or cut short \(.*\); copy or download it again"),
    "half of a header": (save(STATE)[:40], r"is damaged or cut short \(.*\); copy or download it again"),
    "half a pickle": (
        OLD[:-9],
        r"can't be read as tensors alone \(it is damaged, or no file of torch.save\); save model",
    ),
}


@pytest.mark.parametrize("ending", ["w.pt", "w.safetensors"])
@pytest.mark.parametrize("kind", OTHER_FILES)
def test_a_file_of_another_kind_is_one_sentence_that_names_it_and_says_what_to_do(
    kind: str, ending: str, tmp_path: Path
) -> None:
    content, said = OTHER_FILES[kind]
    (tmp_path / ending).write_bytes(content)
    with pytest.raises(ModelError, match=rf"^weights file .*{ending} {said}") as caught:
        load_weights(network(), tmp_path / ending)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_program_or_a_folder_is_named(tmp_path: Path) -> None:
    torch.export.save(torch.export.export(network().eval(), (torch.zeros(1, 48),)), tmp_path / "p.pt")
    with pytest.raises(ModelError, match=r"p\.pt holds no tensors alone: it is an exported program; say pt2:FILE"):
        load_weights(network(), tmp_path / "p.pt")
    with pytest.raises(ModelError, match="is a folder; name the file in it"):
        refuse_missing(tmp_path)
