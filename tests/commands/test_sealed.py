"""What fit, policy, known-good and screen do about screeners that are there, in use, edited or a stranger's."""

import json
import shutil
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
from screener.sealing import sealed_again

from commands.command_lines import fit_arguments
from uncertainty.commands.shared import say_notes
from uncertainty.screener import Screener

HOLD = (
    "import sys, time, pathlib; from uncertainty.files import alone\n"
    "with alone(pathlib.Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(float(sys.argv[2]))"
)


def test_fit_keeps_the_screener_that_it_replaces(run, world, tmp_path):
    first, second = fit_arguments(world, tmp_path / "s"), fit_arguments(world, tmp_path / "s", seed=1)
    assert run(*first)[0] == 0
    old = Screener.load(tmp_path / "s").id
    status, _, err = run(*second)
    assert status == 0
    assert f"note: the screener that was in {tmp_path / 's'} is kept in {tmp_path / f's.{old}'}" in err
    assert Screener.load(tmp_path / f"s.{old}").id == old != Screener.load(tmp_path / "s").id


def test_a_change_waits_for_one_that_is_under_way(run, fitted, tmp_path):
    screener = shutil.copytree(fitted, tmp_path / "s")
    with subprocess.Popen([sys.executable, "-c", HOLD, str(screener), "2"], stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        status, _, err = run("policy", screener, "--budget", "0.3")
    assert (status, holder.returncode) == (0, 0)
    assert f"note: waiting for another process that changes {screener}" in err
    assert Screener.load(screener).budget == 0.3


def test_a_note_can_t_disturb_a_terminal(capsys, run, world, fitted, tmp_path):
    say_notes(["all\x1b[2J is\nwell"])
    assert capsys.readouterr().err == "note: all\\x1b[2J is well\n"
    screener = shutil.copytree(fitted, tmp_path / "s")
    sealed_again(screener, notes=["all\x1b[2J is\nwell"])
    status, out, err = run("screen", screener, world.incoming, "-o", tmp_path / "out")
    assert status == 0
    assert "\x1b" not in out + err


def test_edited_verdicts_are_refused_by_every_command_that_reads_them(run, fails, world, screened, fitted, tmp_path):
    out = shutil.copytree(screened, tmp_path / "out")
    table = pq.read_table(out / "verdicts.parquet")
    k = table.column_names.index("p_wrong")
    pq.write_table(table.set_column(k, "p_wrong", pa.array([5.0] * len(table), pa.float32())), out / "verdicts.parquet")
    (tmp_path / "labels.csv").write_text("file_name,label\n000.png,cat\n")
    labels = ("--labels", tmp_path / "labels.csv")
    for command in (
        ("monitor", out, "--screener", fitted),
        ("rank", out, "-n", "3", "-o", tmp_path / "r.csv"),
        ("evaluate", out, *labels),
        ("report", out),
        ("slices", out, *labels),
        ("export", out, "--to", "csv", "-o", tmp_path / "e.csv"),
    ):
        said = fails(*command)
        assert "'p_wrong' goes from 5 to 5; it must lie in 0..1" in said
        assert "unexpected" not in said


def test_a_summary_that_is_no_summary_stops_nothing(run, screened, tmp_path):
    for content in ("", "[]", "null", "{", json.dumps({"provenance": "x", "input_root": 5, "classes": 3})):
        out = shutil.copytree(screened, tmp_path / str(len(content)), dirs_exist_ok=True)
        (out / "summary.json").write_text(content)
        assert run("rank", out, "-n", "3", "-o", out / "r.csv")[0] == 0
        assert run("report", out)[0] == 0
