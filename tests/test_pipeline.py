"""Folders to files: the same rows as in memory, a few batches at a time, and nothing half-written."""

import csv
import json
import weakref
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from uncertainty import pipeline
from uncertainty.classifiers.base import Batch, Row
from uncertainty.errors import InputError
from uncertainty.pipeline import evaluate_folder, rank_folder, screen_into
from uncertainty.verdicts import FORMATS, Verdicts


@pytest.fixture(scope="module")
def mixed(world, tmp_path_factory):
    """The incoming images and one that can't be read, in the middle."""
    folder = tmp_path_factory.mktemp("mixed")
    for path in world.incoming.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "019a.png").write_bytes(b"no image")
    return folder


@pytest.fixture(scope="module")
def in_memory(world, mixed):
    return world.screener.screen(mixed)


@pytest.fixture
def out(world, mixed, tmp_path):
    screen_into(tmp_path / "out", world.screener, mixed)
    return tmp_path / "out"


def write_labels(path, pairs):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file_name", "label"), *pairs])
    return path


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("batch_size", [7, 100])
def test_files_hold_what_memory_holds(world, mixed, in_memory, tmp_path, ending, batch_size):
    screen_into(tmp_path, world.screener, mixed, ending=ending, batch_size=batch_size)
    table = Verdicts.read(tmp_path).table
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "monitoring.json", "summary.json", f"verdicts{ending}"
    ]  # fmt: skip
    assert table.column_names == in_memory.table.column_names
    for name in table.column_names:
        expected, got = in_memory.table[name].to_pylist(), table[name].to_pylist()
        if pa.types.is_floating(table[name].type):
            none = [value is None for value in expected]
            assert [value is None for value in got] == none
            expected, got = (np.array(values, dtype=float) for values in (expected, got))
            np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
        else:
            assert got == expected, name


def test_ranks_are_a_permutation_by_p_wrong_with_unreadable_last(out):
    rows = Verdicts.read(out).table.sort_by("rank").to_pylist()
    assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
    assert rows[-1]["file_name"] == "019a.png"
    p_wrong = [row["p_wrong"] for row in rows[:-1]]
    assert p_wrong == sorted(p_wrong, reverse=True)


def test_ranks_span_batches_of_the_file(world, mixed, in_memory, tmp_path, monkeypatch):
    iter_batches = pq.ParquetFile.iter_batches
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", lambda self, batch_size: iter_batches(self, batch_size=3))
    screen_into(tmp_path, world.screener, mixed, batch_size=5)
    assert Verdicts.read(tmp_path).table["rank"].to_pylist() == in_memory.table["rank"].to_pylist()


def test_summary_counts_and_says_what_it_rests_on(world, mixed, in_memory, tmp_path):
    summary = screen_into(tmp_path, world.screener, mixed)
    assert json.loads((tmp_path / "summary.json").read_text("utf-8")) == summary
    p_wrong = np.array([p for p in in_memory.table["p_wrong"].to_pylist() if p is not None])
    assert summary["images"] == len(p_wrong) + 1
    assert summary["unreadable"] == 1
    assert summary["flagged"] == (p_wrong >= np.float32(world.screener.threshold)).sum() + 1
    assert summary["predicted_errors"] == pytest.approx(p_wrong.sum(), rel=1e-5)
    assert summary["provenance"] == Verdicts.read(tmp_path).provenance == in_memory.provenance
    assert summary["provenance"]["images_that_fitted_the_screener"] == 0


def test_images_that_fitted_the_screener_are_counted(world, tmp_path):
    summary = screen_into(tmp_path, world.screener, world.calibration)
    assert summary["provenance"]["images_that_fitted_the_screener"] == summary["images"] == 150
    assert Verdicts.read(tmp_path).provenance["images_that_fitted_the_screener"] == 150


def test_one_image_has_the_verdict_that_it_has_among_others(world, mixed, in_memory, tmp_path):
    screen_into(tmp_path, world.screener, mixed / "007.png")
    (alone,) = Verdicts.read(tmp_path).table.to_pylist()
    among = in_memory.table.filter(pa.compute.equal(in_memory.table["file_name"], "007.png")).to_pylist()[0]
    assert alone["p_wrong"] == pytest.approx(among["p_wrong"], abs=1e-6)
    assert (alone["flagged"], alone["reasons"]) == (among["flagged"], among["reasons"])


def test_only_unreadable_images(world, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"")
    summary = screen_into(tmp_path / "out", world.screener, tmp_path / "in")
    assert (summary["images"], summary["unreadable"], summary["flagged"]) == (1, 1, 1)
    assert summary["predicted_errors"] == 0
    (row,) = Verdicts.read(tmp_path / "out").table.to_pylist()
    assert (row["error"], row["flagged"], row["p_wrong"], row["rank"]) == ("is empty (0 bytes)", True, None, 1)


def test_an_unknown_format_is_refused_before_any_work(world, mixed, tmp_path):
    with pytest.raises(InputError, match=r"format '\.xlsx' is not one of \.parquet, \.csv, \.jsonl"):
        screen_into(tmp_path / "out", world.screener, mixed, ending=".xlsx")
    assert not (tmp_path / "out").exists()


def test_another_format_replaces_the_earlier_one(world, mixed, tmp_path):
    for ending in (".jsonl", ".parquet", ".csv"):
        screen_into(tmp_path, world.screener, mixed, ending=ending)
        assert [path.suffix for path in tmp_path.glob("verdicts*")] == [ending]


class Streaming:
    """A screener whose stream of batches is made by the test; all else is the real one."""

    def __init__(self, screener, batches):
        self._screener, self._batches = screener, batches

    def __getattr__(self, name):
        return getattr(self._screener, name)

    def stream(self, images, **options):
        return self._batches()


def batches_of(world, mixed, n):
    """n batches of the first eight images, under new names."""
    first = next(world.screener.stream(mixed, batch_size=8))
    for k in range(n):
        names = [f"{k:03}-{row.name}" for row in first.rows]
        rows = tuple(Row(name, None, row.digest, None) for name, row in zip(names, first.rows, strict=True))
        yield Batch(rows, replace(first.outputs, ids=names))


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("after", [0, 1, 5])
def test_a_crash_leaves_nothing_behind(world, mixed, tmp_path, ending, after):
    def broken():
        yield from batches_of(world, mixed, after)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        screen_into(tmp_path, Streaming(world.screener, broken), mixed, ending=ending)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", FORMATS)
def test_a_crash_while_ranks_are_written_leaves_the_earlier_verdicts(world, mixed, tmp_path, ending, monkeypatch):
    screen_into(tmp_path, world.screener, mixed, ending=ending)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    ranked = pipeline._with_ranks

    def broken(path, schema):
        yield next(ranked(path, schema))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pipeline, "_with_ranks", broken)
    with pytest.raises(OSError, match="No space left"):
        screen_into(tmp_path, world.screener, world.incoming, ending=ending)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_few_batches_are_alive_at_a_time(world, mixed, tmp_path):
    alive, most = weakref.WeakSet(), []

    def counted():
        for batch in batches_of(world, mixed, 40):
            alive.add(batch)
            most.append(len(alive))
            yield batch

    summary = screen_into(tmp_path, Streaming(world.screener, counted), mixed)
    assert summary["images"] == 320
    assert max(most) <= 3


def test_rows_are_written_while_images_still_come(world, mixed, tmp_path, monkeypatch):
    """Tables of finished batches are gone as well: they are in the file, not in a list."""
    bytes_of = []

    def measured():
        for batch in batches_of(world, mixed, 60):
            bytes_of.append(pa.total_allocated_bytes())
            yield batch

    monkeypatch.setattr(pipeline, "_ROWS_IN_A_GROUP", 64)
    screen_into(tmp_path, Streaming(world.screener, measured), mixed)
    assert bytes_of[-1] < bytes_of[5] + 100_000


def truth(world):
    """Labels of the incoming images: their number, modulo three."""
    names = sorted(path.name for path in world.incoming.iterdir())
    return {name: world.screener.model.classes[i % 3] for i, name in enumerate(names)}


def test_evaluation_counts_every_row_once_and_matches_its_files(world, out, tmp_path):
    labels = truth(world)
    file = write_labels(tmp_path / "labels.csv", labels.items())
    evaluation, match = evaluate_folder(out, file, resamples=20)
    assert (evaluation.n, evaluation.n_unreadable, evaluation.n_unlabelled) == (40, 1, 0)
    assert (match.matched, match.rows_without_label, match.labels_without_row) == (40, 1, 0)
    saved = json.loads((out / "evaluation.json").read_text("utf-8"))
    assert saved["n_errors"] == evaluation.n_errors
    assert saved["n_labels_without_image"] == 0
    with (out / "errors.csv").open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    columns = ["file_name", "label", "predicted_label", "confidence", "p_wrong", "outcome", "reasons"]
    assert list(rows[0]) == columns
    verdicts = {row["file_name"]: row for row in Verdicts.read(out).table.to_pylist()}
    wrong = {name for name, label in labels.items() if verdicts[name]["predicted_label"] != label}
    assert {row["file_name"] for row in rows} == wrong
    assert len(wrong) == evaluation.n_errors > 0
    for row in rows:
        assert row["label"] == labels[row["file_name"]]
        assert row["outcome"] == ("caught" if verdicts[row["file_name"]]["flagged"] else "missed")


def test_labels_without_images_and_images_without_labels_are_counted(world, out, tmp_path):
    labels = dict(list(truth(world).items())[10:]) | {"far.png": "cat", "away.png": "dog"}
    evaluation, match = evaluate_folder(out, write_labels(tmp_path / "l.csv", labels.items()), resamples=5)
    assert (evaluation.n, evaluation.n_unlabelled, evaluation.n_unreadable) == (30, 10, 1)
    assert match.labels_without_row == 2
    assert json.loads((out / "evaluation.json").read_text("utf-8"))["n_labels_without_image"] == 2


@pytest.mark.parametrize("ending", FORMATS)
def test_labels_of_no_class_are_listed_and_wrong(world, mixed, tmp_path, ending):
    screen_into(tmp_path, world.screener, mixed, ending=ending)
    labels = truth(world) | {"000.png": "yak", "001.png": "yak"}
    evaluation, _ = evaluate_folder(tmp_path, write_labels(tmp_path / "labels.csv", labels.items()), resamples=5)
    assert evaluation.unknown_labels == {"yak": 2}
    assert evaluation.accuracy <= 38 / 40


def test_evaluation_of_one_file(world, out, tmp_path):
    file = write_labels(tmp_path / "labels.csv", truth(world).items())
    whole, _ = evaluate_folder(out, file, resamples=5)
    (out / "evaluation.json").unlink()
    one, _ = evaluate_folder(out / "verdicts.parquet", file, resamples=5)
    assert one == whole
    assert (out / "evaluation.json").exists()


def test_labels_from_class_folders(world, out, tmp_path):
    for name, label in truth(world).items():
        (tmp_path / "sorted" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "sorted" / label / name).write_bytes((world.incoming / name).read_bytes())
    evaluation, match = evaluate_folder(out, tmp_path / "sorted", resamples=5)
    by_table, _ = evaluate_folder(out, write_labels(tmp_path / "labels.csv", truth(world).items()), resamples=5)
    assert evaluation == by_table
    assert match.matched == 40


@pytest.mark.parametrize("ending", FORMATS)
def test_ranking_is_the_top_of_the_ranks(out, tmp_path, ending):
    target = tmp_path / f"ranking{ending}"
    chosen = rank_folder(out, 5, target)
    assert chosen["rank"].to_pylist() == [1, 2, 3, 4, 5]
    table = Verdicts.read(out).table
    top = table.sort_by([("p_wrong", "descending")]).slice(0, 5)
    assert sorted(chosen["p_wrong"].to_pylist()) == sorted(top["p_wrong"].to_pylist())
    assert target.exists()


def test_ranking_leaves_out_what_cannot_be_read(out, tmp_path):
    chosen = rank_folder(out, 1000, tmp_path / "ranking.csv")
    assert len(chosen) == 40
    assert "019a.png" not in chosen["file_name"].to_pylist()


@pytest.mark.parametrize("n", [0, -1])
def test_ranking_of_no_images_is_refused(out, tmp_path, n):
    with pytest.raises(InputError, match=f"-n is {n}; ask for at least one image"):
        rank_folder(out, n, tmp_path / "ranking.csv")


def test_ranking_to_another_kind_of_file_is_refused(out, tmp_path):
    with pytest.raises(InputError, match=r"'\.xlsx'; write to one of"):
        rank_folder(out, 3, tmp_path / "ranking.xlsx")
    assert not (tmp_path / "ranking.xlsx").exists()


def test_a_folder_without_verdicts_is_an_error(tmp_path):
    for call in (lambda: rank_folder(tmp_path, 3, tmp_path / "r.csv"), lambda: evaluate_folder(tmp_path, tmp_path)):
        with pytest.raises(InputError, match="holds no verdicts"):
            call()
