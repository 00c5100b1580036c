"""README and docs are right: commands run, Python runs, tables are those of the package, links lead somewhere."""

import re
import shlex
import shutil
from pathlib import Path

import click
import numpy as np
import pytest
import typer
from conftest import CLASSES, tiny_classifier, write_images
from output_tables import tables

import uncertainty
from uncertainty import ModelOutputs, cli, verbs
from uncertainty.estimators import discover
from uncertainty.exports.targets import TARGETS
from uncertainty.verdicts import SUGGESTED, Verdicts

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
OTHERS = [ROOT / "experiments" / "README.md", ROOT / "benchmarks" / "README.md", ROOT / "benchmarks" / "SCALING.md"]
LINKED = [
    *PAGES,
    *OTHERS,
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "experiments" / "results" / "compare.md",
]
TEXT = {path: path.read_text("utf-8") for path in LINKED}
COMMANDS = typer.main.get_command(cli.app).commands
OF_OTHERS = {"--index-url", "--data-binary"}
"""Options of pip and of curl."""


def named(paths):
    return pytest.mark.parametrize("page", paths, ids=lambda path: path.relative_to(ROOT).as_posix())


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT[page], re.MULTILINE | re.DOTALL)


def command_lines(page, language="bash"):
    """Command lines of the package in the blocks of a language, split into words."""
    text = "".join(blocks(page, language)).replace("\\\n", " ")
    return [shlex.split(line) for line in text.splitlines() if line.startswith("uncertainty ")]


def with_blocks(language):
    return named([page for page in PAGES if blocks(page, language)])


def table(header):
    """Cells of each row of the one table with this header."""
    (text,) = (text for page in PAGES if header in (text := TEXT[page]))
    rows = text[text.index(header) :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def first_cells(header, pattern):
    """What stands in code in the first column of a table."""
    return sorted(name for row in table(header) for name in re.findall(rf"`({pattern})`", row[0]))


# ---- what is said


def test_the_readme_is_short():
    assert len(TEXT[README].splitlines()) <= 180


def test_the_two_commands():
    assert "pip install . && uncertainty demo\n" in blocks(README, "bash")
    assert "pip install '.[test]' && pytest -n 2\n" in blocks(README, "bash")


@named([*LINKED, *sorted((ROOT / "uncertainty").rglob("*.py"))])
def test_nobody_is_told_to_install_the_unrelated_package(page):
    text = page.read_text("utf-8").replace("&& uncertainty", "")
    assert not re.search(r"pip install[^\n`]*\buncertainty\b(?!-vision)(?! demo)", text)


def test_the_unrelated_package_is_named():
    assert "uncertainty-vision" in TEXT[README]
    assert re.search(r"package `uncertainty` on\s+PyPI is an unrelated one", TEXT[README])


def test_every_page_is_in_the_readme_on_the_front_page_and_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8")
    for page in PAGES[1:]:
        assert f": {page.name}\n" in navigation, page.name
        assert page.name == "index.md" or f"]({page.name}" in TEXT[ROOT / "docs" / "index.md"], page.name
        assert page.name in ("index.md", "reference.md") or f"](docs/{page.name})" in TEXT[README], page.name


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_is_named(name):
    assert any(re.search(rf"uncertainty {name}\b", TEXT[page]) for page in PAGES)


@named([page for page in LINKED if page.name != "compare.md"])
def test_every_option_exists(page):
    """Of one command at least; in code, be it a line, a block or a cell."""
    known = {option for command in COMMANDS.values() for given in command.params for option in given.opts}
    known |= {option for command in COMMANDS.values() for given in command.params for option in given.secondary_opts}
    code = re.findall(r"`([^`]+)`", TEXT[page])
    lines = [text for text in code if "python -m" not in text and "pytest" not in text]
    if page.parent.name in ("benchmarks", "experiments"):
        lines = [text for text in lines if text.startswith("uncertainty ")]
    used = {option for text in lines for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", text)}
    assert used <= known | OF_OTHERS | {"--help", "--version", "--strict"}


def test_every_public_name_is_in_the_reference():
    text = TEXT[ROOT / "docs" / "reference.md"]
    listed = {name.rpartition(".")[2] for name in re.findall(r"^::: (uncertainty\.[A-Z]\w+)$", text, re.MULTILINE)}
    assert {*listed, "UncertaintyError"} == set(uncertainty.__all__)
    assert "::: uncertainty.errors\n" in text


def test_every_command_that_is_a_function_is_in_the_reference():
    text = TEXT[ROOT / "docs" / "reference.md"]
    assert sorted(re.findall(r"^::: uncertainty\.verbs\.(\w+)$", text, re.MULTILINE)) == verbs.__all__


def test_every_estimator_that_counts_unasked_is_in_the_table_and_none_that_is_not_there():
    """One that has to be asked for may be a file of somebody's; `uncertainty estimators` lists it."""
    named, known = set(first_cells("| estimator | evidence |", r"\w+")), discover()
    assert {name for name, cls in known.items() if cls.default} <= named <= known.keys()


def test_every_column_is_in_the_table_and_no_other(world):
    kinds = {"est": "est_<name>", "prob": "prob_<class>", "quality": "quality_<statistic>"}
    columns = {kinds.get(name.partition("_")[0], name) for name in world.screener.schema().names}
    assert set(first_cells("| column | meaning |", r"[\w<>]+")) == columns | {
        "meta_<column>",
        "effort",
        "p_wrong_<class>",
        *SUGGESTED,
    }


def test_every_target_in_the_table_is_one():
    """A new one is complete without a row, `uncertainty export --help` lists it."""
    named = first_cells("| `--to` | what it writes |", r"(?!--)[\w-]+")
    assert len(named) > 1
    assert set(named) <= set(TARGETS)


def test_every_key_of_a_model_spec_is_in_the_table_and_no_other():
    from uncertainty.classifiers.spec import _KEYS

    assert first_cells("| key | meaning |", r"[\w.]+") == sorted([*_KEYS, "weights", "arg.NAME"])


# ---- links


def anchors(path):
    """The anchors of a page's headings, as GitHub and the site make them."""
    text = re.sub(r"^```.*?^```$", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@named(LINKED)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXT[page]):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        path = page.parent / name if name else page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), target


@named(LINKED)
def test_files_that_are_named_are_there(page):
    for name in re.findall(r"`((?:uncertainty|tests|experiments|benchmarks|docs)/[\w/]+\.\w+)`", TEXT[page]):
        new = f'title="{name}"' in TEXT[page]
        assert new or (ROOT / name).exists(), name


# ---- what is run


MODELS = """
from torch import nn
from uncertainty.classifiers import Classifier

def resnet():
    net = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d((1, 8)),
                        nn.Flatten(), nn.Dropout(0.3), nn.Linear(48, 3))
    return Classifier.from_module(net, ["cat", "dog", "eel"])

def tower():
    return nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten())
"""


def run(words):
    words = [word.replace("size=224", "size=32") for word in words[1:]]
    cli.app([*words, *(["--passes", "3"] if "--model" in words else [])], standalone_mode=False)


@pytest.fixture(scope="module")
def images(world, tmp_path_factory):
    """A folder as the pages suppose it: train/, validation/, incoming/, labels.csv, a module and its weights."""
    from safetensors.torch import save_file

    root = tmp_path_factory.mktemp("images")
    for name, source in (("train", "reference"), ("validation", "calibration"), ("incoming", "incoming")):
        shutil.copytree(world.root / source, root / name)
    names = sorted(path.name for path in world.incoming.iterdir())
    rows = [f"{name},{CLASSES[i % 3]}" for i, name in enumerate(names)]
    (root / "labels.csv").write_text("\n".join(["file_name,label", *rows]), "utf-8")
    write_images(root / "more_good", 9, seed=6)
    for path in (root / "more_good").rglob("*.png"):
        path.rename(path.with_stem(f"more_{path.stem}"))
    (root / "names.txt").write_text("cat/000.png\n", "utf-8")
    for seed, (name, n) in enumerate((("train", 150), ("val", 240), ("new", 60))):
        tables.write_npz(root / f"{name}.npz", tables.rows(n, seed, name))
    (root / "classes.txt").write_text("\n".join(CLASSES), "utf-8")
    (root / "my_models.py").write_text(MODELS, "utf-8")
    save_file(world.classifier.network.module.state_dict(), root / "model.safetensors")
    return root


@pytest.fixture(scope="module")
def after_the_loop(images):
    """The folder once the README's loop has run in it, and the commands that it ran."""
    lines = [line for line in command_lines(README) if line[1] != "demo"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(images)
        patch.syspath_prepend(images)
        for line in lines:
            run(line)
    return images, [line[1] for line in lines]


@pytest.fixture
def workplace(after_the_loop, tmp_path, monkeypatch):
    """That folder, with the screener of before `update`, since labels are learnt from once."""
    shutil.copytree(after_the_loop[0], tmp_path, dirs_exist_ok=True)
    (before,) = tmp_path.glob("screener.*")
    shutil.rmtree(tmp_path / "screener")
    before.rename(tmp_path / "screener")
    shutil.copytree(tmp_path / "out", tmp_path / "out_of_another_model")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_the_loop_of_the_readme(after_the_loop):
    root, ran = after_the_loop
    assert ran == ["fit", "screen", "monitor", "rank", "evaluate", "report", "update"]
    assert len(Verdicts.read(root / "out")) == 40
    assert (root / "out" / "report.html").stat().st_size > 10_000


@named([page for page in PAGES[1:] if [line for line in command_lines(page) if line[1] != "demo"]])
def test_the_command_lines_of_a_page_run_in_their_order(page, workplace, capsys):
    lines = [line for line in command_lines(page) if line[1] != "demo"]
    for line in lines:
        run(line)
        if "-o" in line:
            assert (workplace / line[line.index("-o") + 1]).exists()
    assert capsys.readouterr().out


@with_blocks("sh")
def test_command_lines_that_need_more_machines_are_ones_the_commands_take(page):
    for words in command_lines(page, "sh"):
        with click.Context(COMMANDS[words[1]]) as parent:
            made = COMMANDS[words[1]].make_context(words[1], list(words[2:]), parent=parent)
        asked = words[words.index("-o") + 1] if "-o" in words else words[2]
        assert str(made.params["out"]) == asked.rstrip("/")


class Quick:
    """The Classifier of the scripts, so that a tiny network can stand for the user's."""

    @staticmethod
    def from_module(module, classes, preprocess):
        assert classes == ["cat", "dog"]
        assert preprocess.size == 224
        return tiny_classifier()


def made_outputs(first, n):
    rng = np.random.default_rng(first)
    return ModelOutputs(
        ids=[str(first + i) for i in range(n)],
        logits=3 * rng.normal(size=(n, 3)),
        features=rng.normal(size=(n, 5)),
        labels=rng.integers(0, 3, n),
    )


@with_blocks("python")
def test_the_python_of_a_page_runs_as_one_script(page, workplace, world, monkeypatch, capsys):
    monkeypatch.setattr(uncertainty, "Classifier", Quick, raising=False)
    world.screener.save("a_screener")
    shutil.rmtree("screener")
    Path("a_screener").rename("screener")
    given = made_outputs(0, 20)
    names = {
        "module": None,
        "classifier": world.classifier,
        "outputs": world.classifier.run(world.calibration, passes=5),
        "names": list(given.ids),
        "logits": given.logits,
        "features": given.features,
        "labels": given.labels,
        "probs": given.probs,
        "classes": ["cat", "dog", "eel"],
        "loader": [(given.logits, given.labels)],
        "model": lambda inputs: inputs,
        "reference": made_outputs(100, 80),
        "calibration": made_outputs(300, 90),
    }
    exec(compile("\n".join(blocks(page, "python")), page.name, "exec"), names)
    assert capsys.readouterr().out
    if page.name == "from-python.md":
        assert len(names["verdicts"]) == 20
        assert (workplace / "verdicts.parquet").exists()
