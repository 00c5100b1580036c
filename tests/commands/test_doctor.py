"""`uncertainty doctor` and `uncertainty estimators`."""

from uncertainty.classifiers import findings


def test_estimators_and_doctor(run):
    from uncertainty.estimators import discover

    status, text, err = run("estimators")
    assert (status, err) == (0, "")
    assert all(name in text for name in discover())
    status, text, _ = run("doctor")
    assert status == 0
    assert "uncertainty-vision" in text


def test_doctor_says_what_is_found_out_about_a_model(run, fails, world, tmp_path):
    from PIL import Image

    from commands.command_lines import SPEC

    image, picture = next(world.incoming.glob("*.png")), tmp_path / "shown.png"
    status, text, err = run("doctor", "--model", SPEC, image, "--show", picture)
    assert (status, err) == (0, "")
    found = {line.partition(": ")[0]: line.partition(": ")[2].strip() for line in text.splitlines()}
    assert found["classes"] == "3: cat, dog, eel"
    assert found["input"] == "(n, 3, 8, 8), 3 channels, RGB, numbers from -0.5 to 0.5"
    assert found["features"] == "48, the input of '5'"
    assert found["dropout"].startswith("only what lies behind the first dropout")
    for precision in ("f32", "int8"):
        said = found[f"runtime=onnxruntime:{precision}"]
        assert "of torch's time, logits" in said or said.startswith("not here: it needs onnx, onnxscript, ")
    assert found["answer"].split()[0] in ("cat", "dog", "eel")
    assert {"output", "depends on", "one pass", "effort fast", "effort balanced", "effort thorough"} <= found.keys()
    with Image.open(picture) as shown:
        assert shown.size[1] >= 256
    assert "give --model SPEC too" in fails("doctor", "--show", picture)
    assert "name one" in fails("doctor", "--model", SPEC, "--show", picture)
    assert "does not exist" in fails("doctor", "--model", SPEC, "none.png")


def test_doctor_tells_assumed_settings_from_stated_ones(run, monkeypatch):
    monkeypatch.setattr(findings, "_SECOND", "none")  # the usual one takes seconds to load
    spec = "user_models:network?size=8&mean=0.5&std=0.25&features=0"
    _, text, _ = run("doctor", "--model", spec)
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    assert "resize" not in lines["preprocessing, stated"]
    assert "mean=0.5,0.5,0.5, std=0.25,0.25,0.25" in lines["preprocessing, stated"]
    assert lines["preprocessing, assumed"].split() == ["crop_pct=1.0,", "resize=short_side,", "interpolation=bicubic"]
    assert lines["features"].strip() == "6, the output of '0'"


def test_doctor_says_from_which_probability_on_labels_are_given(run, monkeypatch):
    monkeypatch.setattr(findings, "_SECOND", "none")
    spec = "user_models:network?size=8&mean=0.5&std=0.25&task=multilabel"
    assert "logits, before sigmoid; of several labels an image, each" in run("doctor", "--model", spec)[1]
    assert "reaches its own threshold, 0.3 to 0.6" in run("doctor", "--model", f"{spec}&decision=0.3,0.6,0.4")[1]


def test_what_rounds_to_one_pass_is_one_pass():
    from uncertainty.classifiers.findings import _in_passes

    assert [_in_passes(x) for x in (1, 1.003, 1.01, 3.2)] == ["1 pass", "1 pass", "1.01 passes", "3.2 passes"]
