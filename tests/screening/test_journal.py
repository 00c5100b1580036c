"""Killed at any moment and resumed, a screening ends as if nothing had been; what is damaged is made again."""

import os
import shutil
from dataclasses import replace

import pyarrow as pa
import pytest

from uncertainty.errors import InputError
from uncertainty.screening import journal
from uncertainty.screening.journal import FOLDER, JOURNAL, opened, progress_of
from uncertainty.screening.part_files import part_name, write_part
from uncertainty.screening.task import Task
from uncertainty.workflows import screen
from uncertainty.workflows.screen import ScreenSettings, screen_into
from uncertainty.written import LEDGER

TASK = Task(10, "input", "screener", "a" * 64, "policy", 2, True, rows_in_a_part=4)


def rows(*numbers):
    return pa.table({"n": list(numbers)})


def written(out):
    """The bytes of all files of a finished screening, by name."""
    assert not (out / FOLDER).exists()
    return {path.name: path.read_bytes() for path in out.iterdir()}


# ---- the folder itself


def test_parts_are_found_again_in_any_order(tmp_path):
    with opened(tmp_path, TASK) as begun:
        assert list(begun.missing()) == [range(3)]
        begun.write(1, rows(4, 5, 6, 7))
        begun.note(write_part(begun.folder, 2, rows(8, 9)))
        assert (begun.images_done, list(begun.missing())) == (6, [range(1)])
    assert progress_of(tmp_path) == (6, 10)
    with opened(tmp_path, TASK, resume=True) as again:
        assert list(again.missing()) == [range(1)]
        assert again.read(2)["n"].to_pylist() == [8, 9]
        again.remove()
    assert list(tmp_path.iterdir()) == []
    assert progress_of(tmp_path) is None


def test_runs_of_missing_parts(tmp_path):
    task = replace(TASK, images=28)
    with opened(tmp_path, task) as begun:
        for part in (2, 5):
            begun.write(part, rows(*task.positions(part)))
        assert list(begun.missing()) == [range(2), range(3, 5), range(6, 7)]


def test_a_part_of_another_length_is_refused(tmp_path):
    with opened(tmp_path, TASK) as begun, pytest.raises(InputError, match="has 3 rows for 4 images"):
        begun.write(0, rows(1, 2, 3))


def test_where_nothing_is_done_nothing_is_kept(tmp_path):
    with pytest.raises(KeyboardInterrupt), opened(tmp_path, TASK):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def begun(tmp_path):
    with opened(tmp_path, TASK) as begun:
        begun.write(0, rows(0, 1, 2, 3))
        begun.write(1, rows(4, 5, 6, 7))
    return tmp_path


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def changed(path):
    data = bytearray(path.read_bytes())
    data[30] ^= 1
    path.write_bytes(data)


def gone(path):
    path.unlink()


def a_folder(path):
    path.unlink()
    path.mkdir()
    path.rmdir()


@pytest.mark.parametrize("damage", [cut, changed, gone, a_folder])
def test_damaged_parts_are_made_again(begun, damage):
    damage(begun / FOLDER / part_name(0))
    with opened(begun, TASK, resume=True) as again:
        assert list(again.missing()) == [range(1), range(2, 3)]


@pytest.mark.parametrize("torn", ['{"part": 2, "ro', "null\n", '{"part": 2}\n', "\0\0\0"])
def test_a_journal_whose_last_line_is_torn(begun, torn):
    with open(begun / FOLDER / JOURNAL, "a") as journal:
        journal.write(torn)
    for _ in range(2):
        with opened(begun, TASK, resume=True) as again:
            assert list(again.missing()) == [range(2, 3)]
    with opened(begun, TASK, resume=True) as again:
        again.write(2, rows(8, 9))
    with opened(begun, TASK, resume=True) as again:
        assert list(again.missing()) == []


def test_what_a_kill_left_half_written_is_cleared_away(begun):
    (begun / FOLDER / f".{part_name(2)}.0123").write_bytes(b"PAR1")
    with opened(begun, TASK, resume=True):
        assert not list((begun / FOLDER).glob(".*"))


def test_an_unfinished_screening_is_not_begun_anew(begun):
    with pytest.raises(InputError, match="unfinished screening, 8 images are done; go on with --resume, give another"):
        with opened(begun, TASK):
            pass
    assert progress_of(begun) == (8, 10)


@pytest.mark.parametrize(
    ("now", "words"),
    [
        ({"images": 11}, "the input had 10 images, now it has 11"),
        ({"input": "other"}, "the names or columns of the input have changed"),
        ({"screen_id": "other"}, "the screener was screener, now it is other"),
        ({"model_sha256": "b" * 64}, "the classifier or its second network was aaaaaaaaaaaa, now it is bbbbbbbbbbbb"),
        ({"policy": "budget 5 %"}, "the policy was 'policy', now it is 'budget 5 %'"),
        ({"batch_size": 4}, "the batch size was 2, now it is 4"),
        ({"features": False}, "features were kept: True, now: False"),
        ({"format_version": 3}, "begun by a release of format 2, this one has 3"),
    ],
)
def test_another_task_is_refused(begun, now, words):
    with pytest.raises(InputError, match=f"can't be resumed: .*{words}"):
        with opened(begun, replace(TASK, **now), resume=True):
            pass
    assert progress_of(begun) == (8, 10)


@pytest.mark.parametrize("first", ["", "{", '{"images": 10}', "[]"])
def test_a_journal_of_another_release_is_refused(begun, first):
    lines = (begun / FOLDER / JOURNAL).read_text().splitlines()[1:]
    (begun / FOLDER / JOURNAL).write_text("\n".join([first, *lines]))
    with pytest.raises(InputError, match="was begun by another release; finish it with that, or remove"):
        with opened(begun, TASK, resume=True):
            pass


def test_two_processes_do_not_screen_into_one_folder(begun):
    with opened(begun, TASK, resume=True):
        with pytest.raises(InputError, match="is being screened by another process"):
            with opened(begun, TASK, resume=True):
                pass


def test_a_part_that_is_damaged_when_read_is_named(begun):
    with opened(begun, TASK, resume=True) as again:
        cut(again.folder / part_name(1))
        with pytest.raises(InputError, match=r"part-00000001\.parquet is damaged .* --resume makes it again"):
            again.read(1)


# ---- the whole screening


@pytest.fixture(scope="module")
def small_parts():
    """Parts of eight images, so that forty are some parts."""
    with pytest.MonkeyPatch.context() as patch:
        task_of = screen.task_of
        patch.setattr(screen, "task_of", lambda *given, **options: task_of(*given, rows_in_a_part=8, **options))
        yield


@pytest.fixture(scope="module")
def incoming(world, tmp_path_factory):
    """Twenty images in class folders, three that can't be read in a row, named by a manifest that says where from."""
    folder = tmp_path_factory.mktemp("incoming")
    names = sorted(path.name for path in world.incoming.iterdir())[:20]
    for name in names:
        shutil.copy(world.incoming / name, folder / name)
    for i, name in enumerate(names[8:11]):
        (folder / name).write_bytes(b"\x89PNG"[:i])
    lines = [f"{name},{'roof' if i % 3 else ''}" for i, name in enumerate(names)]
    (folder / "metadata.csv").write_text("\n".join(["file_name,place", *lines]), "utf-8")
    return folder


@pytest.fixture(scope="module")
def whole(world, incoming, small_parts, tmp_path_factory):
    """The files of a screening that nobody interrupted, and what a kill would have left at each step of another."""
    out, snapshots = tmp_path_factory.mktemp("whole") / "out", tmp_path_factory.mktemp("snapshots")
    screen_into(out, world.screener, incoming, ScreenSettings(batch_size=4))
    again = out.with_name("again")

    def noting(step):
        def call(*given, **options):
            if again.exists():
                shutil.copytree(again, snapshots / f"{len(list(snapshots.iterdir())):03}")
            return step(*given, **options)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("replace", "fsync"):
            patch.setattr(os, name, noting(getattr(os, name)))
        patch.setattr(journal.Parts, "remove", noting(journal.Parts.remove))
        screen_into(again, world.screener, incoming, ScreenSettings(batch_size=4))
    assert written(again) == written(out)
    return written(out), sorted(snapshots.iterdir())


@pytest.mark.parametrize("first", [0, *(pytest.param(i, marks=pytest.mark.slow) for i in (1, 2))])
def test_a_kill_at_any_write_ends_the_same_after_resume(world, incoming, small_parts, whole, tmp_path, first):
    expected, snapshots = whole
    assert len(snapshots) > 30
    begun = 0
    for i, snapshot in enumerate(snapshots[first::3]):
        out = shutil.copytree(snapshot, tmp_path / str(i))
        begun += progress_of(out) is not None
        screen_into(out, world.screener, incoming, ScreenSettings(batch_size=4), resume=True)
        assert written(out) == expected, snapshot
    assert begun > 5


def test_damaged_and_missing_parts_end_the_same_too(world, incoming, small_parts, whole, tmp_path):
    expected, snapshots = whole
    last = next(one for one in reversed(snapshots) if (one / FOLDER / JOURNAL).exists())
    for i, damage in enumerate([cut, changed, gone]):
        out = shutil.copytree(last, tmp_path / str(i))
        damage(out / FOLDER / part_name(i))
        screen_into(out, world.screener, incoming, ScreenSettings(batch_size=4), resume=True)
        assert written(out) == expected


@pytest.mark.parametrize("after", [0, 4, 9])
def test_a_full_disk_says_so_and_can_be_resumed(world, incoming, small_parts, whole, tmp_path, monkeypatch, after):
    calls, fsync = iter(range(100)), os.fsync

    def full(handle):
        if next(calls) >= after:
            raise OSError(28, "No space left on device")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"out can't be written \(No space left on device\); what is done is kept"):
        screen_into(tmp_path / "out", world.screener, incoming, ScreenSettings(batch_size=4))
    monkeypatch.setattr(os, "fsync", fsync)
    screen_into(tmp_path / "out", world.screener, incoming, ScreenSettings(batch_size=4), resume=True)
    assert written(tmp_path / "out") == whole[0]


def test_a_manifest_that_changes_between_runs_is_refused(world, incoming, small_parts, whole, tmp_path):
    begun = next(one for one in whole[1] if progress_of(one))
    out, metadata = shutil.copytree(begun, tmp_path / "out"), incoming / "metadata.csv"
    text = metadata.read_text("utf-8")
    for other in (text.replace("roof", "door", 1), text.rpartition("\n")[0]):
        metadata.write_text(other, "utf-8")
        with pytest.raises(InputError, match=r"can't be resumed: .*(columns of the input have changed|input had 20)"):
            screen_into(out, world.screener, incoming, ScreenSettings(batch_size=4), resume=True)
    metadata.write_text(text, "utf-8")
    screen_into(out, world.screener, incoming, ScreenSettings(batch_size=4), resume=True)
    assert written(out) == whole[0]


def test_what_a_kill_left_of_a_finished_screening_is_cleared_away(world, incoming, small_parts, whole, tmp_path):
    out = shutil.copytree(whole[1][-1], tmp_path / "out")
    (out / FOLDER / JOURNAL).unlink()
    screen_into(out, world.screener, incoming, ScreenSettings(batch_size=4), resume=True)
    assert written(out) == whole[0]


def test_an_earlier_screening_is_kept_until_another_is_finished(world, incoming, small_parts, tmp_path, monkeypatch):
    screen_into(tmp_path, world.screener, world.incoming, ScreenSettings(batch_size=8, ending=".csv"))
    before = written(tmp_path)

    def broken(*given, **options):
        yield next(tables(*given, **options))
        raise RuntimeError("out of memory")

    tables = screen.part_tables
    monkeypatch.setattr(screen, "part_tables", broken)
    with pytest.raises(RuntimeError, match="out of memory"):
        screen_into(tmp_path, world.screener, incoming, ScreenSettings(batch_size=4, overwrite=True))
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    monkeypatch.setattr(screen, "part_tables", tables)
    summary = screen_into(tmp_path, world.screener, incoming, ScreenSettings(batch_size=4), resume=True)
    assert (summary["images"], summary["unreadable"]) == (20, 3)
    assert sorted(written(tmp_path).keys() - {LEDGER}) == [
        "features.parquet",
        "monitoring.json",
        "summary.json",
        "verdicts.parquet",
    ]
