"""Answers kept on disk: the very same ones, never trusted where they are not whole, never more than there is room."""

import numpy as np
import pytest
import torch
from torch import nn

from uncertainty.classifiers import Classifier, Preprocess, pass_cache
from uncertainty.classifiers.network import Network
from uncertainty.classifiers.pass_cache import CachedNetwork, PassCache, cached
from uncertainty.errors import InputError
from uncertainty.screener import Screener

WAY = Preprocess(size=8)
INPUTS = np.random.default_rng(0).normal(size=(5, 3, 8, 8)).astype(np.float32)


def module(seed=0, drop=0.3):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Dropout(drop), nn.Linear(144, 3))


@pytest.fixture
def network():
    return Network.probe(module(), np.zeros((3, 8, 8), np.float32))


@pytest.fixture
def cache(tmp_path):
    return PassCache(tmp_path / "c")


def kept(cache):
    return sorted(cache.folder.glob("??/*"))


def same(one, other):
    names = ("logits", "features", "mc_logits", "tta_logits")
    pairs = [(getattr(one, name), getattr(other, name)) for name in names]
    return all((a is None and b is None) or (a.dtype == b.dtype and np.array_equal(a, b)) for a, b in pairs)


LOOKS = [(0, 0, ()), (4, 0, ()), (4, 1, ("flip",)), (0, 0, ("shift", "flip")), (4, 0, ("zoom",))]


def test_answers_are_the_same_to_the_last_bit_whatever_was_there(network, cache):
    looking = CachedNetwork.of(network, WAY, cache)
    for look in (*LOOKS, *LOOKS):
        assert same(looking(INPUTS, *look), network(INPUTS, *look))
    again = PassCache(cache.folder)
    assert same(CachedNetwork.of(network, WAY, again)(INPUTS, *LOOKS[2]), network(INPUTS, *LOOKS[2]))
    assert (again.hits, again.misses, again.written) == (3, 0, 0)


def test_nothing_is_run_that_is_there(network, cache):
    ran = []
    network.module[0].register_forward_hook(lambda m, x, y: ran.append(len(x[0])))
    looking = CachedNetwork.of(network, WAY, cache)
    looking(INPUTS, 4, 0, ("flip",))
    ran.clear()
    looking(INPUTS, 4, 0, ("flip",))
    assert ran == []
    looking(INPUTS, 4, 0, ("flip", "zoom"))
    assert ran == [5]


def test_a_network_whose_images_run_alone_is_looked_up_image_by_image(network, cache):
    from dataclasses import replace

    alone = replace(network, habits=replace(network.habits, alone=True))
    looking = CachedNetwork.of(alone, WAY, cache)
    assert same(looking(INPUTS, 4), alone(INPUTS, 4))
    assert same(looking(INPUTS[2:3], 4), alone(INPUTS[2:3], 4))
    assert len(kept(cache)) == 2 * 5
    assert cache.hits == 2


@pytest.mark.parametrize("other", [module(seed=1), module(drop=0.31), nn.Sequential(*module()[:3], nn.Linear(144, 3))])
def test_another_network_is_not_this_one(cache, other):
    example = np.zeros((3, 8, 8), np.float32)
    keys = [CachedNetwork.of(Network.probe(m, example), WAY, cache).known_by for m in (module(), module(), other)]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize("harm", ["cut", "bit", "empty", "text", "other key"])
def test_a_file_that_is_not_whole_or_of_another_key_is_made_anew(network, cache, harm, caplog):
    looking = CachedNetwork.of(network, WAY, cache)
    first = looking(INPUTS)
    other = looking(INPUTS + 1)
    path, of_other = kept(cache)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    harmed = {"cut": data[:-9], "bit": data, "empty": b"", "text": b"no tensors" * 9}
    path.write_bytes(of_other.read_bytes() if harm == "other key" else harmed[harm])
    assert same(looking(INPUTS), first)
    assert same(looking(INPUTS + 1), other)
    assert cache.damaged == 1
    cache.close()
    assert "1 files of the cache" in caplog.text
    again = PassCache(cache.folder)
    assert same(CachedNetwork.of(network, WAY, again)(INPUTS), first)
    assert (again.damaged, again.misses) == (0, 0)


def test_a_cache_that_cannot_be_written_costs_nothing_but_itself(network, cache, caplog):
    cache.folder.parent.joinpath("c").write_text("")
    with pytest.raises(InputError, match="is a file; name a folder, or go without one"):
        PassCache(cache.folder)
    looking = CachedNetwork.of(network, WAY, cache)
    assert same(looking(INPUTS), network(INPUTS))
    assert same(looking(INPUTS), network(INPUTS))
    assert caplog.text.count("goes on without it") == 1


def test_what_was_not_used_for_longest_goes_and_nothing_of_others(network, cache, tmp_path):
    import os

    looking = CachedNetwork.of(network, WAY, cache)
    for k in range(4):
        looking(INPUTS + k)
    files = kept(cache)
    for age, path in enumerate(files):
        os.utime(path, (1e9 - age, 1e9 - age))
    stranger = cache.folder / "ab" / "notes.safetensors"
    stranger.parent.mkdir(exist_ok=True)
    stranger.write_text("mine")
    small = PassCache(cache.folder, most_bytes=sum(path.stat().st_size for path in files[:2]))
    small.close()
    assert kept(cache) == sorted([*files[:2], stranger])
    assert (cache.folder / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")


def test_no_fit_writes_more_than_the_cache_may_hold(network, tmp_path):
    small = PassCache(tmp_path / "c", most_bytes=10)
    looking = CachedNetwork.of(network, WAY, small)
    assert same(looking(INPUTS), network(INPUTS))
    assert kept(small) == []


def test_a_second_opinion_is_looked_up_too(cache):
    classifier = Classifier.from_module(module(), preprocess=WAY)
    with_it = classifier.with_embedder(Classifier.from_module(module(seed=1), preprocess=WAY))
    pixels = np.random.default_rng(1).integers(0, 256, (4, 9, 9, 3), np.uint8)
    plain = [one.run(pixels, passes=2, batch_size=3) for one in (classifier, with_it)]
    looked = [cached(one, cache).run(pixels, passes=2, batch_size=3) for one in (classifier, with_it, with_it)]
    assert cache.misses == 2 * 2 + 2
    for one, other in zip([*plain, plain[1]], looked, strict=True):
        for name in ("logits", "features", "mc_probs", "embedding", "quality"):
            assert np.array_equal(getattr(one, name), getattr(other, name))


def test_the_seal_is_of_the_key_and_of_every_array():
    arrays = {"a": np.zeros((2, 3), np.float32)}
    seals = [pass_cache._seal(*given).tobytes() for given in (("k", arrays), ("l", arrays), ("k", {"b": arrays["a"]}))]
    seals.append(pass_cache._seal("k", {"a": np.zeros((3, 2), np.float32)}).tobytes())
    assert len(set(seals)) == 4


def test_another_limit_of_a_layer_is_another_network(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    way = Preprocess(size=8, mean=0.0, std=1.0, range=255.0)
    found = []
    for limit in (50.0, 90.0):  # which no input of a usual size reaches, and bytes do
        layers = module()
        layers[1] = nn.Hardtanh(-limit, limit)
        classifier = Classifier.from_module(layers, preprocess=way)
        found.append(cached(classifier, PassCache(tmp_path)).run(images).logits)
        assert np.array_equal(found[-1], classifier.run(images).logits)
    assert not np.array_equal(*found)


def test_other_code_of_a_layer_is_another_network(tmp_path, monkeypatch):
    def known_by(source):
        (tmp_path / "its_code.py").write_text(source)
        return cached(Classifier.from_module(layers, preprocess=WAY), PassCache(tmp_path / "c")).network.known_by

    source = "from torch import nn\nclass Layer(nn.Flatten):\n    pass\n"
    (tmp_path / "its_code.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    layers = module()
    layers[2] = __import__("its_code").Layer()
    assert known_by(source) == known_by(source) != known_by(source + "# changed\n")


def test_a_cache_changes_nothing_of_a_screener(world, tmp_path):
    given = {"passes": 2, "expect_unknown": 0, "views": ("flip",)}
    plain, filling, filled = (
        Screener.fit(world.classifier, world.reference, world.calibration, cache=cache, **given)
        for cache in (None, tmp_path / "c", tmp_path / "c")
    )
    for name, screener in (("plain", plain), ("filling", filling), ("filled", filled)):
        screener.save(tmp_path / name)
    files = [sorted((tmp_path / name).iterdir()) for name in ("plain", "filling", "filled")]
    contents = [[(path.name, path.read_bytes()) for path in some] for some in files]
    assert contents[0] == contents[1] == contents[2]
    assert list((tmp_path / "c").glob("??/*.safetensors"))
