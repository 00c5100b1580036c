#!/usr/bin/env bash
# FAISS's HNSW no longer finds most vectors of an index once it also holds many equal ones.
#
# Versions: faiss-cpu 1.15.1, numpy 2.4.6.
# Expected: 2,000 vectors, each searched for itself, are found (recall 1.0); 3,000 copies of one further vector (blank
#   or missing pictures) far from all of them change nothing.
# Seen: recall of the 2,000 falls to 0.26 to 0.46, by the order of adding, at efSearch 64. The links of the copies lead
#   to other copies alone, and the search that starts among them does not come out. An IVF index is not affected.
# Source: Malkov & Yashunin 2018 (the graph); measured here.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet faiss-cpu==1.15.1 numpy==2.4.6
export OMP_NUM_THREADS=1
"$folder/venv/bin/python" - <<'PY'
import faiss
import numpy as np

faiss.omp_set_num_threads(1)
rng = np.random.default_rng(0)
copies = np.tile(rng.normal(size=(1, 64)), (3000, 1)).astype(np.float32)
others = rng.normal(size=(2000, 64)).astype(np.float32)


def recall(index, *parts):
    for part in parts:
        index.add(part)
    distances, _ = index.search(others, 1)
    return float((distances[:, 0] < 1e-3).mean())


def graph():
    index = faiss.IndexHNSWFlat(64, 32)
    index.hnsw.efSearch = 64
    return index


def lists():
    index = faiss.index_factory(64, "IVF16,Flat")
    index.train(others)
    return index


alone, first, last = recall(graph(), others), recall(graph(), copies, others), recall(graph(), others, copies)
mixed = recall(graph(), rng.permutation(np.concatenate([others, copies])))
inverted = recall(lists(), others, copies)
print(f"faiss {faiss.__version__}, numpy {np.__version__}")
print(f"expected: recall as without the copies, {alone:.3f}")
print(f"seen: copies added first {first:.3f}, last {last:.3f}, among the others {mixed:.3f}; IVF {inverted:.3f}")
assert alone > 0.99 and inverted == 1.0
assert max(first, last, mixed) < 0.6
PY
