"""Screening on Ray: the verdicts of the local engine, whatever becomes of the workers."""

import errno
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager, nullcontext
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
from uncertainty.screening.journal import FOLDER, JOURNAL, opened, progress_of
from uncertainty.screening.part_files import Written, part_name, write_part
from uncertainty.screening.part_tables import Screen, part_tables, task_of
from uncertainty.screening.ray_actors import Done
from uncertainty.screening.ray_engine import RayEngine, Worker
from uncertainty.workflows import screen as workflow
from uncertainty.workflows.screen import ScreenSettings, screen_into

BATCH, PART = 4, 8
SPEC = "mortal_models:network?weights=weights.safetensors"
# The network of the world. It says in which process it lives.
MODELS = """
import os
from pathlib import Path
from torch import nn
from uncertainty.classifiers import Classifier, Preprocess

HOME = Path({home!r})

class Mortal(nn.Sequential):
    def forward(self, x):
        (HOME / "alive" / str(os.getpid())).touch()
        return super().forward(x)

def network():
    layers = (nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.AvgPool2d((8, 1)), nn.Flatten(), nn.Dropout(0.3))
    module = Mortal(*layers, nn.Linear(48, 3))
    return Classifier.from_module(module, ["cat", "dog", "eel"], Preprocess(size=8, mean=(0.5,) * 3, std=(1.0,) * 3))
"""


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
    """Nobody is alive yet."""
    for process in (home / "alive").iterdir():
        process.unlink()


@pytest.fixture(scope="module")
def screen(home):
    return Screen(home / "screener", SPEC, batch_size=BATCH)


@pytest.fixture(scope="module")
def cluster():
    """Machines that look like three to Ray: one without processors for this process, and two with one each."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    quick = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 100, "health_check_failure_threshold": 3}
    few = {"include_dashboard": False, "object_store_memory": 1 << 27}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "_system_config": quick, **few})
    cluster.machines = [cluster.add_node(num_cpus=1, object_store_memory=1 << 27, wait=False) for _ in range(2)]
    cluster.wait_for_nodes()
    yield cluster
    cluster.shutdown()


@pytest.fixture(scope="module")
def on_ray(home, screen, cluster):
    """The engine of all tests, connected once."""
    import ray

    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
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


def test_workers_and_a_machine_that_die_lose_nothing(on_ray, cluster, home, expected, tmp_path):
    """The files are those of the local engine, whoever dies."""
    killed, done = [], []

    def kill(rows):
        done.append(rows)
        if len(done) == 2:
            killed.extend(int(process.name) for process in (home / "alive").iterdir())
            for process in killed:
                os.kill(process, signal.SIGKILL)
        if len(done) == 4:
            cluster.remove_node(cluster.machines.pop(), allow_graceful=False)

    elsewhere(on_ray, home / "images", tmp_path, progress=kill)
    assert killed
    assert len(cluster.machines) == 1
    assert written(tmp_path) == expected
    assert sorted(done) == [0, 3, *[PART] * 5]
    assert str(os.getpid()) not in os.listdir(home / "alive")


def test_a_cluster_without_machines_says_who_died_and_the_local_engine_goes_on(on_ray, cluster, screen, home, tmp_path):
    """With images at URLs."""
    names = sorted(path.name for path in (home / "images").iterdir())
    urls = [f"local://{home}/images/{name}" for name in names]
    (tmp_path / "list.jsonl").write_text("".join(json.dumps({"file_name": url}) + "\n" for url in urls), "utf-8")
    images, out, whole = find_images(f"local://{tmp_path}/list.jsonl"), tmp_path / "out", tmp_path / "whole"
    locally(screen, images, whole)

    def kill_all(done):
        while done and cluster.machines:
            cluster.remove_node(cluster.machines.pop(), allow_graceful=False)

    last = (
        r"it had no machine for an actor for 0\.5 s; machines that died: .*; what is done is kept, go on with --resume$"
    )
    with pytest.raises(InputError, match=f"^the Ray cluster can't go on: {last}") as told:
        elsewhere(replace(on_ray, actors=1, patience=0.5), images, out, progress=kill_all)
    assert "\n" not in str(told.value)
    before, told_of = list((out / FOLDER).glob("part-*")), progress_of(out)
    seen = []
    locally(screen, images, out, resume=True, progress=seen.append)  # what one engine began the other finishes
    # A part may have been written just as the last machine died, and not been told any more: it is done again.
    assert sum(seen) == len(names)
    assert (seen[0], len(names)) == told_of
    assert seen[0] in (PART * len(before), PART * (len(before) - 1))
    assert before
    assert written(out) == written(whole)
    assert pq.read_table(out / "verdicts.parquet", columns=["error"])["error"].null_count == len(names) - 1


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


def portion(images, task, part):
    return part, images.cut(task.positions(part))


def test_a_worker_writes_what_the_local_engine_writes(begun, screen, tmp_path):
    images, task, folder = begun
    found = Worker(screen, task, folder, Path.cwd()).judge(*portion(images, task, 1))
    (table,) = part_tables(screen.screener, images, task, range(1, 2))
    assert found == write_part(tmp_path, 1, table)
    assert (folder / part_name(1)).read_bytes() == (tmp_path / part_name(1)).read_bytes()
    assert sorted(path.name for path in folder.iterdir()) == [JOURNAL, part_name(1)]


def test_a_worker_that_sees_another_folder_or_screener_says_so(begun, screen, tmp_path):
    images, task, folder = begun
    failure = Worker(screen, task, tmp_path / "nowhere", Path.cwd()).judge(*portion(images, task, 0))
    assert "is not the same folder on" in failure
    other = workflow.task_of(screen.screener.with_budget(0.5), images, batch_size=BATCH)
    failure = Worker(screen, other, folder, Path.cwd()).judge(*portion(images, other, 0))
    assert failure.startswith(f"a worker finds screener {screen.screener.id} at ")


def test_what_a_worker_cannot_do_is_one_line(begun, screen, home):
    images, task, folder = begun
    (home / "weights.safetensors").rename(home / "elsewhere")
    try:
        failure = Worker(Screen(**screen.__getstate__()), task, folder, Path.cwd()).judge(*portion(images, task, 0))
    finally:
        (home / "elsewhere").rename(home / "weights.safetensors")
    assert "weights.safetensors" in failure
    assert failure.endswith("; what is done is kept, go on with --resume")


def test_parts_that_end_their_workers_again_and_again_are_named(begun, screen, monkeypatch):
    """All others are written."""
    images, task, folder = begun

    class Deadly:
        def work(self, parts, given):
            for part in parts:
                yield Done(part, None if part in (2, 4) else Written(part, len(given(part)), 1, ""))

    @contextmanager
    def on_nobody(*_):
        yield Deadly()

    monkeypatch.setattr(RayEngine, "_actors", on_nobody)
    monkeypatch.setattr(ray_engine, "_connected", lambda *_: nullcontext())
    done = []
    with pytest.raises(InputError, match=r"^parts 2, 4 ended the process of a worker 3 times; .* images 17 to 24, "):
        done.extend(RayEngine(screen)(images, task, folder, range(task.parts)))
    assert [one.part for one in done] == [0, 1, 3, 5]


def test_a_disk_that_is_full_is_a_failure_and_not_a_crash(begun, screen, monkeypatch):
    images, task, folder = begun

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "part")

    monkeypatch.setattr(ray_engine, "write_at", full)
    failure = Worker(screen, task, folder, Path.cwd()).judge(*portion(images, task, 0))
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
