"""The desk as a whole: who gets which image, what he said of it, and how the review stands."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from uncertainty.defaults import LEASE, STOP_BELOW
from uncertainty.errors import InputError, ModelError, UncertaintyError, in_one_line, printable
from uncertainty.images.decoding import Reading
from uncertainty.labels.tables import named_classes, task_of
from uncertainty.report.data import described
from uncertainty.report.rows import Rows
from uncertainty.screening.saved_screener import SavedScreener
from uncertainty.service.desk.answers import Answer, Kind, Vocabulary
from uncertainty.service.desk.counted import Counted, Screened
from uncertainty.service.desk.labels_file import write_labels
from uncertainty.service.desk.looks import Looks
from uncertainty.service.desk.pictures import Shown
from uncertainty.service.desk.plan import Plan, ordered
from uncertainty.service.desk.standing import Standing, agreed, standing
from uncertainty.service.desk.stopping import NEXT
from uncertainty.service.desk.store import FILE, Given, Saved, Store
from uncertainty.service.desk.turns import How, Person, Turns, TurnSettings
from uncertainty.service.problems import Refused, without_paths
from uncertainty.verdicts import Verdicts, file_of, folder_of, input_root, read_summary

logger = logging.getLogger("uncertainty")
_LONGEST_NAME = 60
_KEPT = 256  # records: of every image one is asked for with each answer that comes before it
_UNSHOWN = ("standing", "scores", "label", "wrong")


@dataclass(frozen=True)
class DeskSettings:
    """What is reviewed, and how.

    Parameters
    ----------
    out : folder of a screening.
    saved : its screener, to look again at images and to be updated; None: neither.
    images, reference : where the screened and the known-good images are now; None: where they were screened; nowhere.
    database : file that keeps the labels; None: `review.sqlite` in `out`.
    plan : the order of the images.
    stop_below : share of errors from which on a look is worth it.
    lease : seconds after which an image that nobody answered goes to somebody else.

    """

    out: Path
    saved: SavedScreener | None = None
    images: Path | None = None
    reference: Path | None = None
    database: Path | None = None
    plan: Plan = field(default_factory=Plan)
    stop_below: float = STOP_BELOW
    lease: float = LEASE

    def __post_init__(self) -> None:
        file_of(self.out)  # says what is wrong where nothing was screened
        for given in (self.images, self.reference):
            if given is not None and not given.exists():
                raise InputError(f"{given} does not exist; give the place where the images are")
        if not self.lease > 0:
            raise InputError(f"lease is {self.lease:g} seconds; it must be above 0")

    @property
    def file(self) -> Path:
        """The file that keeps the labels."""
        return self.database or folder_of(self.out) / FILE


class TakenError(Exception):
    """Somebody else has this image now, or has answered it."""


class Desk:
    """One review, for any number of people at the same time."""

    def __init__(self, settings: DeskSettings) -> None:
        """Open the review of an output folder, or begin it; InputError where its file is of another screening."""
        self.settings, self.lock = settings, threading.RLock()
        self.verdicts = Verdicts.read(settings.out)
        told = read_summary(settings.out)
        self.store, self._known = Store(settings.file), dict[str, Person]()
        self.notes = self._begun()
        order, draw = self.store.order()
        self.screened = _screened(self.verdicts, _classes(self.verdicts, told, settings.saved), order)
        second = settings.plan.second_look(len(self.screened.names))
        self.turns = Turns(order, draw, TurnSettings(settings.plan.explore, second, settings.lease))
        self.counted = Counted(self.screened, answers := self.store.standing())
        for one in answers:
            self._note(one)
        self._recorded = lru_cache(_KEPT)(self._record)
        root = settings.images or input_root(told)
        reading = Reading.from_dict(self.verdicts.provenance.get("reading"))
        self.shown = Shown(self.screened.names, root if root is not None and root.exists() else None, reading)
        self.looks = None if settings.saved is None else self._looks_by(settings.saved)

    @property
    def vocabulary(self) -> Vocabulary:
        """The classes that can be chosen."""
        return self.screened.vocabulary

    def close(self) -> None:
        """Write the labels as a table, if there are any and there is room for it, and close their file."""
        with self.lock:
            try:
                if self.counted.people.total():
                    self.write_labels()
            except (OSError, UncertaintyError, Refused) as error:
                kept = f"they are in {self.store.path}; write them with --export-only"
                logger.error("the labels can't be written as a table: %s; %s", in_one_line(error), kept)
            finally:
                self.store.close()

    def write_labels(self) -> Path:
        """Write the labels beside the verdicts; return their file."""
        return write_labels(folder_of(self.settings.out), self.screened, self.store.standing())

    def sign_in(self, name: str) -> str:
        """Return a token for a person; InputError for a name that can't be shown in a line."""
        name = " ".join(name.split())
        if not name or len(name) > _LONGEST_NAME or printable(name) != name:
            raise InputError(f"a name has 1 to {_LONGEST_NAME} characters that can be printed; choose another")
        token = secrets.token_urlsafe(24)
        self.store.add_person(token, name)
        return token

    def person(self, token: str) -> Person | None:
        """Return who has a token."""
        if token not in self._known and (found := self.store.person(token) if token else None) is not None:
            self._known[token] = Person(token, found)
        return self._known.get(token)

    def take(self, who: Person, count: int) -> list[dict[str, Any]]:
        """Return the images that a person looks at now and next, with all that there is to say of them."""
        with self.lock:
            return [self.record(item, how) for item, how in self.turns.take(who, count)]

    def open(self, item: int, who: Person) -> dict[str, Any]:
        """Lend an image that has an answer to a person who wants to look at it again; TakenError where somebody has it.

        Others can't be asked for: who chose them would undo the draw.
        """
        with self.lock:
            if not self.turns.said(item):
                raise InputError(f"image {item} has no answer yet; it will come up by itself")
            if not self.turns.open(item, who):
                raise TakenError
            return self.record(item, How.OPENED)

    def answer(self, who: Person, item: int, answer: Answer, how: How, seconds: float | None = None) -> Saved:
        """Keep an answer; when this returns it is on the disk. TakenError where the image is another's by now.

        `how` is what the page was told; it counts where the lease is gone, by a restart.
        """
        with self.lock:
            if not (0 <= item < len(self.screened.names) and self.screened.places[item] >= 0):
                raise InputError(f"there is no image {item} in this review")
            lease = self.turns.lease(item)
            if lease is not None and lease.holder != who.holder:
                raise TakenError
            others = self.turns.said(item) - {who.annotator}
            if lease is None and others and who.annotator not in self.turns.said(item):
                raise TakenError
            first = next((one.how for one in self.counted.of(item) if one.answer.judged), None)
            came = How.RANKED if how in (How.SECOND, How.OPENED) else how
            if lease is not None and lease.how in (How.RANKED, How.DRAWN):
                came = lease.how
            saved = self.store.add(Given(item, who.annotator, answer, first or came, who.holder, seconds))
            self.counted.add(saved)
            self._note(saved)
            return saved

    def undo(self, who: Person) -> dict[str, Any] | None:
        """Take back a person's last answer and lend him the image again; None where there is nothing to take back."""
        with self.lock:
            taken = self.store.withdraw(who.annotator, who.holder)
            if taken is None:
                return None
            self.counted.remove(taken)
            self.turns.withdrawn(taken.item, who.annotator)
            if not self.turns.open(taken.item, who, How(taken.how)):
                raise TakenError
            said = taken.answer.label if taken.answer.kind is Kind.CLASS else None
            return self.record(taken.item, How(taken.how)) | {
                "before": taken.answer.label or taken.answer.kind.value,
                "chosen": None if said is None else self.vocabulary.positions(said),
            }

    def again(self, who: Person) -> None:
        """Show a person again what he skipped."""
        with self.lock:
            self.store.unskip(who.annotator)
            self.counted.unskip(who.annotator)
            self.turns.again(who.annotator)

    def standing(self) -> Standing:
        """Return how the review stands."""
        with self.lock:
            return standing(self.counted, self.turns.ahead(NEXT), self.settings.stop_below)

    def agreement(self) -> list[Any]:
        """Return how far people agree."""
        return agreed(self.screened, self.store.standing())

    def record(self, item: int, how: How) -> dict[str, Any]:
        """Return what the page needs of an image."""
        return self._recorded(item) | {"how": how.value}

    def _record(self, item: int) -> dict[str, Any]:
        one = self.verdicts.table.slice(item, 1)
        found = described(Rows.of(one), [0], list(self.vocabulary.classes))[0]
        kept = {name: value for name, value in found.items() if name not in _UNSHOWN}
        said = self.vocabulary.positions(one["predicted_label"][0].as_py())
        return kept | {"item": item, "rank": one["rank"][0].as_py(), "said": said}

    def _looks_by(self, saved: SavedScreener) -> Looks | None:
        """Return what looks again at images; None, with a note, where the screener has no network to do so."""
        try:
            saved.load_for_workers()
        except ModelError as error:
            self.notes = [*self.notes, f"no heat maps and explanations: {without_paths(str(error))}"]
            return None
        return Looks(self.verdicts, self.shown, saved, self.settings.reference)

    def _begun(self) -> list[str]:
        asked, known = self.settings.plan.about(self.settings.out), self.store.about()
        if not known:
            queue, draw, notes = ordered(self.verdicts, self.settings.out, self.settings.plan)
            self.store.begin(asked, queue, draw)
            return notes
        if known.get("verdicts") != asked["verdicts"]:
            raise InputError(
                f"{self.store.path} keeps the labels of another screening than is in {self.settings.out}; name a new "
                "file with --database"
            )
        if changed := [name for name in asked if asked[name] != known.get(name)]:
            name = changed[0]
            raise InputError(
                f"the review in {self.store.path} was begun with {name} {known.get(name)}, not {asked[name]}; go on "
                f"with that, or name a new file with --database"
            )
        return []

    def _note(self, saved: Saved) -> None:
        if saved.answer.kind is Kind.SKIP:
            self.turns.skipped(saved.item, saved.annotator)
        else:
            self.turns.answered(saved.item, saved.annotator)


def _classes(verdicts: Verdicts, told: Mapping[str, Any], saved: SavedScreener | None) -> tuple[str, ...]:
    """Return the names of the classes: as the screener has them, or as far as the verdicts tell."""
    if saved is not None:
        return tuple(saved.load_alone().model.classes)
    return tuple(map(str, verdicts.classes or told.get("classes") or named_classes(verdicts.table)))


def _screened(verdicts: Verdicts, classes: tuple[str, ...], order: list[int]) -> Screened:
    table = verdicts.table
    places = np.full(len(table), -1, dtype=np.int64)
    places[order] = np.arange(len(order))
    errors = (verdicts.provenance.get("calibrated_on") or {}).get("errors")
    return Screened(
        names=table["file_name"].to_pylist(),
        predicted=table["predicted_label"].to_pylist(),
        p_wrong=np.asarray(table["p_wrong"].to_numpy(zero_copy_only=False), dtype=np.float64),
        places=places,
        vocabulary=Vocabulary(classes, task_of(table)),
        calibration_errors=errors if isinstance(errors, int) else None,
    )
