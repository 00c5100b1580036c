"""`uncertainty rank`."""

import csv
import json


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


def test_verdicts_that_are_none(fails, out, tmp_path):
    assert "holds no verdicts" in fails("rank", tmp_path)
    assert "does not exist" in fails("rank", tmp_path / "gone.parquet")
    (out / "verdicts.parquet").write_bytes(b"PAR1")
    assert "is not a readable table" in fails("rank", out)
    assert "is not a readable table" in fails("evaluate", out, "--labels", tmp_path)
