from __future__ import annotations

import faiss
import numpy as np
import pytest
from problems import made_problem

from uncertainty.errors import InputError, OutputsError
from uncertainty.neighbors import NeighborIndex, normalised


def clusters(n: int, d: int = 24, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, 5, n)
    return np.random.default_rng(99).normal(size=(5, d))[classes] + 0.3 * rng.normal(size=(n, d)), classes


def brute_force(queries: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    q, v = normalised(queries).astype(np.float64), normalised(vectors).astype(np.float64)
    return np.sort(np.sqrt(((q[:, None] - v) ** 2).sum(axis=2)), axis=1)


@pytest.mark.parametrize("k", [1, 7, 300])
def test_search_equals_brute_force(k: int) -> None:
    x, y = clusters(300)
    queries, _ = clusters(40, seed=1)
    np.testing.assert_allclose(NeighborIndex.build(x, y).search(queries, k), brute_force(queries, x)[:, :k], atol=1e-12)


@pytest.mark.parametrize("k", [1, 3])
def test_class_distances_equal_brute_force_class_by_class(k: int) -> None:
    x, y = clusters(300)
    queries, _ = clusters(40, seed=1)
    index = NeighborIndex.build(x, y)
    found = index.class_distances(queries, k)
    assert index.known_classes.tolist() == [0, 1, 2, 3, 4]
    for column in range(5):
        np.testing.assert_allclose(found[:, column], brute_force(queries, x[y == column])[:, k - 1], atol=1e-12)


def test_a_class_with_fewer_than_k_vectors_answers_with_its_furthest() -> None:
    index = NeighborIndex.build([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], [4, 4, 9])
    np.testing.assert_allclose(index.class_distances([[1.0, 0.0]], k=5), [[np.sqrt(2), 2.0]])


def test_k_above_the_number_of_vectors_uses_all() -> None:
    x, y = clusters(6)
    assert NeighborIndex.build(x, y).search(x, 50).shape == (6, 6)


@pytest.mark.parametrize("size", [1, 3, 8, 50])
def test_no_answer_depends_on_how_many_queries_come_together(size: int) -> None:
    x, y = clusters(2000)
    near = x[:100] * (1 + 1e-5 * np.random.default_rng(2).normal(size=(100, 24)))
    index = NeighborIndex.build(x, y)
    parts = [near[i : i + size] for i in range(0, 100, size)]
    np.testing.assert_allclose(np.concatenate([index.search(p, 5) for p in parts]), index.search(near, 5), atol=1e-9)
    together = np.concatenate([index.class_distances(p, 2) for p in parts])
    np.testing.assert_allclose(together, index.class_distances(near, 2), atol=1e-9)


def test_more_queries_than_one_block_keep_their_rows() -> None:
    x, y = clusters(50)
    queries, _ = clusters(2500, seed=3)
    np.testing.assert_allclose(NeighborIndex.build(x, y).search(queries, 2), brute_force(queries, x)[:, :2], atol=1e-12)


def test_near_duplicates_keep_their_digits() -> None:
    # In float32, sqrt(2 - 2 cos) of this pair is 0 or 3e-4.
    found = NeighborIndex.build([[1.0, 0.0]], [0]).search([[1.0, 1e-5]], 1)
    np.testing.assert_allclose(found, [[1e-5]], rtol=1e-6)


def test_neighbours_too_near_for_float32_are_ranked_all_the_same() -> None:
    angles = np.array([5e-5, 3e-5, 1e-5, 4e-5, 2e-5])
    x = np.stack([np.ones(5), angles], axis=1)
    for queries in (np.array([[1.0, 0.0]]), np.tile([1.0, 0.0], (20, 1))):
        found = NeighborIndex.build(np.concatenate([x, -x]), np.zeros(10)).search(queries, 1)
        np.testing.assert_allclose(found, 1e-5, rtol=1e-6)


def test_a_known_vector_is_at_distance_zero_of_itself() -> None:
    x, y = clusters(200)
    assert (NeighborIndex.build(x, y).search(x * 3, 1) < 1e-6).all()
    assert (NeighborIndex.build(x, y).search(x, 1) == 0).all()


def test_length_does_not_matter() -> None:
    x, y = clusters(100)
    index = NeighborIndex.build(x, y)
    np.testing.assert_allclose(index.search(x * 1e200, 3), index.search(x * 1e-200, 3), atol=1e-6)


def test_a_zero_vector_is_at_distance_one_of_all_others_and_none_of_itself() -> None:
    index = NeighborIndex.build([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0]], [0, 1, 1])
    assert index.search([[0.0, 0.0], [1.0, 1.0]], 3)[0].tolist() == [0, 1, 1]
    np.testing.assert_allclose(index.search([[1.0, 1.0]], 3)[0, 1], 1.0)


def test_distances_never_leave_their_range() -> None:
    x, y = clusters(500, d=3)
    found = NeighborIndex.build(x, y).search(-x, 500)
    assert found.min() >= 0
    assert found.max() <= 2
    assert (np.diff(found, axis=1) >= 0).all()


def test_an_index_made_of_anothers_arrays_answers_the_same_without_a_copy() -> None:
    x, y = clusters(300)
    first = NeighborIndex.build(x.astype(np.float32), y)
    second = NeighborIndex(first.vectors, first.classes)
    assert second.vectors is first.vectors
    assert first.vectors.dtype == np.float32
    assert (np.diff(first.classes) >= 0).all()
    assert (second.search(x, 4) == first.search(x, 4)).all()


def test_no_queries_give_no_distances() -> None:
    x, y = clusters(20)
    index = NeighborIndex.build(x, y)
    assert index.search(np.empty((0, 24)), 3).shape == (0, 3)
    assert index.class_distances(np.empty((0, 24)), 3).shape == (0, 5)


def test_faiss_keeps_its_own_setting() -> None:
    before = faiss.cvar.distance_compute_blas_threshold
    outputs = made_problem(50, seed=1)
    NeighborIndex.build(outputs.features, outputs.labels).search(outputs.features, 2)
    assert faiss.cvar.distance_compute_blas_threshold == before


@pytest.mark.parametrize(
    ("features", "classes"), [(np.empty((0, 3)), []), (np.ones((2, 3)), [0]), (np.ones(3), [0, 0, 0])]
)
def test_rows_that_make_no_index_are_refused(features: np.ndarray, classes: list[int]) -> None:
    with pytest.raises(InputError, match="at least one known-good row; got shapes"):
        NeighborIndex.build(features, classes)


def test_features_of_another_width_are_refused() -> None:
    x, y = clusters(20)
    with pytest.raises(OutputsError, match=r"\(2, 7\).*\(20, 24\)"):
        NeighborIndex.build(x, y).search(np.ones((2, 7)), 1)


def test_k_below_one_is_refused() -> None:
    x, y = clusters(20)
    with pytest.raises(InputError, match="k is 0"):
        NeighborIndex.build(x, y).search(x, 0)
