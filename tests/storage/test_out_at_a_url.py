"""A screening whose folder is at s3://: what is there in the end is what a folder of this machine would hold."""

import shutil
import sys
from functools import partial
from pathlib import Path

import pytest
from conftest import write_incoming, write_labels

from tests.storage.conftest import KEY, SECRET, contents
from uncertainty import cli, verbs
from uncertainty.errors import InputError
from uncertainty.images.remote import located
from uncertainty.screening import remote_journal
from uncertainty.screening.journal import FOLDER
from uncertainty.screening.part_tables import task_of
from uncertainty.screening.screening_at_url import progress_at
from uncertainty.storage import mirror
from uncertainty.storage.objects import put
from uncertainty.workflows import screen as workflow
from uncertainty.workflows.screen import ScreenSettings, screen_into

PART = 8
pytestmark = pytest.mark.s3


@pytest.fixture(scope="module")
def home(world, tmp_path_factory):
    """A screener and 41 images, of which one can't be read, in parts of eight."""
    home = tmp_path_factory.mktemp("home")
    (home / "images").mkdir()
    write_incoming(world, home / "images", "010a.png")
    world.screener.save(home / "screener")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workflow, "task_of", partial(task_of, rows_in_a_part=PART))
        yield home


def screened(world, home, out, **options):
    return screen_into(located(str(out)), world.screener, home / "images", ScreenSettings(batch_size=4), **options)


@pytest.fixture(scope="module")
def expected(world, home):
    screened(world, home, home / "out")
    return {path.name: path.read_bytes() for path in (home / "out").iterdir()}


def test_the_same_bytes_as_in_a_folder(s3, world, home, expected):
    done = []
    screened(world, home, f"{s3}/whole", progress=done.append)
    assert contents(f"{s3}/whole") == expected
    assert sum(done) == 41
    screened(world, home, f"{s3}/whole")  # the same again takes its place
    assert contents(f"{s3}/whole") == expected
    assert screened(world, home, f"{s3}/whole", resume=True)["images"] == 41


class _Stopped(BaseException):
    """As abrupt as a kill: nothing that follows is done."""


@pytest.mark.parametrize("objects", [1, 4, 14, 16, 18])
def test_killed_before_any_object_it_is_resumed_to_the_same_bytes(s3, world, home, expected, objects, monkeypatch):
    """Whatever the last object was that got there: a part, its key, a table, the ledger, the summary."""
    out, written = f"{s3}/killed-{objects}", []

    def dying(act, at, *arguments):
        if len(written) == objects:
            raise _Stopped
        written.append(at)
        act(at, *arguments)

    with monkeypatch.context() as patch:
        for module in (remote_journal, mirror):
            upload = module.upload
            patch.setattr(module, "upload", lambda file, at, act=upload: dying(lambda at, f: act(f, at), at, file))
        patch.setattr(remote_journal, "put", partial(dying, remote_journal.put))
        patch.setattr(remote_journal.RemoteJournal, "remove", lambda self: (_ for _ in ()).throw(_Stopped))
        patch.setattr(mirror, "_AT_ONCE", 1)
        with pytest.raises(_Stopped):
            screened(world, home, out)
    begun = contents(out)
    parts_done = sum("/done-" in name for name in begun)
    if parts_done:
        assert progress_at(located(out)) == (min(parts_done * PART, 41), 41)
        with pytest.raises(InputError, match=rf"^{out} holds an unfinished screening, .* go on with --resume"):
            screened(world, home, out)
    seen = []
    screened(world, home, out, resume=True, progress=seen.append)
    assert seen[0] == min(parts_done * PART, 41)
    assert contents(out) == expected


def test_where_nothing_is_done_nothing_is_kept(s3, world, home):
    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        screened(world, home, f"{s3}/nothing", progress=stop)
    assert contents(f"{s3}/nothing") == {}
    assert progress_at(located(f"{s3}/nothing")) is None


def test_a_part_that_was_damaged_there_is_made_again(s3, world, home, expected):
    out, seen = f"{s3}/damaged", []

    def stop(done):
        seen.append(done)
        if sum(seen) > 2 * PART:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        screened(world, home, out, progress=stop)
    part = located(f"{out}/{FOLDER}/part-00000000.parquet")
    put(part, bytes(len(part.read_bytes())))
    seen.clear()
    screened(world, home, out, resume=True, progress=seen.append)
    assert seen[0] == PART
    assert contents(out) == expected


def labelled_rows(home):
    rows = [(path.name, ("cat", "dog", "eel")[k % 3]) for k, path in enumerate(sorted((home / "images").iterdir()))]
    return [row for row in rows if row[0] != "010a.png"]


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["uncertainty", *map(str, arguments)])
    try:
        cli.main()
        code = 0
    except SystemExit as stop:
        code = stop.code or 0
    told = capsys.readouterr()
    return code, told.out, told.err


def test_what_is_made_of_verdicts_is_what_a_folder_would_hold(s3, world, home, expected, tmp_path):
    here, there = tmp_path / "out", f"{s3}/made"
    shutil.copytree(home / "out", here)
    screened(world, home, there)
    labels = write_labels(tmp_path / "labels.csv", labelled_rows(home))
    for out in (str(here), there):
        verbs.evaluate(out, labels, resamples=5)
        verbs.rank(out, 5)
        verbs.labels(out, labels, resamples=5)
        verbs.slices(out, labels)
        verbs.monitor(out, home / "screener")
        written = verbs.report(out, labels, images=home / "images").path
        assert str(written) == f"{out}/report.html"
    made = contents(there)
    assert made.keys() == {path.relative_to(here).as_posix() for path in here.rglob("*") if path.is_file()}
    assert {name: made[name] for name in made if name not in ("report.html", ".uncertainty.json")} == {
        name: (here / name).read_bytes() for name in made if name not in ("report.html", ".uncertainty.json")
    }
    assert SECRET.encode() not in b"".join(made.values())
    assert KEY.encode() not in b"".join(made.values())
    put(located(f"{there}/evaluation.json"), b"{}")
    with pytest.raises(InputError, match=rf"^{there}/evaluation\.json was changed since it was written"):
        verbs.evaluate(there, labels, resamples=5)


def test_what_reads_verdicts_finds_in_them_what_it_finds_in_a_folder(s3, world, home, expected, tmp_path):
    here, there = tmp_path / "out", f"{s3}/read"
    shutil.copytree(home / "out", here)
    screened(world, home, there)
    labels = write_labels(tmp_path / "labels.csv", [*labelled_rows(home), ("no-image.png", "cat")])
    verbs.rank(there, 5)
    verbs.rank(str(here), 5)
    made = {}
    for place, out in (("here", str(here)), ("there", there)):
        to = tmp_path / place
        verbs.export(out, "csv", to / "all.csv")
        verbs.export(f"{out}/ranking.csv", "label-studio", to / "tasks", images=home / "images")
        verbs.compare(out, f"{out}/verdicts.parquet", labels, out=to / "compared", resamples=5)
        verbs.thresholds(out, recall=0.5, labels=labels, out=to / "thresholds.json", confidence=0.0)
        found, _ = verbs.update(home / "screener", out, labels, new=to / "screener", anyway=True)
        made[place] = {file.relative_to(to): file.read_bytes() for file in to.rglob("*") if file.is_file()}
        made[place]["id"] = found.screener.id
    assert made["here"] == made["there"]
    assert contents(there).keys() == {path.name for path in here.iterdir()}  # labels that were kept apart
    assert contents(there)["labels_kept_apart.csv"] == (here / "labels_kept_apart.csv").read_bytes()


def test_what_is_not_there_is_called_by_its_url(s3, tmp_path):
    labels = write_labels(tmp_path / "labels.csv", [("a.png", "cat")])
    for read in (
        lambda: verbs.export(f"{s3}/none", "csv", tmp_path / "a.csv"),
        lambda: verbs.compare(f"{s3}/none", f"{s3}/none", labels, out=tmp_path / "c"),
        lambda: verbs.thresholds(f"{s3}/none", recall=0.5, labels=labels, out=tmp_path / "t.json"),
    ):
        with pytest.raises(InputError, match=rf"^{s3}/none holds no verdicts.parquet"):
            read()
    with pytest.raises(InputError, match=rf"^{s3}/none/ranking.csv"):
        verbs.export(f"{s3}/none/ranking.csv", "csv", tmp_path / "a.csv")


def test_the_command_line(s3, home, monkeypatch, capsys):
    spec = ["--model", "tests.conftest:tiny_classifier", "--batch-size", "4"]
    out = f"{s3}/by-command"
    code, told, error = run(monkeypatch, capsys, "screen", home / "screener", home / "images", "-o", out, *spec)
    assert (code, told.splitlines()[-1]) == (0, f"verdicts written to {out}"), error
    code, told, error = run(monkeypatch, capsys, "rank", out, "-n", "3")
    assert (code, told.splitlines()[-1]) == (0, f"3 images, the first to label first, written to {out}/ranking.csv")
    code, told, error = run(monkeypatch, capsys, "export", out, "--to", "csv", "-o", home / "by-command.csv")
    assert (code, told.splitlines()[-1]) == (0, f"40 images written to {home / 'by-command.csv'}"), error
    code, told, error = run(monkeypatch, capsys, "rank", out, "-n", "3", "--to", "csv")
    assert (code, error.count("\n")) == (1, 1)
    assert "give -o FILE for a file here" in error


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (
            ("export", "out", "--to", "csv", "-o", "s3://b/a.csv"),
            "out is at a URL, s3://b/a.csv; `export` works on this machine alone",
        ),
        (
            ("update", "s3://k:s@b/screener", "out", "--labels", "l.csv"),
            "screener is at a URL, s3://b/screener; `update` works on this machine alone",
        ),
        (("review", "s3://b/out"), "out is at a URL, s3://b/out; `review` works on this machine alone"),
        (("screen", "s3", "images", "-o", "hdfs://host/out"), "hdfs://host/out is no object store"),
        (("screen", "s3", "images", "-o", "s3://bucket"), "s3://bucket names no folder in its bucket"),
    ],
)
def test_what_does_not_work_with_a_url_is_one_line(arguments, error, home, monkeypatch, capsys):
    monkeypatch.chdir(home)
    code, _, told = run(monkeypatch, capsys, *(home / "screener" if one == "s3" else one for one in arguments))
    assert code == 1
    assert told.startswith(f"error: {error}")
    assert told.count("\n") == 1


def test_no_secret_of_a_url_is_told(world, home, monkeypatch):
    from uncertainty.images import remote

    monkeypatch.setattr(remote, "_FIRST_PAUSE", 0.0)
    for url in (f"s3://{KEY}:{SECRET}%zz@bucket/out", f"s3://bucket/out?secret_key={SECRET}&no=option"):
        with pytest.raises(InputError) as told:
            screened(world, home, url)
        assert SECRET not in str(told.value)
        assert KEY not in str(told.value)


def test_workers_on_ray_write_there_themselves(s3, world, home, expected, monkeypatch):
    pytest.importorskip("ray")
    from uncertainty.screener import Screener
    from uncertainty.screening.part_tables import Screen
    from uncertainty.screening.ray_engine import RayEngine

    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    engine = RayEngine(Screen(home / "screener", "tests.conftest:tiny_classifier", batch_size=4), actors=1)
    alone, out = Screener.load(home / "screener", None), located(f"{s3}/by-ray")
    screen_into(out, alone, home / "images", ScreenSettings(batch_size=4), engine=engine)
    assert contents(f"{s3}/by-ray") == expected


def test_files_of_verbs_that_stay_here_are_refused_at_a_url():
    url = "s3://key:secret@bucket/out"
    for verb, given in ((verbs.export, ("out", "csv", url)), (verbs.compare, ("a", "b", url))):
        with pytest.raises(InputError, match=r"^s3://bucket/out is at a URL; .* so copy it here first"):
            verb(*given)


def test_a_bucket_that_there_is_not_is_said_at_once(s3, monkeypatch):
    monkeypatch.setattr("time.sleep", pytest.fail)
    with pytest.raises(InputError, match="there is no such bucket; make it first"):
        put(located("s3://no-such-bucket/out/a"), b"a")
