"""Who may import whom, as data, nearest the ground first: imports point to a lower layer, or stay in their own."""

import ast
import subprocess
import sys
from fnmatch import fnmatch
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "uncertainty"

LAYERS = (
    ("errors", "allocator", "defaults", "plain", "texts"),
    (
        "outputs",
        "verdicts",
        "metrics",
        "losses",
        "bootstrap",
        "images",
        "quality",
        "corruptions",
        "novelty",
        "remote",
        "manifests",
        "shards",
        "sources",
        "labels",
        "imports",
        "imports.*",
        "likeness",
    ),
    (
        "neighbors",
        "neighbors.*",
        "combiner",
        "combining",
        "thresholds",
        "held_out",
        "guarantees",
        "sampling",
        "policies",
        "deciding",
        "plans",
        "answers",
        "classifiers",
        "classifiers.*",
    ),
    (
        "estimators",
        "estimators.*",
        "evidence",
        "calibration_sets",
        "artifact",
        "cascade",
        "evaluation",
        "explain",
        "comparison",
        "confusion",
        "curves",
        "label_arrays",
        "label_tables",
        "listing",
        "slices",
        "stratified",
        "rows",
        "returned",
        "label_quality",
        "monitoring",
        "monitoring.*",
        "annotation",
        "annotation.*",
    ),
    ("screener", "fitting", "saving", "known_good", "incoming", "updating"),
    (
        "parts",
        "screening",
        "finishing",
        "pipeline",
        "ranking",
        "evaluating",
        "recalibration",
        "label_checks",
        "exports",
        "exports.*",
        "report",
        "report.*",
    ),
    ("demo", "demo.*", "distributed"),
    ("cli", "commands", "commands.*", "findings_text", "tables", "progress", "__main__"),
)
TORCH = ("classifiers.*", "explain", "demo.network")
HEAVY = {"torch", "faiss", "sklearn", "scipy", "pyarrow", "numpy", "pydantic", "PIL", "safetensors"}
# Methods of the public class that import when they are called: what they name makes classifiers, or is made like one.
LATE = {"classifiers.base": {"classifiers.spec", "classifiers.embedder"}}


def module_name(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
ROOMS = sorted(MODULES.keys() - {""})


def imported_names(tree):
    """Dotted names of everything a module imports, at its top, inside functions and for type checking."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide who imports whom"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_imports(name):
    """Modules of the package that a module imports."""
    found = set()
    for dotted in imported_names(ast.parse(MODULES[name].read_text("utf-8"))):
        root, _, inner = dotted.partition(".")
        if root == "uncertainty":
            found.add(inner if inner in MODULES else inner.rpartition(".")[0])
    return found


IMPORTS = {name: own_imports(name) for name in ROOMS}


def layers_of(name):
    return [level for level, patterns in enumerate(LAYERS) if any(fnmatch(name, pattern) for pattern in patterns)]


@pytest.mark.parametrize("name", ROOMS)
def test_each_module_has_one_layer(name):
    assert len(layers_of(name)) == 1, f"{name} must stand in the table once; it stands in layers {layers_of(name)}"


@pytest.mark.parametrize("pattern", [pattern for patterns in LAYERS for pattern in patterns])
def test_the_table_names_only_what_exists(pattern):
    assert any(fnmatch(name, pattern) for name in ROOMS)


@pytest.mark.parametrize("name", ROOMS)
def test_imports_point_down(name):
    upward = {other for other in IMPORTS[name] - {""} if layers_of(other)[0] > layers_of(name)[0]}
    assert not upward, f"{name} imports {sorted(upward)} from a higher layer"
    assert "" not in IMPORTS[name], f"{name} imports the package itself, which knows everything"


@pytest.mark.parametrize("name", [name for name in ROOMS if name.startswith("estimators.")])
def test_an_estimator_imports_only_the_base_and_helpers_of_its_room(name):
    inside = {other for other in IMPORTS[name] if other.split(".")[0] == "estimators"}
    helpers = {other for other in inside if other == "estimators.base" or other.startswith("estimators._")}
    assert inside == helpers


def test_no_circles():
    graph = {name: others - LATE.get(name, set()) for name, others in IMPORTS.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"modules import each other in a circle: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize("name", ROOMS)
def test_torch_stays_in_its_rooms(name):
    names = list(imported_names(ast.parse(MODULES[name].read_text("utf-8"))))
    uses = [dotted for dotted in names if dotted.split(".")[0] == "torch" or dotted.startswith("safetensors.torch")]
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
