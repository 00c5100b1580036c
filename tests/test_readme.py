"""The README is right: its commands run, its Python runs, its tables are those of the package."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import CLASSES, tiny_classifier, write_images

from uncertainty import ModelOutputs, cli
from uncertainty.estimators import discover
from uncertainty.verdicts import Verdicts

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
OTHERS = [path for path in (ROOT / "experiments" / "README.md", ROOT / "benchmarks" / "README.md") if path.exists()]


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def command_lines():
    """Command lines of the package in bash blocks, split into words."""
    text = "".join(blocks("bash")).replace("\\\n", " ")
    return [shlex.split(line) for line in text.splitlines() if line.startswith("uncertainty ")]


def table(header):
    """Cells of each row of the table with this header."""
    rows = README[README.index(header) :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_the_two_commands():
    assert "pip install . && uncertainty demo\n" in blocks("bash")
    assert "pip install '.[test]' && pytest -n 2\n" in blocks("bash")


def test_nobody_is_told_to_install_the_unrelated_package():
    sources = [README, *(path.read_text("utf-8") for path in [*OTHERS, *(ROOT / "uncertainty").rglob("*.py")])]
    for text in sources:
        assert not re.search(
            r"pip install[^\n`]*\buncertainty\b(?!-vision)(?! demo)", text.replace("&& uncertainty", "")
        )
    assert "uncertainty-vision" in README
    assert re.search(r"package `uncertainty` on\s+PyPI is an unrelated one", README)


def test_every_command_is_named():
    for command in cli.app.registered_commands:
        name = command.callback.__name__.replace("_", "-")
        assert re.search(rf"uncertainty {name}\b", README), name


def test_every_estimator_is_in_the_table_and_no_other():
    named = [name for row in table("| estimator | evidence |") for name in re.findall(r"`(\w+)`", row[0])]
    assert sorted(named) == sorted(discover())


def test_every_column_is_in_the_table_and_no_other(world):
    words = [name for row in table("| column | meaning |") for name in re.findall(r"`([\w<>]+)`", row[0])]
    kinds = {"est": "est_<name>", "prob": "prob_<class>", "quality": "quality_<statistic>"}
    columns = {kinds.get(name.partition("_")[0], name) for name in world.screener.schema().names}
    assert set(words) == columns | {"meta_<column>", "effort"}


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


@pytest.fixture
def workplace(world, tmp_path, monkeypatch):
    """A folder as the README supposes it: train/, validation/, incoming/, labels.csv, a module and its weights."""
    from safetensors.torch import save_file

    for name, source in (("train", "reference"), ("validation", "calibration"), ("incoming", "incoming")):
        shutil.copytree(world.root / source, tmp_path / name)
    names = sorted(path.name for path in world.incoming.iterdir())
    rows = [f"{name},{CLASSES[i % 3]}" for i, name in enumerate(names)]
    (tmp_path / "labels.csv").write_text("\n".join(["file_name,label", *rows]), "utf-8")
    write_images(tmp_path / "more_good", 9, seed=6)
    for path in (tmp_path / "more_good").rglob("*.png"):
        path.rename(path.with_stem(f"more_{path.stem}"))
    (tmp_path / "names.txt").write_text("cat/000.png\n", "utf-8")
    save_file(world.classifier.network.module.state_dict(), tmp_path / "model.safetensors")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_command_lines_run_in_their_order(workplace, monkeypatch, capsys):
    (workplace / "my_models.py").write_text(
        "from torch import nn\n"
        "from uncertainty.classifiers import Classifier\n"
        "def resnet():\n"
        "    net = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d((1, 8)),\n"
        "                        nn.Flatten(), nn.Dropout(0.3), nn.Linear(48, 3))\n"
        "    return Classifier.from_module(net, ['cat', 'dog', 'eel'])\n",
        "utf-8",
    )
    monkeypatch.syspath_prepend(workplace)
    ran = []
    for line in command_lines():
        if line[1] == "demo":
            continue
        if line[1] == "compare":
            shutil.copytree("out", line[3])
        words = [word.replace("size=224", "size=32") for word in line[1:]]
        cli.app([*words, *(["--passes", "3"] if line[1] == "fit" else [])], standalone_mode=False)
        ran.append(line[1])
    assert ran[:4] == ["fit", "screen", "monitor", "rank"]
    assert len(Verdicts.read("out")) == 40
    assert "AUROC" in capsys.readouterr().out


class Quick:
    """The Classifier of the script, so that a tiny network can stand for the user's."""

    @staticmethod
    def from_module(module, classes, preprocess):
        assert classes == ["cat", "dog"]
        assert preprocess.size == 224
        return tiny_classifier()


def test_the_python_runs_as_one_script(workplace, monkeypatch, capsys):
    rng = np.random.default_rng(0)

    def outputs(first, n, labels=True):
        return ModelOutputs(
            ids=[str(first + i) for i in range(n)],
            logits=3 * rng.normal(size=(n, 3)),
            features=rng.normal(size=(n, 5)),
            labels=rng.integers(0, 3, n) if labels else None,
        )

    import uncertainty

    monkeypatch.setattr(uncertainty, "Classifier", Quick, raising=False)
    given = outputs(0, 20)
    names = {
        "module": None,
        "names": list(given.ids),
        "logits": given.logits,
        "features": given.features,
        "labels": given.labels,
        "probs": given.probs,
        "classes": ["cat", "dog", "eel"],
        "loader": [(given.logits, given.labels)],
        "model": lambda inputs: inputs,
        "reference": outputs(100, 80),
        "calibration": outputs(300, 90),
    }
    scripts = blocks("python")
    assert len(scripts) >= 2
    for script in scripts:
        exec(compile(script, "README.md", "exec"), names)
    assert len(names["verdicts"]) == 20
    assert (workplace / "verdicts.parquet").exists()
    assert "'p_wrong'" in capsys.readouterr().out
