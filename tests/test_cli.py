"""The command line, from fit to evaluate: results to standard output, everything else to standard error, one line an
error."""

import csv
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
import warnings
from contextlib import nullcontext

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import CLASSES, write_images
from PIL import Image

from uncertainty import cli
from uncertainty.commands import fit as fit_command
from uncertainty.screener import Screener, artifact
from uncertainty.screening.journal import progress_of
from uncertainty.verdicts import Verdicts, read_table
from uncertainty.workflows.effort import Effort

# What a user would keep beside the weights; each factory is a way to be right or wrong.
MODELS = """
import torch
from torch import nn
from uncertainty.classifiers import Classifier, Preprocess

WAY = Preprocess(size=8, mean=(0.5,) * 3, std=(1.0,) * 3)

def network(classes=3):
    return nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.AvgPool2d((8, 1)), nn.Flatten(),
                         nn.Dropout(0.3), nn.Linear(48, classes))

def tiny():
    return Classifier.from_module(network(), ["cat", "dog", "eel"], WAY)

def renamed():
    return Classifier.from_module(network(), ["Katze", "Hund", "Aal"], WAY)

class NanWhereBlack(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = network()
    def forward(self, x):
        return self.inner(x) + torch.where((x <= -0.5).flatten(1).all(1), torch.nan, 0.0)[:, None]

def sometimes_nan():
    return Classifier.from_module(NanWhereBlack(), ["cat", "dog", "eel"], WAY)

class Column(nn.Module):
    def forward(self, x):
        means = x.mean((1, 2))
        return 40 * torch.stack([means[:, 1], means[:, 3], means[:, 5]], 1)

def plain():
    return Classifier.from_module(Column(), ["cat", "dog", "eel"], WAY)

def four():
    return Classifier.from_module(network(4), ["cat", "dog", "eel", "fox"], WAY)

def broken():
    raise RuntimeError("no such\\nlayer")

def number():
    return 3
"""


@pytest.fixture(scope="module")
def home(world, tmp_path_factory):
    """A folder with a module of models and weights, in which commands are run."""
    from safetensors.torch import save_file

    home = tmp_path_factory.mktemp("home")
    (home / "user_models.py").write_text(MODELS, "utf-8")
    state = world.classifier.network.module.state_dict()
    save_file(state, home / "weights.safetensors")
    save_file({f"inner.{name}": values for name, values in state.items()}, home / "inner.safetensors")
    save_file({"0.weight": state["0.weight"]}, home / "half.safetensors")
    (home / "text.safetensors").write_text("no tensors", "utf-8")
    return home


@pytest.fixture
def run(home, monkeypatch, capsys):
    """Run one command line as the shell would, in this process; returns (exit status, stdout, stderr)."""
    monkeypatch.chdir(home)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["uncertainty", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit:
            cli.main()
        return exit.value.code or 0, *capsys.readouterr()

    return run


@pytest.fixture
def fails(run):
    """Run a command line that must end with status 1, nothing on stdout and one line on stderr; returns that line."""

    def fails(*arguments):
        status, out, err = run(*arguments)
        assert (status, out) == (1, "")
        lines = err.splitlines()
        assert lines[-1].startswith("error: ")
        assert all(line.startswith("note: ") for line in lines[:-1])
        return lines[-1]

    return fails


SPEC = "user_models:tiny?weights=weights.safetensors"
FIT = ("--passes", "4", "--expect-unknown", "0")


@pytest.fixture(scope="module")
def fitted(world, home, tmp_path_factory):
    """A screener that the command line fitted, by a process of its own."""
    out = tmp_path_factory.mktemp("fitted") / "screener"
    arguments = ["fit", "--model", SPEC, "--reference", world.reference, "--calibration", world.calibration, "-o", out]
    done = subprocess.run(
        [sys.executable, "-m", "uncertainty", *map(str, arguments), *FIT], cwd=home, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "p_wrong was calibrated on 150 images" in done.stdout
    assert f"screener written to {out}" in done.stdout
    assert all(line.startswith("note: ") for line in done.stderr.splitlines())
    assert len(done.stdout.splitlines()) == 2
    assert "\x1b" not in done.stdout + done.stderr
    assert sorted(path.name for path in out.iterdir()) == ["arrays.safetensors", "manifest.json"]
    return out


@pytest.fixture(scope="module")
def screened(world, home, fitted, tmp_path_factory):
    out = tmp_path_factory.mktemp("screened") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.syspath_prepend(home)
        cli.app(["screen", str(fitted), str(world.incoming), "-o", str(out)], standalone_mode=False)
    return out


@pytest.fixture
def out(screened, tmp_path):
    """A copy of the screening, free to be written into."""
    return shutil.copytree(screened, tmp_path / "out")


def write_labels(path, pairs, header=("file_name", "label")):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *pairs])
    return path


def labels_of(folder):
    return {path.name: CLASSES[i % 3] for i, path in enumerate(sorted(folder.iterdir()))}


# ---- what works


def test_screen_writes_verdicts_and_says_what_they_rest_on(run, world, fitted, tmp_path):
    status, out, err = run("screen", fitted, world.incoming, "-o", tmp_path / "out")
    assert status == 0
    table = Verdicts.read(tmp_path / "out").table
    flagged = sum(table["flagged"].to_pylist())
    assert out.startswith(f"40 images: {flagged} flagged, 0 of them unreadable; about ")
    assert "p_wrong was calibrated on 150 images" in out
    assert out.endswith(f"verdicts written to {tmp_path / 'out'}\n")
    notes = json.loads((fitted / "manifest.json").read_text("utf-8"))["notes"]
    assert err.splitlines() == [f"note: {note}" for note in notes]


def test_the_command_line_and_the_library_give_the_same_verdicts(world, fitted, screened):
    from uncertainty import Screener

    table = Screener.load(fitted, world.classifier).screen(world.incoming).table
    np.testing.assert_allclose(
        Verdicts.read(screened).table["p_wrong"].to_numpy(), table["p_wrong"].to_numpy(), atol=1e-6
    )


@pytest.mark.parametrize("format", ["parquet", "csv", "jsonl"])
def test_formats(run, world, fitted, screened, tmp_path, format):
    assert run("screen", fitted, world.incoming, "-o", tmp_path, "--format", format)[0] == 0
    assert (tmp_path / f"verdicts.{format}").exists()
    names = Verdicts.read(tmp_path).table["file_name"].to_pylist()
    assert names == Verdicts.read(screened).table["file_name"].to_pylist()
    assert run("rank", tmp_path, "-n", 3)[0] == 0


def test_a_budget_given_to_screen_moves_the_threshold_only(run, world, fitted, screened, tmp_path):
    assert run("screen", fitted, world.incoming, "-o", tmp_path, "--budget", "0.5")[0] == 0
    wide, narrow = Verdicts.read(tmp_path).table, Verdicts.read(screened).table
    assert wide["p_wrong"].to_pylist() == pytest.approx(narrow["p_wrong"].to_pylist(), abs=1e-6)
    assert sum(wide["flagged"].to_pylist()) > sum(narrow["flagged"].to_pylist())


def test_a_policy_is_planned_then_changed_without_a_fit(run, world, fitted, tmp_path):
    screener = shutil.copytree(fitted, tmp_path / "screener")
    arrays, manifest = (screener / "arrays.safetensors").read_bytes(), (screener / "manifest.json").read_bytes()
    status, out, err = run("policy", screener, "--min-recall", "0.5", "--confidence", "0.8", "--dry-run")
    assert (status, err) == (0, "")
    assert out.startswith("plan: at least 50 % of the errors flagged, with 80 % confidence\non 150 calibration images")
    assert out.endswith("nothing was changed\n")
    assert (screener / "manifest.json").read_bytes() == manifest
    status, again, _ = run("policy", screener, "--min-recall", "0.5", "--confidence", "0.8")
    assert status == 0
    assert again.splitlines()[:7] == out.splitlines()[:7]
    assert (screener / "arrays.safetensors").read_bytes() == arrays
    saved = json.loads((screener / "manifest.json").read_text("utf-8"))
    assert saved["decision"]["policy"]["kind"] == "min_recall"
    assert [old["policy"]["kind"] for old in saved["history"]] == ["budget"]
    status, out, _ = run("screen", screener, world.incoming, "-o", tmp_path / "out")
    assert status == 0
    assert "at least 50 % of the errors flagged, with 80 % confidence" in out
    provenance = Verdicts.read(tmp_path / "out").provenance
    assert provenance["policy"]["lines"][0]["certified"] is True
    assert provenance["earlier_policies"][0]["policy"]["kind"] == "budget"
    summary = json.loads((tmp_path / "out" / "summary.json").read_text("utf-8"))
    assert summary["policy"] == "at least 50 % of the errors flagged, with 80 % confidence"
    assert summary["threshold"] == saved["decision"]["lines"][0]["threshold"]


def test_without_a_question_policy_shows_the_present_plan(run, fitted):
    status, out, err = run("policy", fitted)
    assert (status, err) == (0, "")
    assert out.startswith("plan: budget 10 %")
    assert out.endswith("nothing was changed\n")


def test_a_promise_that_can_t_be_certified_is_no_secret(run, world, fitted, tmp_path):
    status, out, err = run("screen", fitted, world.incoming, "-o", tmp_path, "--max-error", "0.001")
    assert status == 0
    assert "2995 error-free images are needed for 0.1 % at 95 % confidence, you have 150; all is flagged" in err
    assert "the guarantee is void" in out
    assert out.startswith("40 images: 40 flagged")


def test_thresholds_of_each_class_are_in_the_verdicts(run, world, fitted, tmp_path):
    assert run("screen", fitted, world.incoming, "-o", tmp_path, "--budget", "0.3", "--per-class")[0] == 0
    table = Verdicts.read(tmp_path).table.to_pylist()
    lines = Verdicts.read(tmp_path).provenance["policy"]["lines"]
    of_class = {k: line["threshold"] for line in lines for k in line["classes"]}
    for row in table:
        assert row["threshold"] == pytest.approx(of_class.get(row["predicted_index"], 0.0))
        assert row["flagged"] == (row["p_wrong"] >= row["threshold"])
    assert json.loads((tmp_path / "summary.json").read_text("utf-8"))["threshold"] is None


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--budget", "0.1", "--max-error", "0.1"), "budget and max_error are two questions"),
        (("--max-error", "0"), "max_error is 0; it must be a share above 0 and below 1"),
        (("--cost-miss", "3"), "cost_miss and cost_review belong together"),
        (("--confidence", "0.9"), "confidence 0.9 has nothing to hold for"),
        (("--threshold", "0.5", "--per-class"), "per_class has nothing to decide"),
    ],
)
def test_contradictory_policies_change_nothing(fails, fitted, asked, said):
    before = (fitted / "manifest.json").read_bytes()
    assert said in fails("policy", fitted, *asked)
    assert (fitted / "manifest.json").read_bytes() == before


def test_rank_lists_and_writes(run, out):
    status, text, err = run("rank", out, "-n", 12)
    assert status == 0
    assert all(line.startswith("note: ") for line in err.splitlines())
    with (out / "ranking.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["rank"] for row in rows] == [str(k) for k in range(1, 13)]
    assert len(text.splitlines()) == 12
    assert text.splitlines()[-2].startswith("expected among these 12: ")
    assert rows[0]["file_name"] in text.splitlines()[0]
    assert "12 images" in text.splitlines()[-1]


def test_rank_of_one_table_to_a_named_file(run, out, tmp_path):
    assert run("rank", out / "verdicts.parquet", "-n", 2, "-o", tmp_path / "top.jsonl")[0] == 0
    listed = ("rank", out, "-n", 3, "--strategy", "covering", "--to", "label-studio", "-o", tmp_path / "next.csv")
    status, text, _ = run(*listed)
    assert (status, "3 of them exported for label-studio" in text) == (0, True)
    tasks = json.loads((tmp_path / "next-label-studio" / "tasks.json").read_text("utf-8"))
    assert [task["data"]["rank"] for task in tasks] == [1, 2, 3]
    rows = [json.loads(line) for line in (tmp_path / "top.jsonl").read_text("utf-8").splitlines()]
    assert [row["rank"] for row in rows] == [1, 2]


def test_rank_says_when_to_stop_and_takes_what_is_labelled(run, out, tmp_path):
    first = run("rank", out, "-n", 5, "--explore", 0.2, "--quota-per", "predicted", "-o", tmp_path / "a.csv")[1]
    assert "time to stop" not in first
    status, text, err = run("rank", out, "-n", 5, "--exclude", tmp_path / "a.csv", "--stop-below", 0.99, "--seed", 1)
    assert status == 0
    assert "note: 5 images are excluded by name" in err
    assert "of these are expected to be errors, below 99.0%" in text


def test_evaluate_tells_how_good_and_what_did_not_meet(run, world, out, tmp_path):
    labels = labels_of(world.incoming) | {"away.png": "cat", "000.png": "yak"}
    del labels["001.png"]
    status, text, err = run(
        "evaluate", out, "--labels", write_labels(tmp_path / "l.csv", labels.items()), "--resamples", 20
    )
    assert (status, err) == (0, "")
    assert "38 labelled images" in text
    assert "left out: 2 images without a label, 1 labels without an image" in text
    assert "1 labels kept apart in labels_kept_apart.csv, no class of the model, e.g. 'yak' of '000.png'" in text
    kept = (out / "labels_kept_apart.csv").read_text("utf-8").splitlines()
    assert kept[1:] == ["away.png,cat,,no such image was screened", "000.png,yak,,no class of the model"]
    assert "p_wrong" in text
    assert "max_softmax" in text
    assert (out / "evaluation.json").exists()
    assert (out / "errors.csv").read_text("utf-8").startswith("file_name,label,predicted_label,confidence,p_wrong,")


def test_estimators_and_doctor(run):
    from uncertainty.estimators import discover

    status, text, err = run("estimators")
    assert (status, err) == (0, "")
    assert all(name in text for name in discover())
    status, text, _ = run("doctor")
    assert status == 0
    assert "uncertainty-vision" in text


def test_fit_without_reference_splits_and_says_so(run, world, tmp_path):
    status, out, err = run("fit", "--model", SPEC, "--calibration", world.calibration, "-o", tmp_path / "s", *FIT)
    assert status == 0
    assert "note: one labelled set was given: 75 of its images became the reference" in err
    assert "calibrated on 75 images" in out


@pytest.mark.parametrize("reference", [True, False])
@pytest.mark.parametrize("unknown", ["0", "0.01"])
def test_the_progress_of_a_fit_ends_at_its_total(run, world, tmp_path, monkeypatch, reference, unknown):
    totals, done = [], []

    def counted(what, total):
        totals.append(total)
        return nullcontext(done.append)

    monkeypatch.setattr(fit_command, "shown_progress", counted)
    given = {} if reference else {"reference": None}
    arguments = fit_arguments(world, tmp_path / "s", **given)
    assert run(*arguments, "--expect-unknown", unknown)[0] == 0
    assert totals == [sum(done)]


@pytest.mark.parametrize(
    ("effort", "given", "expected"),
    [
        ("fast", (None, ()), (None, ())),
        ("balanced", (None, ()), ("efficientnet-lite0", ())),
        ("balanced", ("mine:model", ("flip",)), ("mine:model", ("flip",))),
        ("thorough", (None, ()), ("efficientnet-lite0", ("auto",))),
        ("thorough", (None, ("shift",)), ("efficientnet-lite0", ("shift",))),
    ],
)
def test_effort_fills_in_what_was_not_named(effort, given, expected):
    embedder, views = given
    assert (Effort(effort).embedder(embedder), Effort(effort).views(views)) == expected
    assert Effort(effort).passes(None) == (30 if effort == "thorough" else None)
    assert Effort(effort).passes(7) == 7


def test_second_opinion_and_views_from_fit_to_screen(run, world, tmp_path):
    arguments = fit_arguments(world, tmp_path / "s")
    status, _, err = run(*arguments, "--embedder", "user_models:plain", "--tta", "flip")
    assert status == 0, err
    assert "note: second opinion: gains" in err
    assert "note: views: gains" in err
    status, _, err = run("screen", str(tmp_path / "s"), str(world.incoming), "-o", str(tmp_path / "o"))
    assert status == 0, err
    names = Verdicts.read(tmp_path / "o").table.column_names
    assert {"est_second_opinion_vote", "est_tta_variance"} <= set(names)
    status, _, err = run(*arguments, "--tta", "mirror")
    assert (status, err.count("\n")) == (1, 1)
    assert "there is no view 'mirror'" in err


def updating(world, tmp_path, fitted, inclusion=None):
    """A screener of its own, and labels of all incoming images that are in a class folder or named so."""
    names = Verdicts.read(tmp_path / "out").table["file_name"].to_pylist()
    cells = [(name, CLASSES[k % 3], *([] if inclusion is None else [inclusion])) for k, name in enumerate(names)]
    header = ("file_name", "label") if inclusion is None else ("file_name", "label", "inclusion")
    return shutil.copytree(fitted, tmp_path / "screener"), write_labels(tmp_path / "labels.csv", cells, header)


def test_a_precision_is_asked_for_once(run, fails, world, tmp_path):
    fit = ("fit", "--model", SPEC, "--reference", world.reference, "--calibration", world.calibration, *FIT)
    assert run(*fit, "--autocast", "bf16", "-o", tmp_path / "s")[0] == 0
    assert Screener.load(tmp_path / "s").model.spec.endswith("&autocast=bf16")
    assert run("screen", tmp_path / "s", world.incoming, "-o", tmp_path / "out")[0] == 0
    said = fails("screen", tmp_path / "s", world.incoming, "-o", tmp_path / "out", "--model", SPEC)
    assert "precision differ" in said


def test_a_screener_from_before_there_was_a_draft_decodes_at_full_size(run, fails, world, tmp_path):
    fit = ("fit", "--reference", world.reference, "--calibration", world.calibration, *FIT, "-o", tmp_path / "s")
    assert run(*fit, "--model", f"{SPEC}&draft=0")[0] == 0
    assert "draft" not in Screener.load(tmp_path / "s").model.preprocess
    out = ("-o", tmp_path / "out")
    assert run("screen", tmp_path / "s", world.incoming, *out, "--model", SPEC)[0] == 0


def test_a_screener_is_read_once(run, world, fitted, tmp_path, monkeypatch):
    reads = []
    read = artifact.read
    monkeypatch.setattr(artifact, "read", lambda *given, **more: reads.append(given) or read(*given, **more))
    assert run("screen", fitted, world.incoming, "-o", tmp_path / "out")[0] == 0
    assert len(reads) == 1


def test_labels_update_a_screener_and_the_old_one_is_kept(run, fails, world, fitted, out, tmp_path):
    screener, labels = updating(world, tmp_path, fitted)
    before = (screener / "manifest.json").read_bytes()
    status, said, _ = run("update", screener, out, "--labels", labels)
    assert status == 0
    assert said.startswith("learnt from ")
    assert "log loss on the new labels: " in said
    kept = [path for path in tmp_path.iterdir() if path.name.startswith("screener.")]
    assert len(kept) == 1
    assert (kept[0] / "manifest.json").read_bytes() == before
    saved = json.loads((screener / "manifest.json").read_text("utf-8"))
    assert saved["calibrated_on"]["updates"][0]["from"] == kept[0].name.removeprefix("screener.")
    assert "these verdicts are not of screener" in fails("update", screener, out, "--labels", labels)
    assert run("screen", screener, world.incoming, "-o", tmp_path / "again")[0] == 0
    refused = fails("update", screener, tmp_path / "again", "--labels", labels)
    assert "all labelled images were learnt from already" in refused


def test_labels_of_what_was_ranked_go_into_an_update(run, world, fitted, out, tmp_path):
    """The whole loop: rank, label what it lists, update, screen with the new screener."""
    screener = shutil.copytree(fitted, tmp_path / "screener")
    assert run("rank", out, "-n", 12, "--explore", 0.5, "-o", tmp_path / "next.csv")[0] == 0
    listed = list(csv.DictReader((tmp_path / "next.csv").read_text("utf-8").splitlines()))
    assert len(listed) == 12
    labels = write_labels(
        tmp_path / "labels.csv",
        [(row["file_name"], CLASSES[k % 3], row["inclusion_probability"]) for k, row in enumerate(listed)],
        ("file_name", "label", "inclusion_probability"),
    )
    status, said, _ = run("update", screener, out, "--labels", labels)
    assert (status, said.startswith("learnt from ")) == (0, True)
    assert run("screen", screener, world.incoming, "-o", tmp_path / "again")[0] == 0


def test_an_update_into_a_new_folder_leaves_the_old_one(run, fails, world, fitted, out, tmp_path):
    screener, labels = updating(world, tmp_path, fitted, inclusion=1)
    before = (screener / "manifest.json").read_bytes()
    arguments = ("update", screener, out, "--labels", labels, "-o", tmp_path / "new")
    assert run(*arguments)[0] == 0
    assert (screener / "manifest.json").read_bytes() == before
    assert (tmp_path / "new" / "manifest.json").exists()
    assert "holds a screener already" in fails(*arguments)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("screener.")]


@pytest.mark.parametrize(("inclusion", "said"), [("0", "inclusion of "), ("often", "it must be a number in (0, 1]")])
def test_chances_that_are_none_change_nothing(fails, world, fitted, out, tmp_path, inclusion, said):
    screener, labels = updating(world, tmp_path, fitted, inclusion)
    before = (screener / "manifest.json").read_bytes()
    assert said in fails("update", screener, out, "--labels", labels)
    assert (screener / "manifest.json").read_bytes() == before
    assert "has no column 'chance'" in fails("update", screener, out, "--labels", labels, "--inclusion", "chance")


def test_no_arguments_show_help(run):
    status, out, err = run()
    assert status == 2
    assert "Usage" in out + err


def test_known_good_images_come_and_go(run, fails, world, fitted, tmp_path):
    screener = shutil.copytree(fitted, tmp_path / "screener")
    for path in write_images(tmp_path / "more", 12, seed=8):
        path.rename(path.with_stem(f"more_{path.stem}"))
    status, said, notes = run("known-good", screener, "--add", tmp_path / "more", "-o", tmp_path / "new")
    assert status == 0
    assert "known-good images; there were" in said.splitlines()[0]
    assert "known-good images changed after calibration: " in notes
    assert f"the one before is kept in {screener}" in said
    assert "fitted this screener already" in fails("known-good", tmp_path / "new", "--add", tmp_path / "more")
    names = tmp_path / "names.txt"
    names.write_text("cat/000.png\n")
    assert "holds a screener already" in fails("known-good", screener, "--remove", names, "-o", tmp_path / "new")
    assert run("known-good", screener, "--remove", names)[0] == 0
    assert len([path for path in tmp_path.iterdir() if path.name.startswith("screener.")]) == 1
    assert "'cat/000.png', are of no known-good image" in fails("known-good", screener, "--remove", names)
    assert run("known-good", screener)[0] == 2


COMMANDS = ["fit", "policy", "screen", "rank", "evaluate", "slices", "compare", "report", "monitor"]
COMMANDS += ["estimators", "doctor", "demo", "update", "known_good", "export", "labels"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_a_sentence_and_a_command_line(run, command):
    status, out, err = run(command.replace("_", "-"), "--help")
    assert (status, err) == (0, "")
    help = next(c.callback for c in cli.app.registered_commands if c.callback.__name__ == command).__doc__
    assert help[0].isupper()
    assert help.endswith(".")
    assert f": uncertainty {command.replace('_', '-')}" in help
    assert help.split()[0] in out


def test_these_are_all_the_commands():
    assert sorted(command.callback.__name__ for command in cli.app.registered_commands) == sorted(COMMANDS)


def test_a_cascade_looks_deeper_at_some_and_says_at_how_many(run, world, home, tmp_path):
    arguments = ("fit", "--model", SPEC, "--reference", world.reference, "--calibration", world.calibration)
    status, said, _ = run(
        *arguments, *FIT, "--embedder", "user_models:plain", "--cascade", "--cascade-loss", "0.5", "-o", tmp_path / "s"
    )
    assert status == 0
    assert "a deeper look" in said
    status, said, _ = run("screen", tmp_path / "s", world.incoming, "-o", tmp_path / "out")
    assert status == 0
    efforts = Verdicts.read(tmp_path / "out").table["effort"].to_pylist()
    assert said.startswith(f"{efforts.count('balanced')} of 40 images were looked at more deeply\n")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text("utf-8"))
    assert summary["looked_at_more_deeply"] == efforts.count("balanced")
    assert summary["deeper_look_failed"] == 0


def test_a_cascade_with_nothing_deeper_says_so(run, world, tmp_path):
    arguments = ("fit", "--model", SPEC, "--reference", world.reference, "--calibration", world.calibration)
    status, _, err = run(*arguments, *FIT, "--cascade", "-o", tmp_path)
    assert status == 0
    assert "note: there is no cascade: nothing here costs more than one pass" in err


def test_an_unknown_view_is_an_error_of_one_line(fails, world, tmp_path):
    arguments = ("fit", "--model", SPEC, "--reference", world.reference, "--calibration", world.calibration)
    assert "there is no view 'mirror'" in fails(*arguments, *FIT, "--tta", "mirror", "-o", tmp_path)


# ---- going on


@pytest.fixture
def many(world, tmp_path):
    """1,100 small images in one Parquet file: a whole part and a bit."""
    images = [{"bytes": path.read_bytes(), "path": None} for path in sorted(world.incoming.iterdir())[:20]] * 55
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    pq.write_table(pa.table({"image": pa.array(images, kind)}), tmp_path / "many.parquet")
    return tmp_path / "many.parquet"


def table_of(out):
    return Verdicts.read(out).table


def test_kill_and_resume(run, fails, world, home, fitted, many, tmp_path):
    whole, out = tmp_path / "whole", tmp_path / "out"
    command = ["screen", fitted, many, "-o", out]
    assert run("screen", fitted, many, "-o", whole)[0] == 0
    killed = subprocess.Popen([sys.executable, "-m", "uncertainty", *map(str, command)], cwd=home)
    while killed.poll() is None and progress_of(out) is None:
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert progress_of(out)[1] == 1100
    assert not (out / "verdicts.parquet").exists()
    message = fails(*command)
    assert f"{out} holds an unfinished screening" in message
    assert "go on with --resume" in message
    changed = "the policy was 'budget 10 %', now it is 'budget 30 %'"
    assert changed in fails(*command, "--resume", "--budget", "0.3")
    assert "the input had 1100 images, now it has 40" in fails(*command[:2], world.incoming, *command[3:], "--resume")
    assert run(*command, "--resume")[0] == 0
    assert table_of(out).equals(table_of(whole), check_metadata=True)
    assert (out / "features.parquet").read_bytes() == (whole / "features.parquet").read_bytes()


def test_an_interrupted_screening_says_how_to_go_on(run, fails, fitted, many, tmp_path, monkeypatch):
    from uncertainty.workflows import screen

    part_tables = screen.part_tables

    def interrupted(*given, **options):
        yield next(part_tables(*given, **options))
        raise KeyboardInterrupt

    monkeypatch.setattr(screen, "part_tables", interrupted)
    command = ["screen", fitted, many, "-o", tmp_path / "out"]
    status, out, err = run(*command)
    assert (status, out) == (130, "")
    assert err == "interrupted: 1024 of 1100 images are done; go on with the same command and --resume\n"
    monkeypatch.setattr(screen, "part_tables", part_tables)
    assert run(*command, "--resume", "--format", "csv")[0] == 0
    assert len(table_of(tmp_path / "out")) == 1100
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    status, out, err = run(*command, "--resume")
    assert status == 0
    assert "was finished already, so nothing was done" in err
    assert out.startswith("1100 images: ")
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()} == before
    message = fails(*command, "--resume", "--batch-size", "16")
    assert "holds a finished screening of something else: the batch size was 32, now it is 16" in message


def test_interrupted_before_anything_was_done(run, world, fitted, tmp_path, monkeypatch):
    def interrupted(*given, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("uncertainty.workflows.screen.part_tables", interrupted)
    status, _, err = run("screen", fitted, world.incoming, "-o", tmp_path / "out")
    assert status == 130
    assert err == "interrupted: no image was done; go on with the same command and --resume\n"
    assert list((tmp_path / "out").iterdir()) == []


# ---- where things are written to


def test_a_terminal_sees_progress_on_standard_error(world, home, fitted, tmp_path):
    main, other = pty.openpty()
    command = [sys.executable, "-m", "uncertainty", "screen", fitted, world.incoming, "-o", tmp_path]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    done = subprocess.run(list(map(str, command)), cwd=home, stdout=subprocess.PIPE, stderr=other, env=environment)
    os.close(other)
    seen = os.read(main, 1 << 16).decode()
    os.close(main)
    assert done.returncode == 0
    assert "screening" in seen
    assert "40/40" in seen
    assert b"\x1b" not in done.stdout


# ---- what the user got wrong: status 1 and one line


def fit_arguments(world, out, **changes):
    options = {"model": SPEC, "reference": world.reference, "calibration": world.calibration, "o": out} | changes
    return ["fit", *FIT, *(x for k, v in options.items() if v is not None for x in ("-o" if k == "o" else f"--{k}", v))]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("user_models", "is not of the form package.module:factory"),
        ("no_such_module:tiny", "can't import 'no_such_module'"),
        ("user_models:missing", "module 'user_models' has no function 'missing'"),
        ("user_models:broken", "user_models:broken() fails: no such layer"),
        ("user_models:number", "user_models:number() returns int"),
        ("user_models:tiny?weight=a", "model spec has unknown keys ['weight']"),
        ("user_models:tiny?size=big", "size='big'"),
        ("user_models:tiny?weights=missing.safetensors", "missing.safetensors does not exist"),
        ("user_models:tiny?weights=text.safetensors", "can't be read as tensors"),
        ("user_models:tiny?weights=half.safetensors", "does not fit the model"),
        ("user_models:four?weights=weights.safetensors", "does not fit the model"),
    ],
)
def test_a_wrong_model(fails, world, tmp_path, spec, message):
    assert message in fails(*fit_arguments(world, tmp_path / "s", model=spec))
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("names", ["cat\ndog\n", "cat\ndog\neel\nfox\n"])
def test_class_names_that_do_not_match_the_outputs(fails, world, tmp_path, names):
    (tmp_path / "classes.txt").write_text(names, "utf-8")
    message = fails(*fit_arguments(world, tmp_path / "s", classes=tmp_path / "classes.txt"))
    assert f"the model has 3 outputs and {len(names.split())} class names were given" in message


def test_class_names_that_are_others_than_the_labels(fails, world, tmp_path):
    spec = SPEC.replace("tiny", "renamed")
    message = fails(*fit_arguments(world, tmp_path / "s", model=spec))
    assert "not one calibration label, e.g. 'cat', is a class of the model, e.g. 'Katze'" in message


@pytest.mark.parametrize("which", ["reference", "calibration"])
def test_missing_and_empty_folders(fails, world, tmp_path, which):
    assert "does not exist" in fails(*fit_arguments(world, tmp_path / "s", **{which: tmp_path / "gone"}))
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "readme.txt").write_text("", "utf-8")
    message = fails(*fit_arguments(world, tmp_path / "s", **{which: tmp_path / "empty"}))
    assert "holds no image" in message
    assert "found 1 other file such as 'readme.txt'" in message


def test_calibration_without_labels(fails, world, tmp_path):
    assert "has no labels" in fails(*fit_arguments(world, tmp_path / "s", calibration=world.incoming))


def test_the_same_images_twice(fails, world, tmp_path):
    message = fails(*fit_arguments(world, tmp_path / "s", reference=world.calibration))
    assert "150 calibration images are in the reference too" in message


def test_only_unreadable_calibration_images(fails, world, tmp_path):
    (tmp_path / "c" / "cat").mkdir(parents=True)
    (tmp_path / "c" / "cat" / "a.png").write_bytes(b"no image")
    assert "not one of 1 images can be read" in fails(*fit_arguments(world, tmp_path / "s", calibration=tmp_path / "c"))


def test_an_output_that_is_a_file(fails, world, fitted, tmp_path):
    (tmp_path / "file").write_text("", "utf-8")
    assert f"File exists: {tmp_path / 'file'}" in fails(*fit_arguments(world, tmp_path / "file"))
    assert f"File exists: {tmp_path / 'file'}" in fails("screen", fitted, world.incoming, "-o", tmp_path / "file")


def test_screen_without_images_or_screener(fails, world, fitted, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "holds no image" in fails("screen", fitted, tmp_path / "empty", "-o", tmp_path / "o")
    assert "does not exist" in fails("screen", fitted, tmp_path / "gone", "-o", tmp_path / "o")
    assert "holds no manifest.json" in fails("screen", tmp_path / "gone", world.incoming, "-o", tmp_path / "o")
    assert not (tmp_path / "o").exists()


def damaged_copy(fitted, tmp_path, name, change):
    copy = shutil.copytree(fitted, tmp_path / "copy")
    (copy / name).write_bytes(change((copy / name).read_bytes()))
    return copy


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("manifest.json", lambda b: b[: len(b) // 2], "is not valid JSON"),
        ("manifest.json", lambda b: b"[]", "has format version None"),
        ("manifest.json", lambda b: b.replace(b'"format_version": 2', b'"format_version": 99'), "format version 99"),
        ("manifest.json", lambda b: b.replace(b'"passes": ', b'"passes": "x", "y": '), "is damaged at"),
        ("manifest.json", lambda b: b.replace(b'"lines": ', b'"no_lines": '), "the saved policy is damaged"),
        ("arrays.safetensors", lambda b: b[:-1], "is damaged or of another screener"),
        ("arrays.safetensors", lambda b: b[:-1] + bytes([b[-1] ^ 1]), "is damaged or of another screener"),
        ("arrays.safetensors", lambda b: b"", "is damaged or of another screener"),
    ],
)
def test_a_damaged_screener(fails, world, fitted, tmp_path, name, change, message):
    copy = damaged_copy(fitted, tmp_path, name, change)
    assert message in fails("screen", copy, world.incoming, "-o", tmp_path / "o")


def test_another_model(fails, world, fitted, tmp_path):
    message = fails("screen", fitted, world.incoming, "-o", tmp_path / "o", "--model", "user_models:tiny")
    assert "was fitted with model" in message
    message = fails("screen", fitted, world.incoming, "-o", tmp_path / "o", "--model", "user_models:four")
    assert "the model has 4 outputs and 3 class names were given" in message


def test_a_screener_that_names_no_model(fails, world, tmp_path):
    world.screener.save(tmp_path / "s")
    message = fails("screen", tmp_path / "s", world.incoming, "-o", tmp_path / "o")
    assert "does not say which model it was fitted with; give --model SPEC" in message


def test_wrong_labels(fails, out, tmp_path):
    def evaluate(file):
        return fails("evaluate", out, "--labels", file)

    assert "does not exist" in evaluate(tmp_path / "gone.csv")
    columns = evaluate(write_labels(tmp_path / "a.csv", [("000.png", "cat")], ("file_name", "class")))
    assert "has no column label; it has 'file_name', 'class'" in columns
    columns = evaluate(write_labels(tmp_path / "b.csv", [("000.png", "cat")], ("name", "label")))
    assert "has no column file_name" in columns
    assert "no label has the name of a screened image" in evaluate(write_labels(tmp_path / "c.csv", [("x.png", "cat")]))
    twice = write_labels(tmp_path / "d.csv", [("000.png", "cat"), ("000.png", "dog")])
    assert "two labels, 'cat' and 'dog'" in evaluate(twice)
    (tmp_path / "e.csv").write_bytes(b"file_name,label\n\xff\xfe,cat\n")
    assert "is not UTF-8 text" in evaluate(tmp_path / "e.csv")
    assert "labels none of them" in evaluate(write_labels(tmp_path / "f.csv", [("000.png", "")]))


def test_verdicts_that_are_none(fails, out, tmp_path):
    assert "holds no verdicts" in fails("rank", tmp_path)
    assert "does not exist" in fails("rank", tmp_path / "gone.parquet")
    (out / "verdicts.parquet").write_bytes(b"PAR1")
    assert "is not a readable table" in fails("rank", out)
    assert "is not a readable table" in fails("evaluate", out, "--labels", tmp_path)


def test_a_device_that_is_not_there(fails, world, fitted, tmp_path):
    message = fails("screen", fitted, world.incoming, "-o", tmp_path / "o", "--device", "abacus")
    assert "can't be put on device 'abacus'" in message


# ---- what nobody got wrong


def test_a_full_disk(fails, world, fitted, tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyarrow.parquet.ParquetWriter.write_table", full)
    message = fails("screen", fitted, world.incoming, "-o", tmp_path / "o")
    assert message.endswith("can't be written (No space left on device); what is done is kept, go on with --resume")
    assert list((tmp_path / "o").iterdir()) == []


def test_a_folder_that_cannot_be_written(fails, world, fitted, tmp_path):
    message = fails("screen", fitted, world.incoming, "-o", "/proc/nowhere/out")
    assert "/proc/nowhere" in message


def test_an_unexpected_error_is_one_line_too(fails, out, monkeypatch):
    def break_down(*arguments, **options):
        raise ZeroDivisionError("two\nlines")

    monkeypatch.setattr("uncertainty.workflows.rank.rank_folder", break_down)
    monkeypatch.delenv("UNCERTAINTY_DEBUG", raising=False)
    message = fails("rank", out)
    assert message.startswith("error: unexpected ZeroDivisionError: two lines; UNCERTAINTY_DEBUG=1 shows where")


def test_debugging_shows_where(home, monkeypatch, out):
    monkeypatch.setattr("uncertainty.workflows.rank.rank_folder", lambda *arguments, **options: 1 / 0)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", ["uncertainty", "rank", str(out)])
    monkeypatch.setenv("UNCERTAINTY_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        cli.main()


@pytest.mark.parametrize(
    "arguments",
    [
        ["screen", "s", "i", "-o", "o", "--budget", "2"],
        ["screen", "s", "i", "-o", "o", "--budget", "-0.1"],
        ["screen", "s", "i", "-o", "o", "--budget", "much"],
        ["policy", "s", "--max-error", "2"],
        ["policy", "s", "--method", "magic"],
        ["policy"],
        ["screen", "s", "i", "-o", "o", "--format", "xlsx"],
        ["screen", "s", "i", "-o", "o", "--batch-size", "0"],
        ["screen", "s", "i"],
        ["screen", "s"],
        ["fit", "--model", "m"],
        ["fit", "--model", "m", "--calibration", "c", "-o", "o", "--expect-damage", "1"],
        ["fit", "--model", "m", "--calibration", "c", "-o", "o", "--seed", "-1"],
        ["rank", "o", "-n", "0"],
        ["evaluate", "o"],
        ["evaluate", "o", "--labels", "l", "--resamples", "0"],
        ["predict"],
        ["rank", "o", "--no-such-option"],
    ],
)
def test_a_wrong_command_line_is_status_2(run, arguments):
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert "Traceback" not in err


def test_a_module_in_this_folder_takes_no_library_s_place(world, fitted, home, tmp_path):
    (tmp_path / "pyarrow.py").write_text("raise SystemExit('imported from the folder of images')", "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", "from uncertainty.cli import main; main()", "rank", str(tmp_path)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
    )
    assert done.stderr.startswith(f"error: {tmp_path} holds no verdicts")


# ---- images of every kind


def encoded(path, image, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """Files of every kind; returns the folder and the reason for each that can't be read."""
    zoo = tmp_path_factory.mktemp("zoo")
    colour = Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8))
    whole = zoo / "whole.png"
    encoded(whole, colour)
    exif = Image.Exif()
    exif[0x0112] = 6
    encoded(zoo / "rotated.jpg", colour, exif=exif)
    encoded(zoo / "cmyk.jpg", colour.convert("CMYK"))
    encoded(zoo / "palette.png", colour.quantize(8), transparency=0)
    encoded(zoo / "alpha.png", colour.convert("RGBA"))
    encoded(zoo / "grey.png", colour.convert("L"))
    encoded(zoo / "bits.png", Image.fromarray(np.arange(400, dtype=np.uint16).reshape(20, 20) * 160))
    encoded(zoo / "animated.gif", colour, save_all=True, append_images=[colour.rotate(90), colour.rotate(180)])
    encoded(zoo / "dot.png", colour.crop((0, 0, 1, 1)))
    encoded(zoo / "line.png", colour.crop((0, 0, 30, 1)))
    for name in ("with space.png", "quote'\".png", "new\nline.png", "Käfer 猫.png", "=1+1.png", "comma,semi;.png"):
        encoded(zoo / name, colour.rotate(len(name)))
    for folder in ("monday", "tuesday"):
        encoded(zoo / folder / "twin.png", colour)
    (zoo / "truncated.png").write_bytes(whole.read_bytes()[:-200])
    (zoo / "zero.png").write_bytes(b"")
    (zoo / "text.png").write_text("this is no image", "utf-8")
    (zoo / "dangling.png").symlink_to(zoo / "gone.png")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        encoded(zoo / "huge.png", Image.new("1", (20_000, 20_000)))
    (zoo / "notes.txt").write_text("not an image by its name", "utf-8")
    return zoo, {
        "truncated.png": "truncated",
        "zero.png": "is empty (0 bytes)",
        "text.png": "cannot identify the format",
        "dangling.png": "does not exist",
        "huge.png": "has 400,000,000 pixels, more than the limit",
    }


@pytest.mark.parametrize("format", ["parquet", "csv", "jsonl"])
def test_every_image_is_a_row(run, zoo, fitted, tmp_path, format):
    folder, unreadable = zoo
    status, out, _ = run("screen", fitted, folder, "-o", tmp_path, "--format", format, "--batch-size", 4)
    assert status == 0
    assert f"{len(unreadable)} of them unreadable" in out
    files = [path for path in folder.rglob("*.*") if path.suffix != ".txt"]
    rows = Verdicts.read(tmp_path).table.to_pylist()
    assert [row["file_name"] for row in rows] == sorted(path.relative_to(folder).as_posix() for path in files)
    for row in rows:
        assert row["screen_id"]
        if row["file_name"] in unreadable:
            assert unreadable[row["file_name"]] in row["error"]
            assert row["flagged"]
            assert row["p_wrong"] is row["predicted_label"] is row["confidence"] is None
        else:
            assert row["error"] is None
            assert 0 <= row["p_wrong"] <= 1
            assert row["predicted_label"] in CLASSES
    assert sorted(row["rank"] for row in rows) == list(range(1, len(rows) + 1))


def test_odd_names_survive_ranking_and_labels(run, zoo, fitted, tmp_path):
    folder, unreadable = zoo
    assert run("screen", fitted, folder, "-o", tmp_path / "o")[0] == 0
    status, text, _ = run("rank", tmp_path / "o", "-n", 100)
    assert status == 0
    assert len(text.splitlines()) == 12
    ranking = read_table(tmp_path / "o" / "ranking.csv").to_pylist()
    ranked = {name for row in ranking for name in (row["file_name"], *row["duplicates"])}
    names = {row for row in Verdicts.read(tmp_path / "o").table["file_name"].to_pylist()}
    assert ranked == names - unreadable.keys()
    labels = write_labels(tmp_path / "labels.csv", [(name, "cat") for name in names])
    status, text, _ = run("evaluate", tmp_path / "o", "--labels", labels, "--resamples", 5)
    assert status == 0
    assert f"left out: {len(unreadable)} unreadable images\n" in text


def test_a_name_with_a_line_break_stays_in_its_line(run, fitted, tmp_path):
    (tmp_path / "in").mkdir()
    write_images(tmp_path, 1, seed=9, folders=False)[0].rename(tmp_path / "in" / "a\nb\x1b[2J.png")
    run("screen", fitted, tmp_path / "in", "-o", tmp_path / "o")
    status, text, _ = run("rank", tmp_path / "o")
    assert status == 0
    assert "\x1b" not in text
    assert r"'a\nb\x1b[2J.png'" in text.splitlines()[0]


def test_a_terminal_that_cannot_show_a_name(run, fitted, zoo, tmp_path):
    assert run("screen", fitted, zoo[0] / "Käfer 猫.png", "-o", tmp_path)[0] == 0
    environment = os.environ | {"PYTHONIOENCODING": "latin-1"}
    command = [sys.executable, "-m", "uncertainty", "rank", str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert rb"K\xe4fer \u732b.png".replace(rb"\xe4", b"\xe4") in done.stdout


def test_twins_in_two_folders_get_the_same_verdict(run, zoo, fitted, tmp_path):
    run("screen", fitted, zoo[0], "-o", tmp_path)
    rows = {row["file_name"]: row for row in Verdicts.read(tmp_path).table.to_pylist()}
    monday, tuesday = rows["monday/twin.png"], rows["tuesday/twin.png"]
    assert monday["p_wrong"] == pytest.approx(tuesday["p_wrong"], abs=1e-6)


# ---- models and calibration sets at the edge


def test_images_for_which_the_model_answers_nan_are_rows_with_an_error(run, world, tmp_path):
    spec = "user_models:sometimes_nan?weights=inner.safetensors"
    assert run(*fit_arguments(world, tmp_path / "s", model=spec))[0] == 0
    shutil.copytree(world.incoming, tmp_path / "in")
    Image.new("RGB", (8, 8)).save(tmp_path / "in" / "black.png")
    status, out, _ = run("screen", tmp_path / "s", tmp_path / "in", "-o", tmp_path / "o")
    assert status == 0
    assert "41 images" in out
    assert "1 of them unreadable" in out
    bad = [row for row in Verdicts.read(tmp_path / "o").table.to_pylist() if row["error"]]
    assert [row["file_name"] for row in bad] == ["black.png"]
    assert "NaN" in bad[0]["error"]
    assert bad[0]["flagged"]


def test_a_model_without_dropout_and_linear_layer_says_so_and_goes_on(run, world, tmp_path):
    status, _, err = run(*fit_arguments(world, tmp_path / "s", model="user_models:plain"))
    assert status == 0
    assert "the model has no dropout" in err
    assert "nn_distance is off" in err
    assert run("screen", tmp_path / "s", world.incoming, "-o", tmp_path / "o")[0] == 0
    names = Verdicts.read(tmp_path / "o").table.column_names
    assert not [name for name in names if name.startswith(("est_mc", "est_nn"))]


def sorted_by_prediction(world, folder, n, seed):
    """n images in the folders of the classes that the classifier takes them for: a set without errors."""
    outputs = world.classifier.run(write_images(folder / "raw", n, seed, folders=False), passes=0)
    for name, k in zip(outputs.ids, outputs.predictions, strict=True):
        (folder / "set" / CLASSES[k]).mkdir(parents=True, exist_ok=True)
        shutil.move(folder / "raw" / str(name), folder / "set" / CLASSES[k] / str(name))
    return folder / "set"


def test_calibration_without_errors(run, world, tmp_path):
    calibration = sorted_by_prediction(world, tmp_path, 60, seed=21)
    status, out, err = run(*fit_arguments(world, tmp_path / "s", calibration=calibration))
    assert status == 0
    assert "60 images with 0 errors" in out
    assert "note: calibration has 0 errors, fewer than 10" in err
    status, out, err = run("screen", tmp_path / "s", world.incoming, "-o", tmp_path / "o")
    assert status == 0
    assert "note: calibration has 0 errors, fewer than 10" in err
    p_wrong = Verdicts.read(tmp_path / "o").table["p_wrong"].to_numpy()
    assert ((p_wrong >= 0) & (p_wrong <= 1)).all()


def test_a_class_that_calibration_never_saw(run, world, tmp_path):
    shutil.copytree(world.calibration, tmp_path / "c", ignore=shutil.ignore_patterns("eel"))
    status, _, err = run(*fit_arguments(world, tmp_path / "s", calibration=tmp_path / "c"))
    assert status == 0
    assert "note: 1 of 3 classes, e.g. 'eel', have no calibration image" in err


def test_calibration_labels_that_the_model_does_not_know(run, world, tmp_path):
    shutil.copytree(world.calibration, tmp_path / "c")
    (tmp_path / "c" / "eel").rename(tmp_path / "c" / "yak")
    status, _, err = run(*fit_arguments(world, tmp_path / "s", calibration=tmp_path / "c"))
    assert status == 0
    assert "50 calibration labels (e.g. 'yak') are no class of the model; they count as wrong" in err


def test_images_that_fitted_the_screener_are_told(run, world, fitted, tmp_path):
    status, _, err = run("screen", fitted, world.calibration, "-o", tmp_path)
    assert status == 0
    assert "note: 150 of these images fitted the screener" in err


# ---- slices and comparisons


def test_slices_answer_one_question(run, world, out, tmp_path):
    labels = write_labels(tmp_path / "l.csv", labels_of(world.incoming).items())
    status, text, err = run("slices", out, "--labels", labels)
    assert (status, err) == (0, "")
    assert "slices.csv written to" in text
    status, text, err = run("slices", out, "--labels", labels, "--by", "dark, blurry")
    assert (status, err) == (0, "")
    assert "light" not in text
    assert (out / "slices.csv").exists()


def test_slices_by_a_column_of_the_labels(run, world, out, tmp_path, fails):
    rows = [(name, label, f"camera {i % 2}") for i, (name, label) in enumerate(labels_of(world.incoming).items())]
    labels = write_labels(tmp_path / "l.csv", rows, ("file_name", "label", "camera"))
    status, text, _ = run("slices", out, "--labels", labels, "--by", "camera")
    assert status == 0
    assert "camera = camera 0" in text
    message = fails("slices", out, "--labels", labels, "--by", "dusk")
    assert "there is nothing to slice by 'dusk'; there is dark, light" in message
    assert "camera" in message


def test_compare_two_runs(run, world, out, tmp_path, fails):
    labels = labels_of(world.incoming)
    file = write_labels(tmp_path / "l.csv", labels.items())
    status, text, err = run("compare", out, out, "--labels", file, "-o", tmp_path / "c", "--resamples", 10)
    assert (status, err) == (0, "")
    assert "0 fixed and 0 broken by B; McNemar's exact p 1.000" in text
    saved = json.loads((tmp_path / "c" / "comparison.json").read_text("utf-8"))
    assert saved["n"] == 40
    assert (tmp_path / "c" / "fixed.csv").read_text("utf-8").startswith("file_name,label,predicted_label_a,")
    assert "holds no verdicts" in fails("compare", out, tmp_path, "--labels", file, "-o", tmp_path / "d")
