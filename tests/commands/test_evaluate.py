"""`uncertainty evaluate`, and labels that are none."""

from conftest import write_labels

from commands.command_lines import labels_of


def test_evaluate_tells_how_good_and_what_did_not_meet(run, world, out, tmp_path):
    labels = labels_of(world.incoming) | {"away.png": "cat", "000.png": "yak"}
    del labels["001.png"]
    status, text, err = run(
        "evaluate", out, "--labels", write_labels(tmp_path / "l.csv", labels.items()), "--resamples", 20
    )
    assert (status, err) == (0, "")
    accuracy, caught, others, where = text.splitlines()[:4]
    assert accuracy.startswith(
        "accuracy 94.7%: 36 of 38 labelled images right; 38 of 40 images have labels, and they look"
    )
    assert caught.startswith("errors caught: ")
    assert others.startswith("by as many images chosen by max softmax: ")
    assert where.startswith("where the errors lie: ")
    assert "38 labelled images" in text
    assert "left out: 2 images without a label, 1 label without an image" in text
    assert "1 label kept apart in labels_kept_apart.csv, no class of the model, e.g. 'yak' of '000.png'" in text
    kept = (out / "labels_kept_apart.csv").read_text("utf-8").splitlines()
    assert kept[1:] == ["away.png,cat,,no such image was screened", "000.png,yak,,no class of the model"]
    assert "p_wrong" in text
    assert "max_softmax" in text
    assert (out / "evaluation.json").exists()
    assert (out / "errors.csv").read_text("utf-8").startswith("file_name,label,predicted_label,confidence,p_wrong,")


def test_wrong_labels(fails, out, tmp_path):
    def evaluate(file):
        return fails("evaluate", out, "--labels", file)

    assert "does not exist" in evaluate(tmp_path / "gone.csv")
    columns = evaluate(write_labels(tmp_path / "a.csv", [("000.png", "cat")], ("file_name", "said")))
    assert "has no column label; it has 'file_name', 'said'; say which" in columns
    columns = evaluate(write_labels(tmp_path / "b.csv", [("000.png", "cat")], ("name", "label")))
    assert "has no column file_name" in columns
    assert "no label has the name of a screened image" in evaluate(write_labels(tmp_path / "c.csv", [("x.png", "cat")]))
    twice = write_labels(tmp_path / "d.csv", [("000.png", "cat"), ("000.png", "dog")])
    assert "two labels, 'cat' and 'dog'" in evaluate(twice)
    (tmp_path / "e.csv").write_bytes(b"file_name,label\n\xff\xfe,cat\n")
    assert "is not UTF-8 text" in evaluate(tmp_path / "e.csv")
    assert "labels none of them" in evaluate(write_labels(tmp_path / "f.csv", [("000.png", "")]))
