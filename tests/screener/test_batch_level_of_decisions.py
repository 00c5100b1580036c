"""`--adapt batch` with several labels an image: p_wrong of images and decisions, and all that follows from them."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from problems import known_good, made_problem

from uncertainty import ModelOutputs, Policy, Screener, Verdicts
from uncertainty.decisions.each_decision import flags_of_decisions
from uncertainty.errors import InputError
from uncertainty.labels.tables import table_decisions
from uncertainty.monitoring.adapted_decisions import LOG_ODDS
from uncertainty.output_tables.output_table import OutputTable
from uncertainty.recalibration.refit import updated
from uncertainty.screener.as_calibrated import as_calibrated
from uncertainty.screener.batch_level import ADAPTED_TO_BATCH
from uncertainty.screener.output_batches import in_batches
from uncertainty.workflows.monitor import monitor_folder
from uncertainty.workflows.screen import ScreenSettings, screen_into

NAMES = tuple("abcd")
EACH = Policy.of(budget=0.1, per_decision=True)


def moved(outputs):
    """What is damaged lies elsewhere, by the image, and a third of its decisions is wrong."""
    rng = np.random.default_rng(0)
    wrong = outputs.wrong_decisions | (rng.random(outputs.labels.shape) < 0.3)
    return replace(outputs, quality=outputs.quality + 0.1, labels=np.where(wrong, 1, 0) ^ outputs.predictions)


@pytest.fixture(scope="module")
def made():
    calibration = made_problem(600, 2, "multilabel")
    damaged = replace(moved(made_problem(600, 5, "multilabel")), ids=calibration.ids)
    reference = known_good(300, 1, "multilabel")
    return Screener.fit_outputs(reference, calibration, damaged=damaged, policy=EACH, classes=NAMES)


def batch(n, seed, share):
    rows = made_problem(n, seed, "multilabel")
    k = round(share * n)
    parts = (moved(rows).take(np.arange(k)), rows.take(np.arange(k, n)))
    return replace(rows, **{f: np.concatenate([getattr(p, f) for p in parts]) for f in ("quality", "labels")})


def by_name(table):
    return {row["file_name"]: {k: v for k, v in row.items() if k != "rank"} for row in table.to_pylist()}


@pytest.fixture(scope="module")
def half(made):
    outputs = batch(400, 7, 0.5)
    return outputs, made.screen_outputs(outputs, adapt="batch")


def test_decisions_follow_the_share_of_damaged_images(made, half):
    outputs, verdicts = half
    told = verdicts.provenance[ADAPTED_TO_BATCH]
    assert (told["to"], told["shares"]["damaged"]) == ("shares", pytest.approx(0.5, abs=0.08))
    p, each = verdicts.table["p_wrong"].to_numpy(), table_decisions(verdicts.table, NAMES)
    assert p.mean() == pytest.approx(outputs.wrong.mean(), abs=0.04)
    assert each.mean() == pytest.approx(outputs.wrong_decisions.mean(), abs=0.03)
    usual = table_decisions(made.screen_outputs(outputs).table, NAMES)
    assert usual.mean() < each.mean() - 0.02
    assert (each <= p[:, None]).all()


def test_flags_and_likelier_sets_are_those_of_the_adapted_decisions(made, half):
    outputs, verdicts = half
    table, each = verdicts.table, table_decisions(verdicts.table, NAMES)
    assert table.schema.equals(made.schema(), check_metadata=False)
    flags = flags_of_decisions(made.decision, each)
    assert table["flagged"].to_pylist() == flags.any(axis=1).tolist()
    assert table["flagged_labels"].to_pylist() == [";".join(np.array(NAMES)[row]) for row in flags]
    turned = (each > 0.5).any(axis=1)
    assert [label is not None for label in table["suggested_label"].to_pylist()] == turned.tolist()
    usual = made.screen_outputs(outputs).table
    assert usual["flagged_labels"] != table["flagged_labels"]
    plain = made.with_policy(Policy.of(budget=0.1)).screen_outputs(outputs, adapt="batch").table
    assert plain["flagged"].to_pylist() == (plain["p_wrong"].to_numpy() >= plain["threshold"].to_numpy()).tolist()
    assert "flagged_labels" not in plain.column_names


def test_the_same_bits_in_any_order(made, half):
    outputs, verdicts = half
    turned = made.screen_outputs(outputs.take(np.random.default_rng(0).permutation(400)), adapt="batch")
    assert by_name(turned.table) == by_name(verdicts.table)


def test_a_few_images_are_judged_as_without_it(made):
    outputs = batch(15, 8, 0.5)
    verdicts = made.screen_outputs(outputs, adapt="batch")
    assert "fewer than 20 images" in verdicts.provenance[ADAPTED_TO_BATCH]["in_words"]
    assert by_name(verdicts.table) == by_name(made.screen_outputs(outputs).table)


def test_images_of_one_label_and_no_other(made):
    pool = made_problem(2000, 9, "multilabel")
    alone = pool.take(np.flatnonzero((pool.labels == [1, 0, 0, 0]).all(axis=1)))
    verdicts = made.screen_outputs(alone, adapt="batch")
    each = table_decisions(verdicts.table, NAMES)
    assert each.mean() == pytest.approx(alone.wrong_decisions.mean(), abs=0.03)


def test_as_calibrated_it_is_what_it_was_and_single_decisions_where_they_were_kept(made, half):
    outputs, verdicts = half
    usual, kept = made.screen_outputs(outputs).table, kept_log_odds(made, outputs)
    back = as_calibrated(verdicts.table, made, kept)
    for table in (back, as_calibrated(verdicts.table, made)):
        np.testing.assert_allclose(table["p_wrong"], usual["p_wrong"], rtol=1e-4)
    np.testing.assert_allclose(table_decisions(back, NAMES), table_decisions(usual, NAMES), rtol=1e-4)
    assert table_decisions(as_calibrated(verdicts.table, made), NAMES) is None


def kept_log_odds(made, outputs):
    rows = [made.verdict_rows(rows, otherwise=True) for rows in in_batches(outputs, None, made.estimators)]
    return pa.concat_tables(rows)[LOG_ODDS]


def test_what_is_learnt_from_labels_is_p_wrong_as_calibrated(made, half):
    outputs, verdicts = half
    labels = {
        name: ";".join(np.array(NAMES)[row == 1]) or "(no label)"
        for name, row in zip(outputs.ids, outputs.labels, strict=True)
    }
    with pytest.raises(InputError, match="screen these images without --adapt"):
        updated(made, verdicts, labels)


def test_nor_is_it_learnt_from_verdicts_that_were_written_as_text(of_tables, tmp_path):
    made, rare = of_tables
    np.savez(tmp_path / "new.npz", name=rare.ids, logits=rare.logits, features=rare.features, classes=NAMES)
    table = OutputTable.open(f"table:{tmp_path / 'new.npz'}?task=multilabel")
    screen_into(tmp_path / "out", made, table, ScreenSettings(ending=".csv", adapt="batch"))
    with pytest.raises(InputError, match="screen these images without --adapt"):
        updated(made, Verdicts.read(tmp_path / "out"), dict.fromkeys(rare.ids, "a"))


@pytest.fixture(scope="module")
def of_tables():
    """A screener of logits and features, and images of which few carry the first label."""
    bare = [
        ModelOutputs(ids=o.ids, logits=o.logits, features=o.features, labels=o.labels, task="multilabel")
        for o in (known_good(300, 1, "multilabel"), made_problem(400, 2, "multilabel"))
    ]
    pool = made_problem(500, 3, "multilabel")
    rare = pool.take(np.flatnonzero((pool.labels[:, 0] == 0) | (np.arange(500) < 60)))
    return Screener.fit_outputs(*bare, policy=EACH, classes=NAMES), rare


def test_a_screening_in_a_folder_is_what_memory_holds_and_is_monitored_as_calibrated(of_tables, tmp_path):
    made, rare = of_tables
    logits = np.array(rare.logits)
    logits[5] = np.nan
    np.savez(tmp_path / "new.npz", name=rare.ids, logits=logits, features=rare.features, classes=NAMES)
    table = OutputTable.open(f"table:{tmp_path / 'new.npz'}?task=multilabel")
    summary = screen_into(tmp_path / "a", made, table, ScreenSettings(adapt="batch"))
    screen_into(tmp_path / "b", made, table, ScreenSettings())
    found, expected = Verdicts.read(tmp_path / "a").table, made.screen(table, adapt="batch").table
    told = summary["provenance"][ADAPTED_TO_BATCH]
    assert told["to"] == "labels"
    assert told["labels"]["a"]["batch"] < 0.6 * told["labels"]["a"]["calibration"]
    fewer = f"fewer carry 'a' ({100 * told['labels']['a']['batch']:.0f} %, in calibration "
    assert told["in_words"].startswith("only how many images carry each label differs: ")
    assert fewer in told["in_words"]
    assert told["flagged_before"] == pq.read_table(tmp_path / "b" / "verdicts.parquet")["flagged"].to_pylist().count(
        True
    )
    assert by_name(found) == by_name(expected)
    assert found["p_wrong_a"][5].as_py() is None
    assert found["flagged_labels"][5].as_py() is None
    assert LOG_ODDS in pq.read_schema(tmp_path / "a" / "features.parquet").names
    before = [(tmp_path / name / "monitoring.json").read_text("utf-8") for name in "ab"]
    assert before[0] == before[1]
    again = monitor_folder(tmp_path / "a", made).to_json()
    usual = json.loads(before[1])
    for name in NAMES:
        assert again["decisions"]["per_class"][name] == pytest.approx(usual["decisions"]["per_class"][name], abs=1e-6)
    (tmp_path / "a" / "features.parquet").unlink()
    assert "decisions" not in monitor_folder(tmp_path / "a", made, overwrite=True).to_json()


def test_classes_too_many_for_columns_of_their_own():
    rng, names = np.random.default_rng(0), [f"c{k}" for k in range(201)]

    def outputs(n, tag):
        latent = rng.normal(size=(n, 201)) * 2 - 4
        labels = (latent + rng.logistic(size=latent.shape) > 0).astype(int)
        labels[::2] = latent[::2] > 0
        return ModelOutputs(ids=[f"{tag}{k}" for k in range(n)], logits=latent, labels=labels, task="multilabel")

    screener = Screener.fit_outputs(outputs(40, "r"), outputs(60, "c"), classes=names)
    new = outputs(30, "n")
    usual, adapted = (screener.screen_outputs(new, adapt=adapt).table for adapt in (None, "batch"))
    assert usual["p_wrongs"] == adapted["p_wrongs"]
