"""Two-dimensional projections of features. PCA is always available, t-SNE and UMAP if their packages are installed."""

from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PERPLEXITY = 30
UMAP_NEIGHBORS = 15
"""Both are the packages' defaults; fewer if there are few clips."""
SEED = 0
MIN_CLIPS = 8
"""t-SNE and UMAP need this many clips for a meaningful map."""


class Projection(NamedTuple):
    """Clips as points of a plane.

    Attributes:
        title: PCA, t-SNE or UMAP.
        points: (N, 2).
        axes: the names of the axes.
    """

    title: str
    points: NDArray[np.float64]
    axes: tuple[str, str]


def project_features(features: NDArray[np.float32]) -> tuple[list[Projection], list[str]]:
    """Return projections of features (N, D) by every method that is installed, and how to install the others."""
    projections, absent = [_project_by_pca(features)], []
    for title, module, package, project in OPTIONAL_METHODS:
        try:
            import_module(module)
        except ImportError:
            absent.append(f"{title}: pip install {package}")
            continue
        if len(features) >= MIN_CLIPS:
            projections.append(Projection(title, project(features).astype(np.float64), (f"{title} 1", f"{title} 2")))
    return projections, absent


def principal_components(features: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return coordinates (N, 2) along the two directions of largest variance, and their shares (2,) of the variance.

    The sign of a direction is chosen so that its largest number is positive, whatever the linear algebra library does.
    """
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    # Only a D × D matrix is decomposed: N may be large.
    variances, directions = np.linalg.eigh(centred.T @ centred)
    first = directions[:, ::-1][:, :2]
    first = first * np.sign(np.take_along_axis(first, np.abs(first).argmax(axis=0)[None], axis=0))
    total = max(float(variances.sum()), np.finfo(np.float64).tiny)
    return centred @ first, np.maximum(variances[::-1][:2], 0) / total


def _project_by_pca(features: NDArray[np.float32]) -> Projection:
    points, shares = principal_components(features)
    first, second = (f"component {number}, {100 * share:.0f} % of variance" for number, share in enumerate(shares, 1))
    return Projection("PCA", points, (first, second))


def _project_by_tsne(features: NDArray[np.float32]) -> NDArray[np.float32]:
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    tsne = TSNE(perplexity=min(PERPLEXITY, (len(features) - 1) / 3), init="pca", random_state=SEED)
    # With busy cores its threads wait for each other: 24 s instead of 2 were measured.
    with threadpool_limits(1):
        points: NDArray[np.float32] = tsne.fit_transform(features)
    return points


def _project_by_umap(features: NDArray[np.float32]) -> NDArray[np.float32]:
    from umap.umap_ import UMAP

    nearest = min(UMAP_NEIGHBORS, len(features) - 1)
    points: NDArray[np.float32] = UMAP(n_neighbors=nearest, random_state=SEED, n_jobs=1).fit_transform(features)
    return points


OPTIONAL_METHODS: tuple[tuple[str, str, str, Callable[[NDArray[np.float32]], NDArray[np.float32]]], ...] = (
    ("t-SNE", "sklearn.manifold", "scikit-learn", _project_by_tsne),
    ("UMAP", "umap.umap_", "umap-learn", _project_by_umap),
)
