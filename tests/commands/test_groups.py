"""`--group` and `--group-by`: which images belong together, from fit to monitor, evaluate and compare."""

import csv
import json

from conftest import write_labels

from commands.command_lines import fit_arguments, labels_of
from uncertainty.screener import Screener


def test_groups_of_a_fit_are_counted(run, fails, world, tmp_path):
    arguments = fit_arguments(world, tmp_path / "s")
    status, _, err = run(*arguments, "--group-by", "([0-9]+)[0-9][.]png")
    assert status == 0, err
    screener = Screener.load(tmp_path / "s")
    groups = screener.plan().groups
    assert 1 < groups < screener.plan().images
    assert f"of {groups} groups" in str(screener.plan())
    assert "is no regular expression" in fails(*arguments, "--group-by", "(")
    assert "choose one" in fails(*arguments, "--group-by", "folder", "--group", "film")
    assert "no column 'film'" in fails(*arguments, "--group", "film")


def test_groups_of_a_manifest(run, world, tmp_path):
    names = sorted(path.relative_to(world.calibration).as_posix() for path in world.calibration.rglob("*.png"))
    rows = [(str(world.calibration / name), name.split("/")[0], f"film {i // 5}") for i, name in enumerate(names)]
    table = write_labels(tmp_path / "m.csv", rows, ("file_name", "label", "film"))
    arguments = fit_arguments(world, tmp_path / "s", calibration=table)
    status, _, err = run(*arguments, "--group", "film")
    assert status == 0, err
    assert Screener.load(tmp_path / "s").plan().groups == -(-len(names) // 5)


def test_monitor_evaluate_and_compare_take_groups(run, fails, world, out, fitted, tmp_path):
    by = ("--group-by", "([0-9]+)[0-9][.]png")
    status, _, err = run("monitor", out, "--screener", fitted, *by)
    assert status == 0, err
    labels = write_labels(tmp_path / "l.csv", labels_of(world.incoming).items())
    status, _, err = run("evaluate", out, "--labels", labels, "--resamples", 20)
    assert status == 0, err
    apart = json.loads((out / "evaluation.json").read_text("utf-8"))["intervals"]["p_wrong"]["auroc"]
    status, _, err = run("evaluate", out, "--labels", labels, "--resamples", 20, *by)
    assert status == 0, err
    together = json.loads((out / "evaluation.json").read_text("utf-8"))["intervals"]["p_wrong"]["auroc"]
    assert together["high"] - together["low"] > apart["high"] - apart["low"]
    assert run("compare", out, out, "--labels", labels, "-o", tmp_path / "c", "--resamples", 10, *by)[0] == 0
    assert "no image has a group" in fails("evaluate", out, "--labels", labels, "--group-by", "film(.)")


def test_rank_lists_one_image_of_a_group(run, fails, out, tmp_path):
    """Images are named by number, and ten of them are a film."""
    status, _, err = run("rank", out, "-n", 3, "-o", tmp_path / "r.csv", "--group-by", "^([0-9]{2})")
    assert status == 0, err
    with (tmp_path / "r.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len({row["file_name"][:2] for row in rows}) == len(rows) > 1
    for row in rows:
        assert {name[:2] for name in row["duplicates"].split(";") if name} <= {row["file_name"][:2]}
    assert "no column 'film'" in fails("rank", out, "--group", "film")


def test_one_labelled_set_is_divided_in_whole_groups(run, world, tmp_path):
    arguments = fit_arguments(world, tmp_path / "s", reference=None)
    status, _, err = run(*arguments, "--group-by", "[a-z]+/[0-9]+(?=[0-9][.]png)")
    assert status == 0, err
    assert "of its images became the reference, the rest calibration, in whole groups" in err
    plan = Screener.load(tmp_path / "s").plan()
    assert 1 < plan.groups < plan.images < 150
