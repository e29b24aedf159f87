"""Two-dimensional projections of features. PCA is always available, t-SNE and UMAP if their packages are installed."""

from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PERPLEXITY = 30
NEIGHBOURS = 15
"""Both the packages' own defaults; fewer where there are few clips."""
SEED = 0
MIN_CLIPS = 8
"""Clips from which on t-SNE and UMAP have neighbours to speak of."""


class Projection(NamedTuple):
    """Clips on a plane.

    Attributes:
        title: PCA, t-SNE or UMAP.
        points: (N, 2).
        axes: what the axes are called.
    """

    title: str
    points: NDArray[np.float64]
    axes: tuple[str, str]


def project_features(features: NDArray[np.float32]) -> tuple[list[Projection], list[str]]:
    """Project features (N, D) in every way that is installed; return also what is not installed, and how to."""
    found, absent = [_project_by_pca(features)], []
    for title, module, package, by in OPTIONAL_METHODS:
        try:
            import_module(module)
        except ImportError:
            absent.append(f"{title}: pip install {package}")
            continue
        if len(features) >= MIN_CLIPS:
            found.append(Projection(title, by(features).astype(np.float64), (f"{title} 1", f"{title} 2")))
    return found, absent


def principal_components(features: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return places (N, 2) on the two directions of largest variance, and their shares (2,) of all variance.

    Of a direction and its opposite, that is taken whose largest number is positive, so that no sign depends on the
    linear algebra library.
    """
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    # Of N clips and D numbers, only the D × D matrix is decomposed: N may be large.
    variances, directions = np.linalg.eigh(centred.T @ centred)
    first = directions[:, ::-1][:, :2]
    first = first * np.sign(np.take_along_axis(first, np.abs(first).argmax(axis=0)[None], axis=0))
    total = max(float(variances.sum()), np.finfo(np.float64).tiny)
    return centred @ first, np.maximum(variances[::-1][:2], 0) / total


def _project_by_pca(features: NDArray[np.float32]) -> Projection:
    places, shares = principal_components(features)
    first, second = (f"component {number}, {100 * share:.0f} % of variance" for number, share in enumerate(shares, 1))
    return Projection("PCA", places, (first, second))


def _project_by_tsne(features: NDArray[np.float32]) -> NDArray[np.float32]:
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    by = TSNE(perplexity=min(PERPLEXITY, (len(features) - 1) / 3), init="pca", random_state=SEED)
    # Where others use the cores, its threads wait for each other: 24 s instead of 2 were seen.
    with threadpool_limits(1):
        places: NDArray[np.float32] = by.fit_transform(features)
    return places


def _project_by_umap(features: NDArray[np.float32]) -> NDArray[np.float32]:
    from umap.umap_ import UMAP

    neighbours = min(NEIGHBOURS, len(features) - 1)
    places: NDArray[np.float32] = UMAP(n_neighbors=neighbours, random_state=SEED, n_jobs=1).fit_transform(features)
    return places


OPTIONAL_METHODS: tuple[tuple[str, str, str, Callable[[NDArray[np.float32]], NDArray[np.float32]]], ...] = (
    ("t-SNE", "sklearn.manifold", "scikit-learn", _project_by_tsne),
    ("UMAP", "umap.umap_", "umap-learn", _project_by_umap),
)
