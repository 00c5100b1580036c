"""Nearest neighbours among known-good vectors, at any number of them.

`index` is what everybody uses; `exact` looks at every vector, `lists` at those of the nearest lists (IVF) where there
are too many; `vectors` has what both need.
"""

from uncertainty.neighbors.index import EXACT_UP_TO, NeighborIndex, memory_needed
from uncertainty.neighbors.vectors import LARGEST_DISTANCE, normalised

__all__ = ["EXACT_UP_TO", "LARGEST_DISTANCE", "NeighborIndex", "memory_needed", "normalised"]
