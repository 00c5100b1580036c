"""The command line as a whole: its commands, help, and what nobody expected, in one line."""

import os
import subprocess
import sys

import pytest

import uncertainty
from uncertainty import cli


def test_no_arguments_show_help(run):
    status, out, err = run()
    assert status == 2
    assert "Usage" in out + err


COMMANDS = ["fit", "policy", "screen", "rank", "evaluate", "slices", "compare", "report", "monitor"]
COMMANDS += ["estimators", "doctor", "demo", "update", "known_good", "export", "export_model", "labels", "explain"]
COMMANDS += ["review", "serve", "thresholds", "watch"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_a_sentence_and_a_command_line(run, command):
    status, out, err = run(command.replace("_", "-"), "--help")
    assert (status, err) == (0, "")
    help = next(c.callback for c in cli.app.registered_commands if c.callback.__name__ == command).__doc__
    assert help[0].isupper()
    assert help.rstrip().endswith(".")
    assert f": uncertainty {command.replace('_', '-')}" in help
    assert help.split()[0] in out


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("command", [(), *((one.replace("_", "-"),) for one in COMMANDS)])
def test_no_word_of_the_help_is_cut_at_the_edge(run, monkeypatch, command, width):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERMINAL_WIDTH", str(width))
    _, out, _ = run(*command, "--help")
    assert max(map(len, out.splitlines())) <= width
    assert "…" not in out
    assert "..." not in out.replace("[ARGS]...", "").replace("images...", "").replace("{images}...", "").replace(
        "screeners}...", ""
    ).replace("screeners...", "")
    if not command:
        assert "uncertainty screen SCREENER INPUT -o OUT." in " ".join(out.split())


def test_these_are_all_the_commands():
    assert sorted(command.callback.__name__ for command in cli.app.registered_commands) == sorted(COMMANDS)


def test_an_unexpected_error_is_one_line_too(fails, out, monkeypatch):
    def break_down(*arguments, **options):
        raise ZeroDivisionError("two\nlines")

    monkeypatch.setattr("uncertainty.workflows.rank.rank_folder", break_down)
    monkeypatch.delenv("UNCERTAINTY_DEBUG", raising=False)
    message = fails("rank", out)
    assert message.startswith("error: unexpected ZeroDivisionError: two lines; UNCERTAINTY_DEBUG=1 shows where")


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (MemoryError(), "there is not enough memory; give a smaller --batch-size"),
        (RuntimeError("can't start new thread"), "the system gives no more threads or memory"),
    ],
)
def test_what_the_system_refuses_is_told_with_advice(fails, out, monkeypatch, error, advice):
    def refused(*arguments, **options):
        raise error

    monkeypatch.setattr("uncertainty.workflows.rank.rank_folder", refused)
    monkeypatch.delenv("UNCERTAINTY_DEBUG", raising=False)
    assert advice in fails("rank", out)


def test_the_version_is_printed(run):
    assert run("--version") == (0, f"uncertainty {uncertainty.__version__}\n", "")


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
