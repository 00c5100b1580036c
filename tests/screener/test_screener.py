"""The fitted whole: good p_wrong, the same verdict alone and in company, one row a file, the same bits again."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from conftest import CLASSES, tiny_classifier, write_images
from PIL import Image
from problems import known_good, made_problem

from uncertainty.classifiers.base import Batch, Row
from uncertainty.decisions.policies import Policy
from uncertainty.errors import (
    ArtifactError,
    CalibrationError,
    InputError,
    MissingColumnError,
    ModelError,
    OutputsError,
    OverlapError,
)
from uncertainty.estimators import create
from uncertainty.metrics import auroc
from uncertainty.outputs import ModelOutputs
from uncertainty.screener import Screener

OF_NO_ESTIMATOR = {"error_prone_class", "unusual_image"}


@pytest.fixture(scope="module")
def made():
    return Screener.fit_outputs(known_good(500, 1), made_problem(1000, 2))


def one_line(caught):
    assert "\n" not in str(caught.value)
    return str(caught.value)


def with_errors(outputs, wrong):
    """Give labels that make exactly these rows wrong."""
    return replace(outputs, labels=np.where(wrong, (outputs.predictions + 1) % 4, outputs.predictions))


def rows_by_name(verdicts):
    return {row["file_name"]: row for row in verdicts.table.to_pylist()}


# From outputs


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
@pytest.mark.parametrize("n", [100, 400, 1500])
def test_p_wrong_finds_errors_and_counts_them(task, n):
    screener = Screener.fit_outputs(known_good(400, 1, task), made_problem(n, 2, task))
    test = made_problem(3000, 3, task)
    p = screener.p_wrong(test)
    assert p.dtype == np.float32
    assert ((p >= 0) & (p <= 1)).all()
    best = max(auroc(test.wrong, one.score(test)) for one in screener.estimators)
    assert auroc(test.wrong, p) > best - 0.02
    # Four standard errors of the rate in calibration.
    rate = test.wrong.mean()
    assert p.mean() == pytest.approx(rate, abs=4 * np.sqrt(rate * (1 - rate) / n))


def test_shuffled_errors_teach_nothing():
    calibration, test, found = made_problem(800, 2), made_problem(3000, 3), []
    for seed in range(4):
        shuffled = with_errors(calibration, np.random.default_rng(seed).permutation(calibration.wrong))
        found.append(auroc(test.wrong, Screener.fit_outputs(known_good(200, 1), shuffled, seed=seed).p_wrong(test)))
    # Whatever little is learnt from noise may point anywhere, but for scores that all point one way.
    assert min(found) < 0.75


def test_each_row_has_its_own_verdict_whoever_it_comes_with(made):
    test = made_problem(60, 3)
    together = rows_by_name(made.screen_outputs(test))
    for rows in (np.arange(60)[::-1], np.arange(20), [7]):
        apart = rows_by_name(made.screen_outputs(test.take(rows)))
        for name, row in apart.items():
            assert row["p_wrong"] == pytest.approx(together[name]["p_wrong"], rel=1e-5)
            assert [row[k] for k in ("flagged", "reasons")] == [together[name][k] for k in ("flagged", "reasons")]


def test_verdicts_say_what_the_classifier_said(made):
    test = made_problem(50, 3)
    table = made.screen_outputs(test).table
    assert table["file_name"].to_pylist() == test.ids.tolist()
    assert table["predicted_index"].to_pylist() == test.predictions.tolist()
    assert table["predicted_label"].to_pylist() == [str(k) for k in test.predictions]
    assert table["confidence"].to_pylist() == test.probs.max(axis=1).astype(np.float32).tolist()
    assert table["p_wrong"].to_pylist() == made.p_wrong(test).tolist()
    assert table["flagged"].to_pylist() == (made.p_wrong(test) >= np.float32(made.threshold)).tolist()
    probs = np.stack([table[f"prob_{k}"].to_numpy() for k in range(4)], axis=1)
    assert probs == pytest.approx(test.probs, abs=1e-6)
    for one in made.estimators:
        assert table[f"est_{one.name}"].to_numpy() == pytest.approx(one.score(test), rel=1e-6)
    p = table["p_wrong"].to_numpy()
    assert p[np.argsort(table["rank"].to_numpy())].tolist() == sorted(p.tolist(), reverse=True)


def test_no_rows_no_verdicts(made):
    assert len(made.screen_outputs(made_problem(5, 3).take([]))) == 0
    assert made.p_wrong(made_problem(5, 3).take([])).shape == (0,)


def test_flagged_rows_have_reasons_and_others_none(made):
    table = made.screen_outputs(made_problem(500, 3)).table
    for flagged, reasons in zip(table["flagged"].to_pylist(), table["reasons"].to_pylist(), strict=True):
        assert (1 <= len(reasons) <= 3) if flagged else reasons == []
        assert len(set(reasons)) == len(reasons)


def test_the_only_estimator_is_the_reason():
    for name in ("nn_distance", "logit_gap", "mc_variance"):
        screener = Screener.fit_outputs(known_good(200, 1), made_problem(500, 2), estimators=[create(name)])
        flagged = screener.screen_outputs(made_problem(300, 3)).flagged
        assert flagged.num_rows > 5
        reasons = flagged["reasons"].to_pylist()
        assert {word for one in reasons for word in one} <= {create(name).reason} | OF_NO_ESTIMATOR
        assert sum(one[0] == create(name).reason for one in reasons) > len(reasons) / 2


def test_the_reason_of_a_strange_row_is_what_is_strange_about_it():
    # Told apart by two estimators, of which one alone is far out in each row.
    estimators = [create("logit_gap"), create("nn_distance")]
    screener = Screener.fit_outputs(known_good(400, 1), made_problem(1500, 2), estimators=estimators)
    usual = known_good(1, 77)
    sure = usual.logits * 3
    tie = sure.copy()
    tie[0, np.argsort(tie[0])[-2]] = tie[0].max() - 1e-3
    close = replace(usual, ids=["close"], logits=tie)
    far = replace(usual, ids=["far"], logits=sure, features=-usual.features)
    screener = screener.with_budget(1.0)
    found = rows_by_name(screener.screen_outputs(close)) | rows_by_name(screener.screen_outputs(far))
    assert found["close"]["reasons"][0] == "low_margin"
    assert found["far"]["reasons"][0] == "far_from_known_good"


@pytest.mark.parametrize("budget", [0.0, 0.05, 0.3, 1.0])
def test_the_budget_holds_on_calibration_and_about_so_on_others(budget):
    screener = Screener.fit_outputs(known_good(400, 1), made_problem(1500, 2), budget=budget)
    p, weights = screener.calibration.p_wrong, screener.calibration.weights
    assert (weights * (p >= np.float32(screener.threshold))).sum() / weights.sum() <= budget + 1e-6
    flagged = np.mean(screener.screen_outputs(made_problem(2000, 3)).table["flagged"].to_pylist())
    assert flagged == pytest.approx(budget, abs=0.04)


def test_another_budget_is_another_threshold_and_nothing_else(made):
    other = made.with_budget(0.3)
    assert other.threshold == Screener.fit_outputs(known_good(500, 1), made_problem(1000, 2), budget=0.3).threshold
    assert other.threshold < made.threshold
    test = made_problem(50, 3)
    assert other.p_wrong(test).tolist() == made.p_wrong(test).tolist()
    with pytest.raises(InputError, match=r"budget is 1\.5"):
        made.with_budget(1.5)


def test_another_policy_is_other_thresholds_and_nothing_else(made, tmp_path):
    changed = made.with_policy(Policy.of(max_error=0.05, confidence=0.8))
    test = made_problem(3000, 3)
    assert changed.p_wrong(test).tolist() == made.p_wrong(test).tolist()
    assert changed.history == (made.decision.to_dict(),)
    assert changed.id != made.id
    table = changed.screen_outputs(test).table
    passed = ~np.array(table["flagged"].to_pylist())
    assert 0.3 < passed.mean() < 1
    assert test.wrong[passed].mean() < 0.05 + 3 * np.sqrt(0.05 / passed.sum())
    changed.save(tmp_path)
    again = Screener.load(tmp_path)
    assert (again.decision, again.history, again.notes) == (changed.decision, changed.history, changed.notes)
    assert again.with_policy(made.decision.policy).decision == made.decision
    assert again.plan() == changed.plan()


def test_what_a_policy_lacked_is_noted_as_long_as_it_is_in_force(made):
    void = made.with_policy(Policy.of(max_error=0.001))
    assert void.notes[:-1] == made.notes
    assert "2995 error-free images are needed for 0.1 %" in void.notes[-1]
    assert void.screen_outputs(made_problem(20, 3)).flagged.num_rows == 20
    assert void.with_budget(0.1).notes == made.notes


def test_a_budget_and_a_policy_are_one_too_many():
    with pytest.raises(InputError, match="two questions"):
        Screener.fit_outputs(known_good(50, 1), made_problem(80, 2), budget=0.1, policy=Policy.of(max_error=0.1))


def test_rows_kept_back_do_not_teach_and_alone_certify():
    reference, calibration = known_good(300, 1), made_problem(900, 2)
    kept = Screener.fit_outputs(reference, calibration, certify_share=0.4, policy=Policy.of(max_error=0.08))
    rows = kept.calibration
    assert rows.certifying.sum() == kept.calibrated_on["certifying"] == 360
    assert rows.p_wrong[rows.certifying].tolist() == kept.p_wrong(calibration.take(rows.certifying)).tolist()
    alone = Screener.fit_outputs(reference, calibration.take(~rows.certifying))
    test = made_problem(50, 3)
    assert kept.p_wrong(test) == pytest.approx(alone.p_wrong(test), abs=1e-6)
    assert kept.decision.lines[0].support == kept.plan().images == 360
    for share in (-0.1, 1.0, float("nan")):
        with pytest.raises(InputError, match="certify_share"):
            Screener.fit_outputs(reference, calibration, certify_share=share)


def test_copies_of_images_kept_back_are_kept_back_too():
    calibration = made_problem(400, 2)
    damaged = replace(made_problem(400, 9), ids=calibration.ids)
    screener = Screener.fit_outputs(
        known_good(200, 1), calibration, damaged=damaged, expect_damage=0.1, certify_share=0.5
    )
    rows = screener.calibration
    assert rows.certifying[:400].tolist() == rows.certifying[400:].tolist()
    assert screener.plan().images == 200


def test_one_image_is_explained(made):
    test = made_problem(300, 3)
    (one,) = made.explain(test[5])
    assert one == made.explain(test)[5]
    assert one.file_name == str(test.ids[5])
    assert one.p_wrong == made.p_wrong(test)[5]
    assert one.threshold == made.threshold
    assert one.distance == pytest.approx(one.p_wrong - one.threshold)
    assert (one.policy, one.support, one.certified, one.insufficient) == ("budget 10 %", 1000, None, "")
    assert one.like_it.rows == 100
    for answer, row in zip(made.explain(test), made.screen_outputs(test).table.to_pylist(), strict=True):
        assert (answer.flagged, answer.predicted) == (row["flagged"], row["predicted_label"])
        assert answer.flagged == (answer.distance >= 0)
        assert ("not flagged" in str(answer)) != answer.flagged
    sure, unsure = (f([a for a in made.explain(test)], key=lambda a: a.p_wrong) for f in (min, max))
    assert sure.like_it.value < unsure.like_it.value


def test_insufficient_support_is_said(made):
    test = made_problem(5, 3)
    void = made.with_policy(Policy.of(max_error=0.001)).explain(test)[0]
    assert (void.certified, void.flagged) == (False, True)
    assert void.insufficient.startswith("insufficient support, the guarantee is void: 2995")
    no_errors = with_errors(made_problem(100, 2), np.zeros(100, dtype=bool))
    assert "no errors" in Screener.fit_outputs(known_good(200, 1), no_errors).explain(test)[0].insufficient
    calibration = made_problem(600, 2)
    three = Screener.fit_outputs(known_good(200, 1), calibration.take(calibration.predictions != 3))
    by_class = three.with_policy(Policy.of(budget=0.1, per_class=True))
    fourth = made_problem(60, 3)
    fourth = fourth.take(fourth.predictions == 3)
    for screener in (three, by_class):
        answer = screener.explain(fourth)[0]
        assert answer.insufficient == "insufficient support: no calibration image was predicted to be 3"
    assert answer.flagged
    assert three.screen_outputs(fourth).table["threshold"].to_pylist()[0] == np.float32(three.threshold)


def test_rows_that_fitted_it_are_refused(made):
    for outputs in (made_problem(1000, 2).take([5, 6]), known_good(500, 1).take([0, 1])):
        with pytest.raises(OverlapError, match=r"2 of these rows, e\.g\. ") as caught:
            made.screen_outputs(outputs)
        assert repr(str(outputs.ids[0])) in one_line(caught)


def test_sets_that_share_ids_are_refused():
    with pytest.raises(OverlapError, match="reference and calibration share"):
        Screener.fit_outputs(made_problem(50, 1), made_problem(80, 1))


def test_unlabelled_calibration_is_refused():
    with pytest.raises(MissingColumnError, match="calibration needs the column 'labels'"):
        Screener.fit_outputs(known_good(50, 1), replace(made_problem(80, 2), labels=None))


def test_outputs_of_another_kind_are_refused(made):
    three = made_problem(5, 3)
    three = replace(three, logits=three.logits[:, :3], mc_probs=None, tta_probs=None, labels=None)
    with pytest.raises(
        OutputsError, match=r"have 3 classes \(multiclass\); the screener was fitted on 4 \(multiclass\)"
    ):
        made.p_wrong(three)
    with pytest.raises(OutputsError, match=r"4 classes \(multilabel\)"):
        made.p_wrong(made_problem(5, 3, "multilabel"))
    with pytest.raises(OutputsError, match="3 classes"):
        made.screen_outputs(three)
    with pytest.raises(MissingColumnError, match="mc_probs"):
        made.p_wrong(replace(made_problem(5, 3), mc_probs=None))


def test_what_is_asked_of_several_labels_alone_goes_unsaid_where_an_image_has_one():
    screener = Screener.fit_outputs(known_good(200, 1), made_problem(400, 2))
    assert not any("multiclass form" in note for note in screener.notes)
    with pytest.raises(CalibrationError, match="fused_decisions is off: there is no multiclass form"):
        Screener.fit_outputs(known_good(50, 1), made_problem(60, 2), estimators=[create("fused_decisions")])


def test_multilabel_verdicts_name_all_predicted_labels():
    screener = Screener.fit_outputs(known_good(200, 1, "multilabel"), made_problem(400, 2, "multilabel"))
    assert any(note.endswith("trust_ratio are off: there is no multilabel form") for note in screener.notes)
    test = made_problem(50, 3, "multilabel")
    table = screener.screen_outputs(test).table
    assert table["p_wrong"].to_pylist() == screener.p_wrong(test).tolist()
    expected = [";".join(str(k) for k in np.flatnonzero(row)) for row in test.predictions]
    assert table["predicted_label"].to_pylist() == expected
    assert table["predicted_index"].null_count == 50
    # The least sure decision, on whichever side of one half it fell.
    sure = np.maximum(test.probs, 1 - test.probs).min(axis=1)
    assert table["confidence"].to_numpy() == pytest.approx(sure, rel=1e-6)


def test_without_a_classifier_images_are_refused(made):
    with pytest.raises(ModelError, match=r"fitted to outputs and has no classifier; use screen_outputs"):
        made.screen(np.zeros((1, 8, 8, 3), np.uint8))


@pytest.mark.parametrize("n", [10, 300])
def test_no_errors_at_all_is_the_best_of_each_kind_and_is_said(n):
    calibration = with_errors(made_problem(n, 2), np.zeros(n, dtype=bool))
    screener = Screener.fit_outputs(known_good(200, 1), calibration)
    assert screener.calibrated_on["errors"] == 0
    assert any(
        "calibration has 0 errors" in note and "equal weights on least_confidence, " in note for note in screener.notes
    )
    test = made_problem(1000, 3)
    p = screener.p_wrong(test)
    assert auroc(test.wrong, p) > 0.75
    assert 0 < p.min() < p.max() < 1
    assert screener.screen_outputs(test).flagged.num_rows > 0


@pytest.mark.parametrize("n", [3, 9, 40, 300])
def test_nothing_but_errors_is_answered_with_high_p_wrong(n):
    errors = with_errors(made_problem(n, 2), np.ones(n, dtype=bool))
    screener = Screener.fit_outputs(known_good(200, 1), errors, keep_class_order=True)
    p = screener.p_wrong(made_problem(500, 3))
    assert np.isfinite(p).all()
    assert p.mean() > 0.7
    assert screener.calibrated_on["errors"] == n


def test_what_it_was_calibrated_on_is_in_every_output(made):
    provenance = made.screen_outputs(made_problem(5, 3)).provenance
    assert provenance["calibrated_on"]["calibration"] == 1000
    assert provenance["calibrated_on"]["errors"] == int(made_problem(1000, 2).wrong.sum())
    assert provenance["calibrated_on"]["reference"] == len(known_good(500, 1))
    assert provenance["screen_id"] == made.id
    assert provenance["notes"] == list(made.notes)
    assert f"{provenance['calibrated_on']['errors']} errors" in made.describe()


def test_damaged_copies_count_as_declared():
    calibration = made_problem(800, 2)
    worse = replace(made_problem(800, 9), ids=calibration.ids)
    worse = with_errors(worse, worse.wrong | (np.arange(800) % 2 == 0))
    damaged = replace(worse, quality=worse.quality + 5)
    reference, test = known_good(300, 1), made_problem(300, 3)
    looks_damaged = replace(test, ids=[f"d{i}" for i in test.ids], quality=test.quality + 5)
    without = Screener.fit_outputs(reference, calibration)
    assert without.calibrated_on["expected_damage"] == 0
    mixed = Screener.fit_outputs(reference, calibration, damaged=damaged, expect_damage=0.2)
    assert mixed.calibrated_on["expected_damage"] == 0.2
    assert mixed.calibrated_on["damaged_copies"] == 800
    assert "expecting 20.0% damaged" in mixed.describe()
    assert mixed.calibration.weights[800:].sum() / mixed.calibration.weights.sum() == pytest.approx(0.2, rel=0.005)
    assert mixed.p_wrong(looks_damaged).mean() > 0.35
    assert mixed.p_wrong(test).mean() == pytest.approx(without.p_wrong(test).mean(), abs=0.03)
    zero = Screener.fit_outputs(reference, calibration, damaged=damaged, expect_damage=0)
    assert zero.p_wrong(test).tolist() == without.p_wrong(test).tolist()


@pytest.mark.parametrize("share", [-0.1, 1.0, 2, float("nan")])
def test_a_share_out_of_range_is_refused(share, world):
    calibration = made_problem(80, 2)
    with pytest.raises(InputError, match=f"expect_damage is {share}; it must be a share"):
        Screener.fit_outputs(known_good(50, 1), calibration, damaged=calibration, expect_damage=share)
    with pytest.raises(InputError, match=f"expect_damage is {share}; it must be a share"):
        Screener.fit(world.classifier, world.reference, world.calibration, expect_damage=share)


def test_the_same_seed_gives_the_same_bytes_on_disk(tmp_path):
    for name in ("a", "b"):
        Screener.fit_outputs(known_good(150, 1), made_problem(300, 2), seed=3).save(tmp_path / name)
    files = {path.name for path in (tmp_path / "a").iterdir()}
    assert len(files) == 2
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
@pytest.mark.parametrize("n", [60, 300, 900])
def test_saved_and_loaded_it_answers_the_same_bytes(tmp_path, task, n):
    screener = Screener.fit_outputs(known_good(150, 1, task), made_problem(n, 2, task))
    screener.save(tmp_path / "s")
    back = Screener.load(tmp_path / "s")
    test = made_problem(200, 3, task)
    assert back.p_wrong(test).tobytes() == screener.p_wrong(test).tobytes()
    assert back.id == screener.id
    assert (back.threshold, back.budget, back.notes) == (screener.threshold, screener.budget, screener.notes)
    assert back.calibrated_on == screener.calibrated_on
    assert back.with_budget(0.4).threshold == screener.with_budget(0.4).threshold
    assert back.screen_outputs(test).table.equals(screener.screen_outputs(test).table, check_metadata=True)
    with pytest.raises(OverlapError):
        back.screen_outputs(made_problem(n, 2, task))


# From images


def test_a_screener_of_few_labels_is_saved_and_loaded(tmp_path):
    calibration, batch = made_problem(300, 2), made_problem(20, 3)
    rows = np.concatenate([np.flatnonzero(calibration.wrong)[:8], np.flatnonzero(~calibration.wrong)[:11]])
    screener = Screener.fit_outputs(known_good(60, 1), calibration.take(rows))
    screener.save(tmp_path / "s")
    assert Screener.load(tmp_path / "s").screen_outputs(batch).table.equals(screener.screen_outputs(batch).table)


def test_fit_says_what_it_was_fitted_on(world):
    on = world.screener.calibrated_on
    assert on["calibration"] == 150
    assert on["errors"] == int(wrong(world.classifier, world.calibration).sum()) > 10
    assert on["damaged_copies"] == 150
    assert world.screener.model.classes == list(CLASSES)
    assert world.screener.model.sha256 == world.classifier.sha256


def wrong(classifier, folder):
    outputs = classifier.run(folder, passes=0)
    return np.array([name.split("/")[0] for name in outputs.ids]) != np.array(CLASSES)[outputs.predictions]


def test_the_order_of_the_rows_that_fit_does_not_matter(made):
    rng = np.random.default_rng(0)
    shuffled = [rows.take(rng.permutation(len(rows))) for rows in (known_good(500, 1), made_problem(1000, 2))]
    test = made_problem(300, 3)
    assert np.array_equal(Screener.fit_outputs(*shuffled).p_wrong(test), made.p_wrong(test))
    kept_back = [
        Screener.fit_outputs(*rows, certify_share=0.3)
        for rows in (shuffled, [known_good(500, 1), made_problem(1000, 2)])
    ]
    assert np.array_equal(kept_back[0].p_wrong(test), kept_back[1].p_wrong(test))


def test_the_order_of_the_rows_leaves_no_trace_on_disk(tmp_path):
    rng, sets = np.random.default_rng(0), (known_good(60, 1), made_problem(100, 2))
    for name, rows in (("a", sets), ("b", [one.take(rng.permutation(len(one))) for one in sets])):
        Screener.fit_outputs(*rows).save(tmp_path / name)
    a, b = ({file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in "ab")
    assert a == b


@pytest.mark.parametrize("name", [" cat", "dog ", ";", " ; ", "(no label)"])
def test_class_names_that_texts_of_several_labels_can_not_tell_are_refused(name):
    sets = known_good(50, 1, task="multilabel"), made_problem(80, 2, task="multilabel")
    classes = [name, "b", "c", "d"]
    with pytest.raises(CalibrationError, match="in texts of several labels; give it another name") as caught:
        Screener.fit_outputs(*sets, classes=classes)
    assert repr(name) in one_line(caught)


def test_p_wrong_finds_errors_of_real_files(world, tmp_path):
    write_images(tmp_path, 300, seed=4)
    verdicts = world.screener.screen(tmp_path)
    errors = wrong(world.classifier, tmp_path)
    assert auroc(errors, verdicts.table["p_wrong"].to_numpy()) > 0.65
    assert np.mean(verdicts.table["p_wrong"].to_numpy()) == pytest.approx(errors.mean(), abs=0.12)


@pytest.fixture
def broken(world, tmp_path):
    """The incoming images with files among them that can't be read."""
    folder = shutil.copytree(world.incoming, tmp_path / "incoming")
    image = (folder / "003.png").read_bytes()
    (folder / "002 cut.png").write_bytes(image[: len(image) // 2])
    (folder / "010 zero.png").write_bytes(b"")
    (folder / "zz text.jpg").write_text("no image")
    (folder / "new\nline, 'quoted' é.png").write_bytes(image)
    (folder / "notes.txt").write_text("not looked at")
    return folder


def test_every_file_has_one_row_and_unreadable_ones_cost_the_others_nothing(world, broken):
    verdicts = world.screener.screen(broken)
    rows, alone = rows_by_name(verdicts), rows_by_name(world.screener.screen(world.incoming))
    assert len(verdicts) == len(rows) == 44
    unreadable = {"002 cut.png", "010 zero.png", "zz text.jpg"}
    assert {name for name, row in rows.items() if row["error"] is not None} == unreadable
    assert rows["002 cut.png"]["error"] == "is truncated"
    assert rows["010 zero.png"]["error"] == "is empty (0 bytes)"
    for name in unreadable:
        assert rows[name]["flagged"] is True
        assert rows[name]["rank"] > 41
        assert rows[name]["reasons"] == []
        assert [rows[name][k] for k in ("p_wrong", "predicted_label", "predicted_index", "confidence")] == [None] * 4
        assert rows[name]["screen_id"] == world.screener.id
    for name, row in alone.items():
        assert rows[name]["p_wrong"] == pytest.approx(row["p_wrong"], rel=1e-4)
        assert rows[name]["flagged"] == row["flagged"]
    assert rows["new\nline, 'quoted' é.png"]["p_wrong"] == pytest.approx(rows["003.png"]["p_wrong"], rel=1e-4)
    assert sorted(row["rank"] for row in rows.values()) == list(range(1, 45))


def test_nothing_but_unreadable_files_is_a_table_of_them(world, tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"")
    verdicts = world.screener.screen(tmp_path)
    assert verdicts.table["error"].to_pylist() == ["is empty (0 bytes)"] * 2
    assert verdicts.table["flagged"].to_pylist() == [True, True]
    assert verdicts.table.schema.names == world.screener.screen(world.incoming).table.schema.names


@pytest.mark.parametrize(
    "options", [{"batch_size": 1, "workers": 1}, {"batch_size": 7, "workers": 4}, {"batch_size": 999}]
)
def test_batches_and_workers_do_not_matter(world, broken, options):
    usual, other = (rows_by_name(world.screener.screen(broken, **o)) for o in ({}, options))
    assert list(usual) == list(other)
    for name, row in usual.items():
        if row["error"] is None:
            assert other[name]["p_wrong"] == pytest.approx(row["p_wrong"], rel=1e-4)
        assert [other[name][k] for k in ("flagged", "error", "reasons")] == [
            row[k] for k in ("flagged", "error", "reasons")
        ]


def test_one_image_alone_has_the_verdict_it_has_in_a_folder(world):
    together = rows_by_name(world.screener.screen(world.incoming))
    for path in sorted(world.incoming.iterdir())[:15]:
        (alone,) = world.screener.screen([path]).table.to_pylist()
        assert alone["p_wrong"] == pytest.approx(together[path.name]["p_wrong"], rel=1e-4)
        assert alone["flagged"] == together[path.name]["flagged"]
        assert alone["rank"] == 1


def test_the_order_of_images_does_not_matter(world):
    paths = sorted(world.incoming.iterdir())
    forth, back = (rows_by_name(world.screener.screen(order)) for order in (paths, paths[::-1]))
    assert list(forth) == list(back)[::-1]
    for name, row in forth.items():
        assert back[name]["p_wrong"] == pytest.approx(row["p_wrong"], rel=1e-4)


@pytest.mark.parametrize("batch_size", [1, 4, 32])
def test_images_that_fitted_it_are_counted(world, tmp_path, batch_size):
    write_images(tmp_path, 3, seed=20, folders=False)
    source = world.calibration / "cat" / "000.png"
    for name in ("again.png", "and again.png"):
        shutil.copy(source, tmp_path / name)
    shutil.copy(world.reference / "dog" / "001.png", tmp_path / "known.png")
    found = world.screener.screen(tmp_path, batch_size=batch_size)
    assert found.provenance["images_that_fitted_the_screener"] == 3
    assert world.screener.screen(world.incoming).provenance["images_that_fitted_the_screener"] == 0


def test_no_images_are_refused(world, tmp_path):
    with pytest.raises(InputError, match="holds no image"):
        world.screener.screen(tmp_path)
    with pytest.raises(InputError):
        world.screener.screen([])


def test_loaded_with_its_classifier_it_screens_the_same(world, tmp_path):
    world.screener.save(tmp_path / "s")
    back = Screener.load(tmp_path / "s", world.classifier)
    assert back.screen(world.incoming).table.equals(world.screener.screen(world.incoming).table, check_metadata=True)
    with pytest.raises(ModelError, match="a module in memory, which no file holds; give the same classifier"):
        Screener.load(tmp_path / "s").screen(world.incoming)


def test_another_model_is_refused(world, tmp_path):
    world.screener.save(tmp_path / "s")
    others = [
        world.other_classifier,
        tiny_classifier(0, classes=CLASSES[::-1]),
        replace(world.classifier, preprocess=replace(world.classifier.preprocess, interpolation="nearest")),
    ]
    for other in others:
        with pytest.raises(ArtifactError, match="was fitted with model") as caught:
            Screener.load(tmp_path / "s", other)
        assert world.classifier.sha256[:12] in one_line(caught)
        assert other.sha256[:12] in str(caught.value)
    assert Screener.load(tmp_path / "s", tiny_classifier(0)).classifier is not None


def test_one_labelled_folder_is_enough(world):
    screener = Screener.fit(world.classifier, None, world.calibration, passes=3, expect_damage=0)
    assert screener.calibrated_on["calibration"] == 75
    assert screener.calibrated_on["damaged_copies"] == 0
    assert any(note.startswith("one labelled set was given") for note in screener.notes)
    assert len(screener.screen(world.incoming)) == 40


def test_fitting_from_images_twice_gives_the_same_bytes(world, tmp_path):
    for name in ("a", "b"):
        options = {"batch_size": 50, "workers": 1} if name == "b" else {"batch_size": 50, "workers": 3}
        Screener.fit(world.classifier, world.reference, world.calibration, passes=3, **options).save(tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_notes_of_model_sets_and_combiner_come_together(world, tmp_path):
    shutil.copytree(world.calibration, tmp_path / "c")
    (tmp_path / "c" / "cat" / "000.png").write_bytes(b"")
    screener = Screener.fit(world.classifier, world.reference, tmp_path / "c", passes=0, expect_damage=0)
    notes = "; ".join(screener.notes)
    for expected in ("1 calibration image can't be read", "reference rows were left out", "mc_variance are off"):
        assert expected in notes


def test_useless_labels_are_refused(world, tmp_path):
    write_images(tmp_path, 9, seed=5)
    for name in CLASSES:
        (tmp_path / name).rename(tmp_path / f"{name}s")
    with pytest.raises(CalibrationError, match="not one calibration label"):
        Screener.fit(world.classifier, world.reference, tmp_path)


def test_a_batch_of_both_kinds_keeps_every_row_in_its_place(world):
    outputs = world.classifier.run(world.incoming, passes=5).take([0, 1])
    rows = (
        Row("x", "broken", "", None),
        Row("000.png", None, "", None),
        Row("y", "broken", "", None),
        Row("001.png", None, "", None),
    )
    table = world.screener.verdict_rows(Batch(rows, outputs))
    assert table["file_name"].to_pylist() == ["x", "000.png", "y", "001.png"]
    p = world.screener.p_wrong(outputs).tolist()
    assert table["p_wrong"].to_pylist() == [None, p[0], None, p[1]]
    assert table["rank"].null_count == 4


def test_what_is_odd_about_images_is_told_from_python_too(world, tmp_path, caplog):
    for k, path in enumerate(sorted(world.incoming.iterdir())[:4]):
        Image.fromarray(np.asarray(Image.open(path).convert("L")).astype(np.uint16) << 4).save(tmp_path / f"{k}.png")
    (tmp_path / "notes.txt").write_text("x")
    with caplog.at_level("WARNING", "uncertainty"):
        world.screener.screen(tmp_path)
    assert "1 other file was not looked at: 'notes.txt'" in caplog.text
    assert (
        "all 4 16-bit images stay below 4,096 and are decoded nearly black: 12-bit content? say bits=12" in caplog.text
    )


def test_rows_of_several_labels_without_a_known_answer_teach_nothing():
    reference, calibration = known_good(200, 1, "multilabel"), made_problem(300, 2, "multilabel")
    labels = np.concatenate([calibration.labels, np.full((2, 4), -1)])
    more = made_problem(2, 9, "multilabel")
    with_them = replace(ModelOutputs.concatenate([calibration, more]), labels=labels)
    screener = Screener.fit_outputs(reference, with_them)
    assert "2 of 302 calibration rows have no known answer and were left out, e.g. '9-00000'" in screener.notes
    test = made_problem(20, 3, "multilabel")
    np.testing.assert_array_equal(screener.p_wrong(test), Screener.fit_outputs(reference, calibration).p_wrong(test))
    with pytest.raises(CalibrationError, match="none of 2 calibration rows has a known answer"):
        Screener.fit_outputs(reference, replace(more, labels=np.full((2, 4), -1)))
