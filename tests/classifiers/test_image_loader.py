from __future__ import annotations

import io
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uncertainty.classifiers import image_loader
from uncertainty.classifiers.image_loader import ArrayItem, image_items, load
from uncertainty.classifiers.preprocess import Preprocess
from uncertainty.errors import ImageError, InputError
from uncertainty.images.ahead import load_ahead
from uncertainty.images.decoding import DecodedImage, decode, digest, digest_pixels
from uncertainty.images.quality import quality
from uncertainty.images.sources import ImageItem, find_images

PREPROCESS = Preprocess(size=4)


def pixels(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 6, 5, 3), dtype=np.uint8)


def test_whatever_names_images(tmp_path: Path) -> None:
    for name, one in zip(("a.png", "b.png"), pixels(2), strict=True):
        Image.fromarray(one).save(tmp_path / name)
    found = find_images(tmp_path)
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    assert image_items(found) is found
    for images in (tmp_path, str(tmp_path), paths, [str(path) for path in paths]):
        assert [item.name for item in image_items(images)] == ["a.png", "b.png"]
    ready = [ArrayItem("x", pixels(1)[0], "cat")]
    assert image_items(ready) == ready


def test_arrays_are_named_by_their_pixels() -> None:
    one, two = pixels(2)
    items = list(image_items([one, two, one, one]))
    mark = digest_pixels(one)
    assert [item.name for item in items] == [mark, digest_pixels(two), f"{mark}-2", f"{mark}-3"]
    assert [item.name for item in image_items(pixels(2))] == [mark, digest_pixels(two)]


def test_what_is_no_image() -> None:
    with pytest.raises(InputError, match="mixes arrays and paths"):
        image_items([pixels(1)[0], "a.png"])  # type: ignore[arg-type]
    for nothing in ([], pixels(0)):
        with pytest.raises(InputError, match="empty"):
            image_items(nothing)


def test_loading_is_decoding_and_preprocessing(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(pixels(1)[0]).save(path)
    loaded = load(ImageItem("a.png", path), PREPROCESS)
    assert (loaded.error, loaded.digest) == (None, digest(path))
    assert (loaded.inputs == PREPROCESS(pixels(1)[0])).all()
    assert (loaded.quality == quality(decode(path))).all()
    from_bytes = load(ImageItem("a.png", path.read_bytes()), PREPROCESS)
    assert from_bytes.digest == loaded.digest


def test_damage_comes_first_and_leaves_the_digest() -> None:
    item = ArrayItem("x", pixels(1)[0])
    loaded = load(item, PREPROCESS, damage=lambda image, name: np.full_like(image, len(name)))
    assert loaded.digest == digest_pixels(item.data)
    assert (loaded.inputs == PREPROCESS(np.full((6, 5, 3), 1, np.uint8))).all()
    assert loaded.quality[0] == pytest.approx(1 / 255)


@pytest.mark.parametrize(
    "array",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)],
)
def test_array_of_another_kind_is_an_error_of_that_image(array: np.ndarray) -> None:
    loaded = load(ArrayItem("x", array), PREPROCESS)
    assert loaded.error is not None
    assert loaded.error.endswith("it must be uint8 of shape (h, w, 3)")


def test_unreadable_file_keeps_its_digest(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no image")
    loaded = load(ImageItem("a.png", tmp_path / "a.png"), PREPROCESS)
    assert loaded.error is not None
    assert loaded.error.startswith("cannot identify the format")
    assert loaded.digest == digest(b"no image")
    absent = load(ImageItem("b.png", tmp_path / "b.png"), PREPROCESS)
    assert (absent.error, absent.digest) == ("does not exist", "")


@pytest.mark.parametrize("workers", [1, 4])
def test_order_is_kept_although_some_take_longer(workers: int) -> None:
    items = [ArrayItem(str(i), image) for i, image in enumerate(pixels(30))]

    def slow_first(image: np.ndarray, name: str) -> np.ndarray:
        time.sleep(0.003 * (int(name) % 3 == 0))
        if name == "7":
            raise ImageError("is strange")
        return image

    loaded = list(load_ahead(items, partial(load, preprocess=PREPROCESS, damage=slow_first), workers, 8))
    assert [one.item.name for one in loaded] == [str(i) for i in range(30)]
    assert [one.error for one in loaded if one.error] == ["is strange"]


def jpeg(path: Path, side: int = 4096) -> Path:
    levels = np.linspace(0, 255, side).astype(np.uint8)
    Image.fromarray(np.repeat(levels[:, None, None], side, axis=1).repeat(3, axis=2)).save(path, "JPEG")
    return path


def test_a_file_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(pixels(1)[0]).save(path)
    opened: list[object] = []
    monkeypatch.setattr("builtins.open", lambda name, *how: opened.append(name) or io.FileIO(name))
    loaded = load(ImageItem("a.png", path), PREPROCESS, second=replace(PREPROCESS, size=3))
    assert loaded.error is None
    assert opened == [path]


def test_a_large_jpeg_is_decoded_in_part_unless_told_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    item = ImageItem("a.jpg", jpeg(tmp_path / "a.jpg"))
    seen: list[DecodedImage] = []
    monkeypatch.setattr(image_loader, "quality", lambda image, small: seen.append(image) or quality(image, small))
    small, full = load(item, PREPROCESS), load(item, replace(PREPROCESS, draft=0))
    load(item, PREPROCESS, second=replace(PREPROCESS, size=500))
    load(item, PREPROCESS, second=replace(PREPROCESS, draft=0))
    assert [len(image.pixels) for image in seen] == [512, 4096, 1024, 4096]
    assert {(image.width, image.height) for image in seen} == {(4096, 4096)}
    np.testing.assert_allclose(small.inputs, full.inputs, atol=0.05)
    np.testing.assert_allclose(small.quality, full.quality, atol=0.05)
