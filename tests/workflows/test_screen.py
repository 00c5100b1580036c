"""Folders to files: the same rows as in memory, a few batches at a time, and nothing half-written."""

import csv
import json
import weakref
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import write_incoming

from uncertainty.classifiers.base import Batch, Row
from uncertainty.errors import InputError
from uncertainty.images.decoding import digest
from uncertainty.images.packed import packed_files
from uncertainty.images.quality import QUALITY_NAMES, USUAL
from uncertainty.images.sources import ImageItem, ImageSet
from uncertainty.screening import second_pass
from uncertainty.screening.features_file import FEATURES_FILE
from uncertainty.screening.saved_screener import SavedScreener
from uncertainty.verdicts import FORMATS, Verdicts
from uncertainty.workflows import screen
from uncertainty.workflows.monitor import monitor_folder
from uncertainty.workflows.reflag import finished
from uncertainty.workflows.screen import ScreenSettings, screen_into


@pytest.fixture(scope="module")
def mixed(world, tmp_path_factory):
    """The incoming images and one that can't be read, in the middle."""
    return write_incoming(world, tmp_path_factory.mktemp("mixed"), unreadable="019a.png")


@pytest.fixture(scope="module")
def in_memory(world, mixed):
    return world.screener.screen(mixed)


@pytest.fixture
def out(world, mixed, tmp_path):
    screen_into(tmp_path / "out", world.screener, mixed)
    return tmp_path / "out"


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("batch_size", [7, 100])
def test_files_hold_what_memory_holds(world, mixed, in_memory, tmp_path, ending, batch_size):
    screen_into(tmp_path, world.screener, mixed, ScreenSettings(ending=ending, batch_size=batch_size))
    table = Verdicts.read(tmp_path).table
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".uncertainty.json", "features.parquet", "monitoring.json", "summary.json", f"verdicts{ending}"
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


def test_features_are_beside_the_verdicts_and_nobody_takes_them_for_others(world, mixed, out, tmp_path):
    table, verdicts = pq.read_table(out / FEATURES_FILE), Verdicts.read(out).table
    assert table.column_names == ["file_name", "other_reasons", "digest", "picture", "thumbnail", "features"]
    assert table["file_name"].equals(verdicts["file_name"])
    assert table["digest"].to_pylist() == [digest(mixed / name) for name in verdicts["file_name"].to_pylist()]
    assert table.schema.field("features").type == pa.list_(pa.float16(), 48)
    assert table.filter(pa.compute.is_null(table["features"]))["file_name"].to_pylist() == ["019a.png"]
    assert packed_files(out) == []
    assert "features" not in verdicts.column_names
    screen_into(out, world.screener, mixed, ScreenSettings(features=False, overwrite=True))
    assert not (out / FEATURES_FILE).exists()


def test_parts_of_unreadable_images_alone(world, mixed, tmp_path, monkeypatch):
    task_of = screen.task_of
    monkeypatch.setattr(screen, "task_of", lambda *given, **options: task_of(*given, rows_in_a_part=4, **options))
    folder = tmp_path / "in"
    folder.mkdir()
    for i, path in enumerate(sorted(world.incoming.iterdir())[:12]):
        (folder / path.name).write_bytes(b"no image" if i in (0, 1, 2, 3, 5, 8, 9, 10, 11) else path.read_bytes())
    summary = screen_into(tmp_path / "out", world.screener, folder, ScreenSettings(batch_size=4))
    assert (summary["images"], summary["unreadable"]) == (12, 9)
    features = pq.read_table(tmp_path / "out" / FEATURES_FILE)["features"].to_pylist()
    assert [i for i, row in enumerate(features) if row is not None] == [4, 6, 7]


def test_ranks_are_a_permutation_by_p_wrong_with_unreadable_last(out):
    rows = Verdicts.read(out).table.sort_by("rank").to_pylist()
    assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
    assert rows[-1]["file_name"] == "019a.png"
    p_wrong = [row["p_wrong"] for row in rows[:-1]]
    assert p_wrong == sorted(p_wrong, reverse=True)


def test_ranks_span_batches_of_the_file(world, mixed, in_memory, tmp_path, monkeypatch):
    iter_batches = pq.ParquetFile.iter_batches
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", lambda self, batch_size: iter_batches(self, batch_size=3))
    screen_into(tmp_path, world.screener, mixed, ScreenSettings(batch_size=5))
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


def test_what_has_no_number_is_null_and_never_nan(out):
    """Whether NaN passes a filter of DuckDB or pyarrow depends on the row group that it lies in."""
    table = pq.read_table(out / "verdicts.parquet")
    numbers = [name for name in table.column_names if pa.types.is_floating(table[name].type)]
    assert table["p_wrong"].null_count == 1
    for name in numbers:
        assert not pa.compute.any(pa.compute.is_nan(table[name])).as_py(), name


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
        screen_into(tmp_path / "out", world.screener, mixed, ScreenSettings(ending=".xlsx"))
    assert not (tmp_path / "out").exists()


def test_another_format_replaces_the_earlier_one(world, mixed, tmp_path):
    for ending in (".jsonl", ".parquet", ".csv"):
        screen_into(tmp_path, world.screener, mixed, ScreenSettings(ending=ending))
        assert [path.suffix for path in tmp_path.glob("verdicts*")] == [ending]


class Streaming:
    """A screener whose stream of batches is made by the test; all else is the real one."""

    def __init__(self, screener, batches):
        self._screener, self._batches = screener, batches

    def __getattr__(self, name):
        return getattr(self._screener, name)

    def stream(self, images, **options):
        return self._batches()


def named(n):
    """As many images as `batches_of` hands over, of which nothing but the names is asked."""
    return ImageSet.of([ImageItem(f"{k:03}-{row}", b"") for k in range(n) for row in range(8)])


def batches_of(world, mixed, n):
    """n batches of the first eight images, under new names."""
    first = next(world.screener.stream(mixed, batch_size=8))
    for k in range(n):
        names = [f"{k:03}-{row.name}" for row in first.rows]
        rows = tuple(Row(name, None, row.digest, None) for name, row in zip(names, first.rows, strict=True))
        yield Batch(rows, replace(first.outputs, ids=names))


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("after", [0, 1, 5])
def test_a_crash_before_the_first_part_leaves_nothing_behind(world, mixed, tmp_path, ending, after):
    def broken():
        yield from batches_of(world, mixed, after)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        screen_into(tmp_path, Streaming(world.screener, broken), named(9), ScreenSettings(ending=ending, batch_size=8))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", FORMATS)
def test_a_crash_while_ranks_are_written_leaves_the_earlier_verdicts(world, mixed, tmp_path, ending, monkeypatch):
    screen_into(tmp_path, world.screener, mixed, ScreenSettings(ending=ending))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    ranked = second_pass._ranked

    def broken(*given):
        yield next(ranked(*given))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(second_pass, "_ranked", broken)
    with pytest.raises(InputError, match=r"can't be written \(No space left on device\); .* go on with --resume"):
        screen_into(tmp_path, world.screener, world.incoming, ScreenSettings(ending=ending, overwrite=True))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
    monkeypatch.setattr(second_pass, "_ranked", ranked)
    assert (
        screen_into(tmp_path, world.screener, world.incoming, ScreenSettings(ending=ending), resume=True)["images"]
        == 40
    )
    assert {path.name for path in tmp_path.iterdir()} == before.keys()


def test_few_batches_are_alive_at_a_time(world, mixed, tmp_path):
    alive, most = weakref.WeakSet(), []

    def counted():
        for batch in batches_of(world, mixed, 40):
            alive.add(batch)
            most.append(len(alive))
            yield batch

    summary = screen_into(tmp_path, Streaming(world.screener, counted), named(40), ScreenSettings(batch_size=8))
    assert summary["images"] == 320
    assert max(most) <= 3


def test_rows_are_written_while_images_still_come(world, mixed, tmp_path, monkeypatch):
    """Tables of finished batches are gone as well: they are in the file, not in a list."""
    bytes_of = []

    def measured():
        for batch in batches_of(world, mixed, 60):
            bytes_of.append(pa.total_allocated_bytes())
            yield batch

    task_of = screen.task_of
    monkeypatch.setattr(screen, "task_of", lambda *given, **options: task_of(*given, rows_in_a_part=64, **options))
    screen_into(tmp_path, Streaming(world.screener, measured), named(60), ScreenSettings(batch_size=8))
    assert bytes_of[-1] < bytes_of[5] + 100_000


@pytest.fixture
def manifest(world, tmp_path):
    """A manifest that names an image first that is not there, with columns named like ours and hostile values."""
    names = sorted(path.name for path in world.incoming.iterdir())[:12]
    path = world.root / "manifest.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = [(f"incoming/{name}", f"=camera {i % 2}", "", i / 2) for i, name in enumerate(names)]
        csv.writer(file).writerows([("file_name", "camera", "p_wrong", "rank"), ("gone.png", "01", "x,y", "1"), *rows])
    return path


@pytest.mark.parametrize("ending", FORMATS)
def test_columns_of_a_manifest_go_with_the_verdicts(world, manifest, tmp_path, ending):
    screen_into(tmp_path, world.screener, manifest, ScreenSettings(ending=ending, batch_size=5))
    table = Verdicts.read(tmp_path).table
    assert table["meta_camera"].to_pylist() == ["01", *(f"=camera {i % 2}" for i in range(12))]
    assert table["meta_p_wrong"].to_pylist() == ["x,y", *[None] * 12]
    assert table["meta_rank"].to_pylist() == ["1", *(str(i / 2) for i in range(12))]
    assert table["p_wrong"][0].as_py() is None
    in_memory = world.screener.screen(manifest).table
    assert in_memory.column_names == table.column_names
    assert in_memory["meta_camera"].to_pylist() == table["meta_camera"].to_pylist()


def test_verdicts_hold_the_quality_of_each_image(world, mixed, tmp_path):
    screen_into(tmp_path, world.screener, mixed)
    table, outputs = Verdicts.read(tmp_path).table, world.classifier.run(world.incoming, passes=0)
    rows = {row["file_name"]: row for row in table.to_pylist()}
    for name, values in zip(outputs.ids, outputs.quality, strict=True):
        assert [rows[name][f"quality_{statistic}"] for statistic in QUALITY_NAMES] == values.tolist()
    assert rows["019a.png"]["quality_brightness"] is None
    usual = json.loads((tmp_path / "summary.json").read_text("utf-8"))["provenance"]["usual_quality"]
    assert list(usual) == list(USUAL)
    inside = [
        usual["brightness"][0] <= row["quality_brightness"] <= usual["brightness"][1]
        for row in rows.values()
        if row["error"] is None
    ]
    assert np.mean(inside) > 0.6


def test_adapted_to_the_batch_it_is_what_memory_holds_and_monitoring_is_not_fooled(world, mixed, tmp_path):
    settings = ScreenSettings(adapt="batch", batch_size=8)
    summary = screen_into(tmp_path / "a", world.screener, mixed, settings)
    usual = screen_into(tmp_path / "b", world.screener, mixed, ScreenSettings(batch_size=8))
    verdicts, expected = Verdicts.read(tmp_path / "a"), world.screener.screen(mixed, adapt="batch")
    told = verdicts.provenance["adapted_to_batch"]
    assert summary["provenance"]["adapted_to_batch"] == told
    assert any(told["in_words"] in note for note in summary["notes_on_images"])
    assert "adapted_to_batch" not in usual["provenance"]
    for name in ("file_name", "flagged", "rank", "reasons"):
        assert verdicts.table[name].to_pylist() == expected.table[name].to_pylist()
    np.testing.assert_allclose(
        verdicts.table["p_wrong"].to_pylist()[:5], expected.table["p_wrong"].to_pylist()[:5], rtol=1e-4
    )
    assert (tmp_path / "a" / "monitoring.json").read_bytes() == (tmp_path / "b" / "monitoring.json").read_bytes()
    again = monitor_folder(tmp_path / "a", world.screener)
    assert again.to_json()["accuracy"]["p_wrong"]["value"] == pytest.approx(
        json.loads((tmp_path / "b" / "monitoring.json").read_text())["accuracy"]["p_wrong"]["value"], abs=1e-6
    )
    with pytest.raises(InputError, match="adapted to its batch"):
        finished(tmp_path / "a", world.screener)
    with pytest.raises(InputError, match="another screening"):
        screen_into(tmp_path / "a", world.screener, mixed, ScreenSettings(batch_size=8))
    with pytest.raises(InputError, match="leave --no-features out"):
        ScreenSettings(adapt="batch", features=False)


def test_a_saved_screener_is_screened_with_networks_that_are_looked_at_once(world, tmp_path, monkeypatch):
    world.screener.save(tmp_path / "s")
    saved = SavedScreener(tmp_path / "s", "tests.conftest:tiny_classifier")
    seen = []
    monkeypatch.setattr(screen, "_screened", lambda place, screener, *given, **how: seen.append(screener) or {})
    done = screen.screen_folder(saved, str(world.incoming), tmp_path / "out", ScreenSettings())
    assert [one.classifier.network.held for one in seen] == [True]
    assert not done.screener.classifier.network.held
