"""Other projects' detectors on the same outputs: python -m experiments.peers.compare --data FOLDER --splits 5.

Writes compare.md, its figures and compare.json. Needs the extras `peers`, `experiments` and `embedder`.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.peers import compare_numbers, compare_page, projects
from experiments.peers.detector import CALIBRATION, REFERENCE, Detector, Known, Score
from experiments.shared import results_file, thorough_splits
from experiments.shared.command_line import Options, command_line, say
from experiments.shared.costs import Costs
from experiments.shared.fitted_screener import fitted
from experiments.shared.image_sets import require_packages
from experiments.shared.splits import REGIMES, Split
from uncertainty import ModelOutputs, Screener
from uncertainty.combination.calibration_sets import fit_estimators
from uncertainty.estimators import discover
from uncertainty.metrics import augrc, aurc, auroc, e_aurc, risk_coverage_curve

METRICS = {"e_aurc": e_aurc, "aurc": aurc, "augrc": augrc, "auroc": auroc}
COVERAGE = np.linspace(0.02, 1, 50)
"""Where risk-coverage curves are kept."""


def measured(split: Split, costs: Costs, regimes: Sequence[str], detectors: Sequence[Detector]) -> dict[str, Any]:
    """Fit everything on one split and judge its streams; JSON values, with the reason for each score that failed."""
    scores, failed = fitted_scores(split, costs, detectors)
    result: dict[str, Any] = {"regimes": {}, "failed": failed}
    for regime in (r for r in regimes if r in split.streams):
        stream = split.streams[regime]
        cell: dict[str, Any] = {"scores": {}, "curves": {}}
        for name, score in scores.items():
            try:
                values = checked(score(stream))
            except Exception as error:  # another project's code: anything may be raised
                failed[name] = reason(error)
                continue
            cell["scores"][name] = {key: metric(stream.wrong, values) for key, metric in METRICS.items()}
            cell["curves"][name] = curve(stream.wrong, values)
        counts = {"images": len(stream), "errors": int(stream.wrong.sum())}
        result["regimes"][regime] = counts | {"calibration_errors": int(split.calibration.wrong.sum())} | cell
    return result


def fitted_scores(split: Split, costs: Costs, detectors: Sequence[Detector]) -> tuple[dict[str, Score], dict[str, str]]:
    """Fit p_wrong at each effort, every estimator and every detector of others; those that fail, with the reason."""
    scores: dict[str, Score] = {**p_wrong(split, costs), **estimators(split)}
    failed: dict[str, str] = {}
    if split.last_layer is None or not split.last_layer.fits(split.calibration):
        raise ValueError("the last layer of this split does not give its logits")
    known = Known(split.reference, split.calibration, split.last_layer)
    for detector in detectors:
        try:
            scores[detector.key] = detector.fit(known)
        except Exception as error:  # another project's code: anything may be raised
            failed[detector.key] = reason(error)
    return scores, failed


def p_wrong(split: Split, costs: Costs) -> dict[str, Score]:
    """Return p_wrong at every effort that this split has the columns for; thorough without a view is balanced."""
    ours = compare_numbers.OURS
    scores: dict[str, Score] = {}
    for effort, without in thorough_splits.columns_left_out(split, costs).items():
        scores[f"{ours} {effort}"] = partial(_p_wrong, fitted(thorough_splits.bare_split(split, without)), without)
    if costs.views and not thorough_splits.views_of(split):
        scores[f"{ours} thorough"] = scores[f"{ours} balanced"]
    return scores


def _p_wrong(screener: Screener, without: tuple[str, ...], outputs: ModelOutputs) -> NDArray[np.float64]:
    return np.asarray(screener.p_wrong(thorough_splits.bare(outputs, without)), dtype=np.float64)


def estimators(split: Split) -> dict[str, Score]:
    """Return every estimator, default or optional, that this split has the columns and calibration errors for."""
    usable, _ = fit_estimators([cls() for cls in discover().values()], split.reference, split.calibration)
    return {e.name: e.score for e in usable}


def checked(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Refuse scores that can't be ranked."""
    if missing := int(np.isnan(scores).sum()):
        raise ValueError(f"{missing} of {len(scores)} scores are NaN")
    return scores


def curve(wrong: NDArray[np.bool_], scores: NDArray[np.float64]) -> list[float]:
    """Return the error rate of what is kept at each COVERAGE."""
    coverage, risk = risk_coverage_curve(wrong, scores)
    return [float(value) for value in np.interp(COVERAGE, coverage, risk)]


def reason(error: Exception) -> str:
    """Return the first line of an error.

    >>> reason(ValueError("too few rows"))
    'ValueError: too few rows'
    """
    return f"{type(error).__name__}: {(str(error).splitlines() or ['no reason given'])[0]}"


def described(detectors: Sequence[Detector]) -> dict[str, dict[str, Any]]:
    """Return whose each score is and what it needs."""
    about: dict[str, dict[str, Any]] = {}
    for effort, without in thorough_splits.EFFORTS.items():
        columns = [c for c in compare_numbers.COLUMNS if c not in without]
        about[f"{compare_numbers.OURS} {effort}"] = _about(compare_numbers.OURS, (*columns, REFERENCE, CALIBRATION))
    for cls in discover().values():
        about[cls.name] = _about(compare_numbers.SINGLE, (*cls.needs, *((REFERENCE,) if cls.fit_needs else ())))
    return about | {d.key: _about(d.project, d.needs) for d in detectors}


def _about(project: str, needs: Sequence[str]) -> dict[str, Any]:
    return {"project": project, "needs": list(needs)}


def measured_set(name: str, chosen: Options, detectors: Sequence[Detector]) -> dict[str, Any]:
    """Measure all splits of one set."""
    rows, failed, views = [], {}, []
    costs, several = thorough_splits.SETS[name](chosen)
    for seed, parts in enumerate(several):
        say(f"{name}: split {seed + 1} of {chosen.splits}")
        results = [measured(split, costs, regimes, detectors) for regimes, split in parts]
        views += [thorough_splits.views_of(split) for _, split in parts]
        rows.append({regime: cell for result in results for regime, cell in result["regimes"].items()})
        failed |= {score: why for result in results for score, why in result["failed"].items()}
    regimes = results_file.transposed(rows)
    return {
        "regimes": {r: regimes[r] for r in REGIMES if r in regimes},
        "failed": failed,
        "costs": compare_numbers.costs_of(costs, float(np.mean(views))),
    }


def main(chosen: Options, safetycage: Path | None) -> None:
    """Measure what has its data; write numbers, figures and page."""
    projects.require_packages()
    logging.disable(logging.WARNING)  # peers warn of what is done on purpose, for every split again
    warnings.filterwarnings("ignore", module="torchmetrics")
    detectors = projects.detectors(safetycage)
    results: dict[str, Any] = {
        "versions": projects.versions(safetycage),
        "left_out": [*projects.LEFT_OUT, *([] if safetycage else ["safetycage: --safetycage was not given."])],
        "scores": described(detectors),
        "sets": {},
    }
    if chosen.data:
        require_packages()
    for name in thorough_splits.SETS if chosen.data else ("digits",):
        result = measured_set(name, chosen, detectors)
        compare_page.prune({**results, "sets": {name: result}})
        results["sets"][name] = result
        results_file.write(chosen.out / "compare.json", results)
    sys.stdout.write(compare_page.write(chosen.out))


if __name__ == "__main__":
    parser = command_line(__doc__)
    parser.add_argument("--safetycage", type=Path, help="a Python that has SafetyCage, which pins old packages")
    told = vars(parser.parse_args())
    only = told.pop("safetycage")
    main(Options(**told), only)
