"""Words for how images differ from known-good ones: python -m experiments.detection.image_words --data FOLDER.

FOLDER holds `dev.parquet` and `train.parquet` of CIFAR-10, and in `photographs/` one folder of files for each set of
photographs.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter

from experiments.shared import results_file
from experiments.shared.command_line import Options, options, say
from experiments.shared.image_sets import require_packages
from experiments.shared.markdown import table
from uncertainty.classifiers.preprocess import Preprocess
from uncertainty.errors import ImageError
from uncertainty.images.decoding import decode
from uncertainty.images.quality import quality
from uncertainty.images.quality_words import WORDS, QualityWords

NAME = "image_words"
MOST, DAMAGED, DAMAGED_LARGE = 1500, 100, 24
_LARGE = 400_000  # bytes of a file, in the mean, from which on fewer are damaged: each takes a second
FEW = (30, 100, 300)
CIFAR10 = {"dev": "CIFAR-10, 32x32", "train": "CIFAR-10, other images *"}
SOLAR_CELLS = "Solar cells, 300x300, grey"
OTHERS = ("COCO128", "TrashNet", "dogs and cats", "houses")
"""Photographs on which nothing was chosen."""
LEAST = Preprocess(size=224).least
ABOUT = """\
# Words for how images differ from known-good ones

Each set of real images is divided anew {splits} times: half are known-good and draw the lines of the words, the others
are incoming. "clean": per cent of undamaged incoming images with any word (at most 3), and the word that stands on most
of them (at most 1). Then per cent of damaged incoming images with the right word.

The damage is done by Pillow and NumPy, not by `uncertainty.images.corruptions`: Gaussian blur of sigma 4 to 8, light at
10 to 30 %, JPEG of quality 3 to 7, normal noise of sigma 40 to 70 of 255, each strength drawn evenly, on up to
{damaged} images of a set ({large} of large photographs). Every second one is saved as PNG, the others as JPEG of
quality 92, so that what is compressed is seen in pixels and not in the file. "as it is": the file of quality 3 to 7.
"resized": to three quarters of the sides after it was compressed, saved as PNG. Files are decoded as for a network of
224 pixels: large ones at a part of their size.

Photographs: BSDS500 (481x321), samples of ImageNet (most 500x375), a catalogue of clothing taken with phones (400x533),
and 207 files of many cameras (0.3 to 22 megapixels, night among them), the `jpg` of the repositories `BIDS/BSDS500`,
`EliSchwartz/imagenet-sample-images`, `alexeygrigorev/clothing-dataset-small` and, of 60 kB and 400 pixels a side at
least, `drewnoakes/metadata-extractor-images`.

\\* The statistics were chosen on the sets without a star. Those with one were looked at once, when they were settled:
the training images of CIFAR-10, and up to 700 photographs each of the repositories `developer0hye/COCO128`,
`arjunk00/chs` (TrashNet, 256x256), `ardamavi/Dog-Cat-Classifier` (of 3 kB and 100 pixels a side at least) and
`emanhamed/Houses-dataset`, each picture once.

What falls short: blocks of a picture that was resized afterwards, which no longer lie 8 pixels apart; `noisy` where a
few known-good pictures are grainy all over; and whatever is asked of 30 to 64 known-good images, which hold too few of
the rarer shapes, so that clean pictures of COCO are `odd_aspect_ratio`. Before, `dark` went by the 99th percentile of
luminance and `blurry` by mean squares, which night and thumbnails lack as damaged images do: 53 and 38 % on many
cameras; now a lamp, or the one sharp edge, is enough for a good picture. A blur of 4 pixels in a photograph of eight
megapixels, which the classifier sees at a tenth of its size, is hardly seen."""
FEW_ABOUT = """\
## Few known-good images

The same with only so many known-good images: the lines lie beyond all that were seen."""


@dataclass(frozen=True)
class Job:
    """One image file, or its bytes, and what shall be done to it."""

    data: Path | bytes
    kind: str = ""
    how: str = ""


def blurry(image: Any, rng: np.random.Generator) -> Any:
    """Blur by a Gaussian of sigma 4 to 8."""
    return image.filter(ImageFilter.GaussianBlur(rng.uniform(4, 8)))


def dark(image: Any, rng: np.random.Generator) -> Any:
    """Leave 10 to 30 % of the light."""
    return ImageEnhance.Brightness(image).enhance(rng.uniform(0.1, 0.3))


def compressed(image: Any, rng: np.random.Generator) -> Any:
    """Compress as JPEG of quality 3 to 7."""
    return Image.open(io.BytesIO(saved(image, int(rng.integers(3, 8))))).convert("RGB")


def noisy(image: Any, rng: np.random.Generator) -> Any:
    """Add normal noise of sigma 40 to 70 of 255."""
    pixels = np.asarray(image, dtype=np.float32)
    added = pixels + rng.standard_normal(pixels.shape, dtype=np.float32) * rng.uniform(40, 70)
    return Image.fromarray(added.clip(0, 255).round().astype(np.uint8))


KINDS: dict[str, Callable[[Any, np.random.Generator], Any]] = {f.__name__: f for f in (blurry, dark, compressed, noisy)}
VARIANTS = {"compressed, as it is": ("compressed", "as it is"), "compressed, resized": ("compressed", "resized")}
ROWS = (*KINDS, *VARIANTS)


def saved(image: Any, how: int | str) -> bytes:
    """Return a file: a JPEG of this quality, or PNG."""
    into = io.BytesIO()
    if isinstance(how, int):
        image.save(into, "JPEG", quality=how)
    else:
        image.save(into, "PNG", compress_level=1)
    return into.getvalue()


def measured(job: Job) -> NDArray[np.float32] | None:
    """Return the statistics of an image, damaged first where that is asked; None for what can't be read."""
    data = job.data.read_bytes() if isinstance(job.data, Path) else job.data
    try:
        image = decode(_changed(data, job) if job.kind else data, least=LEAST)
    except (ImageError, OSError):
        return None
    return quality(image)


def _changed(data: bytes, job: Job) -> bytes:
    rng = np.random.default_rng(zlib.crc32(job.kind.encode() + data[:4096]))
    with Image.open(io.BytesIO(data)) as file:
        image = file.convert("RGB")
    if job.how == "as it is":
        return saved(image, int(rng.integers(3, 8)))
    found = KINDS[job.kind](image, rng)
    if job.how == "resized":
        found = found.resize([max(1, side * 3 // 4) for side in found.size], Image.Resampling.BICUBIC)
    return saved(found, 92 if job.how == "jpeg" else "png")


def sets(chosen: Options) -> Iterator[tuple[str, list[Path | bytes]]]:
    """Yield each set: its title and its files."""
    import pyarrow.parquet as pq
    from elpv_dataset.utils import load_dataset  # type: ignore[import-untyped]

    for name, title in CIFAR10.items():
        rows = pq.read_table(chosen.folder / f"{name}.parquet", columns=["img"])["img"].to_pylist()
        yield title, [row["bytes"] for row in rows]
    yield SOLAR_CELLS, [saved(Image.fromarray(cell), "png") for cell in load_dataset()[0]]
    for folder in sorted((chosen.folder / "photographs").glob("*/")):
        name = folder.name.replace("_", " ")
        found = [path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg")]
        yield name + " *" * (name in OTHERS), sorted(found)


def statistics(files: list[Path | bytes]) -> tuple[NDArray[np.float32], dict[str, dict[int, NDArray[np.float32]]]]:
    """Return (n, q) statistics of the undamaged files, and of the damaged ones by kind and row."""
    files = [files[i] for i in np.random.default_rng(7).permutation(len(files))[:MOST]]
    rows = range(min(_damaged(files), len(files)))
    asked = [(kind, row, Job(files[row], kind, "jpeg" if row % 2 else "png")) for kind in KINDS for row in rows]
    asked += [(name, row, Job(files[row], *kind_and_how)) for name, kind_and_how in VARIANTS.items() for row in rows]
    with Pool(2) as pool:
        clean = pool.map(measured, [Job(file) for file in files], chunksize=8)
        changed = pool.map(measured, [job for _, _, job in asked], chunksize=2)
    place = np.cumsum([found is not None for found in clean]) - 1
    damaged: dict[str, dict[int, NDArray[np.float32]]] = {name: {} for name in ROWS}
    for (name, row, _), found in zip(asked, changed, strict=True):
        if found is not None and clean[row] is not None:
            damaged[name][int(place[row])] = found
    return np.stack([found for found in clean if found is not None]), damaged


def _damaged(files: list[Path | bytes]) -> int:
    sizes = [file.stat().st_size if isinstance(file, Path) else len(file) for file in files]
    return DAMAGED_LARGE if np.mean(sizes) > _LARGE else DAMAGED


def shares(clean: NDArray[Any], damaged: dict[str, dict[int, NDArray[Any]]], known: NDArray[np.bool_]) -> Any:
    """Return the shares of incoming images with words, clean and damaged, given which rows are known-good."""
    words = QualityWords.fit(clean[known])
    said = [] if words is None else words.words(clean[~known])
    each = {word: float(np.mean([word in one for one in said])) for word in WORDS} if said else {}
    found = {"clean, any": float(np.mean([bool(one) for one in said])) if said else 0.0, "clean, each": each}
    for name, rows in damaged.items():
        incoming = [statistics for row, statistics in rows.items() if not known[row]]
        told = words.words(np.stack(incoming)) if words is not None and incoming else []
        found[name] = float(np.mean([name.partition(",")[0] in one for one in told])) if told else None
    return found


def one_set(clean: NDArray[Any], damaged: dict[str, dict[int, NDArray[Any]]], splits: int) -> dict[str, Any]:
    """Return the shares over all divisions: half known-good, and few."""
    found: dict[str, Any] = {"images": len(clean), "known_good": len(clean) // 2}
    for size in (len(clean) // 2, *(few for few in FEW if few < len(clean) // 2)):
        divisions = []
        for seed in range(splits):
            known = np.zeros(len(clean), dtype=bool)
            known[np.random.default_rng([seed, 11]).permutation(len(clean))[:size]] = True
            divisions.append(shares(clean, damaged, known))
        found[str(size)] = results_file.transposed(divisions)
    return found


def page(result: Any) -> str:
    """Return the page."""
    head = ["images", "known-good", "clean, any word", "clean, one word at most", *ROWS]
    half = [_row(name, found, found["known_good"]) for name, found in result["sets"].items()]
    few = [_row(name, found, size) for name, found in result["sets"].items() for size in FEW if str(size) in found]
    about = ABOUT.format(splits=result["splits"], damaged=DAMAGED, large=DAMAGED_LARGE)
    return "\n\n".join([about, table(head, half), FEW_ABOUT, table(head, few)]) + "\n"


def _row(name: str, found: Any, size: int) -> list[str]:
    of_size = found[str(size)]
    each = {word: float(np.mean(values)) for word, values in of_size["clean, each"].items()}
    most = max(each, key=lambda word: each[word])
    damaged = [f"{100 * results_file.over_splits(of_size[kind]).value:.0f}" for kind in ROWS]
    clean = 100 * results_file.over_splits(of_size["clean, any"]).value
    return [name, str(size), f"{clean:.2f}", f"{100 * each[most]:.2f} ({most})", *damaged]


def main(chosen: Options) -> None:
    """Measure every set and write the page."""
    require_packages()
    found = {}
    for name, files in sets(chosen):
        say(f"{NAME}: {name}, {len(files)} files")
        found[name] = one_set(*statistics(files), chosen.splits)
    results_file.publish(chosen.out, NAME, {"splits": chosen.splits, "sets": found}, page)


if __name__ == "__main__":
    main(options(__doc__))
