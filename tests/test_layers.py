"""Who may import whom, as data, by room, nearest the ground first."""

import ast
import subprocess
import sys
from fnmatch import fnmatch
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "uncertainty"

# A room imports from the rows above it, or from itself.
ROWS = (
    ("errors", "defaults", "figures"),
    ("files", "checks", "brief"),
    ("written",),
    ("outputs", "images", "metrics", "neighbors"),
    ("notebook",),
    ("verdicts",),
    ("labels", "estimators", "storage"),
    ("annotation",),
    ("classifiers",),
    ("output_tables",),
    ("combination", "evaluation"),
    ("decisions", "monitoring"),
    ("screener",),
    ("screening", "recalibration"),
    ("workflows",),
    ("report", "exports", "demo"),
    ("service",),
    ("verbs",),
    ("commands",),
    ("cli",),
    ("__main__",),
)
LEVELS = {room: level for level, rooms in enumerate(ROWS) for room in rooms}
TORCH = ("classifiers.*", "demo.network", "demo.canvas_network")
HEAVY = {"torch", "faiss", "sklearn", "scipy", "pyarrow", "numpy", "pydantic", "PIL", "safetensors"}


def module_name(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
INSIDE = sorted(MODULES.keys() - {""})


def room_of(name):
    return name.partition(".")[0]


def imported_names(tree):
    """Dotted names of everything a module imports, at its top, inside functions and for type checking."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide who imports whom"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


DOTTED = {name: list(imported_names(ast.parse(MODULES[name].read_text("utf-8")))) for name in INSIDE}


def own_imports(name):
    """Modules of the package that a module imports."""
    found = set()
    for dotted in DOTTED[name]:
        root, _, inner = dotted.partition(".")
        if root == "uncertainty":
            found.add(inner if inner in MODULES else inner.rpartition(".")[0])
    return found


IMPORTS = {name: own_imports(name) for name in INSIDE}


def test_every_room_has_its_place():
    assert sorted({room_of(name) for name in INSIDE}) == sorted(LEVELS)


def imported_from_above(name):
    own = room_of(name)
    return {other for other in IMPORTS[name] - {""} if room_of(other) != own and LEVELS[room_of(other)] >= LEVELS[own]}


def test_imports_point_down():
    upward = {name: found for name in INSIDE if (found := imported_from_above(name))}
    assert not upward, "these import what is not below them"
    of_all = [name for name in INSIDE if "" in IMPORTS[name]]
    assert not of_all, "these import the package itself, which knows everything"


@pytest.mark.parametrize("room", sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py")))
def test_the_door_of_a_room_is_a_sentence_and_a_few_names(room):
    """An `__init__.py` says what happens in the room, and takes at most what other rooms may have from inside."""
    tree = ast.parse(MODULES[room].read_text("utf-8"))
    assert ast.get_docstring(tree)
    for node in tree.body[1:]:
        assert isinstance(node, ast.ImportFrom | ast.Assign), f"line {node.lineno} of {room} does something"


@pytest.mark.parametrize("name", [name for name in INSIDE if name.startswith("estimators.")])
def test_an_estimator_imports_only_the_base_and_helpers_of_its_room(name):
    inside = {other for other in IMPORTS[name] if other.split(".")[0] == "estimators"}
    helpers = {other for other in inside if other == "estimators.base" or other.startswith("estimators._")}
    assert inside == helpers


def test_no_circles():
    """Nor inside a room, nor late, nor for type checking alone."""
    try:
        TopologicalSorter(IMPORTS).prepare()
    except CycleError as error:
        pytest.fail(f"modules import each other in a circle: {' -> '.join(error.args[1])}")


def test_torch_stays_in_its_rooms():
    for name in INSIDE:
        uses = [one for one in DOTTED[name] if one.split(".")[0] == "torch" or one.startswith("safetensors.torch")]
        assert not uses or any(fnmatch(name, pattern) for pattern in TORCH), f"{name} imports {uses}"


def test_the_package_itself_imports_for_type_checkers_only():
    tree = ast.parse(MODULES[""].read_text("utf-8"))
    outside = [node for node in tree.body if not isinstance(node, ast.If)]
    assert not [name for node in outside for name in imported_names(node) if name.startswith("uncertainty")]


@pytest.mark.parametrize("name", ["uncertainty", "uncertainty.cli"])
def test_importing_loads_nothing_heavy(name):
    code = f"import sys, {name}; print(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())
