"""`uncertainty review` from a shell."""

import csv
import signal
import subprocess
import sys
import urllib.request

import pytest

from uncertainty import cli
from uncertainty.service.desk.answers import Answer, Kind
from uncertainty.service.desk.labels_file import LABELS
from uncertainty.service.desk.store import Given


def command(*arguments):
    return [sys.executable, "-m", "uncertainty", "review", *map(str, arguments)]


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command in this process; returns (exit status, stdout, stderr)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["uncertainty", *command(*arguments)[3:]])
        monkeypatch.setattr(sys, "path", list(sys.path))
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            cli.main()
        return left.value.code or 0, *capsys.readouterr()

    return run


def answered(desk, n=3):
    for item in desk.store.order()[0][:n]:
        desk.store.add(Given(item, "ann", Answer(Kind.CLASS, "cat"), "ranked"))
    desk.store.close()
    return desk.settings.out


def labels_in(out):
    return list(csv.DictReader((out / LABELS).read_text("utf-8").splitlines()))


def test_it_serves_until_it_is_told_to_end_and_leaves_the_labels_as_a_table(run, desk_of):
    out = answered(desk_of())
    serving = subprocess.Popen(command(out, "--explore", 0, "--port", 0), stdout=subprocess.PIPE, text=True)
    try:
        said = serving.stdout.readline()
        assert said.endswith("/desk; interrupt to end\n")
        with urllib.request.urlopen(said.split()[2].rstrip(";")) as page:
            assert b"Who are you?" in page.read()
        status, said, error = run(out, "--explore", 0, "--port", 0)
        assert (status, said) == (1, "")
        assert "review.sqlite is open in another review; end that first" in error
    finally:
        serving.send_signal(signal.SIGINT)
        serving.wait()
        serving.stdout.close()
    assert [row["label"] for row in labels_in(out)] == ["cat"] * 3


def test_the_labels_alone(run, desk_of):
    out = answered(desk_of())
    assert run(out, "--explore", 0, "--export-only") == (0, f"labels written to {out / LABELS}\n", "")
    assert len(labels_in(out)) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--second", "0.5"), "was begun with second 0.0, not 0.5"),
        (("--strategy", "luck"), "was begun with strategy uncertainty, not luck"),
        (("--images", "nowhere"), "nowhere does not exist"),
        (("--host", "0.0.0.0"), "give a token too"),
    ],
)
def test_what_can_not_be_is_one_line(run, desk_of, arguments, said):
    status, out, error = run(answered(desk_of()), "--explore", 0, *arguments)
    assert (status, out, len(error.splitlines())) == (1, "", 1)
    assert said in error


def test_a_folder_without_verdicts_is_no_review(run, tmp_path):
    status, _, error = run(tmp_path)
    assert (status, error.startswith(f"error: {tmp_path} holds no verdicts")) == (1, True)
    assert list(tmp_path.iterdir()) == []
