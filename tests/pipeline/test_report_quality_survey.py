"""One pass over a store: each measure at the clip it belongs to, whatever the blocks."""

from dataclasses import fields

import numpy as np
import pytest

from mamp_pipeline.report.quality import Survey, survey_store
from mamp_schemas.io import store_reader as read
from mamp_schemas.io.store_reader import Store
from mamp_schemas.progress import NullProgress
from tests.report_cases import HAND, HEAD, JUMPING


@pytest.fixture(scope="module")
def surveyed(gestures: Store) -> Survey:
    return survey_store(gestures, NullProgress())


def clip(store: Store, name: str) -> int:
    return next(place for place, found in enumerate(store.ids) if name in found)


def test_survey_store__finds_the_joint_that_jumps_there_and_back(gestures: Store, surveyed: Survey) -> None:
    at = gestures.ids.index(JUMPING)
    assert np.flatnonzero(surveyed.jumps).tolist() == [at]
    assert surveyed.jumps[at] == 2
    assert surveyed.jump_joint[at] == HAND
    assert surveyed.jump_metres[at] == pytest.approx(2, abs=0.05)


def test_survey_store__finds_the_clip_that_stands_still(gestures: Store, surveyed: Survey) -> None:
    assert np.flatnonzero(surveyed.still).tolist() == [clip(gestures, "still")]
    assert surveyed.still.max() == 1


def test_survey_store__finds_the_bone_that_grows(gestures: Store, surveyed: Survey) -> None:
    at = clip(gestures, "stretch")
    assert int(surveyed.bone_change.argmax()) == at
    assert surveyed.bone[at] == HEAD
    assert surveyed.bone_change[at] == pytest.approx(0.9 * 4 / 3, rel=0.1)  # the neck swings, too


def test_survey_store__mean_intensity_is_that_of_the_clip_columns(gestures: Store, surveyed: Survey) -> None:
    columns = gestures.columns
    rows = columns["frames"].astype(int) * columns["bodies"]
    for label in range(3):
        members = columns["label"] == label
        expected = np.average(columns["mean_intensity"][members], weights=rows[members])
        assert surveyed.intensity[label].mean() == pytest.approx(expected, rel=1e-5)
        assert surveyed.rows[label] == rows[members].sum()
    assert np.isnan(surveyed.intensity[3]).all()


def test_survey_store__is_the_same_in_other_blocks(
    gestures: Store, surveyed: Survey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read, "BLOCK_ROWS", 150)
    again = survey_store(gestures, NullProgress())
    for field in fields(Survey):
        np.testing.assert_allclose(getattr(again, field.name), getattr(surveyed, field.name), rtol=1e-6)
