"""Labels come back: what is learnt again, what is refused, and what is said of promises."""

import json
from dataclasses import replace

import numpy as np
import pytest
from problems import known_good, made_problem

from uncertainty import Screener
from uncertainty.combination.fit import _expert
from uncertainty.combination.mixture import Basis
from uncertainty.decisions.policies import Policy
from uncertainty.errors import InputError
from uncertainty.estimators import create
from uncertainty.recalibration.refit import evidence_of, updated
from uncertainty.verdicts import Verdicts

FEW = ("least_confidence", "nn_distance", "image_quality")


def estimators():
    return [create(name) for name in FEW]


@pytest.fixture(scope="module")
def made():
    calibration = made_problem(400, 2)
    copies = replace(made_problem(400, 5), ids=calibration.ids)
    return Screener.fit_outputs(known_good(200, 1), calibration, damaged=copies, estimators=estimators())


@pytest.fixture(scope="module")
def batch():
    return made_problem(800, 8)


@pytest.fixture(scope="module")
def verdicts(made, batch):
    return made.screen_outputs(batch)


def flags(verdicts):
    return np.array(verdicts.table["flagged"].to_pylist())


def labels_of(outputs, rows=None):
    rows = np.ones(len(outputs), dtype=bool) if rows is None else rows
    return {str(outputs.ids[i]): str(outputs.labels[i]) for i in np.flatnonzero(rows)}


def test_all_labels_are_as_a_fit_on_more_calibration(made, batch, verdicts):
    found = updated(made, verdicts, labels_of(batch))
    now = found.screener
    assert (found.labelled, found.images, found.errors) == (800, 800, batch.wrong.sum())
    assert found.observed.value == pytest.approx(batch.wrong.mean())
    assert now.calibration.chosen is None
    assert now.calibration.exact.sum() == 1200
    assert len(now.baseline.rows) == len(now.baseline.wrong) == 1200
    assert now.calibrated_on["calibration"] == 1200
    assert now.calibrated_on["updates"] == [{"from": made.id, "labels": 800, "errors": int(batch.wrong.sum())}]
    assert now.id != made.id
    clean = now.calibration.clean
    assert now.calibration.weights[clean].tolist() == [1.0] * 1200
    copies = now.calibration.weights[~clean].sum() / now.calibration.weights.sum()
    before = made.calibration.weights[~made.calibration.clean].sum() / made.calibration.weights.sum()
    assert copies == pytest.approx(before, rel=1e-5)
    assert found.after.log_loss < found.before.log_loss + 0.01
    assert not found.notes


def test_the_same_input_gives_the_same_screener(made, batch, verdicts):
    labels = labels_of(batch, np.arange(800) % 3 == 0)
    one, two = (updated(made, verdicts, labels).screener for _ in range(2))
    assert one.id == two.id
    assert (one.calibration.p_wrong == two.calibration.p_wrong).all()


def test_labels_of_flagged_images_alone_leave_the_others_to_calibration(made, batch, verdicts):
    flagged = flags(verdicts)
    found = updated(made, verdicts, labels_of(batch, flagged))
    assert "no label of unflagged images: labels of others can't speak for them" in found.notes[0]
    rows = found.screener.calibration
    new = rows.chosen
    assert new.sum() == flagged.sum()
    assert rows.exact.sum() == 400
    assert len(found.screener.baseline.rows) == 400
    upper = made.decision.flags(made.calibration.p_wrong, made.calibration.predicted)
    upper = np.append(upper, np.ones(int(new.sum()), dtype=bool))
    share = rows.weights[rows.clean & upper].sum() / rows.weights[rows.clean].sum()
    assert share == pytest.approx(flagged.mean(), rel=1e-5)
    # Pooled as they are, the labels would raise the error rate by more than half.
    pooled = (made.calibration.wrong[made.calibration.clean].sum() + batch.wrong[flagged].sum()) / (400 + flagged.sum())
    assert found.screener.calibrated_on["error_rate"] < 0.8 * pooled
    assert any(note.startswith("promises rest on 400 calibration rows") for note in found.screener.notes)


def test_known_chances_speak_for_the_whole_batch(made, batch, verdicts):
    chance = np.where(flags(verdicts), 1.0, 0.2)
    chosen = np.random.default_rng(0).random(800) < chance
    inclusion = dict(zip(map(str, batch.ids), chance, strict=True))
    found = updated(made, verdicts, labels_of(batch, chosen), inclusion)
    assert found.observed.low < batch.wrong.mean() < found.observed.high
    assert not found.notes
    assert batch.wrong[chosen].mean() > found.observed.value


def test_the_head_of_the_ranking_needs_no_chances(made, batch, verdicts):
    p = verdicts.table["p_wrong"].to_numpy()
    found = updated(made, verdicts, labels_of(batch, p >= np.sort(p)[-200]))
    assert found.notes[0].startswith("no label of images with a p_wrong below 0.")


def test_labels_that_were_plainly_chosen_are_refused(made, batch, verdicts):
    p = verdicts.table["p_wrong"].to_numpy()
    some = (p >= np.sort(p)[-300]) & (np.arange(800) % 2 == 0) & ~flags(verdicts)
    with pytest.raises(InputError, match=r"unflagged images differ in p_wrong .* a column inclusion"):
        updated(made, verdicts, labels_of(batch, some))


@pytest.mark.parametrize("chance", [0.0, -0.5, 1.5, float("nan")])
def test_chances_out_of_range_are_refused(made, batch, verdicts, chance):
    with pytest.raises(InputError, match=r"inclusion of '8-00000' is .*; it must be above 0 and at most 1"):
        updated(made, verdicts, labels_of(batch, np.arange(800) < 1), {"8-00000": chance})


def test_a_label_without_its_chance_is_refused(made, batch, verdicts):
    with pytest.raises(InputError, match="'8-00001' has a label and no inclusion"):
        updated(made, verdicts, labels_of(batch, np.arange(800) < 2), {"8-00000": 1.0})


def test_chances_that_can_t_be_are_noted(made, batch, verdicts):
    some = np.random.default_rng(0).random(800) < 0.3
    found = updated(made, verdicts, labels_of(batch, some), dict.fromkeys(map(str, batch.ids), 1.0))
    assert f"the labels stand for {some.sum()} images, and there are 800" in found.notes[0]


def test_what_was_learnt_from_once_is_left_out(made, batch, verdicts):
    first = updated(made, verdicts, labels_of(batch, np.arange(800) < 300)).screener
    again = first.screen_outputs(batch.take(np.arange(300, 800)))
    assert first.fitted_on.size == made.fitted_on.size + 300
    found = updated(first, again, labels_of(batch, np.arange(800) >= 199))
    assert found.labelled == 500
    assert found.left_out["labels without an image"] == 101
    assert [step["labels"] for step in found.screener.calibrated_on["updates"]] == [300, 500]
    names = verdicts.table.replace_schema_metadata(again.table.schema.metadata)
    second = updated(first, Verdicts(names), labels_of(batch))
    assert second.left_out["labels of images that were learnt from already"] == 300
    with pytest.raises(InputError, match="all labelled images were learnt from already"):
        updated(first, Verdicts(names), labels_of(batch, np.arange(800) < 300))


def test_labels_of_no_class_are_no_truth_and_refused_where_all_are(made, batch, verdicts):
    labels = labels_of(batch, np.arange(800) < 200)
    found = updated(made, verdicts, labels | {"8-00000": "zebra"})
    assert any("1 new label is no class of the model and no truth, e.g. 'zebra'" in note for note in found.notes)
    assert found.labelled == 200 - ("8-00000" in labels)
    with pytest.raises(InputError, match=r"not one label, e.g. 'zebra', is a class of the model, e.g. '0'"):
        updated(made, verdicts, dict.fromkeys(labels, "zebra"))


def test_labels_without_errors_are_noted(made, batch, verdicts):
    found = updated(made, verdicts, labels_of(batch, ~batch.wrong & (np.arange(800) % 4 == 0)))
    assert any(note.startswith("none of the new labels is an error") for note in found.notes)


def test_labels_of_other_images_are_refused(made, verdicts):
    with pytest.raises(InputError, match="elsewhere"):
        updated(made, verdicts, {"elsewhere.png": "1"})


def test_verdicts_of_another_screener_are_refused(made, batch, verdicts):
    other = Screener.fit_outputs(known_good(200, 1), made_problem(300, 3), estimators=estimators())
    with pytest.raises(InputError, match=f"these verdicts are not of screener {other.id}"):
        updated(other, verdicts, labels_of(batch))
    bare = Verdicts(verdicts.table.replace_schema_metadata(None))
    with pytest.raises(InputError, match="give the one that made them"):
        updated(other, bare, labels_of(batch))
    assert updated(made, bare, labels_of(batch)).labelled == 800


def test_verdicts_under_another_policy_are_of_the_same_screener(made, batch):
    wide = made.with_budget(0.4).screen_outputs(batch)
    found = updated(made, wide, labels_of(batch, flags(wide)))
    assert found.before.flagged == flags(wide).sum()
    assert "no label of unflagged images" in found.notes[0]


def test_a_cascade_is_refused(batch):
    arguments = known_good(300, 1), made_problem(500, 2)
    cascade = Screener.fit_outputs(*arguments, deeper=("embedding",))
    with pytest.raises(InputError, match="a screener with a cascade can't be updated"):
        updated(cascade, cascade.screen_outputs(batch), labels_of(batch))


def test_promises_are_certified_on_rows_that_were_drawn_evenly(made, batch):
    promising = made.with_policy(Policy.of(min_recall=0.5, confidence=0.8))
    judged = promising.screen_outputs(batch)
    found = updated(promising, judged, labels_of(batch, flags(judged)))
    line = found.screener.decision.lines[0]
    assert line.support == made.calibration.wrong[made.calibration.clean].sum()
    assert found.screener.with_budget(0.2).decision.policy.kind == "budget"
    every = updated(promising, judged, labels_of(batch)).screener.decision.lines[0]
    assert every.support == line.support + batch.wrong.sum()


def test_rows_kept_back_stay_kept_back(batch):
    arguments = known_good(200, 1), made_problem(400, 2)
    kept = Screener.fit_outputs(*arguments, certify_share=0.5, estimators=estimators())
    now = updated(kept, kept.screen_outputs(batch), labels_of(batch)).screener
    assert now.calibration.exact.sum() == kept.calibration.exact.sum() == 200


def test_notes_that_no_longer_hold_are_gone(batch):
    few = made_problem(400, 2)
    few = few.take(np.sort(np.append(np.flatnonzero(few.wrong)[:5], np.flatnonzero(~few.wrong))))
    screener = Screener.fit_outputs(known_good(200, 1), few, estimators=estimators())
    assert any("calibration has 5 errors" in note for note in screener.notes)
    now = updated(screener, screener.screen_outputs(batch), labels_of(batch)).screener
    assert not any("calibration has 5 errors" in note for note in now.notes)


def test_it_is_saved_and_restored(made, batch, verdicts, tmp_path):
    now = updated(made, verdicts, labels_of(batch, flags(verdicts))).screener
    now.save(tmp_path)
    back = Screener.load(tmp_path)
    assert back.id == now.id
    assert (back.calibration.chosen == now.calibration.chosen).all()
    assert back.with_budget(0.3).threshold == now.with_budget(0.3).threshold
    assert json.loads((tmp_path / "manifest.json").read_text())["calibrated_on"]["updates"][0]["from"] == made.id


def test_several_labels_an_image():
    reference, calibration, test = (made_problem(n, seed, "multilabel") for n, seed in ((200, 1), (400, 2), (300, 3)))
    names = ["a", "b", "c", "d"]
    screener = Screener.fit_outputs(reference, calibration, classes=names)
    labels = {str(i): ";".join(n for n, on in zip(names, row, strict=True) if on) or "none"
              for i, row in zip(test.ids, test.labels, strict=True)}  # fmt: skip
    found = updated(screener, screener.screen_outputs(test), labels)
    assert (found.errors, found.answered) == (test.wrong.sum(), 300)
    assert found.words()[0] == f"learnt from 300 labels, {found.errors} errors among them, of a batch of 300 images"
    partly = {name: text if k % 3 else f"{text};?a" for k, (name, text) in enumerate(labels.items()) if k < 150}
    found = updated(screener, screener.screen_outputs(test), partly)
    told = (np.arange(300) < 150) & (np.arange(300) % 3 > 0)
    assert (found.labelled, found.answered, found.errors) == (150, 100, test.wrong[told].sum())
    among = f"{found.errors} errors among the 100 of which all answers are known"
    assert found.words()[0] == f"learnt from 150 labels, {among}, of a batch of 300 images"


def test_weights_are_worth_copies_of_rows(made):
    """A row that counts two is a row that is there twice."""
    rows = evidence_of(made, made.calibration)
    clean = rows.take(rows.rows("clean"))
    twice = np.arange(len(clean.wrong)) % 3 == 0
    heavy = replace(clean, weights=np.where(twice, 2.0, 1.0))
    order = np.sort(np.append(np.arange(len(twice)), np.flatnonzero(twice)))
    long = replace(
        clean,
        wrong=clean.wrong[order], condition=clean.condition[order], weights=np.ones(len(order)),
        groups=clean.groups[order], signals=clean.signals.take(order),
    )  # fmt: skip
    basis = Basis.of(clean.scales, clean.signals, clean.classes)
    one, two = (_expert(e, np.ones(len(e.wrong), dtype=bool), basis, "clean") for e in (heavy, long))
    assert one.weights == pytest.approx(two.weights, abs=1e-3)
    assert one.intercept == pytest.approx(two.intercept, abs=1e-3)
