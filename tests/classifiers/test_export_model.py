"""Networks as files: what .pt2 answers, and what is refused. ONNX is tested beside its reader."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from uncertainty import Classifier, Preprocess, cli, verbs
from uncertainty.classifiers.export_model import export_model
from uncertainty.errors import InputError, ModelError

SETTINGS = Preprocess(size=4, mean=0.5)


class Net(nn.Module):
    """A hidden layer, dropout and a last layer."""

    def __init__(self, always: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.hidden, self.fc, self.always = nn.Linear(48, 8), nn.Linear(8, 3), always

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(F.dropout(self.hidden(x.flatten(1)).relu(), 0.5, self.training or self.always))


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_a_pt2_file_answers_for_any_number_of_images(tmp_path: Path, kind: torch.dtype) -> None:
    module = Net().to(kind)
    notes = export_model(Classifier.from_module(module, ["a", "b", "c"], SETTINGS), tmp_path / "m.pt2")
    assert notes == (("its weights, of float64, are written as float32",) if kind == torch.float64 else ())
    assert [path.name for path in tmp_path.iterdir()] == ["m.pt2"]
    extra = {"uncertainty.json": ""}
    read = torch.export.load(tmp_path / "m.pt2", extra_files=extra).module()
    said = json.loads(extra["uncertainty.json"])
    assert (said["classes"], Preprocess.from_dict(said["preprocess"])) == (["a", "b", "c"], SETTINGS)
    for images in (torch.randn(1, 3, 4, 4), torch.randn(7, 3, 4, 4)):
        logits, features = read(images)
        hidden = module.hidden(images.to(kind).flatten(1)).relu()
        torch.testing.assert_close(features, hidden.float())
        torch.testing.assert_close(logits, module.fc(hidden).float())
    assert module.training


def test_answers_of_another_form_are_written_as_logits(tmp_path: Path) -> None:
    net = Net()
    one = Classifier.from_module(nn.Sequential(net, nn.Softmax(1)), preprocess=SETTINGS, output="probabilities")
    export_model(one, tmp_path / "m.pt2")
    images = torch.randn(3, 3, 4, 4)
    logits, _ = torch.export.load(tmp_path / "m.pt2").module()(images)
    torch.testing.assert_close(logits, net.eval()(images).log_softmax(1))


def test_what_can_not_be_written(tmp_path: Path) -> None:
    one = Classifier.from_module(Net(), preprocess=SETTINGS)
    with pytest.raises(InputError, match=r"ends in '.h5'; a model is written as .onnx or .pt2"):
        export_model(one, tmp_path / "m.h5")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="can't be written"):
        export_model(one, tmp_path / "file" / "m.pt2")
    with pytest.raises(ModelError, match="drops units in evaluation too, and so would its file"):
        export_model(Classifier.from_module(Net(always=True), preprocess=SETTINGS), tmp_path / "m.pt2")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_is_not_overwritten_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model_to_export.py").write_text(
        "from torch import nn\ndef net():\n    return nn.Sequential(nn.Flatten(), nn.Linear(48, 3))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    spec, out = "model_to_export:net?size=4", tmp_path / "m.pt2"
    assert verbs.export_model(spec, str(out)) == ()
    with pytest.raises(InputError, match="is there already; choose another name, or replace it with --overwrite"):
        verbs.export_model(spec, out)
    cli.app(["export-model", spec, "-o", str(out), "--overwrite"], standalone_mode=False)
    assert capsys.readouterr().out == f"network written to {out}; its model spec is pt2:{out}\n"


class Branching(nn.Module):
    """What depends on values can't be exported."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(48, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x.flatten(1)) if x.sum() > 1e9 else self.fc(-x.flatten(1))


def test_a_network_that_can_not_be_traced_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"the network can't be written as .pt2: ") as caught:
        export_model(Classifier.from_module(Branching(), preprocess=SETTINGS), tmp_path / "m.pt2")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
