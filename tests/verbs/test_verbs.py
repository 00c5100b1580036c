"""Each command is a function of the same name and options, which writes the same files and returns what they say."""

import ast
import inspect
import textwrap

import numpy as np
import pytest
import typer
from conftest import CLASSES

from uncertainty import Screener, Verdicts, cli, verbs
from uncertainty.decisions.policies import Policy
from uncertainty.errors import InputError, ModelError
from uncertainty.images.sources import find_images
from uncertainty.verbs.ranges import RANGES, in_range

SHOWS = {"demo", "doctor", "estimators", "serve", "review", "watch"}
"""Commands that show something, or go on until they are ended; from Python there are `service.app.create_app` and
`service.watch.watch.watching`."""
COMMANDS = {name.replace("-", "_"): one for name, one in typer.main.get_command(cli.app).commands.items()}
OF_A_TERMINAL = {"rank": {"stop_below"}, "evaluate": {"details"}, "monitor": {"details"}}
"""Options that only print."""

MODELS = """
from torch import nn
from uncertainty.classifiers import Classifier, Preprocess

def tiny():
    net = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.AvgPool2d((8, 1)), nn.Flatten(),
                        nn.Dropout(0.3), nn.Linear(48, 3))
    return Classifier.from_module(net, ["cat", "dog", "eel"], Preprocess(size=8, mean=(0.5,) * 3, std=(1.0,) * 3))
"""


def test_every_command_has_its_function():
    assert sorted(verbs.__all__) == verbs.__all__ == sorted(COMMANDS.keys() - SHOWS)


@pytest.mark.parametrize("name", verbs.__all__)
def test_no_option_is_ignored(name):
    verb = getattr(verbs, name)
    body = ast.parse(textwrap.dedent(inspect.getsource(verb))).body[0].body
    read = {node.id for part in body for node in ast.walk(part) if isinstance(node, ast.Name)}
    assert inspect.signature(verb).parameters.keys() <= read


@pytest.mark.parametrize("name", verbs.__all__)
def test_the_options_are_those_of_the_command(name):
    given = inspect.signature(getattr(verbs, name)).parameters
    known = {one.name for one in COMMANDS[name].params} - {"help"} - OF_A_TERMINAL.get(name, set())
    of_policy = set(inspect.signature(Policy.of).parameters) if "policy" in given else set()
    assert known - of_policy == given.keys() - {"policy", "progress"}


def with_a_range():
    """Every (command, option, smallest, largest) of the command line; largest None: no end."""
    for command in cli.app.registered_commands:
        for option, p in inspect.signature(command.callback, eval_str=True).parameters.items():
            told = next((one for one in getattr(p.annotation, "__metadata__", ()) if hasattr(one, "min")), None)
            if told is not None and told.min is not None:
                yield command.callback.__name__, option, told.min, told.max


def test_every_range_of_the_command_line_is_that_of_the_verb():
    found = list(with_a_range())
    assert {option for _, option, *_ in found} == RANGES.keys()
    for _, option, least, most in found:
        assert RANGES[option][:2] == (least, most), option


@pytest.mark.parametrize(("name", "option", "least", "most"), [one for one in with_a_range() if one[0] not in SHOWS])
def test_a_verb_refuses_what_its_command_refuses(name, option, least, most):
    verb = getattr(verbs, name)
    if option in OF_A_TERMINAL.get(name, ()):
        return
    needed = [
        p for p in inspect.signature(verb).parameters.values() if p.default is p.empty and p.kind < p.VAR_POSITIONAL
    ]
    given = {p.name: "nowhere" for p in needed}
    for value in [
        least - 1,
        *([] if most is None else [most + 1]),
        float("nan"),
        "many",
        float("inf"),
        np.array([least, least]),
    ]:
        with pytest.raises(InputError, match=rf"^{option} is .*; it must be a (whole )?number, "):
            verb(**given | {option: value})


def test_numbers_of_any_kind_arrive_as_numbers_of_python():
    @in_range
    def verb(*, seed=0, precision=None, **policy):
        return seed, precision, policy

    found = verb(seed=np.int64(3), precision=np.float64(0.5), budget=np.float32(0.25))
    assert found == (3, 0.5, {"budget": 0.25})
    assert [type(value) for value in (*found[:2], found[2]["budget"])] == [int, float, float]
    for seed in (2.5, 1.0, "3", 2j, np.array(1)):
        with pytest.raises(InputError, match=r"^seed is .*; it must be a whole number, 0 or more$"):
            verb(seed=seed)


@pytest.fixture(scope="module")
def fitted(world, tmp_path_factory):
    """A screener that the function fitted from a spec, in a folder with the module of its model."""
    from safetensors.torch import save_file

    home = tmp_path_factory.mktemp("verbs")
    (home / "models_of_verbs.py").write_text(MODELS, "utf-8")
    save_file(world.classifier.network.module.state_dict(), home / "w.safetensors")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(home)
        spec = f"models_of_verbs:tiny?weights={home / 'w.safetensors'}"
        sets = (str(world.calibration), home / "screener", world.reference)
        screener = verbs.fit(spec, *sets, passes=3, expect_unknown=0, expect_damage=0, budget=0.2, no_cache=True)
        assert screener.budget == 0.2
        yield home / "screener"


def test_a_saved_screener_loads_its_model(fitted, world):
    screener = Screener.load(str(fitted))
    assert len(screener.screen(world.incoming)) == 40
    alone = Screener.load(fitted, None)
    with pytest.raises(ModelError, match=r"loaded without its classifier; load it with Screener\.load"):
        alone.screen(world.incoming)


def test_from_images_to_all_that_is_said_of_them(fitted, world, tmp_path, capsys):
    out = tmp_path / "out"
    done = verbs.screen(fitted, world.incoming, str(out), progress=True)
    assert capsys.readouterr().err.endswith("\n")
    assert done.summary["images"] == len(Verdicts.read(out)) == 40
    paths = sorted(path.name for path in world.incoming.iterdir())
    rows = [f"{name},{CLASSES[k % 3]}" for k, name in enumerate(paths)]
    (tmp_path / "labels.csv").write_text("\n".join(["file_name,label", *rows]), "utf-8")
    told = str(tmp_path / "labels.csv")
    found = verbs.evaluate(out, told, resamples=10)
    assert found.evaluation.n == 40
    assert len(verbs.rank(out, 5, seed=1).table) == 5
    assert verbs.labels(out, told, resamples=10).table.num_rows == 40
    assert verbs.slices(str(out), told) is not None
    assert verbs.monitor(out, fitted).to_json()
    assert verbs.report(out, told).path == out / "report.html"
    assert verbs.export(out, "csv", tmp_path / "all.csv").images == 40
    assert verbs.compare(out, out, told, out=tmp_path / "both", resamples=10).to_json()
    with pytest.raises(InputError, match="two questions"):
        verbs.policy(fitted, budget=0.1, max_error=0.1)
    assert verbs.policy(fitted, max_error=0.1, dry_run=True).policy != verbs.policy(fitted).policy


def test_a_data_set_in_a_folder_has_the_verdicts_of_its_files(fitted, world, tmp_path):
    from uncertainty.images.decoding import decode

    items = list(find_images(world.incoming))

    class Held:
        def __len__(self):
            return len(items)

        def __getitem__(self, index):
            return decode(items[index % len(items)].data).pixels

    verbs.screen(fitted, world.incoming, tmp_path / "files")
    verbs.screen(Screener.load(fitted), Held(), tmp_path / "held", batch_size=16)
    files, held = (Verdicts.read(tmp_path / name) for name in ("files", "held"))
    assert held["file_name"] == [str(k) for k in range(40)]
    assert np.allclose(held["p_wrong"], files["p_wrong"], atol=1e-6)
    with pytest.raises(InputError, match="can't be counted"):
        verbs.screen(fitted, (one for one in [np.zeros((8, 8, 3), np.uint8)]), tmp_path / "none")


def test_choices_that_there_are_not_are_refused_by_name(tmp_path):
    with pytest.raises(InputError, match="effort is 'much'; choose one of fast, balanced, thorough"):
        verbs.fit("x:y", tmp_path, tmp_path / "s", effort="much")
    with pytest.raises(InputError, match="engine is 'rya'; choose one of local, ray"):
        verbs.screen(tmp_path, tmp_path, tmp_path / "out", engine="rya")
