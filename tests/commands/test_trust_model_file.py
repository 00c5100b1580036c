"""A model file that may run code is read where the user says so, each time."""

import warnings

import pytest
import torch

KEYS = "size=8&mean=0.5&std=1"


@pytest.fixture
def spec(world, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(world.classifier.network.module), tmp_path / "m.pt")
    return f"torchscript:{tmp_path / 'm.pt'}?{KEYS}"


def test_a_screener_that_names_such_a_file_needs_the_word_again(run, fails, world, tmp_path, spec):
    (tmp_path / "classes.txt").write_text("cat\ndog\neel\n")
    out, sets = tmp_path / "s", ["--reference", world.reference, "--calibration", world.calibration]
    fit = ["fit", "--model", spec, "--classes", tmp_path / "classes.txt", *sets, "-o", out]
    assert "give --trust-model-file" in fails(*fit)
    assert run(*fit, "--trust-model-file")[0] == 0
    screen = ["screen", out, world.incoming, "-o", tmp_path / "o"]
    assert "give --trust-model-file" in fails(*screen)
    status, _, err = run(*screen, "--trust-model-file")
    assert status == 0
    assert "m.pt, which may run code, as" in err
    one = next(world.incoming.glob("*.png"))
    for command in (["explain", out, one], ["known-good", out, "--add", world.incoming, "-o", tmp_path / "new"]):
        assert "give --trust-model-file" in fails(*command)
        assert run(*command, "--trust-model-file")[0] == 0
    report = ["report", tmp_path / "o", "--screener", out, "--reference", world.reference]
    assert "give --trust-model-file" in fails(*report)
    assert run(*report, "--trust-model-file")[0] == 0
