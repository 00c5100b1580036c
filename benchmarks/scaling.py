"""What an image and a known-good row cost, and from that the plan for up to 10^9 images: python -m benchmarks.scaling.

All times are seconds of one processor core with one thread. The plan is arithmetic over the measured costs and the
assumptions that stand beside it; nothing of it was run.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.cases import CASES, KNOWN_GOOD, PASSES, Case, fitted, write_images
from benchmarks.memory import peak_memory
from uncertainty.classifiers.image_loader import load
from uncertainty.defaults import BATCH_SIZE
from uncertainty.images.decoding import decode, digest
from uncertainty.images.sources import ImageSet, find_images
from uncertainty.neighbors import NeighborIndex
from uncertainty.screener import Screener
from uncertainty.screening.allocator import keep_freed_memory
from uncertainty.screening.journal import FOLDER, JOURNAL, opened
from uncertainty.screening.part_files import write_part
from uncertainty.screening.part_tables import Screen, part_tables, task_of
from uncertainty.screening.second_pass import finish
from uncertainty.screening.task import ROWS_IN_A_PART, Task
from uncertainty.workflows.screen import ScreenSettings, screen_into

COUNTS, SECOND_PASS_PARTS = (1000, 10_000), (64, 512)
SIZES = (10**6, 10**7, 10**8, 10**9)
ROWS = 1000


@dataclass(frozen=True)
class ImageCost:
    """Seconds of a core an image in each step, and bytes an image on disk."""

    decode: float
    prepare: float
    forward: float
    signals: float
    write: float
    whole: dict[int, float]
    verdicts_bytes: float
    features_bytes: float
    file_bytes: float


@dataclass(frozen=True)
class SecondPass:
    """Seconds of a core, and bytes of memory, that a row takes once all parts are written."""

    seconds: float
    memory: float


@dataclass(frozen=True)
class RowCost:
    """A known-good row in an exact index: bytes of memory, and seconds that it adds to each image."""

    width: int
    memory: float
    seconds: float


def image_cost(case: Case, folder: Path, counts: Sequence[int]) -> ImageCost:
    """Measure each step over the first 1,000 images, and the whole over each number of images."""
    write_images(folder / "images", max(counts), case.size)
    classifier = case.classifier()
    screener = fitted(classifier, find_images(folder / "images"))
    screener.save(folder / "screener")
    images = find_images(folder / "images")
    some = images.select(range(min(ROWS, len(images))))
    whole = {}
    for count in counts:
        out = folder / f"out-{count}"
        chosen = images.select(range(count))
        whole[count] = _seconds(partial(screen_into, out, screener, chosen, ScreenSettings(workers=1))) / count
    # Beyond 1,000 the files repeat, and repeated rows take less than others would.
    files = (folder / f"out-{min(counts)}" / name for name in ("verdicts.parquet", "features.parquet"))
    verdicts, features = (file.stat().st_size / min(counts) for file in files)
    steps = _steps(screener, some, folder)
    size = float(np.mean([item.data.stat().st_size for item in some if isinstance(item.data, Path)]))
    return ImageCost(**steps, whole=whole, verdicts_bytes=verdicts, features_bytes=features, file_bytes=size)


def _steps(screener: Screener, images: ImageSet, folder: Path) -> dict[str, float]:
    """Time each step on batch after batch, and return medians an image; signals are dropout, scores and p_wrong."""
    network, preprocess = screener.classifier.network, screener.classifier.preprocess
    turns: dict[str, list[float]] = {name: [] for name in ("decode", "prepare", "forward", "signals")}
    for batch in screener.stream(images, batch_size=BATCH_SIZE, workers=1):
        start = BATCH_SIZE * len(turns["decode"])
        items = list(images.select(range(start, start + len(batch.rows))))
        loaded: list[Any] = []
        read = _seconds(lambda items=items: [(digest(item.data), decode(item.data)) for item in items])
        prepared = _seconds(lambda items=items, loaded=loaded: loaded.extend(load(item, preprocess) for item in items))
        inputs = np.stack([one.inputs for one in loaded])
        forward = _seconds(lambda inputs=inputs: network(inputs, 0, 0, ()))
        sampled = _seconds(lambda inputs=inputs: network(inputs, PASSES, 0, ()))
        judged = _seconds(lambda batch=batch: screener.verdict_rows(batch))
        taken = (read, prepared - read, forward, sampled - forward + judged)
        for turn, seconds in zip(turns.values(), taken, strict=True):
            turn.append(seconds / len(items))
    (table,) = part_tables(screener, images, task_of(screener, images), range(1), workers=1)
    written = _seconds(lambda: write_part(folder, 0, table)) / len(images)
    return {name: median(turn) for name, turn in turns.items()} | {"write": written}


def _seconds(work: Callable[[], object]) -> float:
    before = process_time()
    work()
    return process_time() - before


def second_pass(folder: Path, parts: Sequence[int] = SECOND_PASS_PARTS) -> SecondPass:
    """Join so many parts, each in a process of its own; what the larger takes more is what its rows take."""
    screener, images = Screen(folder / "screener").screener, find_images(folder / "images")
    images = images.select(range(min(ROWS_IN_A_PART, len(images))))
    (table,) = part_tables(screener, images, task_of(screener, images), range(1), workers=1)
    table = pa.concat_tables([table] * -(-ROWS_IN_A_PART // len(images))).slice(0, ROWS_IN_A_PART)
    taken = []
    for count in parts:
        out = folder / f"finished-{count}"
        everything = ImageSet.of(list(images)[:1] * (count * ROWS_IN_A_PART))
        with opened(out, task_of(screener, everything)) as begun:
            for part in range(count):
                begun.write(part, table)
        words = [sys.executable, "-m", __spec__.name, "--finish", str(folder / "screener"), str(out)]
        peak = 1e6 * peak_memory(words)
        taken.append((float((out / "seconds").read_text("utf-8")), peak))
    rows = (parts[-1] - parts[0]) * ROWS_IN_A_PART
    return SecondPass(*((after - before) / rows for before, after in zip(taken[0], taken[-1], strict=True)))


def _finish(screener: Screener, out: Path) -> None:
    """Join all parts, and write down the seconds that it took."""
    first = (out / FOLDER / JOURNAL).read_text("utf-8").splitlines()[0]
    task = Task.from_dict(json.loads(first))
    with opened(out, task, resume=True) as parts:
        seconds = _seconds(lambda: finish(parts, screener, {}))
    (out / "seconds").write_text(str(seconds), "utf-8")


def row_cost(width: int, rows: int = KNOWN_GOOD, queries: int = 256) -> RowCost:
    """Search an exact index for both neighbour scores of as many queries."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(rows, width)).astype(np.float32)
    index = NeighborIndex.build(features, rng.integers(0, 10, rows))
    batches = np.split(rng.normal(size=(queries, width)).astype(np.float32), queries // 32)
    for batch in batches:
        batch.flags.writeable = False  # as outputs are: both scores then share one look
    index.search(batches[0], 10)  # warms up

    def search() -> None:
        for batch in batches:
            index.search(batch, 10)
            index.own_and_other(batch, np.zeros(len(batch), dtype=np.int64), 10)

    return RowCost(width, 4.0 * width, _seconds(search) / queries / rows)


@dataclass(frozen=True)
class Assumptions:
    """What a plan rests on besides the measured costs."""

    core_hour: float = 0.05
    cores_a_machine: int = 16
    gpu_hour: float = 1.0
    gpu_times_a_core: float = 100.0
    million_requests: float = 0.4
    requests_an_image: float = 2.0
    gigabyte_month: float = 0.023


def plan(cost: ImageCost, second: SecondPass, images: int, given: Assumptions) -> dict[str, float]:
    """Compute what so many images take: `gpu_*` are estimates, where one GPU does the forward pass of many cores."""
    each = cost.whole[max(cost.whole)]
    hours = images * each / 3600
    network = cost.forward / (cost.decode + cost.prepare + cost.forward + cost.signals + cost.write)
    on_gpu = images * each * network / given.gpu_times_a_core / 3600
    rest = hours * (1 - network)
    return {
        "images": images,
        "core_hours": hours,
        "dollars": hours * given.core_hour,
        "machines_for_a_day": hours / 24 / given.cores_a_machine,
        "gpu_hours": on_gpu,
        "gpu_core_hours": rest,
        "gpu_dollars": on_gpu * given.gpu_hour + rest * given.core_hour,
        "verdicts_gigabytes": images * cost.verdicts_bytes / 1e9,
        "features_gigabytes": images * cost.features_bytes / 1e9,
        "images_gigabytes": images * cost.file_bytes / 1e9,
        "request_dollars": images * given.requests_an_image / 1e6 * given.million_requests,
        "storage_dollars_a_month": images * (cost.verdicts_bytes + cost.features_bytes) / 1e9 * given.gigabyte_month,
        "parts": images / ROWS_IN_A_PART,
        "second_pass_hours": images * second.seconds / 3600,
        "second_pass_gigabytes": images * second.memory / 1e9,
    }


def _show(title: str, rows: Sequence[dict[str, float]]) -> None:
    heads = " | ".join(f"{row['images']:.0e}" for row in rows)
    sys.stdout.write(f"\n{title}\n\n| | {heads} |\n")
    sys.stdout.write("|---" * (len(rows) + 1) + "|\n")
    for name in [name for name in rows[0] if name != "images"]:
        sys.stdout.write(f"| {name.replace('_', ' ')} | {' | '.join(f'{row[name]:,.3g}' for row in rows)} |\n")


def main() -> None:
    """Print what was measured as JSON, and the plans as tables."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), help="default: both")
    parser.add_argument(
        "--counts", type=int, nargs="+", default=COUNTS, help="numbers of images (default: %(default)s)"
    )
    parser.add_argument("--finish", nargs=2, help="what is run and measured")
    for name, value in asdict(Assumptions()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value, help="default: %(default)s")
    chosen = vars(parser.parse_args())
    if chosen["finish"]:
        _finish(Screener.load(chosen["finish"][0], None), Path(chosen["finish"][1]))
        return
    keep_freed_memory()  # as the command line does
    given = Assumptions(**{name: chosen[name] for name in asdict(Assumptions())})
    measured: dict[str, Any] = {"known_good_row": [asdict(row_cost(width)) for width in (256, 1280)]}
    for name in chosen["cases"]:
        with TemporaryDirectory() as folder:
            cost = image_cost(CASES[name], Path(folder), chosen["counts"])
            second = second_pass(Path(folder))
        measured[name] = {"image": asdict(cost), "second_pass": asdict(second)}
        _show(CASES[name].name, [plan(cost, second, images, given) for images in SIZES])
    sys.stdout.write(json.dumps(measured, indent=1) + "\n")


if __name__ == "__main__":
    main()
