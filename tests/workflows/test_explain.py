"""What a screener says of single images."""

from dataclasses import replace

import pytest

from tests.output_tables import tables
from uncertainty import Verdicts, verbs
from uncertainty.errors import InputError, ModelError
from uncertainty.workflows.explain import explain_images


def test_images_are_explained_by_their_verdict_and_what_they_are_like(world, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no image")
    paths = [*sorted(world.incoming.iterdir())[:3], tmp_path / "bad.png", *sorted(world.reference.rglob("*.png"))[:1]]
    found = explain_images(world.screener, paths)
    rows = {row["file_name"]: row for row in world.screener.screen(world.incoming).table.to_pylist()}
    assert [one.file_name for one in found] == [path.name for path in paths]
    for one in found[:3]:
        row = rows[one.file_name]
        assert one.answer.p_wrong == pytest.approx(row["p_wrong"], abs=1e-6)
        assert (one.answer.predicted, one.answer.flagged) == (row["predicted_label"], row["flagged"])
        assert one.reasons
        assert [near.distance for near in one.nearest] == sorted(near.distance for near in one.nearest)
        assert {near.name for near in one.nearest} <= set(world.screener.known_good)
        assert not one.seen
    assert found[3].words() == [f"bad.png: can't be read ({found[3].error}), so it is flagged"]
    said = "flipped, the classifier answers cat"
    assert replace(found[0], voices=(said,)).words()[3] == said
    assert found[4].seen
    assert found[4].nearest[0].distance < 0.001
    assert found[4].words()[-1] == "this image fitted the screener, so its p_wrong is too low to be trusted"


def test_nothing_to_explain(world, tmp_path):
    with pytest.raises(InputError):
        explain_images(world.screener, [tmp_path / "gone.png"])


def test_rows_of_a_table_are_explained_without_a_network(world, tmp_path):
    reference, calibration, new = (
        tables.write_parquet(tmp_path / f"{tag}.parquet", tables.rows(n, seed, tag))
        for n, seed, tag in ((60, 0, "r"), (120, 1, "c"), (5, 2, "n"))
    )
    verbs.fit(None, calibration, tmp_path / "screener", reference=reference)
    found = verbs.explain(tmp_path / "screener", [new])
    verbs.screen(tmp_path / "screener", new, tmp_path / "out")
    rows = Verdicts.read(tmp_path / "out").table.to_pylist()
    p_wrong = {row["file_name"]: row["p_wrong"] for row in rows}
    assert {one.file_name: pytest.approx(one.answer.p_wrong, abs=1e-6) for one in found} == p_wrong
    with pytest.raises(ModelError, match="fitted on tables of outputs, without a network"):
        verbs.explain(tmp_path / "screener", [new, world.incoming])
    with pytest.raises(InputError, match="this screener was fitted on images, with its network"):
        explain_images(world.screener, [new])


def test_ray_takes_paths(world, tmp_path):
    with pytest.raises(InputError, match="engine='ray' takes screener and images as paths"):
        verbs.screen(world.screener, world.incoming, tmp_path / "out", engine="ray")
