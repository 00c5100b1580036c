"""Command lines as a shell runs them, in a folder with models and weights; a screener and a screening made so."""

import shutil
import subprocess
import sys

import pytest

from commands.command_lines import FIT, SPEC
from uncertainty import cli

MODELS = """
import torch
from torch import nn
from uncertainty.classifiers import Classifier, Preprocess

WAY = Preprocess(size=8, mean=(0.5,) * 3, std=(1.0,) * 3)

def network(classes=3):
    return nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.AvgPool2d((8, 1)), nn.Flatten(),
                         nn.Dropout(0.3), nn.Linear(48, classes))

def tiny():
    return Classifier.from_module(network(), ["cat", "dog", "eel"], WAY)

def renamed():
    return Classifier.from_module(network(), ["Katze", "Hund", "Aal"], WAY)

class NanWhereBlack(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = network()
    def forward(self, x):
        return self.inner(x) + torch.where((x <= -0.5).flatten(1).all(1), torch.nan, 0.0)[:, None]

def sometimes_nan():
    return Classifier.from_module(NanWhereBlack(), ["cat", "dog", "eel"], WAY)

class Column(nn.Module):
    def forward(self, x):
        means = x.mean((1, 2))
        return 40 * torch.stack([means[:, 1], means[:, 3], means[:, 5]], 1)

def plain():
    return Classifier.from_module(Column(), ["cat", "dog", "eel"], WAY)

def four():
    return Classifier.from_module(network(4), ["cat", "dog", "eel", "fox"], WAY)

def broken():
    raise RuntimeError("no such\\nlayer")

def number():
    return 3
"""


@pytest.fixture(scope="session")
def home(world, tmp_path_factory):
    """A folder with a module of models and weights, in which commands are run."""
    from safetensors.torch import save_file

    home = tmp_path_factory.mktemp("home")
    (home / "user_models.py").write_text(MODELS, "utf-8")
    state = world.classifier.network.module.state_dict()
    save_file(state, home / "weights.safetensors")
    save_file({f"inner.{name}": values for name, values in state.items()}, home / "inner.safetensors")
    save_file({"0.weight": state["0.weight"]}, home / "half.safetensors")
    (home / "text.safetensors").write_text("no tensors", "utf-8")
    return home


@pytest.fixture
def run(home, monkeypatch, capsys):
    """Run one command line as the shell would, in this process; returns (exit status, stdout, stderr)."""
    monkeypatch.chdir(home)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["uncertainty", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit:
            cli.main()
        return exit.value.code or 0, *capsys.readouterr()

    return run


@pytest.fixture
def fails(run):
    """Run a command line that must end with status 1, nothing on stdout and one line on stderr; returns that line."""

    def fails(*arguments):
        status, out, err = run(*arguments)
        assert (status, out) == (1, "")
        lines = err.splitlines()
        assert lines[-1].startswith("error: ")
        assert all(line.startswith("note: ") for line in lines[:-1])
        return lines[-1]

    return fails


@pytest.fixture(scope="session")
def fitted(world, home, tmp_path_factory):
    """A screener that the command line fitted, by a process of its own."""
    out = tmp_path_factory.mktemp("fitted") / "screener"
    arguments = ["fit", "--model", SPEC, "--reference", world.reference, "--calibration", world.calibration, "-o", out]
    done = subprocess.run(
        [sys.executable, "-m", "uncertainty", *map(str, arguments), *FIT], cwd=home, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "p_wrong was calibrated on 150 images" in done.stdout
    assert f"screener written to {out}" in done.stdout
    assert all(line.startswith("note: ") for line in done.stderr.splitlines())
    said = ["accuracy", "errors in calibration", "flags", "p_wrong was", "screener written to"]
    assert [line.startswith(word) for line, word in zip(done.stdout.splitlines(), said, strict=True)] == [True] * 5
    assert "\x1b" not in done.stdout + done.stderr
    assert [path.name[:7] for path in sorted(out.iterdir())] == ["arrays-", "manifes"]
    return out


@pytest.fixture(scope="session")
def screened(world, home, fitted, tmp_path_factory):
    out = tmp_path_factory.mktemp("screened") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.syspath_prepend(home)
        cli.app(["screen", str(fitted), str(world.incoming), "-o", str(out)], standalone_mode=False)
    return out


@pytest.fixture
def out(screened, tmp_path):
    """A copy of the screening, free to be written into."""
    return shutil.copytree(screened, tmp_path / "out")
