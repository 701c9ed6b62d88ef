"""The graph of a mesh's edges."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, diags


def mesh_edges(triangles: NDArray[np.int64]) -> NDArray[np.int64]:
    """The edges of triangles (m, 3) as sorted vertex pairs, (e, 2) int64, each once."""
    pairs = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    return np.unique(np.sort(pairs, axis=1), axis=0)


def laplacian_of(edges: NDArray[np.int64], count: int) -> csr_matrix:
    """The graph Laplacian of edges between `count` vertices: degrees less adjacency."""
    ones = np.ones(len(edges))
    one_way = coo_matrix((ones, (edges[:, 0], edges[:, 1])), shape=(count, count))
    adjacency = one_way + one_way.T
    return csr_matrix(diags(np.asarray(adjacency.sum(1)).reshape(-1)) - adjacency)
