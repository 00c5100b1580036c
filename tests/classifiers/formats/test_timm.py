"""timm's models: the same pixels, classes and verdicts as by timm itself; what is no model is refused in a line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.classifiers.formats.photographs import apart, photographs
from uncertainty import Classifier, ModelOutputs, Screener
from uncertainty.errors import ModelError, UncertaintyError

timm = pytest.importorskip("timm")
CLASSES = ["cat", "dog", "eel"]
NAME = "test_resnet"


@pytest.fixture(scope="module")
def model() -> Any:
    torch.manual_seed(0)
    made = timm.create_model(NAME, num_classes=3).eval()
    torch.nn.init.normal_(made.fc.weight)
    return made


@pytest.fixture
def folder(model: Any, tmp_path: Path) -> Path:
    """What save_for_hf writes, by default with a .bin."""
    from timm.models import save_for_hf

    save_for_hf(model, tmp_path / "m", model_config={"label_names": CLASSES})
    return tmp_path / "m"


def pictures(n: int, seed: int) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).integers(0, 256, (n, 40, 50, 3), dtype=np.uint8))


def refused(spec: str) -> str:
    with pytest.raises(UncertaintyError) as caught:
        Classifier.load(spec)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("crop_mode", ["center", "squash", "border", "bogus"])
@pytest.mark.parametrize("size", [(224, 224), (176, 176), (160, 161)])
def test_pixels_are_those_of_timm(crop_mode: str, size: tuple[int, int]) -> None:
    from timm.data import create_transform

    from uncertainty.classifiers.formats.timm import preprocess_of

    for crop_pct, interpolation in ((0.9, "bicubic"), (0.965, "bilinear"), (1.0, "bicubic")):
        config = {"input_size": (3, *size), "crop_pct": crop_pct, "crop_mode": crop_mode}
        config |= {"interpolation": interpolation, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
        transform = create_transform(**config)
        for pixels in photographs():
            assert apart(preprocess_of(config), pixels, transform(Image.fromarray(pixels))) <= 1


def test_a_folder_knows_all(model: Any, folder: Path) -> None:
    from timm.data import create_transform, resolve_model_data_config

    one = Classifier.load(f"timm:{folder}")
    assert one.classes == tuple(CLASSES)
    assert one.preprocess.exif is False
    assert not any("random" in note or "assumed" in note for note in one.notes)
    config = resolve_model_data_config(model)
    inputs = torch.stack([create_transform(**config)(Image.fromarray(pixels)) for pixels in photographs()[:4]])
    with torch.no_grad():
        expected = model(inputs).numpy()
    found = one.run(photographs()[:4])
    np.testing.assert_allclose(found.logits, expected, atol=1e-3)
    assert found.features is not None
    assert found.features.shape == (4, model.num_features)
    assert Classifier.load(str(one.spec)).sha256 == one.sha256


def test_the_same_verdicts_as_the_module(model: Any, folder: Path) -> None:
    one = Classifier.load(f"timm:{folder}?size=32")
    plain = Classifier.from_module(model, CLASSES, one.preprocess)
    fitted = Screener.fit_outputs(seen(plain, 60, 1), seen(plain, 120, 2), classes=CLASSES)
    p = [fitted.screen_outputs(seen(each, 20, 3)).table["p_wrong"].to_numpy() for each in (plain, one)]
    np.testing.assert_allclose(p[0], p[1], atol=1e-4)


def seen(one: Classifier, n: int, seed: int) -> ModelOutputs:
    """What a classifier says of noise, with labels that it often misses."""
    labels = np.random.default_rng(seed).integers(0, 3, n)
    return replace(one.run(pictures(n, seed)), labels=labels)


def test_keys(folder: Path) -> None:
    one = Classifier.load(f"timm:{folder}")
    torch.save(timm.create_model("resnet10t", num_classes=3).state_dict(), folder / "w.pth")
    tested = Classifier.load(f"timm:resnet10t?weights={folder / 'w.pth'}&arg.num_classes=3&test_input_size=true")
    assert (tested.preprocess.size, tested.preprocess.crop_pct) == (224, 0.95)
    dropping = Classifier.load(f"timm:{folder}?arg.drop_rate=0.3")
    assert dropping.network.dropout
    assert dropping.sha256 == one.sha256
    grey = Classifier.load("timm:test_resnet?arg.in_chans=1&arg.num_classes=3")
    assert grey.preprocess.grayscale
    several = Classifier.load("timm:test_resnet?arg.in_chans=4&arg.num_classes=3")  # whose config says three channels
    assert (several.preprocess.channels, several.preprocess.mean, several.assumed) == (4, (0.0,) * 4, ("mean", "std"))
    stated = Classifier.load("timm:test_resnet?arg.in_chans=4&mean=1,2,3,4&std=2&range=255")
    assert (stated.preprocess.mean, stated.preprocess.std, stated.assumed) == ((1, 2, 3, 4), (2,) * 4, ())
    assert "test_input_size='maybe'" in refused(f"timm:{folder}?test_input_size=maybe")


def test_random_weights_are_told() -> None:
    one = Classifier.load("timm:test_resnet?size=32")
    assert "the weights of this model are random" in one.notes[0]
    assert one.classes[0] == "n01440764"  # ImageNet's, as the head is timm's own
    assert Classifier.load("timm:test_resnet?size=32").sha256 == one.sha256


def test_second_opinion(model: Any, folder: Path) -> None:
    plain = Classifier.from_module(model, CLASSES).with_embedder("timm:test_vit?arg.img_size=32&size=32")
    found = plain.run(pictures(3, 0))
    assert found.embedding is not None
    assert found.embedding.shape == (3, 64)
    assert "the second opinion has the classifier's own weights" in str(
        Classifier.from_module(model, CLASSES).with_embedder(f"timm:{folder}").notes
    )


def test_what_is_refused(folder: Path, tmp_path: Path) -> None:
    assert "does not fit the model" in refused(f"timm:{folder}?arg.num_classes=5")
    assert "has no model 'resnet81'; it has resnet" in refused("timm:resnet81")
    assert "unexpected keyword" in refused("timm:test_resnet?arg.bogus=1")
    assert "would be downloaded" in refused("timm:hf-hub:a/b")
    assert f"say timm:{folder}" in refused(f"timm:local-dir:{folder}")
    assert "there is no folder" in refused(f"timm:{tmp_path / 'none'}")
    assert "as a pickle" in refused("timm:test_resnet?arg.checkpoint_path=w.pth")
    assert f"say timm:{folder}" in refused(f"hf:{folder}")
    (folder / "pytorch_model.bin").unlink()
    assert "has a config.json and no weights" in refused(f"timm:{folder}")
    assert "there is no config.json" in refused(f"timm:{tmp_path}")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vit"}))
    assert f"say hf:{tmp_path}" in refused(f"timm:{tmp_path}")


def test_label_names_that_do_not_fit(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "label_names": ["a", "b"]}))
    with pytest.raises(ModelError, match="3 outputs and 2 class names"):
        Classifier.load(f"timm:{folder}")
