"""The command line: each command is a thin shell around one call of the library.

Results go to standard output and files; progress, notes and errors to standard error, errors in one line with exit
status 1 (2 for a wrong command line).
"""

from __future__ import annotations

import io
import logging
import os
import sys
from typing import Annotated, Any

import typer
import typer.core

from uncertainty.commands import (
    compare,
    demo,
    doctor,
    estimators,
    evaluate,
    explain,
    export,
    export_model,
    fit,
    known_good,
    labels,
    monitor,
    policy,
    rank,
    report,
    review,
    screen,
    serve,
    slices,
    start,
    thresholds,
    update,
    watch,
)
from uncertainty.commands.local_paths import local_paths


class _Commands(typer.core.TyperGroup):
    """The list of commands with all that each says of itself, wrapped and not cut."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a paragraph a command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.commands[name].help or "") for name in self.list_commands(ctx)])


app = typer.Typer(
    cls=_Commands,
    rich_markup_mode=None,  # its tables cut words at the edge of a narrow terminal
    context_settings={"max_content_width": 100},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
_NO_THREAD = "can't start new thread"


def _say_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"uncertainty {version('uncertainty-vision')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version, and leave.")
    ] = False,
) -> None:
    """Predicts which images a trained classifier will get wrong, before labels are known."""


for command in (
    fit.fit,
    policy.policy,
    screen.screen,
    serve.serve,
    watch.watch,
    explain.explain,
    rank.rank,
    review.review,
    export.export,
    export_model.export_model,
    evaluate.evaluate,
    labels.labels,
    update.update,
    known_good.known_good,
    slices.slices,
    compare.compare,
    thresholds.thresholds,
    report.report,
    monitor.monitor,
    estimators.estimators,
    doctor.doctor,
    demo.demo,
):
    app.command(cls=report.ReportCommand if command is report.report else start.Command)(local_paths(command))


def main() -> None:
    """Run the command line; every error is one line on standard error."""
    from uncertainty.errors import UncertaintyError
    from uncertainty.screening.allocator import keep_freed_memory
    from uncertainty.screening.waiting_threads import let_waiting_threads_sleep

    keep_freed_memory()
    let_waiting_threads_sleep()
    logging.getLogger("uncertainty").handlers = [_Notes(logging.WARNING)]
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
    except MemoryError:
        _fail("there is not enough memory; give a smaller --batch-size, fewer --workers, or a machine with more")
    except Exception as error:
        if os.environ.get("UNCERTAINTY_DEBUG"):
            raise
        if _NO_THREAD in str(error):
            _fail(f"the system gives no more threads or memory ({error}); give fewer --workers, or raise its limits")
        _fail(f"unexpected {type(error).__name__}: {error}; UNCERTAINTY_DEBUG=1 shows where, please report it")


class _Notes(logging.Handler):
    """Warnings of the library as notes, in the form of all others."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one."""
        from uncertainty.commands.shared import say_notes

        say_notes([record.getMessage()])


def _fail(message: str) -> None:
    from uncertainty.commands.shared import plainly

    typer.echo(f"error: {plainly(message)}", err=True)
    raise SystemExit(1)


if __name__ == "__main__":
    main()
