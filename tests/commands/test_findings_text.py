"""What is printed of classes, slices and comparisons: names as they are, every number from the report."""

import numpy as np
import pyarrow as pa
import pytest
from rich.console import Console

from uncertainty.commands.findings_text import class_table, findings_text, slice_table, slices_text
from uncertainty.evaluation.confusion import class_report
from uncertainty.evaluation.outcomes import Outcomes
from uncertainty.evaluation.slices import slice_report


def printed(table, width=160):
    console = Console(width=width, file=open("/dev/null", "w"), record=True)
    with console.file:
        console.print(table)
        return console.export_text()


def outcomes(classes, n=400, seed=0, camera=None):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, len(classes), n)
    said = np.where(rng.random(n) < 0.8, truth, rng.integers(0, len(classes), n))
    found = Outcomes.from_arrays(truth, said, classes=classes)
    columns = {"flagged": rng.random(n) < 0.5}
    object.__setattr__(found, "table", pa.table(columns | ({} if camera is None else {"meta_camera": camera})))
    return found


@pytest.mark.parametrize("width", [40, 100, 160])
def test_hostile_class_names_are_printed_as_they_are(width):
    names = ["[red]", "[/x]", "two\nlines", ":smile:"]
    report = class_report(outcomes(names))
    text = printed(class_table(report), width)
    if width > 100:
        assert all(name in text for name in ("[red]", "[/x]", "'two\\nlines'", ":smile:"))
    assert "\nlines" not in findings_text(report, slice_report(outcomes(names)))


def test_every_class_has_a_row_with_its_numbers():
    report = class_report(outcomes(["cat", "dog", "eel"]))
    lines = printed(class_table(report)).splitlines()[1:]
    for line, row in zip(lines, report.per_class, strict=True):
        words = line.split()
        assert words[0] == row.class_name
        assert words[1] == f"{row.precision:.1%}"
        assert words[5:] == [
            str(n)
            for n in (
                row.support,
                row.false_positives,
                row.false_positives_flagged,
                row.false_negatives,
                row.false_negatives_flagged,
            )
        ]


def test_of_many_classes_the_worst_are_shown():
    report = class_report(outcomes([f"c{k}" for k in range(50)], 2000))
    shown = [line.split()[0] for line in printed(class_table(report)).splitlines()[1:]]
    worst = sorted(report.per_class, key=lambda row: row.f1)[:20]
    assert len(shown) == 20
    assert {row.f1 for row in report.per_class if row.class_name in shown} == {row.f1 for row in worst}
    assert "the 20 worst of 50 classes" in findings_text(report, slice_report(outcomes(["cat"])))


def test_what_the_slices_say():
    camera = np.array(["[b]roof", "door"])[np.arange(400) % 2]
    nothing = slice_report(outcomes(["cat", "dog"], camera=camera))
    assert slices_text(nothing) == "none of 2 slices goes with errors beyond the mix of its classes"
    assert "camera = [b]roof" in printed(slice_table(nothing))
    none = slice_report(outcomes(["cat", "dog"]))
    assert slices_text(none) == "no slice has enough images to be compared"
    bad = outcomes(["cat", "dog"], camera=camera)
    bad = Outcomes.from_arrays(bad.truth, np.where(camera == "door", bad.truth, 1 - bad.truth), classes=["cat", "dog"])
    object.__setattr__(bad, "table", pa.table({"meta_camera": camera}))
    text = slices_text(slice_report(bad))
    assert "images with camera = [b]roof go with more errors: 100.0% of 200 wrong" in text
    assert "images with camera = door go with fewer errors: 0.0% of 200 wrong" in text
