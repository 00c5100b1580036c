"""The demo, run once in a process of its own: what it says, and that all of it comes from the files it wrote."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uncertainty import cli
from uncertainty.demo.images import DAMAGED_SHARE, write_digits
from uncertainty.demo.run import run
from uncertainty.errors import InputError
from uncertainty.labels.by_name import read_labels
from uncertainty.verdicts import Verdicts


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """(folder, what it printed)."""
    folder = tmp_path_factory.mktemp("demo") / "with space"
    command = [sys.executable, "-m", "uncertainty", "demo", "--out", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(line.startswith("note: ") for line in done.stderr.splitlines())
    return folder, done.stdout


def command_lines(text):
    return [shlex.split(line.removeprefix("$ ")) for line in text.splitlines() if line.startswith("$ ")]


def test_every_printed_command_line_is_a_real_one(demo):
    folder, text = demo
    lines = command_lines(text)
    assert [line[:2] for line in lines] == [["uncertainty", c] for c in ("fit", "screen", "rank", "evaluate", "report")]
    for line in lines:
        paths = [Path(word) for word in line if word.startswith(str(folder))]
        assert paths
        assert all(path.exists() for path in paths)


def test_a_printed_command_line_gives_again_what_the_demo_gave(demo, capsys):
    _, text = demo
    rank = next(line for line in command_lines(text) if line[1] == "rank")
    cli.app(rank[1:], standalone_mode=False)
    assert capsys.readouterr().out in text


def test_each_demo_has_a_folder_of_its_own(monkeypatch):
    folders = []
    monkeypatch.setattr("uncertainty.demo.run.run", lambda folder, *_, several: folders.append(str(folder)))
    for arguments in (["demo"], ["demo", "--multilabel"], ["demo", "--out", "here"]):
        cli.app(arguments, standalone_mode=False)
    assert folders == ["uncertainty-demo", "uncertainty-demo-multilabel", "here"]


def test_the_ending_is_computed_from_the_files(demo):
    folder, text = demo
    labels = read_labels(folder / "labels.csv")
    rows = Verdicts.read(folder / "out").table.to_pylist()
    wrong = np.array([row["predicted_label"] != labels[row["file_name"]] for row in rows])
    flagged = np.array([row["flagged"] for row in rows])
    doubt = np.array([row["est_least_confidence"] for row in rows])
    by_softmax = np.argsort(-doubt, kind="stable")[: flagged.sum()]
    ending = text[text.index("\nFlagged") :]
    assert f"Flagged {flagged.sum()} of {len(rows)} images." in ending
    assert (
        f"Of {wrong.sum()} errors the flags caught {(wrong & flagged).sum()}; the same number of images chosen by max "
        f"softmax would have caught {wrong[by_softmax].sum()}, by chance {wrong.sum() * flagged.mean():.0f}."
    ) in ending
    assert (
        f"all incoming images {1 - wrong.mean():.1%}, of those not flagged {1 - wrong[~flagged].mean():.1%}" in ending
    )
    page = folder / "out" / "report.html"
    assert ending.endswith(f"Everything is in {folder / 'out'}; open {page} in a browser\n")
    assert page.exists()


def test_the_ending_says_what_was_flagged_and_why(demo):
    folder, text = demo
    rows = {row["file_name"]: row for row in Verdicts.read(folder / "out").table.to_pylist()}
    shown = re.findall(r"^  (\S+\.png)  taken for (\d) \((.+)\)  p_wrong (\S+)  (.+)$", text, re.MULTILINE)
    assert [rows[name]["rank"] for name, *_ in shown] == [1, 2, 3, 4, 5]
    labels = read_labels(folder / "labels.csv")
    for name, digit, truth, p_wrong, why in shown:
        row = rows[name]
        assert (digit, p_wrong, why.split(", ")) == (
            row["predicted_label"],
            f"{row['p_wrong']:.2f}",
            row["reasons"],
        )
        assert truth == ("right" if labels[name] == digit else f"wrong, it is {labels[name]}")


def test_the_beginning_counts_the_files(demo):
    folder, text = demo
    for name, what in (("reference", "reference images"), ("calibration", "for calibration"), ("incoming", "incoming")):
        assert f"{len(list((folder / name).rglob('*.png')))} {what}" in text
    assert f"{DAMAGED_SHARE:.0%} are damaged" in text


def test_the_sets_share_no_image(demo):
    folder, _ = demo
    sets = [
        {path.read_bytes() for path in (folder / name).rglob("*.png")}
        for name in ("reference", "calibration", "incoming")
    ]
    assert all(not a & b for k, a in enumerate(sets) for b in sets[:k])


def test_the_declared_share_is_damaged_and_the_rest_are_the_digits(demo):
    from sklearn.datasets import load_digits

    folder, _ = demo
    data = load_digits()
    digits = np.round(data.images * (255 / 16)).astype(np.uint8)
    labels = read_labels(folder / "labels.csv")
    files = sorted((folder / "incoming").iterdir())
    assert [path.name for path in files] == sorted(labels)
    changed = [not (np.asarray(Image.open(path))[..., 0] == digits[int(path.stem)]).all() for path in files]
    # A mild damage can leave a small image as it was.
    assert DAMAGED_SHARE - 0.03 <= np.mean(changed) <= DAMAGED_SHARE
    assert all(labels[path.name] == str(data.target[int(path.stem)]) for path in files)
    for name in ("reference", "calibration"):
        assert all(data.target[int(path.stem)] == int(path.parent.name) for path in (folder / name).rglob("*.png"))


def test_training_repeats_itself_and_leaves_the_random_state_alone(demo, tmp_path):
    import torch
    from safetensors.torch import load_file

    from uncertainty.demo.network import train

    digits = write_digits(tmp_path / "again")
    folder, _ = demo
    for path in folder.rglob("*.png"):
        assert (tmp_path / "again" / path.relative_to(folder)).read_bytes() == path.read_bytes()
    before = torch.get_rng_state()
    state = train(digits.images, digits.labels, seed=0).state_dict()
    assert torch.equal(before, torch.get_rng_state())
    saved = load_file(folder / "model.safetensors")
    assert state.keys() == saved.keys()
    assert all(torch.allclose(state[name], saved[name], atol=1e-5) for name in state)


def test_a_folder_with_something_in_it_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("keep", "utf-8")
    with pytest.raises(InputError, match="is not empty; give the demo a folder of its own with --out"):
        run(tmp_path, lambda arguments: pytest.fail("ran a command"), lambda line: pytest.fail("said something"))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
