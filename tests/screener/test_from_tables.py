"""Screeners of tables: the verdicts of the same outputs, and what is refused."""

import numpy as np
import pytest

from tests.output_tables.tables import CLASSES, WRITERS, probabilities, rows, write_npz, write_parquet
from uncertainty import ModelOutputs, Screener
from uncertainty.combination.evidence import Shares
from uncertainty.decisions.policies import Policy
from uncertainty.defaults import EXPECT_UNKNOWN
from uncertainty.errors import CalibrationError, InputError, ModelError, OverlapError
from uncertainty.images.manifests import Columns, Grouping
from uncertainty.output_tables.output_table import OutputTable
from uncertainty.screener.fit_settings import FitSettings
from uncertainty.screener.from_tables import from_tables

SETS = {"train": 150, "val": 240, "new": 60}


def made(tag):
    return rows(SETS[tag], seed=list(SETS).index(tag), tag=tag)


def outputs(tag, **changes):
    data = made(tag)
    given = {"logits": data["logits"], "features": data["features"]} | changes
    return ModelOutputs(ids=data["name"], labels=[CLASSES.index(one) for one in data["label"]], **given)


def fitted(reference, calibration, **asked):
    settings = FitSettings(**{"shares": Shares(0.0, EXPECT_UNKNOWN), "policy": Policy.of(budget=0.1)} | asked)
    tables = [None if spec is None else OutputTable.open(spec) for spec in (reference, calibration)]
    return Screener.of(from_tables(*tables, settings))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    return {
        (tag, ending): write(folder / f"{tag}{ending}", made(tag)) for tag in SETS for ending, write in WRITERS.items()
    }


@pytest.fixture(scope="module")
def of_outputs():
    return Screener.fit_outputs(outputs("train"), outputs("val"), classes=CLASSES)


@pytest.fixture(scope="module")
def screener(written):
    return fitted(written["train", ".npz"], written["val", ".npz"])


@pytest.mark.parametrize("ending", WRITERS)
def test_a_table_is_judged_as_its_outputs_are(written, of_outputs, ending):
    judge = fitted(written["train", ending], written["val", ending])
    found = judge.screen(written["new", ending])
    expected = of_outputs.screen_outputs(outputs("new"))
    assert np.allclose(found.table["p_wrong"], expected.table["p_wrong"], atol=1e-6)
    assert found.table["predicted_label"].equals(expected.table["predicted_label"])
    assert found.table["file_name"].to_pylist() == made("new")["name"]


def test_probabilities_are_judged_as_those_of_outputs_and_the_size_of_logits_is_missed(tmp_path):
    tables = {}
    for tag in SETS:
        p = probabilities(made(tag)["logits"])
        tables[tag] = write_parquet(
            tmp_path / f"{tag}.parquet", {"name": made(tag)["name"], "probabilities": p, "label": made(tag)["label"]}
        )
    judge = fitted(tables["train"], tables["val"])
    alone = {
        tag: ModelOutputs.from_probs(one.ids, probabilities(made(tag)["logits"]), labels=one.labels)
        for tag in SETS
        for one in [outputs(tag)]
    }
    expected = Screener.fit_outputs(alone["train"], alone["val"], classes=CLASSES).screen_outputs(alone["new"])
    assert np.allclose(judge.screen(tables["new"]).table["p_wrong"], expected.table["p_wrong"], atol=1e-6)
    assert "energy is the same for all rows: the table holds probabilities, not logits" in judge.notes
    assert "feature_posterior, nn_distance and trust_ratio are off: there is no features" in judge.notes


def test_a_network_and_a_table_of_what_it_said_agree(world, tmp_path):
    """At equal evidence: no copies that only a network could be shown."""
    whole = Screener.fit(
        world.classifier, world.reference, world.calibration, passes=5, expect_damage=0, expect_unknown=0
    )
    specs = {}
    for tag, passes in (("reference", 0), ("calibration", 5), ("incoming", 5)):
        found = world.classifier.run(getattr(world, tag), passes=passes)
        columns = {name: getattr(found, name) for name in ("logits", "features", "quality", "mc_probs")}
        columns |= {"names": [f"{tag}/{name}" for name in found.ids], "classes": CLASSES}
        columns["labels"] = [name.split("/")[0] for name in found.ids]
        path = tmp_path / f"{tag}.npz"
        np.savez(path, **{name: values for name, values in columns.items() if values is not None})
        specs[tag] = f"table:{path}"
    judge = fitted(specs["reference"], specs["calibration"], shares=Shares(0.0, 0.0))
    found, expected = judge.screen(specs["incoming"]).table, whole.screen(world.incoming).table
    assert [e.name for e in judge.estimators] == [e.name for e in whole.estimators]
    assert np.abs(found["p_wrong"].to_numpy() - expected["p_wrong"].to_numpy()).max() < 1e-4


def test_a_screener_remembers_from_where_on_labels_are_given(tmp_path):
    specs = {}
    for tag in SETS:
        data = made(tag) | {"label": [f"{one};{CLASSES[0]}" for one in made(tag)["label"]]}
        specs[tag] = write_parquet(tmp_path / f"{tag}.parquet", data) + "?task=multilabel"
    judge = fitted(f"{specs['train']}&decision=0.3,0.8,0.6", specs["val"])
    judge.save(tmp_path / "screener")
    loaded = Screener.load(tmp_path / "screener", None)
    found = loaded.screen(specs["new"]).table
    for name, threshold in zip(CLASSES, (0.3, 0.8, 0.6), strict=True):
        said = [name in labels.split(";") for labels in found["predicted_label"].to_pylist()]
        assert said == (found[f"prob_{name}"].to_numpy() >= np.float32(threshold)).tolist()
    assert loaded.screen(f"{specs['new']}&decision=0.3,0.8,0.6").table["p_wrong"].equals(found["p_wrong"])
    with pytest.raises(
        InputError, match=r"is read with decision=0\.5,0\.8,0\.6, and what it belongs to with 0\.3,0\.8"
    ):
        loaded.screen(f"{specs['new']}&decision=0.5,0.8,0.6")


def test_one_table_is_divided(written):
    judge = fitted(None, written["val", ".csv"])
    assert judge.calibrated_on["calibration"] == SETS["val"] // 2
    assert judge.notes[0].startswith("one labelled table was given: 120 rows became the reference")


@pytest.mark.parametrize("beyond", [np.nan, 1e30])
def test_rows_that_are_not_whole_have_an_error_and_the_others_their_verdict(screener, tmp_path, beyond):
    data = made("new")
    data["logits"][3, 0] = beyond
    found = screener.screen(write_npz(tmp_path / "t.npz", data)).table
    whole = screener.screen_outputs(outputs("new").take(np.arange(SETS["new"]) != 3)).table
    error = found["error"].to_pylist()
    assert error[3] == "its logits are missing, NaN, infinite or beyond 1e18"
    assert error.count(None) == SETS["new"] - 1
    assert found["flagged"][3].as_py()
    assert np.allclose(np.delete(found["p_wrong"].to_numpy(), 3), whole["p_wrong"])


def test_it_is_saved_and_loaded(screener, written, tmp_path):
    screener.save(tmp_path / "s")
    again = Screener.load(tmp_path / "s")
    assert again.model.table == "logits"
    assert again.screen(written["new", ".csv"]).table.equals(screener.screen(written["new", ".csv"]).table)


def test_labels_of_a_table_stand_beside_the_verdicts(screener, written):
    table = screener.screen(written["new", ".parquet"]).table
    assert table["label"].to_pylist() == made("new")["label"]
    assert sum(one is False for one in table["correct"].to_pylist()) == int(outputs("new").wrong.sum())


def test_images_are_refused_and_tables_by_a_screener_of_images(screener, written, world):
    with pytest.raises(ModelError, match="fitted on tables of outputs, without a network: screen a table"):
        screener.screen(world.incoming)
    with pytest.raises(InputError, match="this screener was fitted on images, with its network: screen images"):
        world.screener.screen(written["new", ".npz"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: {k: v for k, v in d.items() if k != "features"}, "has no features, which trust_ratio"),
        (
            lambda d: {"name": d["name"], "probabilities": probabilities(d["logits"])},
            "holds probabilities; the screener",
        ),
        (lambda d: d | {"features": d["features"][:, :2]}, "features"),
        (lambda d: d | {"logits": d["logits"][:, :2]}, "2 outputs in each row and 3 class names"),
    ],
)
def test_a_table_of_something_else_is_refused(screener, tmp_path, change, message):
    spec = write_parquet(tmp_path / "t.parquet", change(made("new")), classes=None)
    with pytest.raises(Exception, match=message) as caught:
        screener.screen(spec)
    assert "\n" not in str(caught.value)


def test_sets_that_do_not_fit_are_refused(written, tmp_path):
    train, val = written["train", ".npz"], written["val", ".npz"]
    with pytest.raises(OverlapError, match="share 240 ids"):
        fitted(val, val)
    data = made("val")
    p = {"name": data["name"], "probabilities": probabilities(data["logits"]), "label": data["label"]}
    with pytest.raises(InputError, match=r"train.npz holds logits and .* probabilities"):
        fitted(train, write_parquet(tmp_path / "p.parquet", p))
    bare = write_parquet(tmp_path / "b.parquet", {k: v for k, v in data.items() if k != "label"})
    with pytest.raises(InputError, match="has no column label"):
        fitted(train, bare)
    with pytest.raises(CalibrationError, match=r"not one calibration label, e\.g\. 'ox', is a class"):
        fitted(train, write_parquet(tmp_path / "o.parquet", data | {"label": ["ox"] * SETS["val"]}))


def test_several_labels_an_image(tmp_path):
    specs, alone = {}, {}
    for tag in SETS:
        data = made(tag)
        logits, truth = data["logits"] - 1, (data["features"][:, :3] > 1).astype(int)
        specs[tag] = write_npz(tmp_path / f"{tag}.npz", data | {"logits": logits, "label": truth}) + "?task=multilabel"
        columns = {"features": data["features"], "labels": truth, "task": "multilabel"}
        alone[tag] = ModelOutputs(ids=data["name"], logits=logits, **columns)
    expected = Screener.fit_outputs(alone["train"], alone["val"], classes=CLASSES).screen_outputs(alone["new"])
    found = fitted(specs["train"], specs["val"]).screen(specs["new"])
    assert np.allclose(found.table["p_wrong"], expected.table["p_wrong"], atol=1e-6)


def test_groups_and_parts_of_a_data_set(written, tmp_path):
    data = made("val")
    told = {"patient": [f"p{k // 4}" for k in range(SETS["val"])], "split": ["val", "test"] * (SETS["val"] // 2)}
    spec = write_parquet(tmp_path / "t.parquet", data | told)
    table = OutputTable.open(spec, Columns(grouping=Grouping("patient"), split="val"))
    assert len(table) == SETS["val"] // 2
    assert OutputTable.open(spec).parts() == ["test", "val"]
    groups = table.groups(Columns(grouping=Grouping("patient")))
    assert groups[data["name"][6]] == "p1"
    of_column = OutputTable.open(f"{spec}?group=patient").groups(Columns())
    judge = fitted(written["train", ".npz"], spec, groups=of_column)
    expected = Screener.fit_outputs(outputs("train"), outputs("val"), classes=CLASSES, groups=of_column)
    assert np.allclose(judge.calibration.p_wrong, expected.calibration.p_wrong, atol=1e-6)
    assert judge.calibrated_on == expected.calibrated_on
    with pytest.raises(InputError, match="no rows of 'dev'; its parts are 'test', 'val'"):
        OutputTable.open(spec, Columns(split="dev"))
