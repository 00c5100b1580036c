"""Results in a notebook: one line, a table with pictures in which nothing runs, columns, pandas, plots."""

import sys

import numpy as np
import pyarrow as pa
import pytest
from conftest import CLASSES, stripes

from uncertainty import Outcomes, Policy, Verdicts
from uncertainty.errors import InputError, MissingDependencyError
from uncertainty.evaluation.screening_quality import evaluate
from uncertainty.notebook.tabular import html_table

LABELS = [CLASSES[k] for k in stripes(40, 3)[1]]


@pytest.fixture(scope="module")
def verdicts(world):
    return world.screener.screen(world.incoming, labels=LABELS)


@pytest.fixture(scope="module")
def outcomes(verdicts):
    return Outcomes.from_verdicts(verdicts)


@pytest.fixture
def pyplot():
    pytest.importorskip("matplotlib").use("agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


def test_each_is_one_short_line_and_a_table(world, verdicts, outcomes):
    plan = world.screener.plan(Policy.of(max_error=0.05))
    results = [world.screener, world.classifier, verdicts, outcomes, plan, evaluate(verdicts.table, resamples=1)]
    for one in results:
        assert len(repr(one)) <= 200
        assert "\n" not in repr(one)
        assert repr(one).startswith(type(one).__name__)
        assert one._repr_html_().startswith("<table>")
    assert repr(world.screener).startswith("Screener(classes=3, calibration=150, errors=")
    assert repr(verdicts).startswith("Verdicts(images=40, flagged=")


def test_a_table_of_verdicts_shows_pictures_and_escapes(world, verdicts, tmp_path):
    html = verdicts._repr_html_()
    assert html.count('src="data:image/webp;base64,') == 10
    first = verdicts.most_suspicious(1)[0]
    assert first["file_name"] in html
    assert first["rank"] == 1
    names = pa.array(['<script>alert("1")</script>'] * len(verdicts))
    table = verdicts.table.set_column(0, "file_name", names)
    assert "<script" not in Verdicts(table)._repr_html_()
    assert "&lt;script&gt;" in Verdicts(table)._repr_html_()
    assert html_table([], "none").count("<tr>") == 1


def test_pictures_are_found_again_wherever_the_images_were(world, verdicts, tmp_path):
    from uncertainty.workflows.screen import screen_into

    pixels, _ = stripes(40, 3)
    for images in (pixels, [*pixels], list(zip(pixels, LABELS, strict=True))):
        assert world.screener.screen(images)._repr_html_().count("<img") == 10
    screen_into(tmp_path, world.screener, world.incoming)
    assert Verdicts.read(tmp_path)._repr_html_().count("<img") == 10
    assert Verdicts(verdicts.table)._repr_html_().count("<img") == 0


def test_columns_and_rows(verdicts):
    assert len(verdicts) == len(list(verdicts)) == 40
    assert verdicts["p_wrong"].dtype == np.float32
    assert verdicts["flagged"].dtype == bool
    assert verdicts["reasons"] == verdicts.table["reasons"].to_pylist()
    assert verdicts[-1] == list(verdicts)[-1] == verdicts.table.to_pylist()[39]
    with pytest.raises(InputError, match="there is no column 'p'; the columns are file_name"):
        verdicts["p"]
    with pytest.raises(IndexError, match="row 40"):
        verdicts[40]


def test_a_slice_of_verdicts_is_verdicts(verdicts):
    some = verdicts[:3]
    assert type(some) is Verdicts
    assert list(some) == list(verdicts)[:3]
    assert some.provenance == verdicts.provenance
    assert some.images is verdicts.images
    assert list(verdicts[::-13]) == list(verdicts)[::-13]
    assert len(verdicts[40:]) == 0
    with pytest.raises(InputError, match=r"\[\[0, 1\]\] is no column, row or slice; give a name"):
        verdicts[[0, 1]]


def test_pandas(verdicts, outcomes, monkeypatch):
    pytest.importorskip("pandas")
    frame = verdicts.to_pandas()
    assert list(frame.columns) == verdicts.table.column_names
    assert outcomes.to_pandas()["label"].tolist() == LABELS
    scores = evaluate(verdicts.table, resamples=1).to_pandas()
    assert scores["score"].tolist()[:2] == ["p_wrong", "max_softmax"]
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingDependencyError, match="pip install pandas"):
        verdicts.to_pandas()


@pytest.mark.parametrize("name", ["plot_risk_coverage", "plot_reliability", "plot_confusion"])
def test_plots_draw_into_axes_of_their_own_or_those_given(outcomes, pyplot, name):
    mine = pyplot.figure()
    ax = getattr(outcomes, name)()
    assert ax.figure is not mine
    assert pyplot.gcf() is mine
    given = mine.subplots()
    assert getattr(outcomes, name)(ax=given) is given
    assert given.get_xlabel()
    mine.canvas.draw()


def test_what_is_drawn_is_what_is_true(outcomes, pyplot):
    lines = {line.get_label(): line.get_xydata() for line in outcomes.plot_risk_coverage().lines}
    assert list(lines) == ["p_wrong", "max softmax", "perfect ranking"]
    assert all(data[-1] == pytest.approx((1, outcomes.wrong.mean())) for data in lines.values())
    image = outcomes.plot_confusion().images[0].get_array()
    assert image.sum() == 40
    assert image.trace() == (~outcomes.wrong).sum()
    points = outcomes.plot_reliability().lines[1].get_xydata()
    assert len(points) == 15
    assert (np.diff(points[:, 0]) >= 0).all()


def test_the_gallery_shows_the_most_suspicious_first(verdicts, pyplot):
    ax = verdicts.plot_gallery(5)
    assert len(ax.images) == 5
    worst = verdicts.most_suspicious(1)[0]
    assert ax.texts[0].get_text() == (
        f"{worst['predicted_label']}, is {worst['label']}\np_wrong {worst['p_wrong']:.2f}"
    )
    given = pyplot.figure().subplots()
    assert verdicts.plot_gallery(rows=[3], ax=given) is given
    assert len(given.images) == 1
    ax.figure.canvas.draw()


def test_what_can_not_be_drawn(outcomes, monkeypatch):
    bare = Outcomes.from_arrays(["cat", "dog"], ["cat", "cat"])
    with pytest.raises(InputError, match="p_wrong is not known"):
        bare.plot_reliability()
    with pytest.raises(InputError, match="images have no order"):
        bare.plot_risk_coverage()
    several = Outcomes.from_arrays([[1, 0]], [[1, 1]], task="multilabel")
    with pytest.raises(InputError, match="no confusion"):
        several.plot_confusion()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match=r"uncertainty-vision\[plots\]"):
        outcomes.plot_confusion()
