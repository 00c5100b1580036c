"""p_wrong for a batch as it is: what it is adapted to, whatever the order of the rows, and where it is refused."""

import re
from dataclasses import replace

import numpy as np
import pytest
from problems import known_good, made_problem

from uncertainty import Screener
from uncertainty.decisions.policies import Policy
from uncertainty.errors import InputError
from uncertainty.screener.as_calibrated import as_calibrated
from uncertainty.screener.batch_level import ADAPTED_TO_BATCH


@pytest.fixture(scope="module")
def made():
    calibration, harder = made_problem(1000, 2), made_problem(1000, 5)
    # What is damaged lies elsewhere, by image and by features, and is wrong more often.
    damaged = replace(_moved(harder), ids=calibration.ids)
    return Screener.fit_outputs(known_good(400, 1), calibration, damaged=damaged)


def _moved(outputs):
    rng = np.random.default_rng(0)
    wrong = outputs.wrong | (rng.random(len(outputs)) < 0.5)
    labels = np.where(wrong, (outputs.predictions + 1) % outputs.n_classes, outputs.predictions)
    return replace(outputs, quality=outputs.quality + 0.1, labels=labels)


def batch(n, seed, share):
    rows, moved = made_problem(n, seed), _moved(made_problem(n, seed))
    k = round(share * n)
    joined = {
        name: np.concatenate([getattr(moved, name)[:k], getattr(rows, name)[k:]]) for name in ("quality", "labels")
    }
    return replace(rows, **joined)


def by_name(verdicts):
    return {row["file_name"]: row for row in verdicts.table.to_pylist()}


def test_the_level_follows_the_share_of_damaged_images(made):
    for share in (0.0, 0.5):
        outputs = batch(600, 7, share)
        verdicts = made.screen_outputs(outputs, adapt="batch")
        p = verdicts.table["p_wrong"].to_numpy()
        assert p.mean() == pytest.approx(outputs.wrong.mean(), abs=0.06)
        told = verdicts.provenance[ADAPTED_TO_BATCH]
        assert told["to"] == "shares"
        assert told["shares"]["damaged"] == pytest.approx(share, abs=0.05)
        way = "more" if share else "fewer"
        assert told["in_words"].startswith(f"{way} of these images than expected look damaged or of no known class, ")
        assert told["flagged_before"] == sum(made.screen_outputs(outputs).table["flagged"].to_pylist())


def test_the_same_bits_in_any_order(made):
    outputs = batch(300, 8, 0.3)
    as_given = by_name(made.screen_outputs(outputs, adapt="batch"))
    turned = by_name(made.screen_outputs(outputs.take(np.random.default_rng(0).permutation(300)), adapt="batch"))
    for name, row in as_given.items():
        assert {k: v for k, v in turned[name].items() if k != "rank"} == {k: v for k, v in row.items() if k != "rank"}


def test_flags_and_reasons_go_with_it(made):
    outputs = batch(400, 9, 0.5)
    usual, table = by_name(made.screen_outputs(outputs)), made.screen_outputs(outputs, adapt="batch").table
    rows = table.to_pylist()
    assert all(row["flagged"] == (row["p_wrong"] >= row["threshold"]) for row in rows)
    assert table.schema.equals(made.schema(), check_metadata=False)
    flipped = [row for row in rows if row["flagged"] != usual[row["file_name"]]["flagged"]]
    assert flipped
    assert all(row["reasons"] for row in flipped if row["flagged"])
    assert [row["rank"] for row in sorted(rows, key=lambda row: -row["p_wrong"])] == list(range(1, 401))


def test_nothing_is_said_of_it_unless_asked_for(made):
    outputs = batch(100, 9, 0.5)
    verdicts = made.screen_outputs(outputs)
    assert ADAPTED_TO_BATCH not in verdicts.provenance
    adapted = made.screen_outputs(outputs, adapt="batch").table
    np.testing.assert_allclose(as_calibrated(adapted, made)["p_wrong"], verdicts.table["p_wrong"], rtol=1e-4)


def test_where_nothing_tells_it_is_as_without_and_that_is_said():
    undamaged = Screener.fit_outputs(known_good(300, 1), made_problem(300, 2))
    for screener, n, why in ((undamaged, 100, "no damaged copies"), (undamaged, 10, "fewer than 20 images")):
        outputs = made_problem(n, 3)
        verdicts = screener.screen_outputs(outputs, adapt="batch")
        assert verdicts.table["p_wrong"] == screener.screen_outputs(outputs).table["p_wrong"]
        assert why in verdicts.provenance[ADAPTED_TO_BATCH]["in_words"]


def test_other_shares_of_the_classes(made):
    pool = made_problem(6000, 4)
    rare = pool.take(np.flatnonzero((pool.labels > 0) | (np.arange(6000) < 300)))
    told = made.screen_outputs(rare, adapt="batch").provenance[ADAPTED_TO_BATCH]
    assert told["to"] == "classes"
    said = told["in_words"]
    assert re.search(r"differ from calibration: more are .*, fewer are '0' \(\d+ %, in calibration \d+ %\)$", said)


def test_refused_where_it_would_not_be_true(made):
    outputs = made_problem(30, 3)
    with pytest.raises(InputError, match="adapt is 'day'; it is 'batch'"):
        made.screen_outputs(outputs, adapt="day")
    with pytest.raises(InputError, match="certified for p_wrong as calibrated"):
        made.with_policy(Policy.of(max_error=0.3)).screen_outputs(outputs, adapt="batch")
    deep = Screener.fit_outputs(known_good(200, 1), made_problem(200, 2), deeper=("mc_probs",))
    with pytest.raises(InputError, match="a cascade decides before the batch is known"):
        deep.screen_outputs(outputs, adapt="batch")


def test_an_empty_batch_is_a_table(made):
    assert len(made.screen_outputs(made_problem(30, 3).take([]), adapt="batch").table) == 0
