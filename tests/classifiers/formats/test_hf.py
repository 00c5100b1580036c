"""Folders of transformers: the same pixels and logits as by the library; traps of their files are told or refused."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.classifiers.formats import conformance
from tests.classifiers.formats.photographs import apart, photographs
from uncertainty import Classifier, Screener
from uncertainty.classifiers.export_model import export_model
from uncertainty.errors import UncertaintyError

transformers = pytest.importorskip("transformers")
NAMES = {0: "cat", 1: "dog", 2: "eel"}
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
SMALL |= {"image_size": 32, "patch_size": 8}
LABELS = {"id2label": NAMES, "label2id": {name: k for k, name in NAMES.items()}}
PATCHES = {"image_size": 32, "patch_size": 2, "embed_dim": 16, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4}
TOWERS = {"vision_config": SMALL, "text_config": {**SMALL, "vocab_size": 99, "bos_token_id": 1, "eos_token_id": 2}}
FOUR = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]}
CROPPED = {"size": {"shortest_edge": 36}, "crop_size": 32}
KINDS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "ViT": ("ViT", SMALL, {"size": 32}),
    "DeiT": ("DeiT", SMALL, {"size": 36, "crop_size": 32}),
    "Swin": ("ViT", PATCHES, {"size": 32}),
    "ConvNext": ("ConvNext", FOUR, {"size": {"shortest_edge": 32}}),
    "Beit": ("Beit", SMALL, {"size": 32}),
    "Dinov2": ("Bit", {k: v for k, v in SMALL.items() if k != "intermediate_size"}, CROPPED),
    "ResNet": (
        "ConvNext",
        {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]},
        {"size": {"shortest_edge": 32}},
    ),
    "MobileNetV1": ("MobileNetV1", {"depth_multiplier": 0.25}, CROPPED),
    "Siglip": ("Siglip", TOWERS, {"size": {"height": 32, "width": 32}}),
    "CLIP": ("CLIP", TOWERS, CROPPED),
}
PROCESSORS: list[tuple[str, dict[str, Any]]] = [
    ("ViT", {}),
    ("ViT", {"size": {"height": 96, "width": 128}, "resample": 3}),
    ("ViT", {"do_rescale": False, "do_normalize": False}),
    ("ConvNext", {"size": {"shortest_edge": 224}}),
    ("ConvNext", {"size": {"shortest_edge": 384}}),
    ("Beit", {"size": 256, "do_center_crop": True}),
    ("Bit", {"size": {"shortest_edge": 255}}),
    ("CLIP", {}),
    ("Siglip", {}),
    ("MobileNetV2", {}),
    ("MobileViT", {"size": {"shortest_edge": 288}}),
    ("EfficientNet", {}),
    ("EfficientNet", {"rescale_factor": 1 / 127.5, "rescale_offset": True, "include_top": False, "resample": 0}),
    ("Levit", {}),
    ("PoolFormer", {}),
]


@pytest.fixture(autouse=True)
def quiet() -> None:
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def saved(folder: Path, kind: str = "ViT", edit: Callable[[Any], None] | None = None, **config: Any) -> Path:
    """Write a small model of a kind with its image processor; `edit` changes its config.json."""
    processor, settings, prepared = KINDS[kind]
    torch.manual_seed(0)
    made = getattr(transformers, f"{kind}Config")(**{**settings, **LABELS, **config})
    module = getattr(transformers, f"{kind}ForImageClassification")(made)
    for values in module.parameters():
        if values.dim() > 1:
            torch.nn.init.normal_(values, std=0.3)
    module.save_pretrained(folder)
    getattr(transformers, f"{processor}ImageProcessor")(**prepared).save_pretrained(folder)
    if edit is not None:
        written = json.loads((folder / "config.json").read_text())
        edit(written)
        (folder / "config.json").write_text(json.dumps(written))
    return folder


def refused(folder: Path) -> str:
    with pytest.raises(UncertaintyError) as caught:
        Classifier.load(f"hf:{folder}")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", list(KINDS))
def test_logits_are_those_of_the_library(kind: str, tmp_path: Path) -> None:
    one = Classifier.load(f"hf:{saved(tmp_path, kind)}")
    model = transformers.AutoModelForImageClassification.from_pretrained(tmp_path).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(tmp_path)
    inputs = processor(images=[Image.fromarray(p) for p in photographs()[:3]], return_tensors="pt")
    with torch.no_grad():
        expected = model(**inputs).logits.numpy()
    found = one.run(photographs()[:3])
    np.testing.assert_allclose(found.logits, expected, rtol=1e-4, atol=1e-4)
    assert found.features is not None
    assert one.classes == ("cat", "dog", "eel")
    assert one.preprocess.exif is True


@pytest.mark.parametrize("kind", ["ViT", "ResNet"])
def test_the_verdicts_are_those_of_the_module_and_of_onnx(kind: str, tmp_path: Path) -> None:
    spec, module = taught(kind, tmp_path / kind)
    known = Classifier.from_module(module, conformance.CLASSES, conformance.PREPROCESS)
    forms = {"hf": Classifier.load(spec)}
    if importlib.util.find_spec("onnxscript"):
        export_model(forms["hf"], tmp_path / "m.onnx")
        forms["onnx"] = Classifier.load(f"onnx:{tmp_path / 'm.onnx'}")
    reference, calibration, incoming = (conformance.seen(known, n, seed) for n, seed in ((150, 1), (200, 2), (60, 3)))
    fitted = Screener.fit_outputs(reference, calibration, classes=conformance.CLASSES)
    expected = fitted.screen_outputs(incoming).table["p_wrong"].to_numpy()
    assert np.ptp(expected) > 0.1
    for one in forms.values():
        found = conformance.seen(one, 60, 3)
        assert one.classes == conformance.CLASSES
        np.testing.assert_allclose(found.features, incoming.features, atol=1e-4)
        p_wrong = fitted.screen_outputs(found).table["p_wrong"].to_numpy()
        np.testing.assert_allclose(p_wrong, expected, atol=conformance.SAME)
    assert len({form.sha256 for form in (known, *forms.values())}) == 1 + len(forms)


def taught(kind: str, folder: Path) -> tuple[str, torch.nn.Module]:
    """Train a small model of a kind for a moment; return its spec once it is saved, and the model."""
    _, settings, _ = KINDS[kind]
    names = dict(enumerate(conformance.CLASSES))
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**{**settings, "image_size": conformance.SIZE, "id2label": names})
    module = getattr(transformers, f"{kind}ForImageClassification")(config)
    conformance.teach(module.train(), lambda images: module(images).logits)
    module.eval().save_pretrained(folder)
    size = {"height": conformance.SIZE, "width": conformance.SIZE}
    transformers.ViTImageProcessor(size=size, image_mean=[0.5] * 3, image_std=[0.25] * 3).save_pretrained(folder)
    return f"hf:{folder}", module


@pytest.mark.parametrize(("kind", "settings"), PROCESSORS)
@pytest.mark.parametrize("backend", ["", "Pil"])
def test_pixels_are_those_of_the_processor(kind: str, settings: dict[str, Any], backend: str) -> None:
    from uncertainty.classifiers.image_processor import preprocess_of

    processor = getattr(transformers, f"{kind}ImageProcessor{backend}")(**settings)
    preprocess = preprocess_of(processor)
    for pixels in photographs():
        expected = processor(images=Image.fromarray(pixels), return_tensors="pt")["pixel_values"][0]
        assert apart(preprocess, pixels, expected) <= 1


@pytest.mark.parametrize(
    ("kind", "settings", "key"),
    [
        ("ViT", {"do_resize": False}, "do_resize=False"),
        ("ViT", {"do_pad": True}, "do_pad=True"),
        ("CLIP", {"do_center_crop": False}, "do_center_crop=False"),
        ("CLIP", {"size": {"shortest_edge": 224, "longest_edge": 400}}, "size={'"),
        ("CLIP", {"crop_size": {"height": 200, "width": 224}}, "crop_size={'height': 200"),
        ("Bit", {"size": {"shortest_edge": 200}}, "crop_size={'height': 224"),
        ("Perceiver", {}, "crop_size="),
        ("ImageGPT", {}, "do_color_quantize=True"),
    ],
)
def test_what_can_not_be_said_is_refused_by_its_key(kind: str, settings: dict[str, Any], key: str) -> None:
    from uncertainty.classifiers.image_processor import preprocess_of

    with pytest.raises(UncertaintyError) as caught:
        preprocess_of(getattr(transformers, f"{kind}ImageProcessorPil")(**settings))
    assert key in str(caught.value)


def test_a_processor_that_does_more_is_refused() -> None:
    from uncertainty.classifiers.image_processor import preprocess_of

    class Sharper(transformers.ViTImageProcessorPil):  # type: ignore[misc,name-defined]
        def rescale(self, image: Any, scale: float, **options: Any) -> Any:
            return super().rescale(image, scale, **options) ** 2

    with pytest.raises(UncertaintyError, match="Sharper prepares images in a way"):
        preprocess_of(Sharper())


def test_the_spec_keeps_who_resizes(tmp_path: Path) -> None:
    one = Classifier.load(f"hf:{saved(tmp_path)}")
    assert f"resizer={one.preprocess.resizer}" in str(one.spec)
    other = Classifier.load(f"hf:{tmp_path}?resizer=pillow")
    assert other.preprocess.resizer == "pillow"
    assert Classifier.load(str(other.spec)).sha256 == other.sha256


def test_half_precision_becomes_single(tmp_path: Path) -> None:
    model = transformers.AutoModelForImageClassification.from_pretrained(saved(tmp_path / "a"))
    model.half().save_pretrained(tmp_path / "b", variant="fp16")
    (tmp_path / "a" / "preprocessor_config.json").rename(tmp_path / "b" / "preprocessor_config.json")
    half = Classifier.load(f"hf:{tmp_path / 'b'}")
    (tmp_path / "b" / "preprocessor_config.json").rename(tmp_path / "a" / "preprocessor_config.json")
    single = Classifier.load(f"hf:{tmp_path / 'a'}")
    np.testing.assert_allclose(half.run(photographs()[:2]).logits, single.run(photographs()[:2]).logits, atol=0.02)


def test_names(tmp_path: Path) -> None:
    def named(where: str, **edit: Any) -> Classifier:
        return Classifier.load(f"hf:{saved(tmp_path / where, edit=lambda config: config.update(edit))}")

    assert named("same", num_labels=3).classes == ("cat", "dog", "eel")
    double = named("double", id2label={"0": "a", "1": "b", "2": "a"})
    assert double.classes == ("a (0)", "b", "a (2)")
    assert any("several classes are called 'a'" in note for note in double.notes)
    assert any("contradicts its id2label" in note for note in named("back", label2id={"cat": 1, "dog": 0}).notes)
    assert named("none", id2label={str(k): f"LABEL_{k}" for k in range(3)}).classes == ("0", "1", "2")
    assert named("many", problem_type="multi_label_classification").task == "multilabel"


def test_no_image_processor_is_told(tmp_path: Path) -> None:
    (saved(tmp_path) / "preprocessor_config.json").unlink()
    one = Classifier.load(f"hf:{tmp_path}")
    assert one.preprocess.size == 32
    assert any("this is only assumed: resize=" in note for note in one.notes)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({"num_labels": 5}, "of shape (3,), and its config.json makes (5,) of it; do num_labels and id2label fit"),
        ({"id2label": {"0": "a", "1": "b"}}, "do num_labels and id2label fit"),
        ({"id2label": {"0": "a", "1": "b", "3": "c"}}, "from 0 without a gap"),
        ({"problem_type": "regression"}, "is a regression"),
        ({"model_type": "own", "auto_map": {"AutoConfig": "own.Own"}}, "needs code of its own"),
        ({"model_type": "bert"}, "can't be loaded as an image classifier"),
        ({"num_channels": 4}, "(32, 4, 8, 8)"),
    ],
)
def test_configs_that_are_refused(edit: dict[str, Any], said: str, tmp_path: Path) -> None:
    assert said in refused(saved(tmp_path, edit=lambda config: config.update(edit)))


def test_weights_that_are_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path / "m")
    transformers.ViTModel(transformers.ViTConfig(**SMALL)).save_pretrained(tmp_path / "base")
    assert "they would be random" in refused(tmp_path / "base")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "as a pickle" in refused(folder)
    (folder / "pytorch_model.bin").unlink()
    assert "has a config.json and no weights" in refused(folder)
    (folder / "config.json").unlink()
    assert "there is no config.json" in refused(folder)
    assert "there is no 'google/vit'" in refused(Path("google/vit"))


def test_tiles_of_many_bands(tmp_path: Path) -> None:
    folder = saved(tmp_path, num_channels=4)
    one = Classifier.load(f"hf:{folder}?bands=2,3,4,8&axes=hwc&show=4,3,2&range=10000&mean=1000&std=500")
    assert (one.preprocess.channels, one.preprocess.size, one.preprocess.mean) == (4, 32, (1000.0,) * 4)
    tile = np.random.default_rng(0).integers(0, 3000, (32, 32, 13)).astype(np.uint16)
    found = one.preprocess(tile)
    np.testing.assert_allclose(found, (tile[:, :, [1, 2, 3, 7]].transpose(2, 0, 1) - 1000.0) / 500, atol=1e-4)
    assert len(Classifier.load(f"hf:{folder}").run(tile[:, :, :4], passes=0)) == 1
