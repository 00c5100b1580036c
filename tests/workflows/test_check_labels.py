"""Labels of verdict tables judged: planted errors come first, sets of labels and images of no class too."""

import numpy as np
import pytest
from problems import known_good, made_problem

from uncertainty.evaluation.outcomes import NO_KNOWN_CLASS, Outcomes
from uncertainty.metrics import auroc
from uncertainty.screener import Screener
from uncertainty.workflows.check_labels import check_labels, judged, words

N = 300


@pytest.fixture(scope="module", params=["multiclass", "multilabel"])
def problem(request):
    """Verdicts of a made problem, and its true labels by file name."""
    task = request.param
    screener = Screener.fit_outputs(known_good(200, 1, task), made_problem(200, 2, task))
    outputs = made_problem(N, 3, task)
    names = np.asarray(screener.model.classes, dtype=object)
    if task == "multiclass":
        truth = list(names[outputs.labels])
    else:
        truth = [";".join(names[row.astype(bool)]) for row in outputs.labels]
    return screener.screen_outputs(outputs), dict(zip(map(str, outputs.ids), truth, strict=True)), list(names)


def spoilt(truth, names, seed=0):
    """Give one image in ten the labels of a class that it is not of."""
    rng = np.random.default_rng(seed)
    bad = {name for name in truth if rng.random() < 0.1}
    others = {name: [one for one in names if one not in truth[name].split(";")] for name in bad}
    return {name: rng.choice(others[name]) if name in bad else label for name, label in truth.items()}, bad


def test_planted_errors_come_first_and_are_named(problem, tmp_path):
    verdicts, truth, names = problem
    labels, bad = spoilt(truth, names)
    verdicts.write(tmp_path / "verdicts.parquet")
    (tmp_path / "l.csv").write_text("\n".join(["file_name,label", *(f"{k},{v}" for k, v in labels.items())]), "utf-8")
    check = check_labels(tmp_path, tmp_path / "l.csv")
    rows = check.table.to_pylist()
    planted = np.array([row["file_name"] in bad for row in rows])
    assert auroc(planted, np.array([row["label_wrong"] for row in rows])) > 0.9
    assert planted[: len(bad)].mean() > 0.6
    assert all(0 <= row["label_wrong"] <= 1 for row in rows)
    assert check.likely == sum(row["likely"] for row in rows)
    assert check.agreement == []
    if verdicts.table["predicted_index"].null_count == 0:
        assert all(row["suggested"] != row["label"] for row in rows)
        right = [
            row["suggested"] == truth[row["file_name"]] for row, is_bad in zip(rows, planted, strict=True) if is_bad
        ]
        assert np.mean(right) > 0.7


@pytest.mark.parametrize("problem", ["multiclass"], indirect=True)
def test_a_label_of_no_class_is_doubted_as_far_as_the_prediction_is_sure(problem):
    verdicts, truth, names = problem
    labels = dict.fromkeys(truth, NO_KNOWN_CLASS)
    outcomes = Outcomes.from_verdicts(verdicts, labels, classes=names)
    score, suggested, accused = judged(outcomes)
    assert accused.tolist() == (score >= 0.5).tolist()
    np.testing.assert_allclose(score, 1 - verdicts.table["p_wrong"].to_numpy(), atol=1e-6)
    assert set(suggested) <= set(names)


def test_it_says_where_labels_were_picked_by_p_wrong(problem, tmp_path):
    verdicts, truth, _ = problem
    verdicts.write(tmp_path / "verdicts.parquet")
    by_rank = verdicts.table.sort_by([("p_wrong", "descending")])["file_name"].to_pylist()
    drawn = [by_rank[k] for k in np.random.default_rng(0).permutation(N)[:60]]
    for names, told in ((by_rank[:60], "a higher p_wrong than the others"), (drawn, ""), (by_rank, "")):
        rows = ["file_name,label", *(f"{name},{truth[name]}" for name in names)]
        (tmp_path / "l.csv").write_text("\n".join(rows), "utf-8")
        said = " ".join(words(check_labels(tmp_path, tmp_path / "l.csv")))
        assert ("picked by p_wrong" in said) == bool(told)
        assert told in said


@pytest.mark.parametrize("problem", ["multiclass"], indirect=True)
def test_under_a_drift_alarm_people_are_believed_sooner(problem, tmp_path):
    verdicts, truth, names = problem
    labels, _ = spoilt(truth, names)
    verdicts.write(tmp_path / "verdicts.parquet")
    (tmp_path / "l.csv").write_text("\n".join(["file_name,label", *(f"{k},{v}" for k, v in labels.items())]), "utf-8")
    found = {}
    for alarm in (False, True):
        (tmp_path / "monitoring.json").write_text(f'{{"drift": {{"alarm": {str(alarm).lower()}}}}}', "utf-8")
        found[alarm] = check_labels(tmp_path, tmp_path / "l.csv").likely
    assert 0 < found[True] < found[False]
    (tmp_path / "monitoring.json").write_text("[]", "utf-8")  # of something else: nobody looked
    assert found[True] <= check_labels(tmp_path, tmp_path / "l.csv").likely <= found[False]


@pytest.mark.parametrize("problem", ["multiclass"], indirect=True)
@pytest.mark.parametrize("monitored", [None, '{"drift": {"alarm": false, "p_value": null}}'])
def test_it_looks_itself_where_no_alarm_is_on_file(problem, monitored, tmp_path):
    """Of the same verdicts once all and once the doubtful half, as if a stream of damaged images had been screened."""
    verdicts, truth, names = problem
    labels, _ = spoilt(truth, names)
    ranked = verdicts.table.sort_by([("p_wrong", "descending")])
    if monitored is not None:
        (tmp_path / "monitoring.json").write_text(monitored, "utf-8")
    found = {}
    for what, table in {"all": ranked, "doubtful": ranked.slice(0, N // 4)}.items():
        type(verdicts)(table).write(tmp_path / "verdicts.parquet")
        rows = ["file_name,label", *(f"{name},{labels[name]}" for name in table["file_name"].to_pylist())]
        (tmp_path / "l.csv").write_text("\n".join(rows), "utf-8")
        found[what] = check_labels(tmp_path, tmp_path / "l.csv", overwrite=True)
    assert (found["all"].unlike, found["all"].spared) == ("", 0)
    assert "p_wrong expects" in found["doubtful"].unlike
    said = " ".join(words(found["doubtful"]))
    assert "believed sooner: right at least 95% of the time, not 80%" in said
    assert f"{found['doubtful'].spared} more would else be called likely wrong" in said
    (tmp_path / "monitoring.json").write_text('{"drift": {"alarm": false, "p_value": 0.4}}', "utf-8")
    asked = check_labels(tmp_path, tmp_path / "l.csv", overwrite=True)
    assert asked.unlike == ""
    assert asked.likely == found["doubtful"].likely + found["doubtful"].spared
