"""`uncertainty policy`: planned, then changed."""

import json
import shutil

import pytest

from uncertainty.verdicts import Verdicts


def test_a_policy_is_planned_then_changed_without_a_fit(run, world, fitted, tmp_path):
    screener = shutil.copytree(fitted, tmp_path / "screener")
    (arrays,), manifest = screener.glob("arrays-*"), (screener / "manifest.json").read_bytes()
    status, out, err = run("policy", screener, "--min-recall", "0.5", "--confidence", "0.8", "--dry-run")
    assert (status, err) == (0, "")
    assert out.startswith("plan: at least 50 % of the errors flagged, with 80 % confidence\non 150 calibration images")
    assert out.endswith("nothing was changed\n")
    assert (screener / "manifest.json").read_bytes() == manifest
    status, again, _ = run("policy", screener, "--min-recall", "0.5", "--confidence", "0.8")
    assert status == 0
    assert again.splitlines()[:7] == out.splitlines()[:7]
    assert list(screener.glob("arrays-*")) == [arrays]
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


def test_a_finished_screening_is_flagged_anew(run, fails, world, fitted, out, tmp_path):
    screener = shutil.copytree(fitted, tmp_path / "screener")
    status, said, _ = run("policy", screener, "--budget", "0.5", "--apply", out)
    assert status == 0
    again = run("screen", screener, world.incoming, "-o", tmp_path / "again")[1]
    flagged = json.loads((out / "summary.json").read_text("utf-8"))["flagged"]
    assert f"{out}: {flagged} of 40 images flagged, before it were " in said
    assert f"40 images: {flagged} flagged" in again
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {
        path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()
    }
    assert run("policy", fitted, "--apply", out)[0] == 0  # by the policy that it has
    before = (screener / "manifest.json").read_bytes()
    (out / "summary.json").write_text("{}")
    assert "is no finished screening" in fails("policy", screener, "--budget", "0.2", "--apply", out)
    assert (screener / "manifest.json").read_bytes() == before


def test_without_a_question_policy_shows_the_present_plan(run, fitted):
    status, out, err = run("policy", fitted)
    assert (status, err) == (0, "")
    assert out.startswith("plan: budget 10 %")
    assert out.endswith("nothing was changed\n")


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
