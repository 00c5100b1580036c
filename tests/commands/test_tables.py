"""What the command line prints: complete, readable at any width, and computed from what it is given."""

import importlib.metadata
import importlib.util
import re
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from rich.console import Console

from uncertainty.commands import tables
from uncertainty.estimators import discover
from uncertainty.evaluation.screening_quality import Match, evaluate
from uncertainty.metrics import auroc

RNG = np.random.default_rng(0)
N = 60
WRONG = RNG.random(N) < 0.3
P_WRONG = (0.5 * WRONG + 0.4 * RNG.random(N)).astype(np.float32)
TABLE = pa.table(
    {
        "file_name": [f"{i}.png" for i in range(N)],
        "label": ["cat"] * N,
        "correct": ~WRONG,
        "confidence": RNG.random(N).astype(np.float32),
        "p_wrong": P_WRONG,
        "flagged": P_WRONG > 0.5,
        "est_energy": P_WRONG + RNG.normal(0, 0.1, N).astype(np.float32),
        "est_mc_predictive_entropy": RNG.random(N).astype(np.float32),
        "error": pa.nulls(N, pa.string()),
    }
)
ALL = Match(N, 0, 0)


@pytest.fixture(scope="module")
def evaluation():
    return evaluate(TABLE, resamples=50)


def printed(table, width=160):
    console = Console(width=width, file=open("/dev/null", "w"), record=True)
    with console.file:
        console.print(table)
        return console.export_text()


def test_every_estimator_has_a_row():
    text = printed(tables.estimators_table())
    for name, cls in discover().items():
        row = next(line for line in text.splitlines() if line.split()[:1] == [name])
        assert cls.family in row
        assert all(column in text for column in (*cls.needs, *cls.fit_needs))
    assert "…" not in printed(tables.estimators_table(), 80)


def test_evaluation_table_shows_both_scores_every_estimator_and_intervals(evaluation):
    text = printed(tables.evaluation_table(evaluation, details=True))
    rows = [line.split()[0] for line in text.splitlines()[1:]]
    assert rows == ["p_wrong", "95", "max_softmax", "95", "energy", "mc_predictive_entropy"]
    assert f"{auroc(WRONG, P_WRONG):.3f}" in text.splitlines()[1]
    assert f"{1000 * evaluation.scores['p_wrong']['aurc']:.1f}" in text.splitlines()[1]
    interval = evaluation.intervals["p_wrong"]["auroc"]
    assert f"{interval.low:.3f} to {interval.high:.3f}" in text.splitlines()[2]


def test_without_details_the_best_estimator_alone_stands_for_all(evaluation):
    lines = printed(tables.evaluation_table(evaluation)).splitlines()
    rows = [" ".join(line.split()[:2]) for line in lines[1:]]
    assert [row.split()[0] for row in rows[:-1]] == ["p_wrong", "95", "max_softmax", "95"]
    assert rows[-1] == "best alone:"
    assert lines[-1].split()[2:] == ["energy", *(f"{1000 * v:.1f}" if k == "e_aurc" else f"{v:.3f}" for k, v in best())]
    assert "AURC x1000 " not in lines[0].replace("E-AURC", "")


def best():
    found = evaluate(TABLE, resamples=5).scores["est_energy"]
    return [(k, found[k]) for k in tables._FIRST]


def test_where_no_estimator_alone_ranks_better_than_max_softmax_none_is_named():
    plain = TABLE.drop_columns(["est_energy", "est_mc_predictive_entropy"])
    assert "best alone" not in printed(tables.evaluation_table(evaluate(plain, resamples=5)))


@pytest.mark.parametrize("width", [80, 100, 160])
def test_no_number_and_no_name_is_cut(evaluation, width):
    text = printed(tables.evaluation_table(evaluation, details=True), width)
    assert "…" not in text
    assert "…" not in printed(tables.evaluation_table(evaluation), width)
    assert "mc_predictive_entropy" in text
    for metric in ("auroc", "aurc", "augrc"):
        shown = evaluation.scores["p_wrong"][metric] * (1 if metric == "auroc" else 1000)
        assert f"{shown:.{3 if metric == 'auroc' else 1}f}" in text


def test_what_cannot_be_said_is_a_dash():
    right = TABLE.set_column(TABLE.column_names.index("correct"), "correct", pa.array([True] * N))
    evaluation = evaluate(right, resamples=5)
    assert "-" in printed(tables.evaluation_table(evaluation)).split()
    text = tables.evaluation_text(replace(evaluation, precision_of_flags=None), ALL)
    assert text.startswith("(can't be said) of the flagged are errors; ")


def test_evaluation_in_sentences(evaluation):
    text = tables.evaluation_text(evaluation, ALL)
    flagged = P_WRONG > 0.5
    assert f"{WRONG[flagged].mean():.1%} of the flagged are errors; accuracy of what was not flagged" in text
    assert f"{1 - WRONG[~flagged].mean():.1%}\n" in text
    assert f"p_wrong predicted {P_WRONG.mean(dtype=float):.1%} errors, {WRONG.mean():.1%} were" in text
    assert "left out" not in text
    assert "no class of the model" not in text


def test_what_was_left_out_is_said(evaluation):
    partly = replace(evaluation, n_unreadable=3, n_unlabelled=0)
    text = tables.evaluation_text(partly, Match(N, 0, 7))
    assert "left out: 3 unreadable images, 7 labels without an image" in text
    text = tables.evaluation_text(replace(evaluation, n_unlabelled=2), ALL)
    assert "left out: 2 images without a label" in text


def test_unknown_labels_are_counted_and_a_few_are_quoted(evaluation):
    some = replace(evaluation, unknown_labels={"emu": 2, "fox": 1})
    assert "3 images have a label that is no class of the model, counted as wrong: 'emu', 'fox'" in (
        tables.evaluation_text(some, ALL)
    )
    many = replace(evaluation, unknown_labels={f"{k:03}": 1 for k in range(900)})
    assert "900 images have a label" in tables.evaluation_text(many, ALL)
    assert "'004' and 895 more" in tables.evaluation_text(many, ALL)


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("a b.png", "a b.png"),
        ("Käfer 猫.png", "Käfer 猫.png"),
        ("a\nb", "'a\\nb'"),
        ("\x1b[2J", "'\\x1b[2J'"),
        ("", ""),
    ],
)
def test_text_that_would_disturb_a_terminal_is_quoted(text, quoted):
    assert tables.shown(text) == quoted


def test_doctor_knows_every_requirement():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    required = {re.match(r"[\w-]+", line)[0] for line in project["dependencies"]}
    text = printed(tables.doctor_table())
    shown = {line.split()[0]: line.split()[1] for line in text.splitlines() if line.strip()}
    assert required <= shown.keys()
    assert all(shown[name] == importlib.metadata.version(name) for name in required)
    assert "cpu" in text.splitlines()[-1]


def test_doctor_names_what_is_missing(monkeypatch):
    version = importlib.metadata.version

    def without_faiss(name):
        if name == "faiss-cpu":
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", without_faiss)
    assert re.search(r"faiss-cpu +missing; run pip install faiss-cpu", printed(tables.doctor_table()))


def test_doctor_names_every_runtime_and_what_the_missing_ones_need(monkeypatch):
    there = importlib.util.find_spec
    gone = {"onnx": None, "onnxruntime": None, "openvino": True, "onnxscript": True}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: gone[name] if name in gone else there(name))
    rows = [line.split(maxsplit=1) for line in printed(tables.doctor_table()).splitlines() if "runtime=" in line]
    missing = "not here: it needs onnx, onnxruntime; pip install 'uncertainty-vision[onnx]'"
    assert {name: said.strip() for name, said in rows} == {
        "runtime=openvino:f32": "installed",
        "runtime=openvino:bf16": "installed",
        "runtime=openvino:int8": missing,
        "runtime=onnxruntime:f32": missing,
        "runtime=onnxruntime:int8": missing,
    }
    monkeypatch.setitem(gone, "openvino", None)
    text = printed(tables.doctor_table())
    assert "needs openvino, onnx, onnxruntime; pip install 'uncertainty-vision[openvino,onnx]'" in text


def test_doctor_notices_the_unrelated_package(monkeypatch):
    assert tables.doctor_warnings() == []
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "1.0")
    (warning,) = tables.doctor_warnings()
    assert "unrelated package 'uncertainty'" in warning
    assert "pip uninstall uncertainty" in warning
