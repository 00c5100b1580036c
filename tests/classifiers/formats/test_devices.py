"""Where a model is put: on every device, or refused by name. "meta", a device without values, is there always."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.classifiers.formats.conformance import SIZE, network
from uncertainty import Classifier
from uncertainty.classifiers.formats.base import Request
from uncertainty.classifiers.formats.pt2 import describe as describe_pt2
from uncertainty.classifiers.formats.torchscript import describe as describe_torchscript
from uncertainty.classifiers.modes import device_of, placed
from uncertainty.errors import ModelError


class Placed(nn.Module):
    """A network that makes a tensor of its own in its forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = network()

    def forward(self, images: Tensor) -> Tensor:
        """Answer with what its network does."""
        answer: Tensor = self.inner(images) + torch.arange(3, device=images.device, dtype=images.dtype)
        return answer


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("devices")
    images = torch.zeros(2, 3, SIZE, SIZE)
    found = {name: folder / name for name in ("pt2", "torchscript", "frozen")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(Placed().eval(), (images,), dynamic_shapes=({0: torch.export.Dim("n")},))
        torch.export.save(program, found["pt2"])
        scripted = torch.jit.script(Placed().eval())
        torch.jit.save(scripted, found["torchscript"])
        torch.jit.save(torch.jit.freeze(scripted), found["frozen"])
    return found


def test_an_exported_program_makes_its_own_tensors_on_the_device(files: dict[str, Path]) -> None:
    module = describe_pt2(Request(str(files["pt2"]), {}, "meta", True)).module
    assert device_of(module).type == "meta"
    answer = module(torch.zeros(2, 3, SIZE, SIZE, device="meta"))
    scores = answer[0] if isinstance(answer, tuple) else answer
    assert (scores.device.type, tuple(scores.shape)) == ("meta", (2, 3))
    here = describe_pt2(Request(str(files["pt2"]), {}, "cpu", True)).module
    torch.testing.assert_close(here(torch.zeros(2, 3, SIZE, SIZE)), Placed().eval()(torch.zeros(2, 3, SIZE, SIZE)))


def test_scripted_programs_and_their_images_are_on_the_device(files: dict[str, Path]) -> None:
    module = describe_torchscript(Request(str(files["torchscript"]), {}, "meta", True)).module.to("meta")
    assert device_of(module).type == "meta"
    with pytest.raises(ModelError, match="hold no values"):
        placed(module, torch.zeros(2, 3, SIZE, SIZE))
    assert module.module.module(torch.zeros(2, 3, SIZE, SIZE, device="meta")).device.type == "meta"


def test_a_frozen_program_is_where_its_buffer_is(files: dict[str, Path]) -> None:
    module = describe_torchscript(Request(str(files["frozen"]), {}, None, True)).module
    assert not list(module.parameters())
    assert (device_of(module).type, device_of(module.to("meta")).type) == ("cpu", "meta")


@pytest.mark.parametrize("name", ["pt2", "torchscript"])
def test_a_device_that_is_not_there_is_what_is_said(files: dict[str, Path], name: str) -> None:
    for device in ("abacus", "cuda:99"):
        with pytest.raises(ModelError, match=f"can't be put on device '{device}'"):
            Classifier.load(f"{name}:{files[name]}", device=device, trust=True)
