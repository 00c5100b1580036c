"""What to label next: who is on the list, who is left out, what is said, and what the labels can be used for."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from uncertainty.annotation import ranking
from uncertainty.annotation.batch_selection import STRATEGIES, Known, Rows, choose, equal_shares
from uncertainty.annotation.expected_yield import expected_yield, should_stop
from uncertainty.annotation.ranking_settings import RankingSettings
from uncertainty.errors import InputError
from uncertainty.images.groups import Grouping
from uncertainty.neighbors import normalised
from uncertainty.recalibration.sampling_weights import design_estimate
from uncertainty.verdicts import Verdicts

N, CLASSES = 600, 3


def select(verdicts, n, known=Known(), *, exclude=(), **asked):  # noqa: B008, it is frozen
    return ranking.select(verdicts, RankingSettings(n, **asked), known, exclude=exclude)


def verdicts_of(p_wrong, **columns):
    n = len(p_wrong)
    rng = np.random.default_rng(3)
    probs = rng.dirichlet(np.ones(CLASSES), n).astype(np.float32)
    table = {
        "file_name": [f"{i:04}.png" for i in range(n)],
        "predicted_label": [f"class {k}" for k in probs.argmax(axis=1)],
        "confidence": probs.max(axis=1),
        "p_wrong": pa.array(p_wrong, pa.float32(), from_pandas=True),
        "flagged": np.asarray(p_wrong) > 0.5,
        "reasons": [["far_from_known_good"]] * n,
        "error": pa.nulls(n, pa.string()),
        **{f"prob_{k}": probs[:, k] for k in range(CLASSES)},
        **columns,
    }
    return Verdicts(pa.table(table))


@pytest.fixture(scope="module")
def p_wrong():
    return np.random.default_rng(0).beta(1, 4, N).astype(np.float32)


@pytest.fixture(scope="module")
def known():
    return Known(normalised(np.random.default_rng(1).normal(size=(N, 24))).astype(np.float16))


@pytest.fixture(scope="module")
def verdicts(p_wrong):
    camera = [["roof", "gate", None][i % 3] for i in range(N)]
    return verdicts_of(p_wrong, meta_camera=pa.array(camera, pa.string()))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_lists_each_image_once_and_the_same_again(verdicts, known, strategy):
    found = select(verdicts, 30, known, strategy=strategy, explore=0.2, seed=4)
    assert found.table["rank"].to_pylist() == list(range(1, 31))
    assert len(set(found.table["file_name"].to_pylist())) == 30
    assert found.table.equals(select(verdicts, 30, known, strategy=strategy, explore=0.2, seed=4).table)
    assert found.strategy == strategy
    assert found.notes == ()


def test_columns_are_those_of_the_verdicts_and_why_they_are_here(verdicts, known):
    table = select(verdicts, 5, known).table
    assert table.column_names == [
        "rank", "file_name", "predicted_label", "confidence", "p_wrong", "flagged", "reasons",
        "group", "duplicates", "drawn_by", "inclusion_probability",
    ]  # fmt: skip
    assert set(table["drawn_by"].to_pylist()) == {"strategy"}
    assert set(table["inclusion_probability"].to_pylist()) == {1.0}
    assert table["group"].to_pylist() == table["file_name"].to_pylist()


def test_uncertainty_is_the_head_of_p_wrong(verdicts, known, p_wrong):
    found = select(verdicts, 40, known, strategy="uncertainty")
    np.testing.assert_array_equal(found.table["p_wrong"].to_numpy(), np.sort(p_wrong)[::-1][:40])


def test_the_default_gives_away_hardly_an_error(verdicts, known, p_wrong):
    expected = select(verdicts, 60, known).expected
    assert 0.95 * np.sort(p_wrong)[-60:].sum() < expected.errors <= np.sort(p_wrong)[-60:].sum() + 1e-3


def test_planted_twins_come_once_and_are_named(p_wrong):
    x = normalised(np.random.default_rng(2).normal(size=(N // 2, 24)))
    twins = Known(np.concatenate([x, normalised(x + 0.01)]))
    found = select(verdicts_of(p_wrong), 80, twins).table.to_pylist()
    pairs = [int(row["file_name"][:4]) % (N // 2) for row in found]
    assert len(set(pairs)) == 80
    for row in found:
        for name in row["duplicates"]:
            assert int(name[:4]) % (N // 2) == int(row["file_name"][:4]) % (N // 2)
            assert name != row["file_name"]
    assert sum(len(row["duplicates"]) for row in found) > 20
    listed = {row["file_name"] for row in found}
    assert not listed & {name for row in found for name in row["duplicates"]}


def test_looks_go_before_features_and_digests_before_both(p_wrong):
    x = normalised(np.random.default_rng(2).normal(size=(N, 24)))
    same = Known(np.tile(x[:1], (N, 1)), looks=lambda rows: x[rows])
    assert len(select(verdicts_of(p_wrong), 50, same).table) == 50
    digests = ["equal"] * N
    assert len(select(verdicts_of(p_wrong), 50, replace(same, digests=digests)).table) == 1


def test_when_all_others_are_duplicates_the_list_is_shorter_and_says_so(p_wrong):
    found = select(verdicts_of(p_wrong[:40]), 10, Known(digests=["a", "b"] * 20), strategy="uncertainty")
    assert len(found.table) == 2
    assert found.notes == ("8 fewer than asked for: all other candidates are near-duplicates of these",)
    assert sum(map(len, found.table["duplicates"].to_pylist())) == 38


def test_images_of_a_group_are_listed_one_at_a_time(p_wrong):
    """Fifty films of ten frames, and a hundred images that stand alone, one of which is a copy of a frame."""
    film = [f"film {i // 10}" if i < 500 else None for i in range(N)]
    table = verdicts_of(p_wrong, meta_film=pa.array(film, pa.string()))
    copies = Known(digests=["copy" if i in {3, 550} else str(i) for i in range(N)])
    found = select(table, 300, copies, strategy="uncertainty", grouping=Grouping("film"))
    assert len(found.table) == 50 + 99
    assert "all other candidates are near-duplicates or of the groups of these" in found.notes[-1]
    of = dict(zip(table.table["file_name"].to_pylist(), film, strict=True))
    place = {name: k for k, name in enumerate(of)}
    listed = found.table["file_name"].to_pylist()
    films = [of[name] for name in listed if of[name] is not None]
    assert len(films) == len(set(films))
    for row in found.table.to_pylist():
        same = {name for name in of if of[name] == of[row["file_name"]] is not None} - {row["file_name"]}
        twins = {"0003.png": {"0550.png"}, "0550.png": {"0003.png"}}.get(row["file_name"], set())
        assert set(row["duplicates"]) <= same | twins
        assert all(p_wrong[place[name]] <= row["p_wrong"] for name in row["duplicates"])
    assert {*listed, *(name for row in found.table["duplicates"].to_pylist() for name in row)} == set(of)
    second = select(table, 60, copies, strategy="uncertainty", grouping=Grouping("film"), exclude=listed).table
    assert sorted(of[name] for name in second["file_name"].to_pylist() if of[name] is not None) == sorted(films)


def test_groups_by_name_and_groups_that_are_not_there(verdicts, known):
    listed = select(verdicts, 9, known, grouping=Grouping(by="^00([0-9])")).table["file_name"].to_pylist()
    tens = [name[2] for name in listed if name.startswith("00")]
    assert len(tens) == len(set(tens))
    with pytest.raises(InputError, match="no column 'film'"):
        select(verdicts, 9, known, grouping=Grouping("film"))


def test_the_pool_grows_until_enough_remain():
    """The 500 most suspicious are copies of one image."""
    p = np.concatenate([np.linspace(1, 0.9, 500), np.linspace(0.5, 0.1, 100)])
    digests = ["copy"] * 500 + [None] * 100
    chosen, heads = choose(Rows(p, Known(digests=digests)), np.arange(600), 20, "uncertainty")
    assert chosen.tolist() == [0, *range(500, 519)]
    assert set(heads.values()) == {0}
    assert len(heads) == 499


def test_unreadable_excluded_and_hopeless_images_are_left_out(known):
    p = np.linspace(1, 0.1, N)
    p[5] = np.nan
    error = pa.array(["is truncated" if i == 5 else None for i in range(N)], pa.string())
    good = {"contrast": 0.8, "darkness": 0.2, "entropy": 7.0, "blur": 3.0}
    bad = {"contrast": 0.01, "darkness": 0.99, "entropy": 0.2, "blur": 11.08}
    quality = {f"quality_{name}": np.full(N, value, np.float32) for name, value in good.items()}
    for row, (name, value) in enumerate(bad.items()):
        quality[f"quality_{name}"][row] = value
    table = verdicts_of(p, error=error, **quality)
    found = select(table, 10, known, strategy="uncertainty", exclude={"0004.png"}, exclude_hopeless=True)
    assert found.table["file_name"].to_pylist() == [f"{i:04}.png" for i in range(6, 16)]
    assert found.notes == (
        "1 image that could not be read is left out",
        "1 image is excluded by name",
        "4 images are left out because nobody could see anything in them",
    )
    assert found.expected.candidates == N - 6
    kept = select(table, 10, known, strategy="uncertainty").table["file_name"].to_pylist()
    assert kept == [f"{i:04}.png" for i in range(11) if i != 5]


def test_what_has_labels_is_kept_away_from():
    """Two tight groups; the first, more suspicious one has a label."""
    x = normalised(np.eye(6)[np.repeat([0, 1], 50)] + 0.2 * np.random.default_rng(0).normal(size=(100, 6)))
    table = verdicts_of(np.repeat([0.5, 0.49], 50).astype(np.float32))
    names = select(table, 5, Known(x), strategy="k_centre", exclude={"0000.png"}).table["file_name"].to_pylist()
    assert "0000.png" not in names
    away = 1 - x @ x[0]
    assert away[int(names[0][:4])] == away.max()


def test_hopeless_images_cannot_be_told_without_statistics(verdicts, known):
    with pytest.raises(InputError, match="no column 'quality_contrast', so hopeless"):
        select(verdicts, 10, known, exclude_hopeless=True)


def test_more_than_there_are(verdicts, known):
    found = select(verdicts, 10_000, known, strategy="uncertainty")
    assert len(found.table) == N
    assert found.notes == ("asked for were 10000 of 600 candidates: all of them are listed",)


@pytest.mark.parametrize("strategy", ["spread", "weighted_kmeans", "badge"])
def test_without_features_p_wrong_alone_chooses(verdicts, strategy):
    found = select(verdicts, 20, strategy=strategy)
    assert found.strategy == "uncertainty"
    assert found.table.equals(select(verdicts, 20, strategy="uncertainty").table)
    assert found.notes == (
        f"no features of these images are known, so p_wrong alone chooses (uncertainty) instead of {strategy}",
    )


@pytest.mark.parametrize(("per", "column"), [("predicted", "predicted_label"), ("camera", "meta_camera")])
def test_quotas_share_evenly(verdicts, known, per, column):
    names = select(verdicts, 31, known, quota_per=per).table["file_name"].to_pylist()
    value = dict(zip(*(verdicts.table[c].to_pylist() for c in ("file_name", column)), strict=True))
    counts = sorted(sum(value[name] == one for name in names) for one in set(value.values()))
    assert counts == [10, 10, 11]


def test_a_quota_counts_each_predicted_label_of_a_set():
    rng = np.random.default_rng(0)
    carried = rng.random((300, 4)) < (0.5, 0.5, 0.1, 0.04)
    names = np.array(["a", "b", "c", "d"])
    labels = [";".join(names[row]) for row in carried]
    verdicts = verdicts_of(rng.random(300), predicted_label=labels, predicted_index=pa.nulls(300, pa.int32()))
    table = select(verdicts, 24, quota_per="predicted").table
    assert len(set(table["file_name"].to_pylist())) == 24
    rows = np.array([int(name[:4]) for name in table["file_name"].to_pylist()])
    counts = [*carried[rows].sum(axis=0), (~carried[rows].any(axis=1)).sum()]
    assert min(counts) >= min(carried.sum(axis=0).min(), 24 // 5)
    plain = select(verdicts, 24).table["file_name"].to_pylist()
    fewest = min(carried[[int(name[:4]) for name in plain]].sum(axis=0))
    assert min(counts) > fewest


@pytest.mark.parametrize("seed", range(3))
def test_shares_are_as_even_as_the_counts_allow(seed):
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 30, 12)
    for n in (0, 1, 40, int(counts.sum()), 1000):
        shares = equal_shares(counts, n)
        assert (shares <= counts).all()
        assert shares.sum() == min(n, counts.sum())
        hungry = shares < counts
        if hungry.any() and n:
            assert shares[hungry].min() >= shares.max() - 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n": 0}, "-n is 0; ask for at least one image"),
        ({"strategy": "bald"}, "no strategy is called 'bald'; choose one of spread, "),
        ({"explore": 1.5}, "explore is 1.5; it is a share"),
        ({"quota_per": "lens"}, "no quota per 'lens'; these verdicts have predicted, camera"),
        ({"exclude": {f"{i:04}.png" for i in range(N)}}, "none of 600 images can be listed: 600 images are excluded"),
    ],
)
def test_what_makes_no_sense_is_refused(verdicts, known, options, said):
    with pytest.raises(InputError, match=said):
        select(verdicts, **({"n": 10, "known": known} | options))


# ---- the random part


def test_the_random_part_is_spread_over_the_list_and_says_its_chance(verdicts, known):
    table = select(verdicts, 50, known, explore=0.2).table
    by_chance = np.array(table["drawn_by"].to_pylist()) == "explore"
    assert by_chance.sum() == 10
    assert by_chance[:25].sum() == 5
    chance = table["inclusion_probability"].to_numpy()
    np.testing.assert_allclose(chance[by_chance], 10 / (N - 40))
    assert (chance[~by_chance] == 1).all()


def test_a_small_share_is_at_least_one_image_and_all_can_be_drawn(verdicts, known):
    assert select(verdicts, 20, known, explore=0.001).table["drawn_by"].to_pylist().count("explore") == 1
    assert select(verdicts, 20, known, explore=1.0).table["drawn_by"].to_pylist() == ["explore"] * 20


def test_accuracy_is_estimated_without_bias_where_the_plain_share_is_far_off(verdicts, known, p_wrong):
    """150 lists of 80 images, a quarter of each at random: the mean estimate is the truth, the plain share is not."""
    wrong = np.random.default_rng(5).random(N) < p_wrong
    truth, estimates, plain, covered = 1 - wrong.mean(), [], [], 0
    for seed in range(150):
        table = select(verdicts, 80, known, strategy="uncertainty", explore=0.25, seed=seed).table
        rows = np.array([int(name[:4]) for name in table["file_name"].to_pylist()])
        found = design_estimate(wrong[rows], table["inclusion_probability"].to_numpy())
        estimates.append(found.accuracy)
        plain.append(1 - wrong[rows].mean())
        covered += found.low <= truth <= found.high
        assert found.stand_for == pytest.approx(N)
    error = np.std(estimates) / np.sqrt(150)
    assert abs(np.mean(estimates) - truth) < 4 * error
    assert abs(np.mean(plain) - truth) > 0.15
    assert covered >= 0.92 * 150


def test_unequal_chances_are_estimated_without_bias_too():
    rng = np.random.default_rng(6)
    chance = np.where(rng.random(3000) < 0.3, 1.0, rng.uniform(0.05, 0.3, 3000))
    wrong = rng.random(3000) < np.where(chance == 1, 0.6, 0.5 * chance)
    estimates, covered = [], 0
    for _ in range(500):
        taken = rng.random(3000) < chance
        found = design_estimate(wrong[taken], chance[taken])
        estimates.append(found.accuracy)
        covered += found.low <= 1 - wrong.mean() <= found.high
    assert np.mean(estimates) == pytest.approx(1 - wrong.mean(), abs=4 * np.std(estimates) / np.sqrt(500))
    assert 0.92 <= covered / 500 <= 0.98


def test_labels_without_a_draw_speak_for_themselves():
    found = design_estimate(np.array([True, False, False, False]), np.ones(4))
    assert (found.accuracy, found.low, found.high, found.stand_for, found.by_chance) == (0.75, 0.75, 0.75, 4, 0)


@pytest.mark.parametrize("chance", [0.0, -0.1, 1.01, np.nan])
def test_a_chance_out_of_range_is_refused(chance):
    with pytest.raises(InputError, match=r"a chance to be labelled is .*; it must be above 0 and at most 1"):
        design_estimate(np.array([True, False]), np.array([1.0, chance]))


# ---- what is expected


def test_the_interval_covers_as_often_as_it_says():
    """Calibration of 60 errors scales all p_wrong by a factor; 95 in 100 counts lie in the interval."""
    rng = np.random.default_rng(7)
    p = rng.beta(2, 6, 150)
    inside = 0
    for _ in range(1000):
        said = np.clip(p * rng.poisson(60) / 60, 0, 1)
        found = expected_yield(said, said, 60)
        inside += found.low <= (rng.random(150) < p).sum() <= found.high
    assert 0.93 <= inside / 1000 <= 0.98


def test_without_errors_in_calibration_nothing_is_known():
    found = expected_yield(np.full(10, 0.2), np.full(10, 0.2), 0)
    assert (found.low, found.high) == (0.0, 10.0)


def test_the_interval_covers_chance_alone_where_calibration_is_unknown(verdicts, known):
    found = select(verdicts, 20, known).expected
    assert found.calibration_errors is None
    assert "for chance)" in str(found)
    told = verdicts.table.replace_schema_metadata({"uncertainty": '{"calibrated_on": {"errors": 40}}'})
    wider = select(Verdicts(told), 20, known).expected
    assert wider.high - wider.low > found.high - found.low
    assert "for chance and calibration)" in str(wider)


def test_when_to_stop(verdicts, known, p_wrong):
    found = select(verdicts, 20, known).expected
    assert not should_stop(found, found.share)
    assert should_stop(found, found.share + 1e-6)
    assert found.of_all == pytest.approx(p_wrong.sum(dtype=float), rel=1e-5)


@pytest.fixture(scope="module")
def of_decisions():
    """Images of three labels, none of them given, whose decisions are doubtful apart from each other."""
    p = np.random.default_rng(5).beta(1, 6, (N, CLASSES)).astype(np.float32)
    p[:, 2] *= 0.5
    columns = {f"p_wrong_{k}": p[:, k] for k in range(CLASSES)}
    return verdicts_of(p.max(axis=1), predicted_index=pa.nulls(N, pa.int32()), **columns), p


def test_the_doubts_of_a_chosen_class_come_first(of_decisions):
    verdicts, p = of_decisions
    found = select(verdicts, 20, doubt_of="2", strategy="uncertainty")
    best = np.argsort(-p[:, 2], kind="stable")[:20]
    assert found.table["file_name"].to_pylist() == [f"{i:04}.png" for i in best]
    assert found.table["p_wrong_2"].to_pylist() == p[best, 2].tolist()
    assert found.expected.errors == pytest.approx(p[best, 2].sum())
    assert "ranked are the doubts of '2', and errors expected are of that decision alone" in found.notes


def test_the_classes_in_doubt_are_named_the_most_doubtful_first(of_decisions):
    verdicts, p = of_decisions
    for row in select(verdicts, 50, explore=0.2).table.to_pylist():
        own = p[int(row["file_name"][:4])]
        expected = [str(k) for k in np.argsort(-own) if own[k] >= min(0.1, own.max())]
        assert row["doubtful_labels"] == ";".join(expected)


def test_a_quota_per_doubt_lists_for_each_class_the_images_that_it_is_likeliest_wrong_in(of_decisions):
    verdicts, p = of_decisions
    doubtful = p >= np.minimum(0.1, p.max(axis=1, keepdims=True))
    rows = [int(name[:4]) for name in select(verdicts, 30, quota_per="doubt").table["file_name"].to_pylist()]
    plain = [int(name[:4]) for name in select(verdicts, 30).table["file_name"].to_pylist()]
    assert doubtful[rows].sum(axis=0).min() >= 10 > doubtful[plain, 2].sum()
    first = [int(name[:4]) for name in select(verdicts, 3, quota_per="doubt").table["file_name"].to_pylist()]
    assert p[:, 2].argmax() in first


def test_doubts_of_classes_are_refused_where_nobody_told_them(verdicts, of_decisions):
    for asked in ({"doubt_of": "1"}, {"quota_per": "doubt"}):
        with pytest.raises(InputError, match=r"say nothing of single decisions.*--quota-per predicted"):
            select(verdicts, 5, **asked)
    with pytest.raises(InputError, match="doubts of '1' alone, quota_per='doubt' those of each class; give one"):
        select(of_decisions[0], 5, doubt_of="1", quota_per="doubt")
    with pytest.raises(InputError, match="no class is called 'cat'; doubts can be of one of 0, 1, 2"):
        select(of_decisions[0], 5, doubt_of="cat")
    with pytest.raises(InputError, match="no quota per 'doubts'; these verdicts have predicted, doubt"):
        select(of_decisions[0], 5, quota_per="doubts")
    assert "doubtful_labels" not in select(verdicts, 5).table.column_names
