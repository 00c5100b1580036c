"""House rules that no linter checks, over the source of the package."""

import ast
import re
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "uncertainty"
FILES = sorted(PACKAGE.rglob("*.py"))
LONGEST_MODULE, LONGEST_FUNCTION, MOST_ARGUMENTS = 350, 50, 7
MANY_ARGUMENTS = {"Classifier.from_module", "Screener.fit", "Screener.fit_outputs", "Policy.of"}
"""Public functions that state their options once, to be called by hand."""
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def in_every_file(rule):
    """Return a test that names the files in which a rule is broken, and how: one for all of them, which is quicker."""

    def test():
        broken = {}
        for path in FILES:
            try:
                rule(path)
            except AssertionError as error:
                broken[str(path.relative_to(PACKAGE))] = str(error)
        assert not broken

    test.__doc__ = rule.__doc__
    return test


@cache
def parsed(path):
    return ast.parse(path.read_text("utf-8"))


@cache
def walked(path):
    return list(ast.walk(parsed(path)))


def nodes(path, *kinds):
    return [node for node in walked(path) if isinstance(node, kinds)]


def body(node):
    """Statements without the docstring."""
    return node.body[1:] if ast.get_docstring(node) is not None else node.body


def lines_of_code(function):
    """Lines from `def` to the end, those of the docstring not counted."""
    docstring = function.body[0] if len(body(function)) < len(function.body) else None
    return function.end_lineno - function.lineno + 1 - (docstring.end_lineno - docstring.lineno + 1 if docstring else 0)


def public(tree):
    """Every public function, class and method that can be reached from outside, by name."""
    for node in tree.body:
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node)


@in_every_file
def test_no_assert(path):
    assert not [node.lineno for node in nodes(path, ast.Assert)], "asserts vanish under python -O; raise an error"


@in_every_file
def test_modules_are_short(path):
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST_MODULE


@in_every_file
def test_functions_are_short(path):
    long = {f.name: lines_of_code(f) for f in nodes(path, *FUNCTIONS) if lines_of_code(f) > LONGEST_FUNCTION}
    assert not long


def arguments(function):
    """Names of what a caller gives."""
    given = function.args
    names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg) if one]
    return names[1:] if names[:1] in (["self"], ["cls"]) else names


def functions_by_name(node, name=""):
    """Every function, however deep, with the classes and functions that it is in."""
    for child in ast.iter_child_nodes(node):
        inner = f"{name}.{child.name}".lstrip(".") if isinstance(child, (*FUNCTIONS, ast.ClassDef)) else name
        if isinstance(child, FUNCTIONS):
            yield inner, child
        yield from functions_by_name(child, inner)


@in_every_file
def test_settings_travel_as_one_value(path):
    """Options that are handed down are a frozen value with a name; what only the user calls, by hand, has many."""
    many = {name for name, f in functions_by_name(parsed(path)) if len(arguments(f)) > MOST_ARGUMENTS}
    assert path.parent.name in ("commands", "verbs") or many <= MANY_ARGUMENTS


@in_every_file
def test_nothing_is_left_to_do(path):
    assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b|NotImplementedError", path.read_text("utf-8"))


@in_every_file
def test_no_stubs(path):
    """A body of nothing, or of `...`, belongs to abstract methods alone."""
    empty = [f.name for f in nodes(path, *FUNCTIONS) if not body(f) and not f.decorator_list]
    dots = [
        f.name
        for f in nodes(path, *FUNCTIONS)
        if [ast.dump(s) for s in body(f)] == [ast.dump(ast.Expr(ast.Constant(...)))]
    ]
    passes = [f.name for f in nodes(path, *FUNCTIONS) if [type(s) for s in body(f)] == [ast.Pass]]
    assert (set(empty) | set(dots) | set(passes)) <= {"_fit"}


@in_every_file
def test_no_error_is_swallowed(path):
    """Neither a bare except, nor a broad one that goes on as if nothing had been."""
    for handler in nodes(path, ast.ExceptHandler):
        assert handler.type is not None, f"line {handler.lineno}: name what is caught"
        broad = {name.id for name in ast.walk(handler.type) if isinstance(name, ast.Name)} & {
            "Exception",
            "BaseException",
        }
        assert not (broad and [type(s) for s in handler.body] == [ast.Pass]), f"line {handler.lineno} hides every error"


@in_every_file
def test_public_things_are_documented(path):
    tree = parsed(path)
    missing = [node.name for node in public(tree) if not (ast.get_docstring(node) or "").strip()]
    assert not missing
    if path.name != "__init__.py" or tree.body:
        assert ast.get_docstring(tree)


@in_every_file
def test_docstrings_start_with_a_sentence(path):
    tree = parsed(path)
    for node in [tree, *public(tree)]:
        first = (ast.get_docstring(node) or "").split("\n\n")[0].strip()
        assert not first or (first[-1] in ".:?" and "\t" not in first), getattr(node, "name", path.name)


@in_every_file
def test_no_pickle(path):
    """Nothing that is read may run code: the one loader of .pth files says weights_only=True."""
    text = path.read_text("utf-8")
    assert not re.search(r"^\s*(import|from) (pickle|joblib|dill|marshal|shelve)\b", text, re.MULTILINE)
    assert all("weights_only=True" in line for line in text.splitlines() if "torch.load(" in line)
