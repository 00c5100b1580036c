"""Out to a tool, labelled there, and back: each tool's own form, from a ranking to evaluate and update."""

import json
import re
import shutil
import zipfile

import pytest

from uncertainty.errors import InputError
from uncertainty.evaluation.labelled_folder import labelled
from uncertainty.exports.export import export
from uncertainty.labels.inclusion import read_inclusion
from uncertainty.workflows.check_labels import by_annotator, check_labels, words
from uncertainty.workflows.evaluate import evaluate_folder
from uncertainty.workflows.rank import rank_folder
from uncertainty.workflows.screen import screen_into
from uncertainty.workflows.update import update_folder

TAKEN = 30


@pytest.fixture(scope="module")
def screened(world, tmp_path_factory):
    out = tmp_path_factory.mktemp("screened") / "out"
    screen_into(out, world.screener, world.incoming)
    return out


@pytest.fixture
def out(screened, tmp_path):
    folder = shutil.copytree(screened, tmp_path / "out")
    rank_folder(folder, TAKEN, folder / "ranking.csv")
    return folder


@pytest.fixture(scope="module")
def truth(world):
    names = sorted(path.name for path in world.incoming.iterdir())
    return {name: world.screener.model.classes[i % 3] for i, name in enumerate(names)}


def label_studio(out, folder, truth):
    """Two annotators: ann says the truth, ben only of the first ten and once otherwise."""
    export(out / "ranking.csv", "label-studio", folder / "tasks")
    tasks = json.loads((folder / "tasks" / "tasks.json").read_text("utf-8"))
    for k, task in enumerate(tasks):
        result = task["predictions"][0]["result"][0]

        def answer(label, who, result=result):
            return {"completed_by": who, "was_cancelled": False, "result": [result | {"value": {"choices": [label]}}]}

        right = truth[task["data"]["file_name"]]
        wrong = next(name for name in sorted(set(truth.values())) if name != right)
        task["annotations"] = [answer(right, 1)] + ([answer(wrong if k == 0 else right, 2)] if k < 10 else [])
        task["data"]["inclusion"] = 0.75
    (folder / "export.json").write_text(json.dumps(tasks), "utf-8")
    return folder / "export.json"


def cvat_xml(out, folder, truth):
    """A zip of CVAT: tags that were right stay, the others are made anew by hand."""
    export(out / "ranking.csv", "cvat", folder / "cvat")
    text = (folder / "cvat" / "annotations.xml").read_text("utf-8")

    def corrected(found):
        label = truth[found[1]]
        return (
            found[0]
            if f'label="{label}"' in found[0]
            else re.sub('label="[^"]*" source="auto"', f'label="{label}"', found[0])
        )

    text = re.sub(r'<image id="\d+" name="([^"]*)".*?</image>', corrected, text, flags=re.DOTALL)
    with zipfile.ZipFile(folder / "back.zip", "w") as archive:
        archive.writestr("annotations.xml", text)
    return folder / "back.zip"


def cvat_folders(out, folder, truth):
    """Class folders, images moved to where they belong."""
    export(out / "ranking.csv", "cvat-folders", folder / "sorted", place="copy")
    for path in sorted((folder / "sorted").rglob("*.png")):
        label = truth[path.name.partition("_")[2]]
        target = folder / "back" / label / f"{label}_{path.name.partition('_')[2]}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, target)
    return folder / "back"


def table(out, folder, truth):
    """A CSV export with a column added."""
    export(out / "ranking.csv", "csv", folder / "x.csv")
    lines = (folder / "x.csv").read_text("utf-8").splitlines()
    names = [line.split(",")[1] for line in lines[1:]]
    rows = [lines[0] + ",label", *(f"{line},{truth[name]}" for line, name in zip(lines[1:], names, strict=True))]
    (folder / "back.csv").write_text("\n".join(rows), "utf-8")
    return folder / "back.csv"


@pytest.mark.parametrize("tool", [label_studio, cvat_xml, cvat_folders, table])
def test_what_comes_back_is_the_truth(world, out, truth, tmp_path, tool):
    back = tool(out, tmp_path, truth)
    found = evaluate_folder(out, back, resamples=5)
    differing = int(tool is label_studio)
    assert found.match.matched == TAKEN - differing
    assert found.returned.labels.items() <= truth.items()
    assert found.returned.counts == ({"different answers": 2} if differing else {})
    assert (out / "labels_kept_apart.csv").exists() == bool(differing)
    verdicts = {row["file_name"]: row["predicted_label"] for row in found_rows(out)}
    assert found.evaluation.n_errors == sum(verdicts[n] != label for n, label in found.returned.labels.items())


def found_rows(out):
    from uncertainty.verdicts import Verdicts

    return Verdicts.read(out).table.to_pylist()


def test_update_takes_labels_and_chances_from_label_studio(world, out, truth, tmp_path):
    world.screener.save(tmp_path / "screener")
    back = label_studio(out, tmp_path, truth)
    assert set(read_inclusion(back).values()) == {0.75}
    found, _ = update_folder(tmp_path / "screener", out, back, into=tmp_path / "new")
    assert found.labelled == TAKEN - 1
    assert found.left_out["labels kept apart, different answers"] == 2
    assert any("different answers" in note for note in found.notes)
    with pytest.raises(InputError, match="has no column 'chance'"):
        update_folder(tmp_path / "screener", out, back, into=tmp_path / "newer", column="chance")


def test_agreement_and_likely_errors_of_what_came_back(world, out, truth, tmp_path):
    back = label_studio(out, tmp_path, truth)
    told = by_annotator(labelled(out, back))
    assert {who: len(given) for who, given in told.items()} == {"1": TAKEN, "2": 10}
    check = check_labels(out, back, resamples=20)
    (one,) = check.agreement
    assert (one.pair, one.n, one.observed) == (("1", "2"), 10, 0.9)
    assert any(line.startswith("1 and 2: 90.0% equal on 10 shared images, Cohen's kappa 0.") for line in words(check))
    assert len(check.table) == TAKEN - 1
    score = check.table["label_wrong"].to_pylist()
    assert score == sorted(score, reverse=True)
    assert (
        (out / "label_errors.csv").read_text("utf-8").startswith("file_name,label,suggested,label_wrong,likely,p_wrong")
    )
