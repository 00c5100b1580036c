"""Screeners of several labels an image: policies on single decisions, from fit to verdicts and back from labels."""

import json

import numpy as np
import pytest

from tests.screener.sealing import sealed_again
from uncertainty import ModelOutputs, Policy, Screener, Verdicts
from uncertainty.combination.suggested_sets import SuggestedSets
from uncertainty.decisions.each_decision import flags_of_decisions
from uncertainty.errors import ArtifactError, CalibrationError, InputError
from uncertainty.estimators.fused_decisions import FusedDecisions
from uncertainty.labels.tables import table_decisions
from uncertainty.recalibration.refit import updated
from uncertainty.screener.artifact import MANIFEST
from uncertainty.screener.output_batches import in_batches
from uncertainty.verdicts import write_table
from uncertainty.workflows.explain import explained

CLASSES = ("a", "b", "c")
EACH = Policy.of(budget=0.1, per_decision=True, per_class=True)


def outputs(n, seed, tag):
    """N images of three labels, of which about one decision in twelve is wrong."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(n, 3)) * 3 + [0, -1, 1]
    truth = (latent + rng.logistic(size=(n, 3)) > 0).astype(int)
    ids = [f"{tag}{i}" for i in range(n)]
    return ModelOutputs(ids=ids, logits=latent.astype(np.float32), labels=truth, task="multilabel")


@pytest.fixture(scope="module")
def screener():
    known = outputs(200, 0, "r")
    good = ModelOutputs(ids=known.ids, logits=known.logits, labels=known.predictions, task="multilabel")
    return Screener.fit_outputs(good, outputs(500, 1, "c"), policy=EACH, classes=CLASSES)


@pytest.fixture(scope="module")
def verdicts(screener):
    return screener.screen_outputs(outputs(300, 2, "n"))


def test_labels_are_flagged_where_their_p_wrong_reaches_their_line(screener, verdicts):
    flags = flags_of_decisions(screener.decision, table_decisions(verdicts.table, CLASSES))
    assert verdicts.table["flagged"].to_pylist() == flags.any(axis=1).tolist()
    expected = [";".join(np.array(CLASSES)[row]) for row in flags]
    assert verdicts.table["flagged_labels"].to_pylist() == expected
    assert 0.05 < flags.mean() < 0.16
    assert verdicts.table["threshold"].null_count == 300


def test_the_column_is_there_only_where_it_was_asked_for_and_comes_back_from_csv(screener, verdicts, tmp_path):
    plain = screener.with_policy(Policy.of(budget=0.1)).screen_outputs(outputs(20, 3, "m"))
    assert "flagged_labels" not in plain.table.column_names
    write_table(verdicts.table, tmp_path / "v.csv")
    again = Verdicts.read(tmp_path / "v.csv").table
    told = [text or None for text in verdicts.table["flagged_labels"].to_pylist()]
    assert [text or None for text in again["flagged_labels"].to_pylist()] == told


def test_a_saved_screener_flags_the_same(screener, verdicts, tmp_path):
    screener.save(tmp_path / "s")
    again = Screener.load(tmp_path / "s", None)
    assert again.decision == screener.decision
    assert again.screen_outputs(outputs(300, 2, "n")).table.equals(verdicts.table)


def test_the_plan_and_the_answer_are_about_decisions(screener):
    found = screener.plan(Policy.of(max_error=0.1, per_decision=True))
    assert (found.images, found.groups) == (1500, 500)
    (answer,) = screener.explain(outputs(300, 2, "n")[0])
    assert answer.predicted.removeprefix("not ") in CLASSES
    assert answer.flagged == (answer.distance >= 0)


def test_the_likelier_set_stands_beside_the_prediction_where_they_differ(screener, verdicts, tmp_path):
    p_wrong, said = table_decisions(verdicts.table, CLASSES), outputs(300, 2, "n").predictions == 1
    likelier, differs = said ^ (p_wrong > 0.5), (p_wrong > 0.5).any(axis=1)
    assert 5 < differs.sum() < 100
    names = [";".join(np.array(CLASSES)[row]) or "(no label)" for row in likelier]
    expected = [name if other else None for name, other in zip(names, differs, strict=True)]
    assert verdicts.table["suggested_label"].to_pylist() == expected
    assert "(no label)" in expected
    sure = np.maximum(p_wrong, 1 - p_wrong)[differs].min(axis=1)
    told = verdicts.table["suggested_probability"].drop_null().to_numpy()
    assert (told <= sure).all()
    assert (told > 0).all()
    write_table(verdicts.table, tmp_path / "v.csv")
    assert Verdicts.read(tmp_path / "v.csv").table["suggested_label"].to_pylist() == expected


def test_a_screener_of_an_earlier_release_takes_the_product(screener, tmp_path):
    screener.save(tmp_path / "s")
    told = json.loads((tmp_path / "s" / MANIFEST).read_text("utf-8"))["decisions"]
    assert told["sets"] == screener.decisions.sets.to_dict()
    sealed_again(tmp_path / "s", decisions={name: told[name] for name in ("experts", "at_first_sight")})
    assert Screener.load(tmp_path / "s", None).decisions.sets == SuggestedSets()
    sealed_again(tmp_path / "s", decisions=told | {"sets": {"slope": -1.0}})
    with pytest.raises(ArtifactError, match="odds of suggested sets are out of range"):
        Screener.load(tmp_path / "s", None)


def test_updates_draw_the_lines_on_old_and_new_decisions(screener, verdicts):
    new = outputs(300, 2, "n")
    told = [";".join(np.array(CLASSES)[row == 1]) or "(no label)" for row in new.labels]
    told[0] = "a;?b"
    found = updated(screener, verdicts, dict(zip(new.ids.tolist(), told, strict=True)))
    rows = found.screener.decisions.rows
    assert len(rows) == len(found.screener.calibration) == len(screener.calibration) + 300
    assert rows.wrong[len(screener.calibration)].tolist()[1] == -1
    assert (rows.wrong[len(screener.calibration) + 1 :] == new.wrong_decisions[1:]).all()
    assert found.screener.plan().decisions
    assert found.after.flagged == pytest.approx(found.before.flagged, abs=40)


def test_an_image_is_explained_by_the_decision_that_flags_it_or_comes_nearest(screener, verdicts):
    batches = in_batches(outputs(300, 2, "n"), None, screener.estimators)
    found = {one.file_name: one for batch in batches for one in explained(screener, batch, None)}
    rows = verdicts.table.to_pylist()
    assert [found[row["file_name"]].answer.flagged for row in rows] == [row["flagged"] for row in rows]
    quiet = next(row for row in rows if not row["flagged"] and row["p_wrong"] > 0.2)
    one = found[quiet["file_name"]]
    assert one.image == (quiet["predicted_label"], pytest.approx(quiet["p_wrong"]))
    told = one.answer.predicted
    assert one.answer.p_wrong == pytest.approx(quiet[f"p_wrong_{told.removeprefix('not ')}"])
    said = f"p_wrong {quiet['p_wrong']:.3f}; of the decision {told!r} {one.answer.p_wrong:.3f}, not flagged"
    assert one.words()[1].startswith(said)
    assert "calibration decisions most like it" in one.words()[-1]


def test_policies_that_mean_nothing_are_refused(screener):
    with pytest.raises(CalibrationError, match="say per_decision too"):
        screener.with_policy(Policy.of(budget=0.1, per_class=True))
    rng = np.random.default_rng(4)
    one = [
        ModelOutputs(
            ids=[f"{tag}{i}" for i in range(90)], logits=rng.normal(size=(90, 3)), labels=rng.integers(0, 3, 90)
        )
        for tag in "rc"
    ]
    with pytest.raises(InputError, match="per_decision is about several labels"):
        Screener.fit_outputs(*one, policy=EACH)


def test_the_judge_looks_once_at_each_row(screener, monkeypatch):
    looks = []
    usual = FusedDecisions.label_log_odds
    monkeypatch.setattr(
        FusedDecisions, "label_log_odds", lambda self, rows: looks.append(len(rows)) or usual(self, rows)
    )
    screener.screen_outputs(outputs(300, 2, "n"))
    assert sum(looks) == 300
