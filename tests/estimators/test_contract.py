"""The conformance suite: every estimator that is discovered passes every test here, for each task that it serves."""

from __future__ import annotations

import copy
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from problems import known_good, made_problem
from sklearn.metrics import roc_auc_score

import uncertainty.estimators as package
from uncertainty.errors import CalibrationError, InputError, MissingColumnError, NotFittedError, OutputsError
from uncertainty.estimators import create, discover, registry
from uncertainty.estimators.base import Estimator, LearnsFrom
from uncertainty.outputs import ModelOutputs, Task

COLUMNS = ("logits", "features", "mc_probs", "tta_probs", "quality", "embedding", "labels")
FAMILIES = ("softmax", "dropout", "neighbours", "image", "second opinion", "views")
CASES = [(name, task) for name, cls in discover().items() for task in cls.tasks]
every_case = pytest.mark.parametrize(("name", "task"), CASES, ids=[f"{name}-{task}" for name, task in CASES])
every_estimator = pytest.mark.parametrize("name", list(discover()))


@pytest.fixture(scope="module")
def worlds() -> dict[tuple[Task, LearnsFrom], tuple[ModelOutputs, ModelOutputs]]:
    """What to learn from and what to score, by task and by what an estimator learns from."""
    found: dict[tuple[Task, LearnsFrom], tuple[ModelOutputs, ModelOutputs]] = {}
    for task in ("multiclass", "multilabel"):
        incoming = made_problem(1200, 2, task)
        found[task, "reference"] = known_good(500, 1, task), incoming
        found[task, "calibration"] = uneven(made_problem(800, 3, task)), uneven(incoming)
    return found


def uneven(outputs: ModelOutputs) -> ModelOutputs:
    """Leave out the errors of the first two classes, so that there is something to learn of classes."""
    if outputs.task == "multilabel":
        return outputs
    return outputs.take(~outputs.wrong | (outputs.predictions >= 2))


@pytest.fixture
def problems(name: str, worlds: Any) -> dict[Task, tuple[ModelOutputs, ModelOutputs]]:
    return {task: worlds[task, discover()[name].learns_from] for task in ("multiclass", "multilabel")}


@pytest.fixture(scope="module")
def cases() -> dict[tuple[str, Task], Estimator]:
    """Estimators that were fitted already."""
    return {}


@pytest.fixture
def case(name: str, task: Task, problems: Any, cases: Any) -> tuple[Estimator, ModelOutputs]:
    """Return an estimator that is fitted and stays so, and what it scores."""
    reference, incoming = problems[task]
    if (name, task) not in cases:
        cases[name, task] = fitted(name, reference)
    return cases[name, task], incoming


def second(name: str) -> list[ModelOutputs]:
    """Return what `fit` of an estimator takes behind calibration: the reference, where it asks for it."""
    cls = discover()[name]
    return [made_problem(500, 1, cls.tasks[0])] if cls.reference_needs else []


def fitted(name: str, rows: ModelOutputs) -> Estimator:
    return create(name).fit(rows, *second(name))


def check_conforms(estimator: Estimator, incoming: ModelOutputs) -> None:
    scores = estimator.score(incoming)
    assert scores.shape == (len(incoming),)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()
    low, high = estimator.bounds
    assert low <= scores.min()
    assert scores.max() <= high
    assert estimator.reasons(incoming).shape == scores.shape
    assert roc_auc_score(incoming.wrong, scores) > 0.6, "higher must mean more likely wrong"


@every_case
def test_scores_conform(case: tuple[Estimator, ModelOutputs]) -> None:
    check_conforms(*case)


@every_case
def test_no_rows_and_one_row(case: tuple[Estimator, ModelOutputs]) -> None:
    estimator, incoming = case
    assert estimator.score(incoming.take([])).shape == (0,)
    assert estimator.reasons(incoming.take([])).shape == (0,)
    assert estimator.score(incoming.take([5])).shape == (1,)


@every_case
def test_a_row_is_scored_alone(case: tuple[Estimator, ModelOutputs]) -> None:
    estimator, incoming = case
    scores = estimator.score(incoming)
    order = np.random.default_rng(0).permutation(len(incoming))
    np.testing.assert_allclose(estimator.score(incoming.take(order)), scores[order], atol=1e-6)
    for rows in ([17], [3, 400, 4], np.arange(len(incoming)) % 3 == 0):
        np.testing.assert_allclose(estimator.score(incoming.take(rows)), scores[np.asarray(rows)], atol=1e-6)
        assert (estimator.reasons(incoming.take(rows)) == estimator.reasons(incoming)[np.asarray(rows)]).all()


@every_case
def test_inputs_stay_as_they_are(name: str, task: Task, problems: Any) -> None:
    reference, incoming = problems[task]
    before = [copy.deepcopy(vars(outputs)) for outputs in (reference, incoming)]
    fitted(name, reference).score(incoming)
    for outputs, old in zip((reference, incoming), before, strict=True):
        for column, value in old.items():
            np.testing.assert_array_equal(getattr(outputs, column), value)


@every_case
def test_fitting_again_forgets_and_is_deterministic(name: str, task: Task, problems: Any, case: Any) -> None:
    reference, incoming = problems[task]
    few = np.append(np.flatnonzero(reference.wrong)[:15], np.flatnonzero(~reference.wrong)[:20])
    again = fitted(name, reference.take(few)).fit(reference, *second(name))
    np.testing.assert_array_equal(again.score(incoming), case[0].score(incoming))


@every_case
def test_the_order_of_the_reference_does_not_matter(name: str, task: Task, problems: Any, case: Any) -> None:
    reference, incoming = problems[task]
    shuffled = reference.take(np.random.default_rng(1).permutation(len(reference)))
    np.testing.assert_allclose(fitted(name, shuffled).score(incoming), case[0].score(incoming), atol=1e-9)


@every_case
def test_restored_equals_saved(case: tuple[Estimator, ModelOutputs]) -> None:
    estimator, incoming = case
    learnt = {key: np.array(value) for key, value in estimator.learnt().items()}
    assert all(array.dtype.kind in "fiu" for array in learnt.values())
    assert all(np.isfinite(array).all() for array in learnt.values()), "JSON holds no infinity"
    restored = create(estimator.name, **estimator.arguments()).restore(learnt)
    np.testing.assert_array_equal(restored.score(incoming), estimator.score(incoming))
    assert (restored.reasons(incoming) == estimator.reasons(incoming)).all()


@every_case
def test_float32_columns_score_as_float64(case: tuple[Estimator, ModelOutputs]) -> None:
    estimator, incoming = case
    single = ModelOutputs(
        **{c: getattr(incoming, c).astype(np.float32) for c in ("logits", "quality", "features", "embedding")},
        ids=incoming.ids,
        mc_probs=incoming.mc_probs.astype(np.float64),
        tta_probs=incoming.tta_probs.astype(np.float64),
        task=incoming.task,
    )
    np.testing.assert_allclose(estimator.score(single), estimator.score(incoming), atol=1e-4)


@every_case
def test_saturated_logits_stay_finite_and_in_bounds(case: tuple[Estimator, ModelOutputs]) -> None:
    estimator, incoming = case
    n, c = incoming.logits.shape
    logits = np.where(np.arange(c) == np.arange(n)[:, None] % c, 1e3, -np.arange(n)[:, None] % 7.0)
    certain = np.eye(c)[np.arange(n) % c][:, None].repeat(3, axis=1)
    known = {"features": incoming.features, "embedding": incoming.embedding}
    told = {"mc_probs": certain, "tta_probs": certain, "task": incoming.task}
    rows = ModelOutputs(ids=incoming.ids, logits=logits, **told, **known)
    rows = ModelOutputs(**{**vars(rows), "quality": incoming.quality * 1e6})
    scores = estimator.score(rows)
    assert np.isfinite(scores).all()
    assert estimator.bounds[0] <= scores.min()
    assert scores.max() <= estimator.bounds[1]


@every_case
def test_unfitted_is_an_error_where_there_is_something_to_fit(name: str, task: Task, problems: Any) -> None:
    estimator, incoming = create(name), problems[task][1]
    if not estimator.fit_needs:
        assert estimator.learnt() == {}
        assert estimator.score(incoming).shape == (len(incoming),)
        return
    with pytest.raises(NotFittedError, match=f"^{name} is not fitted"):
        estimator.score(incoming)


@every_case
def test_missing_columns_are_named(name: str, task: Task, problems: Any) -> None:
    reference, incoming = problems[task]
    estimator = create(name)
    for column in set(estimator.fit_needs) - {"logits"}:
        with pytest.raises(MissingColumnError, match=f"{name} needs the column '{column}'"):
            estimator.fit(without(reference, column), *second(name))
    estimator.fit(reference, *second(name))
    for column in set(estimator.needs) - {"logits"}:
        with pytest.raises(MissingColumnError, match=f"{name} needs the column '{column}'"):
            estimator.score(without(incoming, column))


learners = [
    (name, task) for name, task in CASES if discover()[name].fewest and discover()[name].learns_from == "calibration"
]


@pytest.mark.parametrize(("name", "task"), learners, ids=[f"{name}-{task}" for name, task in learners])
def test_what_learns_from_errors_needs_labels_and_some_errors(name: str, task: Task, problems: Any) -> None:
    calibration = problems[task][0]
    with pytest.raises(MissingColumnError, match=f"{name} needs the column 'labels'"):
        fitted(name, without(calibration, "labels"))
    fewest = discover()[name].fewest
    wrong, right = np.flatnonzero(calibration.wrong), np.flatnonzero(~calibration.wrong)
    for rows in (right, wrong, np.append(wrong[: fewest - 1], right), np.append(wrong, right[: fewest - 1])):
        with pytest.raises(CalibrationError, match=f"^{name} learns from {fewest} wrong and {fewest} right") as caught:
            fitted(name, calibration.take(rows))
        assert "\n" not in str(caught.value)
    enough = np.append(wrong[:fewest], right[:fewest])
    assert np.isfinite(fitted(name, calibration.take(enough)).score(problems[task][1])).all()


@every_case
def test_it_reads_no_more_than_it_declares(case: tuple[Estimator, ModelOutputs]) -> None:
    estimator, incoming = case
    others = [column for column in COLUMNS if column not in (*estimator.reads, "logits")]
    assert set(estimator.needs) <= set(estimator.reads) <= set(COLUMNS)
    np.testing.assert_array_equal(estimator.score(without(incoming, *others)), estimator.score(incoming))


@every_estimator
def test_a_task_it_does_not_serve_is_refused(name: str, problems: Any) -> None:
    for task in set(problems) - set(discover()[name].tasks):
        with pytest.raises(OutputsError, match=f"{name} has no {task} form"):
            create(name).fit(problems[task][0])


@every_estimator
def test_its_declaration_is_complete(name: str) -> None:
    cls = discover()[name]
    assert cls.name == name
    assert set(cls.needs) | set(cls.fit_needs) <= set(COLUMNS) - {"labels"}
    assert cls.bounds[0] < cls.bounds[1]
    assert cls.family in FAMILIES
    assert re.fullmatch("[a-z_]+", cls.reason)
    assert all(parameter.default is not inspect.Parameter.empty for parameter in signature(cls))


@every_estimator
def test_its_docstring_states_everything_in_order(name: str) -> None:
    text = inspect.getdoc(discover()[name]) or ""
    parts = ("Formula:", "Range:", "Needs:", "Fit keeps:", "Cost:", "Source:", "Examples\n", ">>> ")
    places = [text.find(part) for part in parts]
    assert min(places) > 0, f"missing: {[p for p, at in zip(parts, places, strict=True) if at < 0]}"
    assert places == sorted(places)
    assert re.search(r"Source:.*\b(19|20)\d\d\b", text, re.DOTALL)
    assert "Multilabel:" in text


def test_the_combination_starts_from_one_score_of_each_kind_of_evidence() -> None:
    begun = {name: cls.family for name, cls in discover().items() if cls.start and not cls.posterior}
    assert len(set(begun.values())) == len(begun) == 4
    assert discover()["least_confidence"].start == np.inf
    posteriors = {name: cls.tasks for name, cls in discover().items() if cls.posterior}
    assert posteriors == {"fused_decisions": ("multilabel",), "fused_posterior": ("multiclass",)}


# Discovery


TOY = '''
import numpy as np
from uncertainty.estimators.base import Estimator

class Toy(Estimator):
    """Minus the mean brightness.

    Formula: m - x. Multilabel: the same. Source: none, 2026.
    """

    needs = fit_needs = ("quality",)
    bounds = (-np.inf, np.inf)
    family = "image"
    reason = "dark"

    def __init__(self, column=0):
        self.column = column

    def _fit(self, reference):
        self.mean_ = reference.quality[:, self.column].mean()

    def _score(self, outputs):
        return self.mean_ - outputs.quality[:, self.column]
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A second folder of the package `uncertainty.estimators`, forgotten afterwards."""
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    yield tmp_path
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(f"{package.__name__}.{path.stem}", None)
        vars(package).pop(path.stem, None)


def test_a_new_estimator_is_one_file(folder: Path, worlds: Any) -> None:
    assert "toy_brightness" not in discover()
    (folder / "toy_brightness.py").write_text(TOY)
    assert list(discover()) == sorted(discover())
    reference, incoming = worlds["multiclass", "reference"]
    toy = create("toy_brightness", column=0).fit(reference)
    assert (toy.name, toy.arguments()) == ("toy_brightness", {"column": 0})
    check_conforms(toy, incoming)
    restored = create("toy_brightness").restore(toy.learnt())
    np.testing.assert_array_equal(restored.score(incoming), toy.score(incoming))


@pytest.mark.parametrize(
    ("source", "count"),
    [("x = 1", 0), (TOY + "\nclass Second(Toy): pass", 2), ("from uncertainty.estimators.margin import Margin", 0)],
)
def test_a_file_without_exactly_one_estimator_is_an_error(folder: Path, source: str, count: int) -> None:
    (folder / "odd_file.py").write_text(source)
    with pytest.raises(InputError, match=rf"odd_file\.py must define exactly one estimator; it defines {count}"):
        discover()


def test_files_with_an_underscore_are_no_estimators(folder: Path) -> None:
    (folder / "_shared.py").write_text("raise RuntimeError")
    discover()


def offer(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    entry = EntryPoint(name="users", value=value, group="uncertainty.estimators")
    monkeypatch.setattr(registry, "_entry_points", lambda: (entry,))


def test_users_own_estimators_are_entry_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toy_of_a_user.py").write_text(TOY)
    monkeypatch.syspath_prepend(tmp_path)
    offer(monkeypatch, "toy_of_a_user:Toy")
    assert create("toy_of_a_user").name == "toy_of_a_user"
    sys.modules.pop("toy_of_a_user")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("no_such_module:Toy", "can't be loaded"),
        ("pathlib:NoSuchName", "can't be loaded"),
        ("pathlib:Path", "is no estimator"),
    ],
)
def test_an_entry_point_that_is_no_estimator_is_named(
    value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, value)
    with pytest.raises(InputError, match=f"users = {value}.*{message}|users = {value} {message}"):
        discover()


def test_two_estimators_of_one_name_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "margin.py").write_text(TOY)
    monkeypatch.syspath_prepend(tmp_path)
    offer(monkeypatch, "margin:Toy")
    with pytest.raises(InputError, match="two estimators are named 'margin'"):
        discover()
    sys.modules.pop("margin")


def test_unknown_names_and_arguments_are_errors_that_list_the_known() -> None:
    with pytest.raises(InputError, match=f"no estimator 'entropi'; known are {', '.join(discover())}"):
        create("entropi")
    with pytest.raises(InputError, match="nn_distance takes no argument 'neighbours'; it takes k"):
        create("nn_distance", neighbours=3)
    with pytest.raises(InputError, match="margin takes no argument 'k'; it takes none"):
        create("margin", k=3)


def test_discovery_imports_no_heavy_library() -> None:
    code = "import sys; from uncertainty.estimators import discover; discover(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"torch", "faiss", "scipy", "sklearn"}.isdisjoint(loaded)


def without(outputs: ModelOutputs, *columns: str) -> ModelOutputs:
    return ModelOutputs(**{**vars(outputs), **dict.fromkeys(columns)})


def signature(cls: type[Estimator]) -> list[inspect.Parameter]:
    return list(inspect.signature(cls).parameters.values())
