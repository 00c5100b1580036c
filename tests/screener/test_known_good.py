"""Known-good rows come and go: what neighbours see, what stays, what is refused."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from conftest import CLASSES, write_images
from problems import known_good, made_problem

from uncertainty import Screener
from uncertainty.errors import InputError, ModelError, OverlapError
from uncertainty.estimators import create
from uncertainty.screener.known_good import read_names

FEW = ("least_confidence", "nn_distance", "second_opinion_vote", "trust_ratio", "image_quality")


def fit(approximate=None):
    estimators = [create(n, **({"approximate": approximate} if "_" in n and n[0] in "nst" else {})) for n in FEW]
    return Screener.fit_outputs(known_good(200, 1), made_problem(300, 2), estimators=estimators)


@pytest.fixture(scope="module")
def made():
    return fit()


@pytest.fixture(scope="module")
def roughly():
    return fit(approximate=True)


@pytest.fixture(scope="module")
def more():
    return known_good(80, 3)


@pytest.fixture(scope="module")
def new():
    return made_problem(120, 4)


def index_of(screener, name="nn_distance"):
    return next(e for e in screener.estimators if e.name == name).index_


@pytest.mark.parametrize("kind", ["made", "roughly"])
def test_scores_are_those_of_a_fit_on_all_rows(kind, request, more, new):
    screener = request.getfixturevalue(kind)
    grown = screener.with_known_good(more)
    both = known_good(200, 1).concatenate([known_good(200, 1), more])
    for before, after in zip(screener.estimators, grown.estimators, strict=True):
        again = create(before.name, **{n: v for n, v in before.arguments().items() if n != "approximate"}).fit(both)
        if "index_" in vars(before):
            again.k_ = before.learnt().get("k_")  # as calibrated
            apart = np.sort(np.abs(after.score(new) - again.score(new)))
            assert apart[-1] < 1e-9 if kind == "made" else np.median(apart) < 1e-2
        else:
            np.testing.assert_array_equal(after.score(new), before.score(new))


@pytest.mark.parametrize("kind", ["made", "roughly"])
def test_add_then_remove_scores_as_before(kind, request, more, new):
    screener = request.getfixturevalue(kind)
    back = screener.with_known_good(more).without_known_good([str(name) for name in more.ids])
    assert back.known_good == screener.known_good
    np.testing.assert_array_equal(back.p_wrong(new), screener.p_wrong(new))
    assert back.id != screener.id


def test_names_stay_beside_their_vectors(made, more):
    grown = made.with_known_good(more)
    vectors, names = index_of(grown).vectors, list(grown.known_good)
    old = index_of(made).vectors
    for name in (str(more.ids[0]), str(more.ids[-1])):
        row = index_of(grown).search(more.take([list(more.ids).index(name)]).features, 1)
        assert row[0, 0] == 0
        expected = more.features[list(more.ids).index(name)]
        np.testing.assert_allclose(vectors[names.index(name)], expected / np.linalg.norm(expected), atol=1e-6)
    for name in made.known_good[::37]:
        np.testing.assert_array_equal(vectors[names.index(name)], old[made.known_good.index(name)])


def test_estimators_still_share_one_index(made, more):
    grown = made.with_known_good(more)
    assert index_of(grown) is index_of(grown, "trust_ratio")
    assert index_of(grown) is not index_of(grown, "second_opinion_vote")
    assert len(index_of(made).classes) == len(made.known_good)


def test_calibration_stays_and_a_note_says_so(made, more):
    grown = made.with_known_good(more)
    changed = grown.without_known_good(grown.known_good[:3])
    assert changed.combiner is made.combiner
    assert changed.calibration is made.calibration
    assert changed.threshold == made.threshold
    (note,) = [note for note in changed.notes if note.startswith("known-good images changed")]
    assert f": {len(more)} added, 3 removed;" in note
    assert "p_wrong, thresholds, image_quality are as calibrated before" in note
    steps = changed.calibrated_on["known_good_changes"]
    assert [(step["from"], step["added"], step["removed"]) for step in steps] == [
        (made.id, len(more), 0),
        (grown.id, 0, 3),
    ]


def test_it_is_saved_and_restored(roughly, more, new, tmp_path):
    grown = roughly.with_known_good(more)
    grown.save(tmp_path)
    restored = Screener.load(tmp_path)
    np.testing.assert_array_equal(restored.p_wrong(new), grown.p_wrong(new))
    assert (restored.known_good, restored.id, restored.notes) == (grown.known_good, grown.id, grown.notes)
    assert index_of(restored) is index_of(restored, "trust_ratio")


def test_recall_is_measured_on_calibration_and_stored(made, roughly):
    assert "neighbour_recall_at_10" not in made.calibrated_on
    recall = roughly.calibrated_on["neighbour_recall_at_10"]
    assert recall.keys() == {"features", "embedding"}
    assert min(recall.values()) >= 0.95
    (note,) = [note for note in roughly.notes if note.startswith("nn_distance, trust_ratio: search among")]
    assert "is approximate" in note
    assert index_of(roughly) is index_of(roughly, "trust_ratio")


def test_rows_that_fitted_it_are_refused_as_rows_and_as_names(made, more):
    with pytest.raises(OverlapError, match=f"1 of these images, e.g. '{made.known_good[0]}', fitted this screener"):
        made.with_known_good(known_good(200, 1).take(known_good(200, 1).ids == made.known_good[0]))
    grown = made.with_known_good(more)
    with pytest.raises(OverlapError, match="fitted this screener already"):
        grown.with_known_good(more)
    with pytest.raises(OverlapError, match="their p_wrong would be too low"):
        grown.screen_outputs(more)
    renamed = replace(more, ids=[f"reference:{name}" for name in more.ids])
    with pytest.raises(InputError, match="are of known-good images; rename"):
        grown.with_known_good(renamed)


def test_wrong_rows_are_left_out_with_a_note(made):
    rows = made_problem(100, 6)
    grown = made.with_known_good(rows)
    assert len(grown.known_good) == len(made.known_good) + int((~rows.wrong).sum())
    assert any("of 100 reference rows were left out" in note for note in grown.notes)


def test_unknown_names_and_all_names_are_refused(made):
    with pytest.raises(InputError, match=r"2 names, e.g. 'a', are of no known-good image .* keeps \d+, e.g. "):
        made.without_known_good(["b", "a", made.known_good[0]])
    with pytest.raises(InputError, match="would be removed; leave one at least"):
        made.without_known_good(made.known_good)


def test_a_screener_without_neighbours_has_nothing_to_change(more):
    calibration = made_problem(300, 2)
    screener = Screener.fit_outputs(known_good(200, 1), calibration, estimators=[create("least_confidence")])
    with pytest.raises(InputError, match="compares with no known-good images"):
        screener.with_known_good(more)


def test_images_need_the_classifier(made, world):
    with pytest.raises(ModelError, match="has no classifier"):
        made.with_known_good(world.incoming)


def test_images_are_added_by_content(world, tmp_path):
    for path in write_images(tmp_path / "more", 30, seed=5):
        path.rename(path.with_stem(f"more_{path.stem}"))
    grown = world.screener.with_known_good(tmp_path / "more")
    added = set(grown.known_good) - set(world.screener.known_good)
    assert 10 < len(added) <= 30
    assert {name.partition("/")[0] for name in added} <= set(CLASSES)
    assert grown.fitted_on.size == world.screener.fitted_on.size + 2 * 30  # of each file and of its picture
    shutil.copytree(tmp_path / "more", tmp_path / "other")
    with pytest.raises(OverlapError, match="30 of these images"):
        grown.with_known_good(tmp_path / "other")


def test_names_are_read_line_by_line(tmp_path):
    (tmp_path / "names.txt").write_text("\ufeffcat/1.png\n\n  dog/2.png \n")
    assert read_names(tmp_path / "names.txt") == ["cat/1.png", "dog/2.png"]
    (tmp_path / "none.txt").write_text("\n")
    for name, message in (("none.txt", "holds no names"), ("absent.txt", "can't be read")):
        with pytest.raises(InputError, match=message):
            read_names(tmp_path / name)
