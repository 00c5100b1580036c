"""The cascade: both promises on fresh rows, the ends of its scale, the same verdict in any company, nothing lost."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import CLASSES, SIDE, stripes, tiny_classifier, tiny_network
from problems import known_good, made_problem
from torch import nn

from screener.sealing import sealed_again
from uncertainty import Classifier, Preprocess
from uncertainty.decisions.thresholds import budget_threshold
from uncertainty.errors import ArtifactError, InputError, MissingColumnError, OutputsError
from uncertainty.estimators import create
from uncertainty.metrics import e_aurc
from uncertainty.screener import Screener
from uncertainty.screener.artifact import MANIFEST, files_of
from uncertainty.screener.cascade import EVERYBODY, NOBODY, Doubt, dear_columns, effort_of, narrowest
from uncertainty.screener.ranking_gain import ranking_gains
from uncertainty.screener.verdict_rows import DEEPER_LOOK_FAILED

DEEP = ("embedding", "tta_probs")


@pytest.fixture(scope="module")
def full():
    return Screener.fit_outputs(known_good(300, 1), made_problem(800, 2))


@pytest.fixture(scope="module")
def cascaded():
    return Screener.fit_outputs(known_good(300, 1), made_problem(800, 2), deeper=DEEP)


def told(n, seed, gain=1.0):
    """Held-out rows: full evidence knows the probability of an error, cheap evidence only about."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(-2.5, 1.5, n)
    cheap = truth + gain * rng.normal(0, 1.0, n)
    # What cheap evidence should say is what is true on average where it says so.
    order = np.argsort(cheap)
    p = 1 / (1 + np.exp(-truth))
    smooth = np.empty(n)
    smooth[order] = np.convolve(np.pad(p[order], 50, mode="edge"), np.ones(101) / 101, "valid")
    smooth[order] = np.maximum.accumulate(smooth[order]) + 1e-9 * np.arange(n)
    return Doubt(smooth, p, np.ones(n), rng.random(n) < p, np.ones(n, dtype=bool))


def at_budget(budget, weights):
    return lambda p: budget_threshold(p, weights, budget)


# The interval


@pytest.mark.parametrize("loss", [0.01, 0.05, 0.3])
@pytest.mark.parametrize("budget", [0.05, 0.2])
def test_both_promises_hold_on_fresh_rows_to_within_noise(loss, budget):
    changed, lost, share = [], [], []
    for seed in range(4):
        rows, fresh = told(3000, seed), told(20_000, 100 + seed)
        decide = at_budget(budget, rows.weights)
        interval = narrowest(rows, decide, loss)
        limit, target = decide(rows.mixed(interval)), decide(rows.full)
        mixed = fresh.mixed(interval)
        changed.append(((mixed >= limit) != (fresh.full >= target)).mean())
        best = e_aurc(fresh.wrong, fresh.full)
        lost.append((e_aurc(fresh.wrong, mixed) - best) / best)
        share.append(np.mean((fresh.cheap >= interval[0]) & (fresh.cheap <= interval[1])))
    assert np.mean(changed) <= 0.005 + 0.003
    assert np.mean(lost) <= loss + 0.02
    assert max(share) < 0.99 if loss < 0.05 else max(share) < 0.9


def test_fewer_go_deeper_the_more_may_be_lost():
    rows = told(3000, 0)
    intervals = [narrowest(rows, at_budget(0.1, rows.weights), loss, 1.0) for loss in (0.003, 0.01, 0.05, 0.2, 10)]
    shares = [rows.share((rows.cheap >= low) & (rows.cheap <= high)) for low, high in intervals]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.5
    assert intervals[-1] == NOBODY


def test_where_cheap_says_what_full_says_nobody_goes_deeper():
    rows = told(1000, 0, gain=0)
    assert narrowest(replace(rows, cheap=rows.full), at_budget(0.1, rows.weights)) == NOBODY


def test_without_an_error_nothing_may_be_lost_so_everybody_goes_deeper():
    rows = told(500, 0)
    interval = narrowest(replace(rows, wrong=np.zeros(500, dtype=bool)), at_budget(0.1, rows.weights))
    assert rows.mixed(interval).argsort().tolist() == rows.full.argsort().tolist()


def test_rows_that_weigh_little_decide_little():
    rows = told(2000, 0)
    odd = Doubt(np.full(500, 0.01), np.full(500, 0.9), np.full(500, 1e-9), np.ones(500, bool), np.zeros(500, bool))
    parts = zip(vars(rows).values(), vars(odd).values(), strict=True)
    both = Doubt(*(np.concatenate(pair) for pair in parts))
    expected = narrowest(rows, at_budget(0.1, rows.weights))
    assert narrowest(both, at_budget(0.1, both.weights)) == pytest.approx(expected, abs=0.02)


def test_no_end_of_an_interval_is_the_value_of_a_row():
    rows = told(400, 3)
    low, high = narrowest(rows, at_budget(0.1, rows.weights))
    assert low not in rows.cheap
    assert high not in rows.cheap


def test_held_out_rows_come_back():
    rows = told(50, 0)
    back = Doubt.from_array(rows.to_array())
    assert back.cheap == pytest.approx(rows.cheap, rel=1e-6)
    assert back.wrong.tolist() == rows.wrong.tolist()
    with pytest.raises(ArtifactError, match=r"rows of shape \(3, 2\); fit the screener again"):
        Doubt.from_array(np.zeros((3, 2), np.float32))


def test_efforts_have_names():
    assert effort_of({"mc_probs", "logits"}) == "fast"
    assert effort_of({"mc_probs", "logits"}, dear_columns(dropout=True)) == "thorough"
    assert [effort_of({"tta_probs", "embedding"}, views=views) for views in (1, 5)] == ["balanced", "thorough"]
    assert dear_columns(dropout=False) == DEEP


# The screener


def set_to(screener, interval):
    return replace(screener, cascade=replace(screener.cascade, interval=interval))


def test_when_everybody_goes_deeper_it_is_full_evidence(full, cascaded):
    test = made_problem(500, 3)
    assert set_to(cascaded, EVERYBODY).p_wrong(test).tolist() == full.p_wrong(test).tolist()


def test_when_nobody_goes_deeper_it_is_cheap_evidence_and_needs_no_more(cascaded):
    test = made_problem(500, 3)
    alone = [create(estimator.name) for estimator in cascaded.cascade.cheap(cascaded.estimators)]
    cheap = Screener.fit_outputs(
        *(replace(o, embedding=None, tta_probs=None) for o in (known_good(300, 1), made_problem(800, 2))),
        estimators=alone,
    )
    bare = replace(test, embedding=None, tta_probs=None)
    nobody = set_to(cascaded, NOBODY)
    assert nobody.p_wrong(test).tolist() == cheap.p_wrong(test).tolist() == cheap.p_wrong(bare).tolist()
    table = nobody.screen_outputs(test).table
    assert set(table["effort"].to_pylist()) == {"fast"}
    assert table["est_second_opinion_vote"].null_count == len(test)


def test_some_go_deeper_and_the_verdicts_say_which(full, cascaded):
    test = made_problem(500, 3)
    table, expected = cascaded.screen_outputs(test).table, full.screen_outputs(test).table
    deep = np.array(table["effort"].to_pylist()) == "thorough"
    assert set(table["effort"].to_pylist()) == {"fast", "thorough"}
    assert deep.mean() == pytest.approx(cascaded.cascade.share, abs=0.08)
    p, q = table["p_wrong"].to_numpy(), expected["p_wrong"].to_numpy()
    assert p[deep].tolist() == q[deep].tolist()
    assert p.tolist() == cascaded.p_wrong(test).tolist()
    assert [v is not None for v in table["est_tta_variance"].to_pylist()] == deep.tolist()
    for name in ("predicted_label", "confidence", "est_margin", "prob_0"):
        assert table[name].to_pylist() == expected[name].to_pylist()
    assert np.mean(np.array(table["flagged"].to_pylist()) != expected["flagged"].to_numpy(zero_copy_only=False)) < 0.02
    assert "effort" not in expected.column_names
    low, high = cascaded.cascade.interval
    assert f"between {low:.3f} and {high:.3f} at first sight" in cascaded.describe()


def test_each_row_has_its_own_verdict_whoever_it_comes_with(cascaded):
    test = made_problem(60, 3)
    together = {row["file_name"]: row for row in cascaded.screen_outputs(test).table.to_pylist()}
    for rows in (np.arange(60)[::-1], np.arange(20), [7]):
        for row in cascaded.screen_outputs(test.take(rows)).table.to_pylist():
            same = together[row["file_name"]]
            assert row["p_wrong"] == pytest.approx(same["p_wrong"], rel=1e-5)
            assert [row[k] for k in ("flagged", "reasons", "effort")] == [
                same[k] for k in ("flagged", "reasons", "effort")
            ]


@pytest.mark.parametrize("budget", [0.02, 0.3])
def test_another_budget_decides_the_interval_again(budget):
    def fitted(budget):
        problem = known_good(300, 1), made_problem(800, 2)
        # With so much to lose, it is flags alone that decide.
        return Screener.fit_outputs(*problem, deeper=DEEP, cascade_loss=9, budget=budget)

    one, fresh = fitted(0.1), fitted(budget)
    other = one.with_budget(budget)
    assert (other.threshold, other.cascade.interval) == (fresh.threshold, fresh.cascade.interval)
    assert other.calibration.p_wrong.tolist() == fresh.calibration.p_wrong.tolist()
    assert other.cascade.interval != one.cascade.interval
    assert other.id != one.id
    p, weights = other.calibration.p_wrong, other.calibration.weights
    assert (weights * (p >= np.float32(other.threshold))).sum() / weights.sum() <= budget + 1e-6


def test_a_deeper_look_that_gains_nothing_is_for_nobody(cascaded):
    rows = told(500, 0)
    worse = replace(cascaded.cascade, held_out=replace(rows, cheap=rows.full, full=rows.cheap))
    screener = replace(cascaded, cascade=worse.decided(at_budget(0.1, rows.weights)))
    assert screener.cascade.interval == NOBODY
    assert screener.cascade.share == 0
    assert "a deeper look gains nothing on calibration, so no image gets one" in screener.describe()


def test_there_is_no_cascade_without_anything_deeper(full):
    bare = [replace(o, embedding=None, tta_probs=None) for o in (known_good(300, 1), made_problem(800, 2))]
    screener = Screener.fit_outputs(*bare, deeper=DEEP)
    assert screener.cascade is None
    assert "there is no cascade" in "; ".join(screener.notes)
    assert "cascade" not in "; ".join(full.notes)


@pytest.mark.parametrize("share", [0.1, 0.35])
def test_a_share_is_kept_and_gains_more_than_as_many_images_elsewhere(share):
    rows, fresh = told(2000, 0), told(4000, 1)
    low, high = rows.within(share)
    assert rows.share((rows.cheap >= low) & (rows.cheap <= high)) <= share
    cuts = np.quantile(fresh.cheap, [0, share, 1 - share, 1])
    others = [(cuts[0], cuts[1]), (cuts[2], cuts[3]), (0.5, 0.4)]
    loss = e_aurc(fresh.wrong, fresh.mixed((low, high)))
    assert all(loss < e_aurc(fresh.wrong, fresh.mixed(other)) for other in others)


def test_gains_are_what_an_image_moved_alone_saves():
    full = told(400, 2).full
    for row, cheap in ((5, 0.001), (17, 0.3), (200, 0.02)):
        moved = full.copy()
        moved[row] = cheap
        found = ranking_gains(moved, full, np.ones(400))
        assert found[np.arange(400) != row].max() == 0
        expected = [(full[np.argsort(p)].cumsum() / np.arange(1, 401)).mean() for p in (moved, full)]
        assert found[row] / 400 == pytest.approx(expected[0] - expected[1], rel=0.1, abs=1e-6)


def test_a_screener_keeps_the_share_that_it_was_fitted_with(tmp_path):
    screener = Screener.fit_outputs(known_good(300, 1), made_problem(800, 2), deeper=DEEP, cascade_share=0.3)
    assert 0.2 < screener.cascade.share <= 0.3
    assert f"{screener.cascade.kept:.0%} of what it would gain on all of them" in screener.describe()
    assert 0.3 < screener.cascade.kept < 1
    screener.save(tmp_path / "screener")
    loaded = Screener.load(tmp_path / "screener", None)
    assert (loaded.id, loaded.cascade.interval, loaded.cascade.most) == (screener.id, screener.cascade.interval, 0.3)
    assert loaded.with_budget(0.3).cascade.interval == screener.cascade.interval


def test_what_can_not_be_is_refused(cascaded):
    problem = known_good(100, 1), made_problem(300, 2)
    with pytest.raises(InputError, match="every estimator needs embedding or tta_probs"):
        Screener.fit_outputs(*problem, deeper=DEEP, estimators=[create("second_opinion_vote")])
    with pytest.raises(InputError, match=r"cascade_loss is -0\.1; it must be"):
        Screener.fit_outputs(*problem, deeper=DEEP, cascade_loss=-0.1)
    with pytest.raises(InputError, match=r"cascade_share is 35; it must be a share of the images, from 0 to 1"):
        Screener.fit_outputs(*problem, deeper=DEEP, cascade_share=35)
    with pytest.raises(InputError, match="cascade_share takes the place of cascade_loss; give one of them"):
        Screener.fit_outputs(*problem, deeper=DEEP, cascade_share=0.35, cascade_loss=0.05)
    with pytest.raises(MissingColumnError, match="'embedding'"):
        set_to(cascaded, EVERYBODY).p_wrong(replace(made_problem(5, 3), embedding=None))


@pytest.mark.parametrize("column", ["features", "embedding"])
def test_features_of_another_size_are_an_error_of_one_line(full, column):
    test = made_problem(5, 3)
    with pytest.raises(OutputsError, match=r"known-good ones .*they must come from the same layer") as caught:
        full.screen_outputs(replace(test, **{column: getattr(test, column)[:, :-1]}))
    assert "\n" not in str(caught.value)
    probe = create("second_opinion_probe").fit(known_good(100, 1))
    with pytest.raises(OutputsError, match="embedding have 15 columns and the known-good ones 16"):
        probe.score(replace(test, embedding=test.embedding[:, :-1]))


# The artifact


def test_a_cascade_comes_back_to_the_last_bit(cascaded, tmp_path):
    cascaded.save(tmp_path)
    back, test = Screener.load(tmp_path), made_problem(200, 3)
    assert back.screen_outputs(test).table.equals(cascaded.screen_outputs(test).table)
    assert back.id == cascaded.id
    again, other = back.with_budget(0.3), cascaded.with_budget(0.3)
    assert (again.threshold, again.cascade.interval) == (other.threshold, other.cascade.interval)
    back.save(tmp_path / "b")
    saved, again = ([(path.name, path.read_bytes()) for path in files_of(at)] for at in (tmp_path, tmp_path / "b"))
    assert len(saved) == 2
    assert saved == again


def test_a_screener_saved_without_the_field_loads(full, tmp_path):
    full.save(tmp_path)
    manifest = json.loads((tmp_path / MANIFEST).read_text("utf-8"))
    assert manifest.pop("cascade") is None
    (tmp_path / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    sealed_again(tmp_path)
    assert Screener.load(tmp_path).cascade is None


@pytest.mark.parametrize("change", [{"interval": [0.1]}, {"interval": None}, {"combiner": {}}, {"loss": "much"}])
def test_a_damaged_cascade_is_refused(cascaded, tmp_path, change):
    cascaded.save(tmp_path)
    manifest = json.loads((tmp_path / MANIFEST).read_text("utf-8"))
    sealed_again(tmp_path, cascade=manifest["cascade"] | change)
    with pytest.raises(ArtifactError, match=r"is damaged: .*; fit the screener again") as caught:
        Screener.load(tmp_path)
    assert "\n" not in str(caught.value)


# From images


class Second(nn.Module):
    """Column means: what tells the stripes apart. Fails on images of one colour, in the way that it was made for."""

    def __init__(self, failure=None):
        super().__init__()
        self.failure = failure
        self.seen = 0

    def forward(self, x):
        flat = (x.flatten(1).amax(1) - x.flatten(1).amin(1)) == 0
        if self.failure == "raises" and flat.any():
            raise RuntimeError("no edges\nanywhere")
        self.seen += len(x)
        means = 10 * x.mean((1, 2))
        return torch.where(flat[:, None], torch.nan, means) if self.failure == "nan" else means


def with_second(failure=None):
    backbone = Classifier.from_module(
        Second(failure), preprocess=Preprocess(size=SIDE, mean=(0.5,) * 3, std=(1.0,) * 3)
    )
    return tiny_classifier().with_embedder(backbone)


@pytest.fixture(scope="module")
def seeing(world):
    return Screener.fit(
        with_second(), world.reference, world.calibration, passes=3, views=("flip",), cascade=True, cascade_loss=0.3
    )


INCOMING = stripes(60, 9)[0]


def halved(screener, images=INCOMING):
    """Send about half of the images deeper, whatever calibration says."""
    cheap = np.sort(set_to(screener, NOBODY).screen(images).table["p_wrong"].to_numpy())
    return set_to(screener, (float(cheap[len(cheap) // 2 - 1 : len(cheap) // 2 + 1].mean()), 1.0))


def test_the_second_network_sees_only_images_that_go_deeper(seeing):
    screener = halved(seeing)
    second = seeing.classifier.embedder.network.module
    before = second.seen
    table = screener.screen(INCOMING).table
    efforts = table["effort"].to_pylist()
    assert second.seen - before == efforts.count("balanced") == 30
    everybody = set_to(seeing, EVERYBODY).screen(INCOMING).table.to_pylist()
    nobody = set_to(seeing, NOBODY).screen(INCOMING).table.to_pylist()
    for row, most, least in zip(table.to_pylist(), everybody, nobody, strict=True):
        same = most if row["effort"] == "balanced" else least
        assert row["p_wrong"] == pytest.approx(same["p_wrong"], rel=1e-4)


@pytest.mark.parametrize("size", [1, 7, 60])
def test_neither_batch_size_nor_order_changes_a_row(seeing, size):
    screener = halved(seeing)
    whole = {row["file_name"]: row for row in screener.screen(INCOMING, batch_size=32).table.to_pylist()}
    rows = screener.screen(INCOMING[::-1], batch_size=size).table.to_pylist()
    assert [row["file_name"] for row in rows[::-1]] == list(whole)
    for row in rows:
        same = whole[row["file_name"]]
        assert (row["effort"], row["flagged"]) == (same["effort"], same["flagged"])
        assert row["p_wrong"] == pytest.approx(same["p_wrong"], rel=1e-4)


def test_streamed_and_computed_elsewhere_it_is_the_same(seeing):
    screener = halved(seeing)
    outputs = seeing.classifier.run(INCOMING, passes=3, views=("flip",))
    first, second = screener.screen(INCOMING).table, screener.screen_outputs(outputs).table
    assert first["effort"].to_pylist() == second["effort"].to_pylist()
    assert first["p_wrong"].to_numpy() == pytest.approx(second["p_wrong"].to_numpy(), rel=1e-4)


def dropout_in_the_middle():
    network = tiny_network(0)
    return nn.Sequential(nn.Dropout(0.2), *network)


def test_dropout_that_costs_much_is_for_those_who_go_deeper(world):
    preprocess = Preprocess(size=SIDE, mean=(0.5,) * 3, std=(1.0,) * 3)
    classifier = Classifier.from_module(dropout_in_the_middle(), classes=list(CLASSES), preprocess=preprocess)
    assert classifier.network.dropout_cost == 1.0
    assert classifier.network.affordable(None) == (0, False)
    assert classifier.network.affordable(30) == (30, True)
    assert tiny_classifier().network.affordable(None) == (30, False)
    screener = Screener.fit(classifier, world.reference, world.calibration, expect_damage=0, expect_unknown=0)
    assert screener.passes == 0
    assert any(note.startswith("MC dropout is off: 30 sub-networks would cost 30.0 passes") for note in screener.notes)
    screener = Screener.fit(classifier, world.reference, world.calibration, passes=5, cascade=True, expect_unknown=0)
    assert "mc_probs" in screener.cascade.columns
    assert not any("MC dropout is off" in note for note in screener.notes)
    table = halved(screener).screen(INCOMING).table
    deep = [effort == "thorough" for effort in table["effort"].to_pylist()]
    assert sum(deep) == 30
    assert [value is not None for value in table["est_mc_variance"].to_pylist()] == deep
    expected = classifier.run(INCOMING, passes=5)
    scores = create("mc_variance").score(expected)
    assert np.array(table["est_mc_variance"].to_pylist(), dtype=float)[deep] == pytest.approx(scores[deep], abs=1e-5)


@pytest.mark.parametrize("failure", ["raises", "nan"])
def test_an_image_on_which_the_second_network_fails_keeps_its_verdict_in_a_cascade(seeing, failure):
    images = INCOMING.copy()
    images[5], images[50] = 128, 40
    broken = replace(set_to(seeing, EVERYBODY), classifier=with_second(failure))
    rows = broken.screen(images, batch_size=16).table.to_pylist()
    sound = set_to(seeing, EVERYBODY).screen(images).table.to_pylist()
    cheap = set_to(seeing, NOBODY).screen(images).table.to_pylist()
    for i, row in enumerate(rows):
        failed = i in (5, 50)
        assert row["error"] is None
        assert (DEEPER_LOOK_FAILED in row["reasons"]) == failed
        assert row["effort"] == ("fast" if failed else "balanced")
        assert row["p_wrong"] == pytest.approx((cheap if failed else sound)[i]["p_wrong"], rel=1e-4)


@pytest.mark.parametrize(("failure", "why"), [("raises", "fails on it: no edges"), ("nan", "answers with values that")])
def test_without_a_cascade_the_row_says_why_in_one_line(failure, why):
    images = INCOMING[:6].copy()
    images[2] = 128
    (batch,) = with_second(failure).stream(images, passes=0)
    assert [row.error is None for row in batch.rows] == [True, True, False, True, True, True]
    assert batch.rows[2].error.startswith(f"the second opinion {why}")
    assert "\n" not in batch.rows[2].error
    assert len(batch.outputs) == 5
    sound = with_second().run(images, passes=0)
    assert batch.outputs.embedding == pytest.approx(sound.embedding[[0, 1, 3, 4, 5]], abs=1e-5)


def test_an_unknown_view_is_refused_before_anything_is_run(world):
    with pytest.raises(InputError, match="there is no view 'mirror'; known are flip"):
        Screener.fit(tiny_classifier(), world.root / "nothing.parquet", world.calibration, views=("mirror",))


def test_a_view_that_changes_the_size_is_an_error_of_one_line(monkeypatch):
    from uncertainty.classifiers import views

    monkeypatch.setattr(views, "VIEWS", {"crop": (lambda x: x[..., 1:],)})
    with pytest.raises(InputError, match=r"view 'crop' turns images of shape \(3, 8, 8\) into \(3, 8, 7\)") as caught:
        tiny_classifier().run(INCOMING[:2], views=("crop",))
    assert "\n" not in str(caught.value)
