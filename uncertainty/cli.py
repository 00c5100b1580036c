"""The command line: each command is a thin shell around one call of the library.

Results go to standard output and files; progress, notes and errors to standard error, errors in one line with exit
status 1 (2 for a wrong command line).
"""

from __future__ import annotations

import io
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uncertainty.defaults import BATCH_SIZE, BUDGET, EXPECT_DAMAGE, EXPECT_UNKNOWN, MC_PASSES, WORKERS

if TYPE_CHECKING:
    from uncertainty.classifiers import Classifier
    from uncertainty.screener import Screener
    from uncertainty.sources import ImageSet

app = typer.Typer(
    help="Predicts which images a trained classifier will get wrong, before labels are known.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

Model = Annotated[
    str | None,
    typer.Option(help="Model spec: package.module:factory?weights=FILE.safetensors&size=224", show_default=False),
]
_BUDGET_HELP = "Flag at most this share of images like calibration."
Budget = Annotated[float | None, typer.Option(min=0, max=1, help=_BUDGET_HELP, show_default="as fitted")]
Out = Annotated[Path, typer.Option("-o", "--out", help="Folder to write to.")]
Device = Annotated[str | None, typer.Option(help="Where the network runs, e.g. cpu or cuda.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Images in one forward pass.")]
Workers = Annotated[int, typer.Option(min=1, help="Threads that decode images.")]


class Effort(StrEnum):
    """How much evidence to gather for each image."""

    FAST = "fast"
    BALANCED = "balanced"
    THOROUGH = "thorough"

    def evidence(self, embedder: str | None, tta: str) -> tuple[str | None, str]:
        """Fill in embedder and views where the user named none: balanced has a second opinion, thorough views too."""
        if self is not Effort.FAST:
            embedder = embedder or "efficientnet-lite0"
        return embedder, tta or ("auto" if self is Effort.THOROUGH else "")


Reference = Annotated[
    Path | None,
    typer.Option(help="Known-good images, e.g. the training set. Default: half of the calibration images."),
]
ExpectDamage = Annotated[float, typer.Option(min=0, max=0.99, help="Share of incoming images that may be damaged.")]
ExpectUnknown = Annotated[
    float, typer.Option(min=0, max=0.99, help="Share of incoming images that may be of no known class.")
]
EffortLevel = Annotated[
    Effort, typer.Option(help="fast: one pass; balanced: and a second opinion; thorough: and augmented views.")
]
SecondOpinion = Annotated[
    str | None, typer.Option(help="Second opinion: efficientnet-lite0, or the model spec of a frozen backbone.")
]
Views = Annotated[str, typer.Option(help="Test-time augmentation: auto, or names such as flip,shift.")]


class Format(StrEnum):
    """How verdicts are written."""

    PARQUET = "parquet"
    CSV = "csv"
    JSONL = "jsonl"


@app.command()
def fit(
    model: Annotated[str, typer.Option(help="Model spec: package.module:factory?weights=FILE.safetensors&size=224")],
    calibration: Annotated[Path, typer.Option(help="Labelled images that the model was not trained on.")],
    out: Out,
    reference: Reference = None,
    classes: Annotated[Path | None, typer.Option(help="Class names in output order: .txt or JSON.")] = None,
    budget: Annotated[float, typer.Option(min=0, max=1, help=_BUDGET_HELP)] = BUDGET,
    expect_damage: ExpectDamage = EXPECT_DAMAGE,
    expect_unknown: ExpectUnknown = EXPECT_UNKNOWN,
    passes: Annotated[int, typer.Option(min=0, help="MC dropout sub-networks.")] = MC_PASSES,
    effort: EffortLevel = Effort.FAST,
    embedder: SecondOpinion = None,
    tta: Views = "",
    seed: Annotated[int, typer.Option(min=0, help="Of everything that is drawn.")] = 0,
    device: Device = None,
    batch_size: BatchSize = BATCH_SIZE,
    workers: Workers = WORKERS,
) -> None:
    """Fit a screener to a model: uncertainty fit --model SPEC --reference DIR --calibration DIR -o SCREENER."""
    from uncertainty.screener import Screener
    from uncertainty.sources import find_images

    labelled, good = find_images(calibration), find_images(reference) if reference else None
    embedder, tta = effort.evidence(embedder, tta)
    classifier = _classifier(model, classes, embedder, device)
    out.mkdir(parents=True, exist_ok=True)  # better refused now than after a long fit
    with _progress("fitting", _forward_passes(good, labelled, bool(expect_damage) + bool(expect_unknown))) as progress:
        screener = Screener.fit(
            classifier,
            good,
            labelled,
            expect_damage=expect_damage,
            expect_unknown=expect_unknown,
            budget=budget,
            passes=passes,
            views=[name for name in tta.split(",") if name],
            seed=seed,
            batch_size=batch_size,
            workers=workers,
            progress=progress,
        )
    screener.save(out)
    _notes(screener.notes)
    typer.echo(f"{screener.describe()}\nscreener written to {out}")


@app.command()
def screen(
    screener: Annotated[Path, typer.Argument(help="Folder that `uncertainty fit` wrote.")],
    images: Annotated[Path, typer.Argument(help="Image, folder, manifest, or Parquet with images.")],
    out: Out,
    model: Model = None,
    budget: Budget = None,
    format: Annotated[Format, typer.Option(help="Of the verdicts.")] = Format.PARQUET,
    device: Device = None,
    batch_size: BatchSize = BATCH_SIZE,
    workers: Workers = WORKERS,
) -> None:
    """Screen images: uncertainty screen SCREENER INPUT -o OUT."""
    from uncertainty.pipeline import screen_into
    from uncertainty.sources import find_images

    fitted = _loaded(screener, model, device)
    fitted = fitted if budget is None else fitted.with_budget(budget)
    found = find_images(images)
    with _progress("screening", len(found)) as progress:
        summary = screen_into(
            out, fitted, found, ending=f".{format}", progress=progress, batch_size=batch_size, workers=workers
        )
    _notes(fitted.notes)
    if seen := summary["provenance"]["images_that_fitted_the_screener"]:
        _notes([f"{seen} of these images fitted the screener; their p_wrong is too low to be trusted"])
    typer.echo(
        f"{summary['images']} images: {summary['flagged']} flagged, {summary['unreadable']} of them unreadable; about "
        f"{summary['predicted_errors']:.0f} errors expected\n{fitted.describe()}\nverdicts written to {out}"
    )


@app.command()
def rank(
    out: Annotated[Path, typer.Argument(help="Folder that `uncertainty screen` wrote, or a verdict table.")],
    n: Annotated[int, typer.Option("-n", min=1, help="How many images.")] = 200,
    to: Annotated[Path | None, typer.Option("-o", "--out", help="File to write: .csv, .parquet or .jsonl.")] = None,
) -> None:
    """List the images to look at first: uncertainty rank OUT -n 200."""
    from uncertainty.pipeline import rank_folder
    from uncertainty.tables import shown

    target = to or (out if out.is_dir() else out.parent) / "ranking.csv"
    chosen = rank_folder(out, n, target)
    for row in chosen.slice(0, 10).to_pylist():
        label, name = shown(row["predicted_label"]), shown(row["file_name"])
        typer.echo(f"{row['rank']:>4}  p_wrong {row['p_wrong']:.3f}  {label}  {name}")
    typer.echo(f"{len(chosen)} images, the first to look at first, written to {target}")


@app.command()
def evaluate(
    out: Annotated[Path, typer.Argument(help="Folder that `uncertainty screen` wrote, or a verdict table.")],
    labels: Annotated[Path, typer.Option(help="CSV with file_name and label, or a folder of class folders.")],
    resamples: Annotated[int, typer.Option(min=1, help="Bootstrap resamples behind the intervals.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the resamples.")] = 0,
) -> None:
    """Say how good the verdicts were, once labels are known: uncertainty evaluate OUT --labels labels.csv."""
    from uncertainty.pipeline import evaluate_folder
    from uncertainty.tables import evaluation_table, evaluation_text

    evaluation, match = evaluate_folder(out, labels, seed=seed, resamples=resamples)
    _console().print(evaluation_table(evaluation))
    typer.echo(evaluation_text(evaluation, match))
    typer.echo(f"evaluation.json and errors.csv written to {out if out.is_dir() else out.parent}")


@app.command()
def estimators() -> None:
    """List the estimators, what each reads and what it says: uncertainty estimators."""
    from uncertainty.tables import estimators_table

    _console().print(estimators_table())


@app.command()
def doctor() -> None:
    """Say what is installed, what is missing, and where models run: uncertainty doctor."""
    from uncertainty.tables import doctor_table, doctor_warnings

    _console().print(doctor_table())
    _notes(doctor_warnings())


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder to write to; it must be new or empty.")] = Path("uncertainty-demo"),
) -> None:
    """Show everything on real images, offline, in under a minute: uncertainty demo."""
    from uncertainty.demo.run import run

    run(out, lambda arguments: app(arguments, standalone_mode=False), typer.echo)


def main() -> None:
    """Run the command line; every error is one line on standard error."""
    from uncertainty.errors import UncertaintyError

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file name may hold what this terminal can't show
    try:
        # A model spec may name a module in this folder; last, so that no file in it takes the place of a library.
        sys.path.append(os.getcwd())
        app()
    except UncertaintyError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.strerror or error}: {error.filename or ''}".rstrip(": "))
    except Exception as error:
        if os.environ.get("UNCERTAINTY_DEBUG"):
            raise
        _fail(f"unexpected {type(error).__name__}: {error}; UNCERTAINTY_DEBUG=1 shows where, please report it")


def _fail(message: str) -> None:
    typer.echo("error: " + " ".join(message.split()), err=True)
    raise SystemExit(1)


def _classifier(model: str, classes: Path | None, embedder: str | None, device: str | None) -> Classifier:
    from uncertainty.classifiers import Classifier
    from uncertainty.labels import read_class_names

    classifier = Classifier.load(model, classes=read_class_names(classes) if classes else None, device=device)
    return classifier if embedder is None else classifier.with_embedder(embedder, device=device)


def _forward_passes(good: ImageSet | None, labelled: ImageSet, copies: int) -> int:
    """How many images a fit classifies: reference, calibration, and so many copies of calibration."""
    n_good = len(labelled) // 2 if good is None else len(good)
    n_calibration = len(labelled) - n_good if good is None else len(labelled)
    return n_good + n_calibration * (1 + copies)


def _loaded(folder: Path, model: str | None, device: str | None) -> Screener:
    from uncertainty.classifiers import Classifier
    from uncertainty.errors import ModelError
    from uncertainty.screener import Screener

    saved = Screener.load(folder).model
    spec = model or saved.spec
    if spec is None:
        raise ModelError(f"{folder} does not say which model it was fitted with; give --model SPEC")
    classifier: Classifier = Classifier.load(spec, classes=saved.classes, device=device)
    if saved.embedder is not None:
        classifier = classifier.with_embedder(saved.embedder, device=device)
    return Screener.load(folder, classifier)


def _notes(notes: Any) -> None:
    for note in notes:
        typer.echo(f"note: {note}", err=True)


def _console() -> Any:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 160)


def _progress(what: str, total: int) -> Any:
    from uncertainty.progress import progress

    return progress(what, total)


if __name__ == "__main__":
    main()
