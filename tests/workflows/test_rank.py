"""From the folder of a screening to a list: files that help, files that are missing, and what comes back."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import write_incoming
from PIL import Image

from uncertainty.annotation.ranking import select
from uncertainty.annotation.ranking_settings import RankingSettings
from uncertainty.errors import InputError
from uncertainty.evaluation.labelled_folder import labelled
from uncertainty.images.decoding import decode
from uncertainty.images.groups import Grouping
from uncertainty.images.thumbnails import thumbnail
from uncertainty.labels.inclusion import read_inclusion
from uncertainty.verdicts import FORMATS, Verdicts, read_table
from uncertainty.workflows.evaluate import evaluate_folder
from uncertainty.workflows.rank import labelled_names, rank_folder, read_known
from uncertainty.workflows.screen import screen_into


@pytest.fixture(scope="module")
def mixed(world, tmp_path_factory):
    """The incoming images, one of them twice and lighter, and one that can't be read."""
    folder = write_incoming(world, tmp_path_factory.mktemp("mixed"), unreadable="019a.png")
    lighter = np.asarray(Image.open(folder / "003.png")) * 1.1 + 5
    Image.fromarray(lighter.clip(0, 255).astype(np.uint8)).save(folder / "003 lighter.png")
    return folder


@pytest.fixture(scope="module")
def screened(world, mixed, tmp_path_factory):
    out = tmp_path_factory.mktemp("screened")
    screen_into(out, world.screener, mixed)
    (out / "features.parquet").unlink(missing_ok=True)
    return out


@pytest.fixture
def out(screened, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    for path in screened.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def write_features(world, out, mixed, thumbnails=False):
    names = Verdicts.read(out).table["file_name"].to_pylist()
    features = dict(zip(*(lambda o: (o.ids, o.features))(world.classifier.run(mixed, passes=0)), strict=True))
    rows = [
        None if features.get(name) is None else (features[name] / np.linalg.norm(features[name])).astype(np.float16)
        for name in names
    ]
    width = next(len(row) for row in rows if row is not None)
    columns = {"file_name": names, "digest": [name[:2] + name for name in names]}
    columns["features"] = pa.array(rows, pa.list_(pa.float16(), width))
    if thumbnails:
        cells = [
            None if row is None else thumbnail(decode(mixed / name).pixels).tobytes()
            for name, row in zip(names, rows, strict=True)
        ]
        columns["thumbnail"] = pa.array(cells, pa.binary(256))
    pq.write_table(pa.table(columns), out / "features.parquet")


@pytest.mark.parametrize("ending", FORMATS)
def test_without_features_the_list_is_the_top_of_the_ranks(out, tmp_path, ending):
    target = tmp_path / f"ranking{ending}"
    found = rank_folder(out, 5, target)
    top = Verdicts.read(out).table.sort_by([("p_wrong", "descending")]).slice(0, 5)
    assert found.table["p_wrong"].to_pylist() == top["p_wrong"].to_pylist()
    assert found.notes[-1].startswith("no features of these images are known")
    written = read_table(target)
    for name in ("file_name", "group", "duplicates", "drawn_by", "rank", "inclusion_probability"):
        assert written[name].to_pylist() == found.table[name].to_pylist()


def test_all_but_what_cannot_be_read_and_the_lighter_copy(out, tmp_path):
    """The images are read again, to see which are alike."""
    found = rank_folder(out, 1000, tmp_path / "ranking.csv")
    names = found.table["file_name"].to_pylist()
    assert "019a.png" not in names
    assert len({"003.png", "003 lighter.png"} & set(names)) == 1
    row = next(row for row in found.table.to_pylist() if row["duplicates"])
    assert {row["file_name"], *row["duplicates"]} == {"003.png", "003 lighter.png"}


@pytest.mark.parametrize("thumbnails", [False, True])
def test_features_are_used_where_they_are(world, mixed, out, tmp_path, thumbnails):
    write_features(world, out, mixed, thumbnails)
    found = rank_folder(out, 10, tmp_path / "r.csv", exclude_hopeless=True)
    assert found.strategy == "spread"
    known, notes = read_known(out, Verdicts.read(out))
    assert notes == []
    assert known.features.dtype == np.float16
    lengths = np.linalg.norm(known.features.astype(np.float64), axis=1)
    unreadable = Verdicts.read(out).table["file_name"].to_pylist().index("019a.png")
    assert lengths[unreadable] == 0
    np.testing.assert_allclose(np.delete(lengths, unreadable), 1, atol=1e-2)
    assert found.table.equals(select(Verdicts.read(out), RankingSettings(10), known).table)


def test_stored_thumbnails_give_what_the_images_give(world, mixed, out, tmp_path):
    write_features(world, out, mixed)
    read_again = rank_folder(out, 30, tmp_path / "a.csv")
    write_features(world, out, mixed, thumbnails=True)
    assert rank_folder(out, 30, tmp_path / "b.csv").table.equals(read_again.table)


def test_images_that_are_gone_are_said(out, tmp_path):
    summary = json.loads((out / "summary.json").read_text("utf-8"))
    (out / "summary.json").write_text(json.dumps(summary | {"input_root": "/nowhere"}), "utf-8")
    found = rank_folder(out, 10, tmp_path / "r.csv")
    assert found.notes[-1] == "neither thumbnails nor the images are there: only equal files are near-duplicates"


def test_one_image_of_a_group_is_listed_and_the_others_are_named(out, tmp_path):
    """Images are named by number, and ten of them belong together."""
    found = rank_folder(out, 1000, tmp_path / "r.csv", grouping=Grouping(by="^([0-9]{2})"))
    rows = found.table.to_pylist()
    tens = {name[:2] for name in Verdicts.read(out).table["file_name"].to_pylist()}
    assert sorted(row["file_name"][:2] for row in rows) == sorted(tens)
    assert sum(len(row["duplicates"]) for row in rows) == 41 - len(tens)
    left = f"{41 - len(tens)} fewer than asked for"
    assert f"{left}: all other candidates are near-duplicates or of the groups of these" in found.notes


@pytest.mark.parametrize("damage", ["other images", "no table"])
def test_features_of_something_else_are_refused(world, mixed, out, tmp_path, damage):
    write_features(world, out, mixed)
    path = out / "features.parquet"
    if damage == "no table":
        path.write_bytes(b"PAR1")
    else:
        pq.write_table(pq.read_table(path).slice(1), path)
    with pytest.raises(InputError, match=r"features\.parquet .*; screen again"):
        rank_folder(out, 3, tmp_path / "r.csv")


@pytest.mark.parametrize("n", [0, -1])
def test_ranking_of_no_images_is_refused(out, tmp_path, n):
    with pytest.raises(InputError, match=f"-n is {n}; ask for at least one image"):
        rank_folder(out, n, tmp_path / "ranking.csv")


def test_ranking_to_another_kind_of_file_is_refused(out, tmp_path):
    with pytest.raises(InputError, match=r"'\.xlsx'; write to one of"):
        rank_folder(out, 3, tmp_path / "ranking.xlsx")
    assert not (tmp_path / "ranking.xlsx").exists()


def test_a_folder_without_verdicts_is_an_error(tmp_path):
    with pytest.raises(InputError, match="holds no verdicts"):
        rank_folder(tmp_path, 3, tmp_path / "r.csv")


def test_an_earlier_ranking_and_labels_are_excluded(out, tmp_path):
    first = rank_folder(out, 5, tmp_path / "first.csv").table["file_name"].to_pylist()
    names = Verdicts.read(out).table["file_name"].to_pylist()
    labelled, unlabelled = [name for name in names if name not in first][:2]
    labels = tmp_path / "labels.csv"
    labels.write_text(f"file_name,label\n{labelled},cat\n{unlabelled},\n", "utf-8")
    assert labelled_names(labels) == {labelled}
    second = rank_folder(out, 100, tmp_path / "second.csv", exclude=[tmp_path / "first.csv", labels])
    assert not {*first, labelled} & set(second.table["file_name"].to_pylist())
    assert unlabelled in second.table["file_name"].to_pylist()
    assert "6 images are excluded by name" in second.notes


def test_names_that_a_spreadsheet_would_run_are_excluded_too(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("file_name,rank\n'=a.png,1\n", "utf-8")
    assert "=a.png" in labelled_names(path)


@pytest.mark.parametrize(("content", "said"), [(None, "does not exist"), ("name,label\na,b\n", "no column file_name")])
def test_what_cannot_be_excluded_is_said(tmp_path, content, said):
    path = tmp_path / "labels.csv"
    if content:
        path.write_text(content, "utf-8")
    with pytest.raises(InputError, match=said):
        labelled_names(path)


# ---- the list comes back


def with_labels(out, tmp_path, explore):
    """The list as a spreadsheet, with a column of labels: every third is right, the others are wrong."""
    table = rank_folder(out, 12, tmp_path / "list.csv", explore=explore, seed=1).table
    rows = table.to_pylist()
    labels = tmp_path / "labels.csv"
    lines = [
        f"{row['file_name']},{row['predicted_label'] if i % 3 else '(no known class)'},{row['inclusion_probability']}"
        for i, row in enumerate(rows)
    ]
    labels.write_text("\n".join(["file_name,label,inclusion_probability", *lines]), "utf-8")
    return rows, labels


def test_evaluate_estimates_the_accuracy_of_all_images_from_the_list(out, tmp_path):
    rows, labels = with_labels(out, tmp_path, explore=0.5)
    found = evaluate_folder(out, labels, resamples=5)
    sure = [i % 3 == 0 for i, row in enumerate(rows) if row["drawn_by"] == "strategy"]
    drawn = [i % 3 == 0 for i, row in enumerate(rows) if row["drawn_by"] == "explore"]
    rest = 41 - len(sure)
    assert len(drawn) == 6
    assert found.design.accuracy == pytest.approx(1 - (sum(sure) + rest * np.mean(drawn)) / 41)
    assert found.design.stand_for == pytest.approx(41)
    written = json.loads((out / "evaluation.json").read_text("utf-8"))["design"]
    assert written["accuracy"] == found.design.accuracy
    assert written["by_chance"] == 6


def test_a_list_with_labels_brings_no_columns_that_the_verdicts_have(out, tmp_path):
    rank_folder(out, 12, tmp_path / "list.csv", explore=0.5)
    lines = (tmp_path / "list.csv").read_text("utf-8").splitlines()
    ours = [f"{lines[0]},label,camera", *(f"{line},cat,roof" for line in lines[1:])]
    (tmp_path / "labels.csv").write_text("\n".join(ours), "utf-8")
    table = labelled(out, tmp_path / "labels.csv").table
    assert [name for name in table.column_names if name.startswith("meta_")] == ["meta_camera"]
    assert evaluate_folder(out, tmp_path / "labels.csv", resamples=5).design.by_chance == 6


def test_a_list_without_a_draw_says_nothing_of_all_images(out, tmp_path):
    _, labels = with_labels(out, tmp_path, explore=0.0)
    assert read_inclusion(labels) is None
    assert evaluate_folder(out, labels, resamples=5).design is None


def test_the_chances_of_a_list_are_read_by_update_too(out, tmp_path):
    rows, labels = with_labels(out, tmp_path, explore=0.5)
    assert read_inclusion(labels) == {row["file_name"]: row["inclusion_probability"] for row in rows}
