"""The recipes for contributors work as they stand: their files go into a copy, and their commands run there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_layers import LEVELS

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
RECIPES = {
    title: body
    for title, body in re.findall(r"^### (A new [\w ]+)[^\n]*\n(.*?)(?=^###? |\Z)", TEXT, re.MULTILINE | re.DOTALL)
}
COPIED = ("uncertainty", "tests", "experiments", "pyproject.toml", "README.md", "docs")


def blocks(body, language):
    """(file, text) of each block of a language; the file is "" where the block names none."""
    found = re.findall(rf'^```{language}(?: title="([^"]+)")?\n(.*?)^```$', body, re.MULTILINE | re.DOTALL)
    return [(Path(name), text) for name, text in found]


def first_cells(table):
    return "\n".join(line.split("|")[1] for line in table.splitlines())


def changed(text, diff):
    """Apply a block of lines that stay, go and come; what stays and goes must be there once."""
    lines = diff.splitlines(keepends=True)
    old = "".join(line[1:] for line in lines if line[0] in " -")
    assert text.count(old) == 1, old
    return text.replace(old, "".join(line[1:] for line in lines if line[0] in " +"))


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the repository with what all recipes write."""
    root = tmp_path_factory.mktemp("copy")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "*.json", "*.png"))
        else:
            shutil.copy(ROOT / name, root / name)
    for body in RECIPES.values():
        for name, text in blocks(body, "python"):
            assert not (root / name).exists()
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_text(text, "utf-8")
        for name, diff in blocks(body, "diff"):
            (root / name).write_text(changed((root / name).read_text("utf-8"), diff), "utf-8")
    return root


def test_there_is_a_recipe_for_each_thing_that_is_added():
    assert list(RECIPES) == [
        f"A new {what}" for what in ("estimator", "model format", "export", "label import", "experiment")
    ]


def test_every_room_has_its_place_in_the_map():
    """In the order of the rows that tests/test_layers.py holds."""
    table = TEXT[TEXT.index("| room |") :].partition("\n\n")[0]
    named = [name.removesuffix(".py").strip("/") for name in re.findall(r"`(\w+(?:/|\.py))`", first_cells(table))]
    assert sorted(named) == sorted(LEVELS)
    assert [LEVELS[name] for name in named] == sorted(LEVELS.values())


def test_the_files_that_are_named_are_there():
    """Those of the recipes, and of the way of an image."""
    new = {str(name) for body in RECIPES.values() for name, _ in blocks(body, "python")}
    for name in re.findall(r"`([\w/]+/\w+\.(?:py|md))`", TEXT):
        assert name in new or (ROOT / name).exists() or (ROOT / "uncertainty" / name).exists(), name


@pytest.mark.parametrize(
    "title", [pytest.param(title, marks=[pytest.mark.simulation] * title.endswith("experiment")) for title in RECIPES]
)
def test_a_recipe_works_as_it_stands(title, copy):
    environment = os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    # The other tests of a room have passed where they stand.
    new = " or ".join(name.stem for name, _ in blocks(RECIPES[title], "python"))
    environment["PYTEST_ADDOPTS"] = f"-k '{new}'"
    for line in "".join(text for _, text in blocks(RECIPES[title], "bash")).splitlines():
        command, *words = line.replace("/tmp", str(copy)).split()
        module = {
            "pytest": ["-m", "pytest", "-p", "no:cacheprovider"],
            "uncertainty": ["-m", "uncertainty"],
            "python": [],
        }
        done = subprocess.run(
            [sys.executable, *module[command], *words], cwd=copy, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        assert command != "pytest" or re.search(r"\d+ passed", done.stdout), "not one test ran"


@pytest.mark.parametrize("tool", [["check"], ["format", "--check"]], ids=" ".join)
def test_what_the_recipes_write_is_as_lint_asks(tool, copy):
    files = [str(name) for body in RECIPES.values() for kind in ("python", "diff") for name, _ in blocks(body, kind)]
    command = [sys.executable, "-m", "ruff", *tool, "--no-cache", *files]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
