"""Monitoring a table of verdicts: what is said, in numbers and in words, and what is refused."""

import json
import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from problems import known_good, made_problem

from uncertainty import Screener, cli
from uncertainty.errors import InputError
from uncertainty.metrics.intervals import Interval
from uncertainty.monitoring.baseline import rows_of_table
from uncertainty.monitoring.batch import VOID, Calibrated, monitor
from uncertainty.screening.second_pass import monitored
from uncertainty.workflows.monitor import monitor_folder


@pytest.fixture(scope="module")
def made():
    calibration = made_problem(900, 2)
    copies = replace(made_problem(900, 5), ids=calibration.ids)
    return Screener.fit_outputs(known_good(400, 1), calibration, damaged=copies, foreign=copies.take([0, 1]))


def watched(screener, outputs, **options):
    s = screener
    batches = s.screen_outputs(outputs).table.to_batches(max_chunksize=100)
    by = Calibrated(s.estimators, s.combiner, s.baseline, s.calibrated_on, s.model.classes)
    return monitor(batches, by, **options)


def unlike(outputs):
    """The same rows, much darker and further from everything known."""
    return replace(outputs, features=outputs.features + np.float32(1), quality=outputs.quality - [0.3, *[0] * 7])


def test_images_like_calibration(made):
    outputs = made_problem(600, 8)
    found = watched(made, outputs)
    assert not found.alarm
    interval = found.accuracy.estimates["adapted"]
    assert interval.low <= 1 - outputs.wrong.mean() <= interval.high
    assert found.words()[-1].startswith("no drift found (p = 0.")
    assert found.words()[0].startswith(f"accuracy of these images about {100 * interval.value:.1f} % (95 % interval ")
    assert set(found.accuracy.per_class) == {0, 1, 2, 3}
    assert "look" not in found.words()[0]
    assert found.direction() == ""


def test_images_unlike_calibration(made):
    found = watched(made, unlike(made_problem(300, 8)))
    assert found.alarm
    assert {"neighbours", "image"} <= set(found.drift.kinds)
    assert found.words()[-1].endswith(VOID)
    assert "how like known-good images they are" in found.words()[-1]
    assert len(found.oddest) == 10
    assert all(name.startswith("8-") for name in found.oddest)
    assert "more than three quarters of them (" in found.words()[0]
    assert found.words()[0].endswith(" look unlike calibration")


def test_what_looks_damaged_may_be_of_no_known_class_and_that_is_said(made):
    found = watched(made, unlike(made_problem(300, 8)))
    for shares, share in (({"clean": 0.0, "damaged": 1.0, "foreign": 0.0}, 100), ({"clean": 0.6, "damaged": 0.4}, 40)):
        said = replace(found, accuracy=replace(found.accuracy, shares=shares, unknown=None)).words()
        assert said[1].startswith(f"about {share} % of them look damaged or of no known class, which")
        assert not any("are taken to be damaged" in line for line in said)
    usual = replace(found, accuracy=replace(found.accuracy, shares={"clean": 0.99, "damaged": 0.01}, unknown=None))
    assert "damaged or of" not in " ".join(usual.words())


def test_under_alarm_the_interval_allows_for_damage_never_seen(made):
    usual, odd = (watched(made, outputs).accuracy for outputs in (made_problem(300, 8), unlike(made_problem(300, 8))))
    widths = [one.estimates["adapted"].high - one.estimates["adapted"].low for one in (usual, odd)]
    assert widths[1] > widths[0] + 0.1
    assert odd.estimates["doc"].high - odd.estimates["doc"].low < widths[1]


@pytest.mark.parametrize(
    ("p_wrong", "way", "said"),
    [
        (0.82, "unknown", "p_wrong may be too low or too high, which labels of some of them would tell"),
        (0.95, "too low", "p_wrong is likely too low"),
        (0.6, "too high", "p_wrong is likely too high"),
    ],
)
def test_the_alarm_says_which_way_as_far_as_it_can_know(made, p_wrong, way, said):
    """The estimate is 80 % (70 to 90): one case in five lies beyond 84.3 %, and one below 75.7 %."""
    found = watched(made, unlike(made_problem(200, 8)))
    estimates = {"adapted": Interval(0.7, 0.8, 0.9), "p_wrong": Interval(0.5, p_wrong, 1.0)}
    found = replace(found, accuracy=replace(found.accuracy, estimates=estimates))
    assert found.direction() == found.to_json()["drift"]["p_wrong"] == way
    assert f"; {said}, and {VOID}" in found.drift_in_words()


def test_json_holds_everything_and_nothing_that_is_not_json(made):
    content = json.loads(json.dumps(watched(made, unlike(made_problem(200, 8))).to_json(), allow_nan=False))
    assert set(content["accuracy"]) == {
        "adapted", "p_wrong", "atc_confidence", "atc_entropy", "doc", "average_confidence"
    }  # fmt: skip
    assert content["drift"]["alarm"] is True
    assert content["images"] == sum(one["images"] for one in content["per_class"].values()) == 200
    tested = {change["column"]["name"] for change in content["drift"]["changes"]}
    assert tested == {e.name for e in made.estimators} | set(made.baseline.context_names) | {"predicted class"}


def test_few_images_are_insufficient_support(made):
    found = watched(made, made_problem(19, 8))
    assert found.words() == ["insufficient support: 19 images that could be read; at least 20 are needed"]
    assert not found.alarm
    assert found.to_json()["accuracy"] == {}
    json.dumps(found.to_json(), allow_nan=False)


def test_a_stream_tells_when_it_changed(made):
    first, later = made_problem(300, 8), unlike(made_problem(40, 9))
    from uncertainty import ModelOutputs

    found = watched(made, ModelOutputs.concatenate([first, later]), in_order=True)
    assert found.alarm
    assert found.arrival[0].startswith("9-")
    assert not watched(made, first, in_order=True).alarm
    assert found.drift.level == 0.005  # two alarms share the level


def test_a_combiner_without_damage_has_one_estimate_from_p_wrong():
    screener = Screener.fit_outputs(known_good(200, 1), made_problem(500, 2))
    found = watched(screener, made_problem(200, 8)).accuracy
    assert found.estimates["adapted"] == found.estimates["p_wrong"]
    assert found.shares == {}
    assert found.if_unknown is None


def test_several_labels_an_image():
    reference, calibration, test = (made_problem(n, seed, "multilabel") for n, seed in ((300, 1), (500, 2), (300, 3)))
    screener = Screener.fit_outputs(reference, calibration)
    found = monitored(screener.screen_outputs(test).table.to_batches(max_chunksize=100), screener)
    right = 1 - (test.predictions != test.labels).mean(axis=0)
    assert found.decisions.overall.low <= right.mean() <= found.decisions.overall.high
    told = found.to_json()["decisions"]["per_class"]
    covered = [one["low"] <= share <= one["high"] for one, share in zip(told.values(), right, strict=True)]
    assert sum(covered) >= len(covered) - 1
    wide = [one["high"] - one["low"] for one in told.values()]
    assert max(wide) < 0.2
    assert any(line.startswith("of all decisions on single labels right are about") for line in found.words())
    drifted = monitored(screener.screen_outputs(unlike(test)).table.to_batches(), screener)
    assert drifted.alarm
    assert (
        drifted.decisions.overall.high - drifted.decisions.overall.low
        > found.decisions.overall.high - found.decisions.overall.low
    )
    interval = found.accuracy.estimates["adapted"]
    assert interval.low - 0.02 <= 1 - test.wrong.mean() <= interval.high + 0.02
    assert found.accuracy.per_class == {}
    assert not found.alarm


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".jsonl"])
def test_files_say_the_same_as_tables(made, tmp_path, ending):
    verdicts = made.screen_outputs(made_problem(120, 8))
    verdicts.write(tmp_path / f"verdicts{ending}")
    found = monitor_folder(tmp_path, made)
    straight = watched(made, made_problem(120, 8))
    assert found.drift == straight.drift
    assert found.accuracy.estimates["adapted"].value == pytest.approx(straight.accuracy.estimates["adapted"].value)
    assert json.loads((tmp_path / "monitoring.json").read_text()) == found.to_json()


def test_verdicts_of_another_screener_are_refused(made, tmp_path):
    other = Screener.fit_outputs(known_good(200, 1), made_problem(500, 2))
    other.screen_outputs(made_problem(50, 8)).write(tmp_path / "verdicts.parquet")
    with pytest.raises(InputError, match="was judged by another screener"):
        monitor_folder(tmp_path, made)


def test_another_budget_is_the_same_screener(made, tmp_path):
    made.with_budget(0.3).screen_outputs(made_problem(50, 8)).write(tmp_path / "verdicts.parquet")
    assert monitor_folder(tmp_path, made).accuracy.n == 50


# ---- the command line


@pytest.fixture
def command(made, tmp_path, monkeypatch, capsys):
    """Run `uncertainty monitor` on these outputs; returns what it prints."""
    made.save(tmp_path / "screener")

    def command(outputs, *more):
        made.screen_outputs(outputs).write(tmp_path / "out" / "verdicts.parquet")
        cli.app(
            ["monitor", str(tmp_path / "out"), "--screener", str(tmp_path / "screener"), *more], standalone_mode=False
        )
        return capsys.readouterr().out

    return command


ESTIMATES = ("adapted", "p_wrong", "atc_confidence", "atc_entropy", "doc", "average_confidence")


def test_the_command_prints_one_estimate_and_what_it_means(command, tmp_path):
    printed = command(made_problem(200, 8))
    said = json.loads((tmp_path / "out" / "monitoring.json").read_text())
    first, *lines = printed.splitlines()
    best = said["accuracy"]["adapted"]
    ends = f"95 % interval {100 * best['low']:.1f} to {100 * best['high']:.1f}"
    assert first == f"accuracy of these images about {100 * best['value']:.1f} % ({ends})"
    assert printed.count("95 % interval") == 1
    assert [first, *lines[: len(said["in_words"]) - 1]] == said["in_words"]
    least = min(one["accuracy"]["value"] for one in said["per_class"].values())
    assert f"least often right where predicted: {100 * least:.1f} % (" in re.sub(r": '\d' ", ": ", printed)
    assert lines[-1].endswith("; --details prints other estimates of accuracy, and that of each class")
    assert set(said["accuracy"]) == set(ESTIMATES)
    assert "most unlike calibration" not in printed


def test_with_details_the_command_prints_every_estimate_and_class(command):
    printed = command(made_problem(200, 8), "--details")
    rows = {line.split()[0] for line in printed.splitlines() if line.startswith(" ")}
    assert {*ESTIMATES, "0", "1", "2", "3"} <= rows
    assert "predicted class" in printed


def test_the_command_says_that_p_wrong_is_too_low(command):
    printed = command(unlike(made_problem(200, 8)), "--in-order", "--false-alarms", "0.02")
    assert VOID in printed
    assert "most unlike calibration: 8-" in printed


def test_the_command_says_insufficient_support(command):
    assert command(made_problem(7, 8)).startswith("insufficient support: 7 images")


@pytest.mark.parametrize("n_classes", [3, 205])
def test_a_part_in_which_nothing_can_be_read_says_nothing(n_classes):
    """Beyond 200 classes the probabilities are one list, whose length an empty part does not tell."""
    rng = np.random.default_rng(0)
    columns = {"est_margin": rng.random(4), "p_wrong": rng.random(4), "predicted_index": [0, 1, 0, 1]}
    probs = rng.dirichlet(np.ones(n_classes), 4)
    columns |= {"probs": probs.tolist()} if n_classes > 200 else {f"prob_{k}": probs[:, k] for k in range(n_classes)}
    good = pa.table({**columns, "error": pa.nulls(4, pa.string())}).to_batches()[0]
    bad = pa.record_batch(
        [pa.array(["broken"] * 2) if f.name == "error" else pa.nulls(2, f.type) for f in good.schema], good.schema
    )
    together = rows_of_table([bad, good], ["margin"], [], 1.0)
    assert len(together) == 4
    assert together.p_wrong.tolist() == rows_of_table([good], ["margin"], [], 1.0).p_wrong.tolist()
    assert len(rows_of_table([bad], ["margin"], [], 1.0)) == 0
