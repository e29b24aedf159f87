"""Features on a plane: PCA as a plain singular value decomposition has it, and what is not installed."""

import sys

import numpy as np
import pytest

from mamp_pipeline.report.projection import MIN_CLIPS, principal_components, project_features
from tests.run_cases import make_features


def test_principal_components__are_those_of_a_plain_svd() -> None:
    values = make_features(clips=60).features.to_numpy().astype(np.float64)
    centred = values - values.mean(axis=0)
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    coordinates, shares = principal_components(values.astype(np.float32))
    np.testing.assert_allclose(np.abs(coordinates), np.abs(left[:, :2] * singular[:2]), atol=1e-5)
    np.testing.assert_allclose(shares, singular[:2] ** 2 / (singular**2).sum(), atol=1e-6)


def test_principal_components__signs_follow_the_largest_number() -> None:
    line = np.outer(np.arange(5), [-2, 1, 0]).astype(np.float32)
    coordinates, shares = principal_components(line)
    assert np.all(np.diff(coordinates[:, 0]) < 0)
    np.testing.assert_allclose(shares, [1, 0], atol=1e-9)


def test_principal_components__of_clips_that_are_alike() -> None:
    coordinates, shares = principal_components(np.ones((3, 4), np.float32))
    assert not coordinates.any()
    assert not shares.any()


def test_project_features__without_the_packages_says_how_to_install_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.manifold", None)
    monkeypatch.setitem(sys.modules, "umap.umap_", None)
    projections, absent = project_features(make_features().features.to_numpy())
    assert [projected.title for projected in projections] == ["PCA"]
    assert absent == ["t-SNE: pip install scikit-learn", "UMAP: pip install umap-learn"]


def test_project_features__keeps_neighbours_together_by_tsne() -> None:
    features = make_features(clips=3 * MIN_CLIPS)
    coordinates = {
        projected.title: projected.points for projected in project_features(features.features.to_numpy())[0]
    }["t-SNE"]
    assert coordinates.shape == (3 * MIN_CLIPS, 2)
    distances = np.linalg.norm(coordinates[:, None] - coordinates, axis=2) + np.diag(np.full(len(coordinates), np.inf))
    assert (np.array(features.labels)[distances.argmin(axis=1)] == np.array(features.labels)).mean() > 0.9


def test_project_features__few_clips_have_no_neighbours_to_speak_of() -> None:
    projections, _ = project_features(make_features(clips=MIN_CLIPS - 1).features.to_numpy())
    assert [projected.title for projected in projections] == ["PCA"]
