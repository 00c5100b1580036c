"""Screening on Ray: the verdicts of the local engine, whatever becomes of the workers."""

import errno
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from uncertainty import cli
from uncertainty.errors import InputError, MissingDependencyError
from uncertainty.images.sources import ImageSet, find_images
from uncertainty.screener import Screener
from uncertainty.screening import ray_engine
from uncertainty.screening.journal import FOLDER, JOURNAL, opened, part_name, write_part
from uncertainty.screening.part_tables import Screen, part_tables, task_of
from uncertainty.screening.ray_engine import ATTEMPTS, RayEngine, Worker
from uncertainty.workflows import screen as workflow
from uncertainty.workflows.screen import ScreenSettings, screen_into

BATCH, PART = 4, 8
SPEC = "mortal_models:network?weights=weights.safetensors"
# The network of the world. It says in which process it lives; where it meets a white image while there is a file
# `deadly`, the process ends as one does for which there is no memory.
MODELS = """
import os, signal
from pathlib import Path
from torch import nn
from uncertainty.classifiers import Classifier, Preprocess

HOME = Path({home!r})

class Mortal(nn.Sequential):
    def forward(self, x):
        (HOME / "alive" / str(os.getpid())).touch()
        if (x == 0.5).flatten(1).all(1).any() and (HOME / "deadly").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(x)

def network():
    layers = (nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.AvgPool2d((8, 1)), nn.Flatten(), nn.Dropout(0.3))
    module = Mortal(*layers, nn.Linear(48, 3))
    return Classifier.from_module(module, ["cat", "dog", "eel"], Preprocess(size=8, mean=(0.5,) * 3, std=(1.0,) * 3))
"""

pytestmark = [
    # Ray's own.
    pytest.mark.filterwarnings("ignore:`use_:DeprecationWarning:ray.data.context"),
]


@pytest.fixture(scope="module")
def home(world, tmp_path_factory):
    """Where commands are run: a model, a screener and 43 images, of which one can't be read and one is white."""
    from safetensors.torch import save_file

    home = tmp_path_factory.mktemp("home")
    (home / "alive").mkdir()
    (home / "mortal_models.py").write_text(MODELS.format(home=str(home)), "utf-8")
    save_file(world.classifier.network.module.state_dict(), home / "weights.safetensors")
    images = home / "images"
    images.mkdir()
    for path in world.incoming.iterdir():
        (images / path.name).write_bytes(path.read_bytes())
    (images / "010a.png").write_bytes(b"no image")
    Image.new("RGB", (8, 8), (255, 255, 255)).save(images / "018.bmp")
    (images / "last.png").write_bytes((images / "000.png").read_bytes())
    world.screener.save(home / "screener")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setenv("PYTHONPATH", str(Path(workflow.__file__).parents[2]))  # this very package, in workers too
        patch.setattr(sys, "path", [*sys.path, str(home)])
        patch.setattr(workflow, "task_of", partial(task_of, rows_in_a_part=PART))
        yield home


@pytest.fixture(autouse=True)
def fresh(home):
    """Nobody is alive yet, and nothing is deadly."""
    (home / "deadly").unlink(missing_ok=True)
    for process in (home / "alive").iterdir():
        process.unlink()


@pytest.fixture(scope="module")
def screen(home):
    return Screen(home / "screener", SPEC, batch_size=BATCH)


@pytest.fixture(scope="module")
def on_ray(home, screen):
    """A cluster of this machine with two processors, for all tests."""
    ray = pytest.importorskip("ray")
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield RayEngine(screen, actors=2)
    ray.shutdown()


def locally(screen, images, out, **options):
    return screen_into(out, screen.screener, images, ScreenSettings(batch_size=BATCH), **options)


def elsewhere(engine, images, out, **options):
    return screen_into(
        out,
        Screener.load(engine.screen.folder, None),
        images,
        ScreenSettings(batch_size=BATCH),
        engine=engine,
        **options,
    )


def written(out):
    """Everything that a screening leaves behind."""
    return {path.name: path.read_bytes() for path in out.iterdir()}


@pytest.fixture(scope="module")
def expected(screen, home, tmp_path_factory):
    out = tmp_path_factory.mktemp("expected")
    screen_into(out, screen.screener, home / "images", ScreenSettings(batch_size=BATCH))
    return written(out)


def test_the_same_files_as_the_local_engine(on_ray, home, expected, tmp_path):
    done = []
    elsewhere(on_ray, home / "images", tmp_path, progress=done.append)
    assert written(tmp_path) == expected
    assert sorted(done) == [0, 3, *[PART] * 5]
    assert str(os.getpid()) not in os.listdir(home / "alive")


def test_a_worker_that_is_killed_loses_nothing(on_ray, home, expected, tmp_path):
    killed = []

    def kill_all(done):
        if done and not killed:
            killed.extend(int(process.name) for process in (home / "alive").iterdir())
            for process in killed:
                os.kill(process, signal.SIGKILL)

    elsewhere(on_ray, home / "images", tmp_path, progress=kill_all)
    assert killed
    assert written(tmp_path) == expected


def test_a_part_that_ends_its_worker_again_and_again_is_given_up_and_can_be_resumed(
    on_ray, screen, home, expected, tmp_path
):
    (home / "deadly").touch()
    with pytest.raises(
        InputError, match=r"^part 2 ended the process of a worker 3 times; .* images 17 to 24, "
    ) as told:
        elsewhere(replace(on_ray, actors=1), home / "images", tmp_path)
    assert "\n" not in str(told.value)
    assert len(list((home / "alive").iterdir())) >= ATTEMPTS
    done = {path.name for path in (tmp_path / FOLDER).glob("part-*")}
    assert done == {part_name(part) for part in (0, 1, 3, 4, 5)}
    (home / "deadly").unlink()
    locally(screen, home / "images", tmp_path, resume=True)  # what one engine began the other finishes
    assert written(tmp_path) == expected


def test_what_was_begun_here_is_finished_there_and_images_are_at_urls(on_ray, screen, home, tmp_path):
    names = sorted(path.name for path in (home / "images").iterdir())
    urls = [f"local://{home}/images/{name}" for name in names]
    (tmp_path / "list.jsonl").write_text("".join(json.dumps({"file_name": url}) + "\n" for url in urls), "utf-8")
    images, out, whole = find_images(f"local://{tmp_path}/list.jsonl"), tmp_path / "out", tmp_path / "whole"
    locally(screen, images, whole)

    def stop(done):
        if len(list((out / FOLDER).glob("part-*"))) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        locally(screen, images, out, progress=stop)
    before = {path.name: path.stat().st_mtime_ns for path in (out / FOLDER).glob("part-*")}
    seen = []
    elsewhere(replace(on_ray, actors=1), images, out, resume=True, progress=lambda done: seen.append(done))
    assert len(before) == 2
    assert sum(seen) == len(names)
    assert seen[0] == 2 * PART
    assert written(out) == written(whole)
    assert pq.read_table(out / "verdicts.parquet", columns=["error"])["error"].null_count == len(names) - 1


def test_what_a_worker_cannot_do_is_one_line(on_ray, home, tmp_path):
    (home / "weights.safetensors").rename(home / "elsewhere")
    try:
        with pytest.raises(InputError, match=r"weights\.safetensors.*; what is done is kept, go on with --resume$"):
            elsewhere(replace(on_ray, actors=1), home / "images", tmp_path)
    finally:
        (home / "elsewhere").rename(home / "weights.safetensors")


@pytest.mark.slow
def test_the_command_line_begins_and_ends_a_cluster_of_its_own(on_ray, home, screen, tmp_path):
    options = ["--model", SPEC, "--batch-size", str(BATCH), "--engine", "ray", "--actors", "1"]
    where = [str(home / "screener"), str(home / "images"), "-o", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-m", "uncertainty", "screen", *where, *options], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout.startswith("43 images: ")
    locally(screen, home / "images", tmp_path / "local")
    there, here = (pq.read_table(tmp_path / out / "verdicts.parquet") for out in ("out", "local"))
    assert there.equals(here)


@pytest.fixture
def begun(screen, home, tmp_path):
    """A task that is begun in a folder, its images, and the folder of its parts."""
    images = find_images(home / "images")
    task = task_of(screen.screener, images, batch_size=BATCH, rows_in_a_part=PART)
    with opened(tmp_path / "out", task) as parts:
        yield images, task, parts.folder


def batch_of(images, task, part):
    return {"part": [part], "images": [images.cut(task.positions(part))]}


def test_a_worker_writes_what_the_local_engine_writes(begun, screen, tmp_path):
    images, task, folder = begun
    row = {
        name: value[0] for name, value in Worker(screen, task, folder, Path.cwd())(batch_of(images, task, 1)).items()
    }
    (table,) = part_tables(screen.screener, images, task, range(1, 2))
    write_part(tmp_path, 1, table)
    assert (folder / part_name(1)).read_bytes() == (tmp_path / part_name(1)).read_bytes()
    assert (row["part"], row["rows"], row["failure"], row["given_up"]) == (1, PART, "", False)
    assert row["size"] == (folder / part_name(1)).stat().st_size
    assert sorted(path.name for path in folder.iterdir()) == [JOURNAL, part_name(1)]


def test_a_part_is_tried_three_times(begun, screen):
    images, task, folder = begun
    worker = Worker(screen, task, folder, Path.cwd())
    tried = [ray_engine._begin([folder / f".attempt-00000001-{i + 1}" for i in range(ATTEMPTS)]) for _ in range(4)]
    assert tried == [True, True, True, False]
    assert worker(batch_of(images, task, 1))["given_up"] == [True]
    assert worker(batch_of(images, task, 0))["given_up"] == [False]


def test_a_worker_that_sees_another_folder_or_screener_says_so(begun, screen, tmp_path):
    images, task, folder = begun
    (failure,) = Worker(screen, task, tmp_path / "nowhere", Path.cwd())(batch_of(images, task, 0))["failure"]
    assert "is not the same folder on" in failure
    other = workflow.task_of(screen.screener.with_budget(0.5), images, batch_size=BATCH)
    (failure,) = Worker(screen, other, folder, Path.cwd())(batch_of(images, other, 0))["failure"]
    assert failure.startswith(f"a worker finds screener {screen.screener.id} at ")


def test_a_disk_that_is_full_is_a_failure_and_not_a_crash(begun, screen, monkeypatch):
    images, task, folder = begun

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "part")

    monkeypatch.setattr(ray_engine, "write_part", full)
    (failure,) = Worker(screen, task, folder, Path.cwd())(batch_of(images, task, 0))["failure"]
    assert failure == (
        "a worker could not go on (No space left on device: part); what is done is kept, go on with --resume"
    )
    assert [path.name for path in folder.iterdir()] == [JOURNAL]


def test_a_portion_holds_its_own_images_alone(home, tmp_path):
    images = find_images(home / "images")
    portion = images.cut(range(8, 16))
    assert [(item.name, item.data) for item in portion] == [(item.name, item.data) for item in images][8:16]
    assert len(portion.fetch.files) == 8
    packed = tmp_path / "packed"
    packed.mkdir()
    for k in range(3):
        rows = [{"bytes": path.read_bytes(), "path": path.name} for path in sorted((home / "images").iterdir())]
        pq.write_table(pa.table({"image": rows[k * 10 : k * 10 + 10]}), packed / f"{k}.parquet")
    shards = find_images(packed)
    whole = [(item.name, item.data) for item in shards]
    for start, stop, files in ((0, 4, 1), (12, 17, 1), (8, 24, 3), (29, 30, 1)):
        portion = shards.cut(range(start, stop))
        assert [(item.name, item.data) for item in portion] == whole[start:stop]
        assert len(portion.fetch.paths) == files
    assert not ImageSet.of([]).cut([]).names


def test_without_ray_one_line_says_what_to_install(screen, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'uncertainty-vision\[ray\]'"):
        RayEngine(screen)


def test_options_of_ray_are_refused_elsewhere(home, tmp_path, monkeypatch, capsys):
    arguments = ["screen", str(home / "screener"), str(home / "images"), "-o", str(tmp_path), "--actors", "2"]
    monkeypatch.setattr(sys, "argv", ["uncertainty", *arguments])
    with pytest.raises(SystemExit):
        cli.main()
    assert capsys.readouterr().err == "error: --actors 2 is for --engine ray; add that, or leave it out\n"
