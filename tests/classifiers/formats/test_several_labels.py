"""Several labels an image, by models of timm and transformers and their ONNX exports, from folders to verdicts."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_sample_images
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from uncertainty import Classifier, Screener, Verdicts, cli
from uncertainty.errors import ModelError
from uncertainty.labels.tables import table_decisions

CLASSES = ("china", "flower", "turned")
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}


def photographs(n: int, seed: int) -> tuple[list[NDArray[np.uint8]], NDArray[np.int64]]:
    """Return (96, 64) pictures with parts of none, one or both of two photographs, some turned; (n, 3) labels."""
    rng, wholes = np.random.default_rng(seed), load_sample_images().images
    labels = rng.integers(0, 2, (n, 3))
    pictures = []
    for row in labels:
        canvas = rng.integers(60, 190, (1, 1, 3)).astype(np.uint8) + rng.integers(0, 40, (64, 96, 3), dtype=np.uint8)
        for k in np.flatnonzero(row[:2]):
            top, left = rng.integers(0, 427 - 56), rng.integers(0, 640 - 44)
            canvas[4:60, 2 + 48 * k : 46 + 48 * k] = wholes[k][top : top + 56, left : left + 44]
        pictures.append(canvas[:, ::-1].copy() if row[2] else canvas)
    return pictures, labels


def taught(spec: str, head: nn.Linear) -> None:
    """Give the last layer weights that find the labels in the features of random weights."""
    pictures, labels = photographs(120, 9)
    features = np.asarray(Classifier.load(spec).run(pictures).features, dtype=np.float64)
    centre, spread = features.mean(axis=0), features.std(axis=0) + 1e-6
    for k in range(len(CLASSES)):
        found = LogisticRegression(C=0.05).fit((features - centre) / spread, labels[:, k])
        weight = found.coef_[0] / spread
        head.weight.data[k] = torch.from_numpy(weight)
        head.bias.data[k] = float(found.intercept_[0] - weight @ centre)


class Answering(nn.Module):
    """A network as people export it: logits as they are, or behind a sigmoid."""

    def __init__(self, inner: nn.Module, *, sigmoid: bool) -> None:
        super().__init__()
        self.inner, self.sigmoid = inner, sigmoid

    def forward(self, images: Tensor) -> Tensor:
        answer = self.inner(images)
        logits: Tensor = getattr(answer, "logits", answer)
        return logits.sigmoid() if self.sigmoid else logits


def exported(module: nn.Module, size: int, path: Path, *, sigmoid: bool) -> Path:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    several = ({0: torch.export.Dim("n")},)
    example = (torch.zeros(2, 3, size, size),)
    made = Answering(module, sigmoid=sigmoid).eval()
    torch.onnx.export(made, example, path, dynamo=True, dynamic_shapes=several, verbose=False)
    return path


@pytest.fixture(scope="module")
def of_timm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, nn.Module]:
    """A folder that save_for_hf wrote, and the module."""
    timm = pytest.importorskip("timm")
    from timm.models import save_for_hf

    torch.manual_seed(0)
    module = timm.create_model("test_resnet", num_classes=3).eval()
    folder = tmp_path_factory.mktemp("timm")
    for part in ("begun", "m"):
        save_for_hf(module, folder / part, model_config={"label_names": list(CLASSES)})
        if part == "begun":
            taught(f"timm:{folder / part}?task=multilabel", module.fc)
    return folder / "m", module


@pytest.fixture(scope="module")
def of_transformers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, nn.Module]:
    """A folder whose config.json says that images may have several labels, and the module."""
    transformers = pytest.importorskip("transformers")
    transformers.utils.logging.disable_progress_bar()
    names = dict(enumerate(CLASSES))
    kinds = {"id2label": names, "label2id": {name: k for k, name in names.items()}}
    config = transformers.ViTConfig(
        **SMALL, **kinds, image_size=32, patch_size=8, problem_type="multi_label_classification"
    )
    torch.manual_seed(0)
    module = transformers.ViTForImageClassification(config).eval()
    for values in module.parameters():
        if values.dim() > 1:
            nn.init.normal_(values, std=0.3)
    folder = tmp_path_factory.mktemp("hf")
    transformers.ViTImageProcessor(size=32).save_pretrained(folder)
    module.save_pretrained(folder)
    taught(f"hf:{folder}", module.classifier)
    module.save_pretrained(folder)
    return folder, module


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pictures in folders, each with a metadata.csv that has a column of zeros and ones for each label."""
    root, found = tmp_path_factory.mktemp("pictures"), {}
    for seed, (name, n) in enumerate({"reference": 60, "calibration": 120, "incoming": 24}.items(), start=1):
        found[name] = root / name
        found[name].mkdir()
        pictures, labels = photographs(n, seed)
        with (found[name] / "metadata.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["file_name", *CLASSES])
            for k, (pixels, row) in enumerate(zip(pictures, labels.tolist(), strict=True)):
                Image.fromarray(pixels).save(found[name] / f"{k}.png")
                writer.writerow([f"{k}.png", *row])
    return found


def screened(spec: str, folders: dict[str, Path], out: Path) -> Verdicts:
    """Run fit and screen from the command line."""
    fit = ["fit", "--model", spec, "--reference", folders["reference"], "--calibration", folders["calibration"]]
    for command in ([*fit, "--no-cache", "-o", out / "s"], ["screen", out / "s", folders["incoming"], "-o", out / "o"]):
        cli.app([str(word) for word in command], standalone_mode=False)
    return Verdicts.read(out / "o")


def check(spec: str, folders: dict[str, Path], out: Path, module: nn.Module, inputs: Any) -> None:
    """Check that the decisions are those of the module, and judged label by label."""
    pictures, _ = photographs(24, 3)
    with torch.no_grad():
        answer = module(inputs(pictures))
    said = getattr(answer, "logits", answer).numpy() > 0
    table = screened(spec, folders, out).table.sort_by("file_name")
    order = np.argsort([f"{k}.png" for k in range(24)])
    told = [";".join(np.array(CLASSES)[row]) for row in said[order]]
    assert [text or "" for text in table["predicted_label"].to_pylist()] == told
    p = table_decisions(table, CLASSES)
    assert p is not None
    assert p.shape == (24, 3)
    assert (p <= table["p_wrong"].to_numpy()[:, None]).all()
    assert np.std(p) > 0
    assert Screener.load(out / "s").decisions is not None


def inputs_of(spec: str) -> Any:
    one = Classifier.load(spec)
    return lambda pictures: torch.from_numpy(np.stack([one.preprocess(pixels) for pixels in pictures]))


def test_timm(of_timm: tuple[Path, nn.Module], folders: dict[str, Path], tmp_path: Path) -> None:
    folder, module = of_timm
    spec = f"timm:{folder}?task=multilabel"
    check(spec, folders, tmp_path, module, inputs_of(spec))


def test_transformers_say_it_in_their_config(
    of_transformers: tuple[Path, nn.Module], folders: dict[str, Path], tmp_path: Path
) -> None:
    folder, module = of_transformers
    check(f"hf:{folder}", folders, tmp_path, module, inputs_of(f"hf:{folder}"))
    assert Classifier.load(f"hf:{folder}?decision=0.4").decision_thresholds == (0.4, 0.4, 0.4)


def test_onnx_with_a_sigmoid(of_timm: tuple[Path, nn.Module], tmp_path: Path) -> None:
    """A sigmoid at the end of the graph is seen; it need not be stated."""
    folder, module = of_timm
    path = exported(module, 160, tmp_path / "m.onnx", sigmoid=True)
    known = Classifier.load(f"timm:{folder}?task=multilabel")
    pictures, _ = photographs(5, 4)
    expected = known.run(pictures)
    for stated in ("", "&output=probabilities"):
        found = Classifier.load(f"{prepared(path, known)}&task=multilabel{stated}").run(pictures)
        np.testing.assert_allclose(found.logits, expected.logits, atol=1e-3)
        np.testing.assert_allclose(found.features, expected.features, atol=1e-4)


def test_onnx_with_logits(of_transformers: tuple[Path, nn.Module], folders: dict[str, Path], tmp_path: Path) -> None:
    folder, module = of_transformers
    path = exported(module, 32, tmp_path / "m.onnx", sigmoid=False)
    known = Classifier.load(f"hf:{folder}")
    spec = f"{prepared(path, known)}&task=multilabel"
    check(spec, folders, tmp_path, module, inputs_of(f"hf:{folder}"))
    with pytest.raises(ModelError, match="output=probabilities is said, and the network answers beyond 0 and 1"):
        Classifier.load(f"{spec}&output=probabilities")


def prepared(path: Path, like: Classifier) -> str:
    """Return a spec of a file that knows nothing of classes and of how images are prepared."""
    (path.parent / "classes.txt").write_text("\n".join(CLASSES), "utf-8")
    way = like.preprocess
    size = way.size if isinstance(way.size, int) else ",".join(map(str, way.size))
    mean, std = (
        ",".join(map(str, np.atleast_1d(values).tolist())) for values in (np.asarray(way.mean), np.asarray(way.std))
    )
    stated = f"size={size}&resize={way.resize}&crop_pct={way.crop_pct}&interpolation={way.interpolation}"
    more = f"mean={mean}&std={std}&exif={str(way.exif).lower()}&draft={way.draft}"
    return f"onnx:{path}?classes={path.parent / 'classes.txt'}&{stated}&{more}"
