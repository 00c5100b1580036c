"""The rooms of the experiments: each experiment is one command with its page and its numbers."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest

import experiments
from experiments.shared.command_line import command_line
from experiments.shared.results_file import RESULTS

ROOT = Path(experiments.__file__).parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
ROOMS = sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))
MODULES = sorted(path for path in ROOT.glob("*/*.py") if path.name != "__init__.py")
WITHOUT_A_PAGE = {"detection.all_pages", "detection.readme_summary", "peers.compare_page"}
"""Commands that gather what the others found."""
WITHOUT_NUMBERS = {"detection.expected_shares"}
"""Made from the numbers of digits, solar_cells and cifar10."""


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def imported(path: Path) -> set[str]:
    """Rooms that a module imports from."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    return {module.split(".")[1] for module in modules if module.startswith("experiments.")}


COMMANDS = {name_of(path): path for path in MODULES if '__name__ == "__main__"' in path.read_text(encoding="utf-8")}
COMMANDS.pop("peers.safetycage_process")  # is run by another Python, for `peers.safetycage`
TOLD = dict(re.findall(r"^ {4}(?:OMP_NUM_THREADS=1 )?python -m experiments\.([\w.]+)(.*)$", README, re.MULTILINE))


def test_the_readme_tells_every_command_and_no_other() -> None:
    assert sorted(TOLD) == sorted(COMMANDS)


@pytest.mark.parametrize("name", TOLD)
def test_the_arguments_that_are_told_parse(name: str) -> None:
    command_line("").parse_args(shlex.split(TOLD[name], comments=True))


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_command_names_itself(name: str) -> None:
    said = ast.get_docstring(ast.parse(COMMANDS[name].read_text(encoding="utf-8"))) or ""
    assert f"python -m experiments.{name}" in said.partition("\n\n")[0]


def test_every_experiment_has_its_page_and_its_numbers_and_there_are_no_others() -> None:
    own = {name.rpartition(".")[2] for name in COMMANDS.keys() - WITHOUT_A_PAGE}
    assert {page.stem for page in RESULTS.glob("*.md")} == own
    assert {numbers.stem for numbers in RESULTS.glob("*.json")} == own - {
        name.rpartition(".")[2] for name in WITHOUT_NUMBERS
    }


def test_the_readme_lists_every_page_beside_its_room() -> None:
    listed = re.findall(r"^\| `(\w+)` \| \[results/(\w+)\.md\]", README, re.MULTILINE)
    assert sorted(".".join(pair) for pair in listed) == sorted(COMMANDS.keys() - WITHOUT_A_PAGE)


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted(RESULTS.glob("*.md"))], ids=lambda path: path.name)
def test_pages_name_commands_and_files_that_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"python -m experiments\.([\w.]*\w)", text):
        assert name in COMMANDS, name
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        assert target.startswith("https://") or (page.parent / target).exists(), target
    for file in re.findall(r"`((?:experiments|tests|uncertainty)/[\w/]+\.\w+)`", text):
        assert (ROOT.parent / file).exists(), file


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_room_imports_itself_and_what_is_shared(path: Path) -> None:
    assert imported(path) <= {path.parent.name, "shared"}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_in_one_sentence_what_it_is_for(room: str) -> None:
    tree = ast.parse((ROOT / room / "__init__.py").read_text(encoding="utf-8"))
    assert len(tree.body) == 1
    assert re.fullmatch(r"[^.\n]+\.", ast.get_docstring(tree) or "")


def test_modules_lie_in_rooms() -> None:
    assert [path.name for path in ROOT.glob("*.py")] == ["__init__.py"]
