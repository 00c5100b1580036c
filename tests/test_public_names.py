"""What `import uncertainty` offers."""

import ast
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

import uncertainty


def test_public_names_are_sorted_and_there():
    assert uncertainty.__all__ == sorted(set(uncertainty.__all__))
    assert {"Classifier", "ModelOutputs", "Preprocess", "Screener", "Verdicts"} <= set(uncertainty.__all__)
    for name in uncertainty.__all__:
        assert getattr(uncertainty, name).__name__ == name


def test_names_for_type_checkers_are_the_same_objects():
    tree = ast.parse(Path(uncertainty.__file__).read_text("utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert sorted(seen) == uncertainty.__all__
    for name, module in seen.items():
        __import__(module)
        assert getattr(sys.modules[module], name) is getattr(uncertainty, name)


def test_dir_shows_what_is_not_loaded_yet():
    code = (
        "import uncertainty; print(set(uncertainty.__all__) <= set(dir(uncertainty)), 'Screener' in vars(uncertainty))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


def test_star_import():
    names = {}
    exec("from uncertainty import *", names)
    assert set(uncertainty.__all__) <= names.keys()


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'uncertainty' has no attribute 'Screeners'"):
        uncertainty.Screeners  # noqa: B018
    assert not hasattr(uncertainty, "numpy_")


def test_version_is_that_of_the_distribution():
    assert uncertainty.__version__ == importlib.metadata.version("uncertainty-vision")


def test_the_package_is_typed():
    assert (Path(uncertainty.__file__).parent / "py.typed").exists()


def test_every_error_is_one_of_ours():
    from uncertainty import errors

    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    assert all(issubclass(cls, uncertainty.UncertaintyError) for cls in classes)
    assert set(re.findall(r"\w+Error\b", errors.__doc__)) == {cls.__name__ for cls in classes}
