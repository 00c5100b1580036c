"""From an output folder to the page: figures are those of `evaluate`, odd input opens and says what it can't show."""

import json
import shutil
import time

import numpy as np
import pytest
from PIL import Image

from tests.report.reports import data_of, labels_for, verdict_table, write_labels, write_screening
from uncertainty import metrics
from uncertainty.errors import InputError
from uncertainty.report.build import write_report
from uncertainty.workflows.evaluate import evaluate_folder

CLASSES = ("cat", "dog", "eel")
NAMES = [f"{i:03}.png" for i in range(60)]


@pytest.fixture
def screening(tmp_path):
    table = verdict_table(NAMES, CLASSES)
    out = write_screening(tmp_path / "out", table, tmp_path / "images")
    return out, write_labels(tmp_path / "labels.csv", labels_for(table, CLASSES))


def report(out, **options):
    return data_of(write_report(out, **options).path)


def test_the_page_is_one_file_beside_the_verdicts(screening):
    out, labels = screening
    written = write_report(out, labels=labels)
    assert written.path == out / "report.html"
    assert written.thumbs is None
    text = written.path.read_text("utf-8")
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in text


def test_every_figure_is_that_of_evaluate(screening):
    out, labels = screening
    evaluate_folder(out, labels)
    told = json.loads((out / "evaluation.json").read_text("utf-8"))
    data = report(out, labels=labels)
    assert data["evaluation"] == told
    counts = data["counts"]
    assert (counts["labelled"], counts["errors"]) == (told["n"], told["n_errors"])
    assert counts["flagged"] / counts["images"] == pytest.approx(told["flagged_share"])
    at = data["budget"]["k"].index(counts["flagged_readable"])
    caught = data["budget"]["caught"][at]
    assert caught / counts["errors"] == pytest.approx(told["errors_caught_by_flags"])
    kept = counts["labelled"] - data["budget"]["labelled"][at]
    assert 1 - (counts["errors"] - caught) / kept == pytest.approx(told["accuracy_of_unflagged"])
    bins = data["charts"]["reliability"]
    gaps = sum(b["n"] * abs(b["observed"] - b["predicted"]) for b in bins) / counts["labelled"]
    assert gaps == pytest.approx(told["ece"])
    assert data["charts"]["risk"]["risk"]["p_wrong"][-1] == pytest.approx(told["observed_error_rate"], rel=1e-5)
    cells = data["confusion"]["cells"]
    assert sum(cell[2] for cell in cells) == told["n"]
    assert sum(cell[2] for cell in cells if cell[0] != cell[1]) == told["n_errors"]
    wrong = [image for image in data["images"] if image.get("wrong")]
    assert sum(image["flagged"] for image in wrong) == caught
    sentence = (out / "report.html").read_text("utf-8")
    assert f"<strong>{told['n_errors']} of 60 images</strong> wrong." in sentence
    assert f"finds <strong>{caught} of these errors</strong>" in sentence
    expected = sum(image["p"] for image in data["images"] if image["flagged"])
    assert counts["expected_in_flagged"] == pytest.approx(expected, rel=1e-4)


def test_each_step_of_the_slider_is_what_the_metrics_say(screening):
    out, labels = screening
    data = report(out, labels=labels)
    images = [image for image in data["images"] if "p" in image]
    wrong, p_wrong = np.array([i["wrong"] for i in images]), np.array([i["p"] for i in images])
    for k, caught in zip(data["budget"]["k"], data["budget"]["caught"], strict=True):
        assert caught / wrong.sum() == pytest.approx(metrics.errors_caught(wrong, p_wrong, k / len(images)))


def test_figures_of_other_labels_are_not_kept(screening, tmp_path):
    out, labels = screening
    evaluate_folder(out, labels)
    table = verdict_table(NAMES, CLASSES)
    other = write_labels(tmp_path / "other.csv", labels_for(table, CLASSES, seed=5, wrong=0.5))
    data = report(out, labels=other)
    assert data["evaluation"]["n_errors"] == data["counts"]["errors"]
    assert json.loads((out / "evaluation.json").read_text("utf-8")) == data["evaluation"]


def test_further_figures_of_evaluate_come_along(screening):
    out, labels = screening
    evaluate_folder(out, labels)
    told = json.loads((out / "evaluation.json").read_text("utf-8")) | {"per_class": [{"class": "cat", "f1": 0.5}]}
    (out / "evaluation.json").write_text(json.dumps(told), "utf-8")
    assert report(out, labels=labels)["evaluation"]["per_class"] == [{"class": "cat", "f1": 0.5}]


def test_same_input_same_bytes(screening, tmp_path):
    out, labels = screening
    first = write_report(out, labels=labels, path=tmp_path / "a.html").path.read_bytes()
    assert write_report(out, labels=labels, path=tmp_path / "b.html").path.read_bytes() == first


def test_without_labels_it_says_what_is_missing(screening):
    out, _ = screening
    data = report(out)
    assert data["evaluation"] is None
    assert data["confusion"] is None
    assert list(data["charts"]) == ["histogram"]
    assert "--labels" in data["notes"][0]
    assert not (out / "evaluation.json").exists()


def test_labels_for_half(screening, tmp_path):
    out, _ = screening
    labels = dict(list(labels_for(verdict_table(NAMES, CLASSES), CLASSES).items())[::2])
    data = report(out, labels=write_labels(tmp_path / "half.csv", labels))
    assert data["counts"]["labelled"] == 30
    assert any("30 of 60 readable images have no label" in note for note in data["notes"])
    assert sum("wrong" in image for image in data["images"]) == 30


@pytest.mark.parametrize(("wrong", "says"), [(0.0, "There is no error"), (1.0, "Every labelled image is wrong")])
def test_no_error_or_nothing_else(tmp_path, wrong, says):
    table = verdict_table(NAMES, CLASSES)
    out = write_screening(tmp_path / "out", table)
    labels = write_labels(tmp_path / "l.csv", labels_for(table, CLASSES, wrong=wrong))
    assert any(says in note for note in report(out, labels=labels)["notes"])


def test_one_class_only(tmp_path):
    table = verdict_table(NAMES, ("only",))
    out = write_screening(tmp_path / "out", table)
    data = report(out, labels=write_labels(tmp_path / "l.csv", dict.fromkeys(NAMES, "only")))
    assert data["confusion"]["cells"] == [[0, 0, 60, 60 - data["counts"]["flagged"]]]


def test_a_thousand_classes(tmp_path):
    classes = tuple(f"class {k:04}" for k in range(1000))
    table = verdict_table([f"{i}.png" for i in range(400)], classes)
    out = write_screening(tmp_path / "out", table)
    data = report(out, labels=write_labels(tmp_path / "l.csv", labels_for(table, classes)))
    matrix = data["confusion"]
    assert len(matrix["shown"]) == 24
    seen = sum(cell[2] for cell in matrix["cells"] if cell[0] != cell[1])
    assert seen + matrix["hidden_errors"] == data["counts"]["errors"]


def test_nothing_but_unreadable_images(tmp_path):
    out = write_screening(tmp_path / "out", verdict_table(["a.png", "b.png"], CLASSES, unreadable=2))
    data = report(out)
    assert data["counts"]["unreadable"] == 2
    assert [image["error"] for image in data["images"]] == ["is truncated", "is truncated"]


def test_a_csv_table_without_a_summary(screening, tmp_path):
    from uncertainty.verdicts import Verdicts

    Verdicts.read(screening[0]).write(tmp_path / "alone" / "verdicts.csv")
    data = report(tmp_path / "alone", images=tmp_path / "images")
    assert data["counts"]["images"] == 60
    assert all("picture" in image for image in data["images"])


# ---- pictures


def test_images_are_found_where_they_were_screened_and_said_to_be_gone(screening, tmp_path):
    out, _ = screening
    assert all(image["picture"].startswith("data:image/webp;base64,") for image in report(out)["images"])
    (tmp_path / "images" / NAMES[0]).unlink()
    data = report(out)
    assert sum("picture" in image for image in data["images"]) == 59
    assert any("1 of 60 images has no picture here" in note for note in data["notes"])
    shutil.rmtree(tmp_path / "images")
    data = report(out)
    assert not any("picture" in image for image in data["images"])
    assert any("--images" in note for note in data["notes"])


def test_no_path_of_this_machine_is_in_the_page(screening, tmp_path):
    out, labels = screening
    assert str(tmp_path) not in write_report(out, labels=labels).path.read_text("utf-8")


def test_images_that_are_nowhere_are_an_error_when_asked_for(screening, tmp_path):
    with pytest.raises(InputError, match="does not exist; give the folder"):
        write_report(screening[0], images=tmp_path / "nowhere")


def test_the_page_must_be_named_like_one(screening, tmp_path):
    with pytest.raises(InputError, match="must end in"):
        write_report(screening[0], path=tmp_path / "report.pdf")


def test_many_pictures_lie_beside_the_page(screening, tmp_path, monkeypatch):
    monkeypatch.setattr("uncertainty.report.pictures.LARGEST_INSIDE", 500)
    written = write_report(screening[0], path=tmp_path / "page.html")
    assert written.thumbs == tmp_path / "page_thumbs"
    sources = [image["picture"] for image in data_of(written.path)["images"]]
    assert sources[0] == "page_thumbs/000000.webp"
    assert all((tmp_path / source).is_file() for source in sources)
    assert "img-src data: 'self' file:" in written.path.read_text("utf-8")
    write_report(screening[0], path=tmp_path / "page.html", most=3)
    assert len(list((tmp_path / "page_thumbs").iterdir())) == 3
    (tmp_path / "page_thumbs" / "mine.webp").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"page_thumbs was changed since it was written; .*--overwrite"):
        write_report(screening[0], path=tmp_path / "page.html")
    write_report(screening[0], path=tmp_path / "page.html", overwrite=True)
    assert len(list(tmp_path.glob("page_thumbs.*/mine.webp"))) == 1
    assert not (tmp_path / "page_thumbs" / "mine.webp").exists()


def test_maps_and_known_good_images_lie_beside_the_page_too(screening, tmp_path, monkeypatch):
    def drawn(rows, shown, pictures):
        return [{"guided": [b"a", b"b"]} if i == 1 else {} for i in range(len(shown))], {"known_good": [b"good"]}, []

    inside = report(screening[0], illustrate=drawn)
    assert inside["images"][1]["guided"] == ["data:image/webp;base64,YQ==", "data:image/webp;base64,Yg=="]
    assert inside["known_good"] == ["data:image/webp;base64,Z29vZA=="]
    monkeypatch.setattr("uncertainty.report.pictures.LARGEST_INSIDE", 100)
    for _ in range(2):
        beside = report(screening[0], illustrate=drawn, path=tmp_path / "page.html")
        sources = [*beside["images"][1]["guided"], *beside["known_good"]]
        assert [(tmp_path / source).read_bytes() for source in sources] == [b"a", b"b", b"good"]
    assert len(list((tmp_path / "page_thumbs").iterdir())) == 63


def test_the_gallery_may_be_smaller_than_the_screening(screening):
    out, labels = screening
    data = report(out, labels=labels, most=15)
    shown = data["images"]
    assert len(shown) == 15
    assert all(image["flagged"] or image["wrong"] for image in shown)
    assert any("The gallery shows 15 of 60 images" in note for note in data["notes"])
    assert data["budget"]["k"][-1] == 60


def test_images_inside_parquet_and_named_by_manifests(world, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    from uncertainty.images.sources import find_images
    from uncertainty.workflows.screen import screen_into

    files = sorted(world.incoming.iterdir())[:12]
    rows = [{"bytes": file.read_bytes(), "path": None} for file in files]
    shard = tmp_path / "set.parquet"
    pq.write_table(
        pa.table({"image": pa.array(rows, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))}), shard
    )
    manifest = world.incoming / "named.csv"
    manifest.write_text("file_name\n" + "\n".join(file.name for file in files), "utf-8")
    try:
        for source in (shard, manifest, world.incoming):
            out = tmp_path / source.stem
            screen_into(out, world.screener, find_images(source))
            assert all("picture" in image for image in report(out)["images"])
    finally:
        manifest.unlink()


@pytest.mark.simulation
def test_five_hundred_solar_cells(tmp_path):
    """Under 5 MB, and in under 20 s of this process: photographs of 300 x 300 pixels."""
    load = pytest.importorskip("elpv_dataset.utils").load_dataset
    names = [f"cell{i:04}.png" for i in range(500)]
    for name, photograph in zip(names, load()[0][:500], strict=True):
        Image.fromarray(photograph).save(_made(tmp_path / "cells") / name)
    table = verdict_table(names, CLASSES)
    out = write_screening(tmp_path / "out", table)
    labels = write_labels(tmp_path / "l.csv", labels_for(table, CLASSES))
    started = time.process_time()
    written = write_report(out, labels=labels, images=tmp_path / "cells")
    assert time.process_time() - started < 20
    assert written.thumbs is None
    assert written.path.stat().st_size < 5_000_000
    assert all("picture" in image for image in data_of(written.path)["images"])


def _made(folder):
    folder.mkdir(exist_ok=True)
    return folder
