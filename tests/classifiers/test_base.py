from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from classifiers import networks
from classifiers.networks import PREPROCESS, answers, classifier, inputs, names
from uncertainty import Classifier, ModelOutputs, Preprocess
from uncertainty.classifiers.base import ArrayItem, Batch, Deeper, Look
from uncertainty.errors import InputError, ModelError, OutputsError
from uncertainty.images.decoding import digest
from uncertainty.images.quality import QUALITY_NAMES
from uncertainty.images.sources import find_images
from uncertainty.outputs import probs_from_logits

SAME = 1e-6
ANIMALS = ("cat", "dog", "eel")


def pixels(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 6, 5, 3), dtype=np.uint8)


def folder(root: Path, images: np.ndarray, classes: tuple[str, ...] = ()) -> Path:
    """PNG files 00.png, 01.png, … in `root`, or in one folder for each class in turn."""
    for i, image in enumerate(images):
        path = root / (classes[i % len(classes)] if classes else "") / f"{i:02}.png"
        path.parent.mkdir(exist_ok=True, parents=True)
        Image.fromarray(image).save(path)
    return root


@pytest.fixture
def animals() -> Classifier:
    return classifier(networks.simple(), classes=ANIMALS)


def test_outputs_are_the_modules(animals: Classifier) -> None:
    outputs = animals.run(pixels(5), passes=4)
    x = np.stack([PREPROCESS(image) for image in pixels(5)])
    with torch.no_grad():
        logits = animals.network.module.eval()(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(outputs.logits, logits, atol=1e-5)
    assert outputs.features.shape == (5, networks.HIDDEN)
    assert outputs.mc_probs.shape == (5, 4, 3)
    assert outputs.mc_probs.dtype == np.float32
    assert outputs.quality.shape == (5, len(QUALITY_NAMES))
    assert outputs.labels is None


def test_folder_list_and_array_say_the_same(animals: Classifier, tmp_path: Path) -> None:
    root = folder(tmp_path, pixels(5))
    paths = sorted(root.iterdir())
    first = animals.run(root)
    for images in (str(root), paths, [str(path) for path in paths], find_images(root), pixels(5), list(pixels(5))):
        again = animals.run(images)
        assert (again.logits == first.logits).all()
        assert (again.mc_probs == first.mc_probs).all()
        assert (again.quality == first.quality).all()
    assert first.ids.tolist() == [path.name for path in paths]


def test_unreadable_files_are_left_out_by_name(
    animals: Classifier, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = folder(tmp_path, pixels(7))
    (root / "02.png").write_bytes(b"")
    (root / "03a.jpg").write_bytes(b"no image")
    with caplog.at_level(logging.WARNING, "uncertainty"):
        outputs = animals.run(root, batch_size=2)
    assert outputs.ids.tolist() == ["00.png", "01.png", "03.png", "04.png", "05.png", "06.png"]
    assert [record.getMessage().partition(": ")[0] for record in caplog.records] == [
        "left out '02.png'",
        "left out '03a.jpg'",
    ]
    whole = animals.run(pixels(7)).logits
    np.testing.assert_allclose(outputs.logits, whole[[0, 1, 3, 4, 5, 6]], atol=1e-5)


def test_every_image_has_a_row_in_the_stream(animals: Classifier, tmp_path: Path) -> None:
    root = folder(tmp_path, pixels(7))
    for name in ("02.png", "03.png", "05.png"):
        (root / name).write_bytes(b"no image")
    batches = list(animals.stream(root, batch_size=2))
    assert [[row.name[:2] for row in batch.rows] for batch in batches] == [
        ["00", "01"],
        ["02", "03"],
        ["04", "05"],
        ["06"],
    ]
    assert [None if b.outputs is None else b.outputs.ids.tolist() for b in batches] == [
        ["00.png", "01.png"],
        None,
        ["04.png"],
        ["06.png"],
    ]
    row = batches[0].rows[1]
    assert (row.error, row.digest, row.label) == (None, digest(root / "01.png"), None)


def test_nothing_readable(animals: Classifier, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"not one of 1 images can be read; the first, 'a.png': is empty"):
        animals.run(tmp_path)


@pytest.mark.parametrize("workers", [1, 3])
def test_order_is_kept(animals: Classifier, tmp_path: Path, workers: int) -> None:
    root = folder(tmp_path, pixels(25))
    outputs = animals.run(root, workers=workers, batch_size=4)
    assert outputs.ids.tolist() == [f"{i:02}.png" for i in range(25)]


def test_batch_size_changes_nothing(animals: Classifier) -> None:
    whole = animals.run(pixels(11), batch_size=64)
    for size in (1, 3, 11):
        parts = animals.run(pixels(11), batch_size=size)
        assert (parts.ids == whole.ids).all()
        for column in ("logits", "features", "mc_probs", "quality"):
            assert abs(getattr(parts, column) - getattr(whole, column)).max() < 10 * SAME
        assert abs(parts.mc_probs - whole.mc_probs).max() < SAME


@pytest.mark.parametrize(("option", "value"), [("passes", -1), ("seed", -1), ("batch_size", 0), ("workers", 0)])
def test_options_out_of_range(animals: Classifier, option: str, value: int) -> None:
    options: dict[str, Any] = {option: value}
    with pytest.raises(InputError, match=f"{option} is {value}; it must be at least"):
        animals.run(pixels(2), **options)


def test_damage_is_applied_before_everything(animals: Classifier) -> None:
    dark = animals.run(pixels(3), damage=lambda image, name: image // 4)
    expected = animals.run(pixels(3) // 4)
    assert (dark.logits == expected.logits).all()
    assert (dark.quality == expected.quality).all()
    assert (dark.ids == animals.run(pixels(3)).ids).all()


def nan_where_it_is_white() -> nn.Module:
    """The square root of a negative number where the image is white."""

    def forward(m: Any, x: torch.Tensor) -> torch.Tensor:
        return m.fc(m.drop(networks.hidden(m, x))) + torch.sqrt(1.99 - x.mean(dim=(1, 2, 3)))[:, None]

    return networks.made(forward, drop=nn.Dropout(0.5))


def test_an_answer_that_is_no_number_costs_one_row() -> None:
    strange = classifier(nan_where_it_is_white())
    images = pixels(6)
    images[2] = 255
    batches: list[Batch] = list(strange.stream(images, batch_size=4))
    rows = [row for batch in batches for row in batch.rows]
    assert [row.error for row in rows] == [
        "the classifier answers with values that are NaN, infinite or beyond 1e18" if i == 2 else None for i in range(6)
    ]
    outputs = ModelOutputs.concatenate([batch.outputs for batch in batches if batch.outputs is not None])
    assert outputs.ids.tolist() == [row.name for i, row in enumerate(rows) if i != 2]
    others = strange.run(np.delete(images, 2, axis=0))
    assert abs(outputs.mc_probs - others.mc_probs).max() < SAME
    assert next(iter(strange.stream(images[2:3]))).outputs is None


def test_labels_come_from_class_folders(animals: Classifier, tmp_path: Path) -> None:
    root = folder(tmp_path, pixels(6), ("eel", "cat", "fox"))
    assert animals.run(root).labels is None
    labelled = find_images(root).labelled()
    collected = animals.collect(labelled, Look())
    assert collected.labels == ("cat", "cat", "eel", "eel", "fox", "fox")
    assert collected.outputs.labels is None  # where one of them is no truth
    known = animals.collect(labelled.select([0, 1, 2, 3]), Look())
    assert known.outputs.labels.tolist() == [0, 0, 2, 2]
    assert collected.digests == tuple(digest(root / name) for name in labelled.names)


def test_a_set_that_is_labelled_in_part_has_no_labels(animals: Classifier) -> None:
    items = [ArrayItem("a", pixels(2)[0], "cat"), ArrayItem("b", pixels(2)[1])]
    collected = animals.collect(items, Look())
    assert collected.labels == ("cat", None)
    assert collected.outputs.labels is None
    assert animals.run(items[:1]).labels.tolist() == [0]


def test_failures_are_collected(animals: Classifier, tmp_path: Path) -> None:
    root = folder(tmp_path, pixels(3), ("cat",))
    (root / "cat" / "01.png").write_bytes(b"")
    collected = animals.collect(find_images(root).labelled(), Look())
    assert collected.failures == (("cat/01.png", "is empty (0 bytes)"),)
    assert collected.outputs.ids.tolist() == ["cat/00.png", "cat/02.png"]
    assert len(collected.digests) == len(collected.labels) == 2


def test_label_index(animals: Classifier) -> None:
    assert [animals.label_index(label) for label in ("cat", "eel", "fox", 0, 2, 3, -1, "1", None)] == [
        0, 2, -1, 0, 2, -1, -1, 1, -1,
    ]  # fmt: skip
    assert classifier(networks.simple()).label_index("1") == 1


def test_classes() -> None:
    assert classifier(networks.simple()).classes == ("0", "1", "2")
    for classes in (("cat", "dog"), (*ANIMALS, "fox"), ()):
        with pytest.raises(ModelError, match=f"has 3 outputs and {len(classes)} class names"):
            classifier(networks.simple(), classes=classes)
    with pytest.raises(ModelError, match="'dog' occurs twice"):
        classifier(networks.simple(), classes=("dog", "cat", "dog"))


def test_other_class_names(animals: Classifier) -> None:
    assert animals.with_classes(["a", "b", "c"]).classes == ("a", "b", "c")
    assert animals.classes == ANIMALS
    with pytest.raises(ModelError, match="3 outputs and 2 class names"):
        animals.with_classes(["a", "b"])
    with pytest.raises(ModelError, match="twice"):
        animals.with_classes(["a", "b", "a"])


@pytest.mark.parametrize(
    "options",
    [
        {"task": "regression"},
        {"decision_thresholds": (0.5, 0.5, 0.5)},
        {"task": "multilabel", "decision_thresholds": (0.5, 0.5)},
        {"task": "multilabel", "decision_thresholds": (0.5, 0.5, 1.0)},
    ],
)
def test_tasks_that_there_are_not(options: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"task is|decision"):
        classifier(networks.simple(), **options)


def test_one_output_is_a_multilabel_task() -> None:
    def single() -> nn.Module:
        return networks.made(lambda m, x: m.fc(networks.hidden(m, x)), fc=nn.Linear(networks.HIDDEN, 1))

    with pytest.raises(ModelError, match="has one output"):
        classifier(single())
    assert answers(classifier(single(), task="multilabel"), inputs(2)).probs.shape == (2, 1)


def test_multilabel(tmp_path: Path) -> None:
    one = classifier(networks.simple(), classes=ANIMALS, task="multilabel", decision_thresholds=(0.2, 0.5, 0.9))
    outputs = one.run(folder(tmp_path, pixels(4), ANIMALS))
    single = classifier(networks.simple()).run(tmp_path)
    assert outputs.task == "multilabel"
    assert (outputs.logits == single.logits).all()
    assert (outputs.predictions == (1 / (1 + np.exp(-outputs.logits.astype(float))) >= [0.2, 0.5, 0.9])).all()
    forward = one.network(inputs(3), 5, 0)
    np.testing.assert_allclose(
        answers(one, inputs(3), 5).mc_probs, probs_from_logits(forward.mc_logits, "multilabel"), atol=SAME
    )
    labels = one.collect(find_images(tmp_path).labelled(), Look()).outputs.labels
    assert labels.tolist() == [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]


def test_grayscale_gives_one_channel() -> None:
    module = networks.made(
        lambda m, x: m.fc(networks.hidden(m, x)), hidden=nn.Linear(networks.SIZE**2, networks.HIDDEN)
    )
    one = Classifier.from_module(module, preprocess=replace(PREPROCESS, grayscale=True))
    assert one.run(pixels(2)).logits.shape == (2, 3)


def test_outputs_from_inputs(animals: Classifier) -> None:
    x = np.stack([PREPROCESS(image) for image in pixels(4)])
    outputs = animals.outputs_from_inputs(names(4), x, passes=3, labels=[0, 1, 2, -1])
    expected = animals.run(pixels(4), passes=3)
    assert outputs.ids.tolist() == names(4)
    assert outputs.labels.tolist() == [0, 1, 2, -1]
    assert (outputs.logits == expected.logits).all()
    assert (outputs.mc_probs == expected.mc_probs).all()
    with pytest.raises(OutputsError, match="logits"):
        animals.outputs_from_inputs(names(4), x * np.nan)


def fingerprint(change: Callable[[nn.Module], Any] = lambda module: None, **options: Any) -> str:
    module = networks.simple()
    change(module)
    given: dict[str, Any] = {"classes": ANIMALS, "preprocess": PREPROCESS, **options}
    return Classifier.from_module(module, **given).sha256


def nudge(name: str) -> Callable[[nn.Module], None]:
    def change(module: nn.Module) -> None:
        tensor = module.state_dict()[name]
        tensor.view(-1)[-1] += 1

    return change


@pytest.mark.parametrize("name", list(networks.simple().state_dict()))
def test_fingerprint_changes_with_any_weight(name: str) -> None:
    assert fingerprint(nudge(name)) != fingerprint()


@pytest.mark.parametrize(
    "options",
    [
        {"classes": ("cat", "dog", "fox")},
        {"classes": ("dog", "cat", "eel")},
        {"preprocess": replace(PREPROCESS, crop_pct=0.9)},
        {"preprocess": replace(PREPROCESS, interpolation="bilinear")},
        {"preprocess": replace(PREPROCESS, resize="exact")},
        {"preprocess": replace(PREPROCESS, mean=(0.5, 0.5, 0.6))},
        {"preprocess": replace(PREPROCESS, std=(0.25, 0.25, 0.3))},
        {"task": "multilabel"},
    ],
    ids=str,
)
def test_fingerprint_changes_with_what_is_answered(options: dict[str, Any]) -> None:
    assert fingerprint(**options) != fingerprint()
    assert fingerprint(**options) == fingerprint(**options)


def test_fingerprint_changes_with_the_decision_thresholds() -> None:
    stricter = fingerprint(task="multilabel", decision_thresholds=(0.5, 0.5, 0.9))
    assert stricter != fingerprint(task="multilabel", decision_thresholds=(0.5, 0.5, 0.5))


def not_trained(module: nn.Module) -> None:
    module.eval()
    module.requires_grad_(False)


def other_layout(module: nn.Module) -> None:
    layer = module.get_submodule("hidden")
    layer.weight.data = layer.weight.data.t().contiguous().t()


@pytest.mark.parametrize(
    ("change", "options"),
    [
        (not_trained, {}),
        (other_layout, {}),
        (lambda module: None, {"spec": "some.module:factory"}),
        (lambda module: None, {"classes": list(ANIMALS)}),
        (lambda module: None, {"preprocess": Preprocess.from_dict(PREPROCESS.to_dict())}),
        (lambda module: module.register_forward_hook(lambda *_: None), {}),
    ],
)
def test_fingerprint_changes_with_nothing_else(change: Callable[[nn.Module], Any], options: dict[str, Any]) -> None:
    assert fingerprint(change, **options) == fingerprint()


def test_fingerprint_stays_the_same_after_a_run(animals: Classifier) -> None:
    before = animals.sha256
    animals.run(pixels(3))
    assert animals.sha256 == before


def raises(x: torch.Tensor, z: torch.Tensor, white: torch.Tensor) -> Any:
    if bool(white.any()):
        raise KeyError
    return z


STRANGE: dict[str, Callable[[torch.Tensor, torch.Tensor, torch.Tensor], Any]] = {
    "raises": raises,
    "an assertion": lambda x, z, white: z if not white.any() else z.view(-1, 1000),
    "fewer rows": lambda x, z, white: z[~white],
    "more outputs": lambda x, z, white: z if not white.any() else torch.cat([z, z], 1),
    "none": lambda x, z, white: None if white.any() else z,
    "a dictionary": lambda x, z, white: {"logits": z} if white.any() else z,
    "complex": lambda x, z, white: z * 1j if white.any() else z,
    "truth values": lambda x, z, white: z > 0 if white.any() else z,
    "not finite": lambda x, z, white: torch.where(white[:, None], torch.inf, z),
    "too large": lambda x, z, white: torch.where(white[:, None], 1e30, z),
}


@pytest.mark.parametrize("kind", STRANGE)
@pytest.mark.parametrize("batch_size", [1, 4, 16])
def test_whatever_a_model_does_on_one_image_costs_that_image_alone(kind: str, batch_size: int) -> None:
    def forward(m: Any, x: torch.Tensor) -> Any:
        return STRANGE[kind](x, m.fc(m.drop(networks.hidden(m, x))), x.mean(dim=(1, 2, 3)) > 1.9)

    images = pixels(9)
    images[[2, 3]] = 255
    images[7] = 255
    one = classifier(networks.made(forward, drop=nn.Dropout(0.5)))
    batches = list(one.stream(images, batch_size=batch_size, passes=3, views=("flip",)))
    errors = [row.error for batch in batches for row in batch.rows]
    assert [error is not None for error in errors] == [i in (2, 3, 7) for i in range(9)]
    assert all("\n" not in error for error in errors if error is not None)
    found = ModelOutputs.concatenate([batch.outputs for batch in batches if batch.outputs is not None])
    others = one.run(np.delete(images, [2, 3, 7], axis=0), passes=3, views=("flip",))
    for column in ("logits", "features", "mc_probs", "tta_probs"):
        np.testing.assert_allclose(getattr(found, column), getattr(others, column), atol=1e-5)


@pytest.mark.parametrize("kind", STRANGE)
def test_a_deeper_look_that_fails_costs_that_look_alone(kind: str) -> None:
    """Only views show a white image, so the first look is fine."""

    def forward(m: Any, x: torch.Tensor) -> Any:
        return STRANGE[kind](x, m.fc(networks.hidden(m, x)), x[:, :, :, -1].mean(dim=(1, 2)) > 1.5)

    images = pixels(5)
    images[3, :, :3], images[3, :, 3:] = 255, 0
    one = classifier(networks.made(forward))
    deeper = Deeper(lambda outputs: np.ones(len(outputs), dtype=bool), views=("flip",))
    (batch,) = one.stream(images, passes=0, deeper=deeper)
    assert [row.error for row in batch.rows] == [None] * 5
    assert [row.note is not None for row in batch.rows] == [i == 3 for i in range(5)]
    assert batch.deeper is not None
    assert len(batch.deeper) == 4


def test_memory_that_ends_halves_the_batch_and_is_no_fault_of_an_image() -> None:
    def forward(m: Any, x: torch.Tensor) -> torch.Tensor:
        if len(x) > 3:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return m.fc(networks.hidden(m, x))

    one = classifier(networks.made(forward))
    np.testing.assert_allclose(
        one.run(pixels(8), batch_size=8).logits, one.run(pixels(8), batch_size=2).logits, atol=1e-5
    )


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "not enough memory for the network to look at one image"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "not enough memory"),
        (RuntimeError("CUDA error: device-side assert triggered\nmore"), "can't go on: CUDA error"),
    ],
)
def test_what_no_image_is_to_blame_for_stops(error: Exception, said: str) -> None:
    def forward(m: Any, x: torch.Tensor) -> torch.Tensor:
        if m.fails:
            raise error
        return m.fc(networks.hidden(m, x))

    module = networks.made(forward)
    module.fails = False  # type: ignore[assignment]
    one = classifier(module)
    module.fails = True  # type: ignore[assignment]
    with pytest.raises(InputError, match=said):
        one.run(pixels(3))
