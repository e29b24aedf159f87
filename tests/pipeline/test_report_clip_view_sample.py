"""The test sample in numpy: equal to the authors' crop and resize on golden clips."""

import numpy as np
import pytest

from mamp_pipeline.report.clip_view import Crop, centre_crop, paper_masking, resize_crop
from mamp_schemas.models.dataset import dataset_spec
from tests.paths import GOLDEN

CLIPS = np.load(GOLDEN / "transforms.npz")
CASES = sorted({key.partition("/")[0] for key in CLIPS.files if key.endswith("/in")})


@pytest.mark.parametrize("case", CASES)
def test_resize__equals_golden(case: str) -> None:
    valid = int(CLIPS[f"{case}/valid"])
    if f"{case}/p" in CLIPS:
        crop = centre_crop(valid, float(CLIPS[f"{case}/p"]))
    else:
        crop = Crop(*CLIPS[f"{case}/start_len"].tolist())
    found = resize_crop(CLIPS[f"{case}/in"].transpose(3, 1, 2, 0), crop, 120)
    assert np.array_equal(found, CLIPS[f"{case}/out"].transpose(3, 1, 2, 0))


def test_resize__a_single_frame_is_repeated() -> None:
    frame = np.arange(6, dtype=np.float32).reshape(1, 1, 2, 3)
    assert np.array_equal(resize_crop(frame, Crop(0, 1), 4), np.repeat(frame, 4, axis=1))


def test_centre_crop__leaves_the_middle() -> None:
    assert centre_crop(74, 0.9) == Crop(3, 68)


def test_paper_masking__ntu120_has_its_own_temperature() -> None:
    assert (paper_masking(dataset_spec("ntu60")).temperature, paper_masking(dataset_spec("ntu120")).temperature) == (
        0.8,
        0.75,
    )
