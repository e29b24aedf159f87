"""Clips counted by class: groups, lengths, quantiles."""

import numpy as np
import pytest

from mamp_pipeline.report.counts import FRAME_BINS, cross_tabulate, cross_tabulate_columns, intensity_quantiles

LABEL = np.array([0, 1, 1, -1])


def columns(**changes: list[int]) -> dict[str, np.ndarray]:
    unknown = [-1] * 4
    plain = {"subject": unknown, "camera": unknown, "setup": unknown, "bodies": [1, 1, 2, 1], "frames": [5, 5, 5, 5]}
    return {"label": LABEL, **{name: np.array(values) for name, values in {**plain, **changes}.items()}}


def test_cross_tabulate__counts_clips_without_a_label_last() -> None:
    table = cross_tabulate(LABEL, np.array([3, 3, 7, 7]), 2)
    assert table.names == ("3", "7")
    assert table.counts.tolist() == [[1, 0], [1, 1], [0, 1]]


def test_cross_tabulate__names_values() -> None:
    assert cross_tabulate(LABEL, np.array([-1, 0, 0, 0]), 2, {0: "train"}).names == ("unknown", "train")


def test_cross_tabulate_columns__leaves_out_what_is_known_of_no_clip() -> None:
    assert set(cross_tabulate_columns(columns(camera=[1, 1, -1, 2]), 2)) == {"camera", "bodies", "frames"}


def test_cross_tabulate_columns__short_ranges_of_frames_are_counted_one_by_one() -> None:
    table = cross_tabulate_columns(columns(frames=[5, 8, 8, 6]), 2)["frames"]
    assert table.names == ("5", "6", "7", "8")
    assert table.counts.sum(axis=0).tolist() == [1, 1, 0, 2]


def test_cross_tabulate_columns__long_ranges_of_frames_are_binned() -> None:
    table = cross_tabulate_columns(columns(frames=[1, 300, 8, 9]), 2)["frames"]
    assert len(table.names) <= FRAME_BINS
    assert table.names[:2] == ("1–8", "9–16")
    assert table.counts.sum(axis=0)[:2].tolist() == [2, 1]
    assert table.counts.sum() == 4


def test_cross_tabulate_columns__of_a_store_without_clips() -> None:
    empty = {name: values[:0] for name, values in columns().items()}
    assert cross_tabulate_columns(empty, 2)["frames"].counts.shape == (3, 0)


def test_intensity_quantiles__of_each_class() -> None:
    table = intensity_quantiles(np.array([0, 0, 0, -1]), np.array([1, 2, 3, 9], dtype=np.float32), 2)
    assert table[0].tolist() == pytest.approx([1.1, 1.5, 2, 2.5, 2.9])
    assert np.isnan(table[1]).all()
    assert table[2].tolist() == [9] * 5
