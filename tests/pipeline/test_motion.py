"""Motion and intensity of packed rows equal equations 2 to 4 computed clip by clip."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mamp_pipeline.motion import compute_intensity, compute_motion, index_rows, mean_intensity

Tracks = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 2)), min_size=1, max_size=5)


def random_rows(tracks: list[tuple[int, int]]) -> NDArray[np.float32]:
    rows = sum(frames * bodies for frames, bodies in tracks)
    return np.random.default_rng(0).normal(size=(rows, 3, 3)).astype(np.float32)


def split_tracks(rows: NDArray[np.float32], tracks: list[tuple[int, int]]) -> list[NDArray[np.float32]]:
    lengths = [frames for frames, bodies in tracks for _ in range(bodies)]
    return np.split(rows, np.cumsum(lengths)[:-1])


def columns(tracks: list[tuple[int, int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    pairs = np.array(tracks, dtype=np.int64)
    return pairs[:, 0], pairs[:, 1]


@given(Tracks, st.integers(1, 5))
def test_compute_motion__equals_eq_2_and_3_per_body(tracks: list[tuple[int, int]], stride: int) -> None:
    rows = random_rows(tracks)
    motion = compute_motion(rows, index_rows(*columns(tracks)), stride)
    for body, found in zip(split_tracks(rows, tracks), split_tracks(motion, tracks), strict=True):
        expected = np.zeros_like(body)
        if len(body) > stride:
            expected[:-stride] = body[stride:] - body[:-stride]
        np.testing.assert_array_equal(found, expected)


@given(Tracks, st.integers(1, 5))
def test_compute_intensity__equals_eq_4_per_body(tracks: list[tuple[int, int]], segment: int) -> None:
    rows = random_rows(tracks)
    intensity = compute_intensity(rows, index_rows(*columns(tracks)), segment)
    for body, found in zip(split_tracks(rows, tracks), split_tracks(intensity, tracks), strict=True):
        expected = np.zeros(body.shape[:2])
        if len(body) > segment:
            expected[segment:] = np.abs(body[segment:].astype(np.float64) - body[:-segment]).mean(axis=2)
            first = expected[segment : 2 * segment]
            expected[: len(first)] = first
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_compute_intensity__mean_over_a_segment_is_the_papers() -> None:
    rows = random_rows([(16, 1)])
    intensity = compute_intensity(rows, index_rows(np.array([16]), np.array([1])), 4)
    segments = rows.astype(np.float64).reshape(4, 4, 3, 3)
    change = np.abs(segments[1:] - segments[:-1]).mean(axis=(1, 3))
    expected = np.concatenate([change[:1], change])
    np.testing.assert_allclose(intensity.reshape(4, 4, 3).mean(axis=1), expected, rtol=1e-5)


def test_mean_intensity__does_not_depend_on_neighbours() -> None:
    rows = random_rows([(9, 2), (7, 1)])
    together = mean_intensity(rows, np.array([9, 7]), np.array([2, 1]), 4)
    alone = mean_intensity(rows[18:], np.array([7]), np.array([1]), 4)
    assert together[1] == alone[0]


def test_place_rows__counts_frames_within_each_body() -> None:
    places = index_rows(np.array([2, 3]), np.array([2, 1]))
    assert places.frame.tolist() == [0, 1, 0, 1, 0, 1, 2]
    assert places.frames.tolist() == [2, 2, 2, 2, 3, 3, 3]
