"""The `corrected` policy: what each deviation changes, and which clips it is counted for."""

import json
from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from mamp_pipeline.cleaning.clip import make_clip
from mamp_pipeline.cleaning.tracks import group_tracks
from mamp_pipeline.datasets.base import find_reader
from mamp_pipeline.datasets.clips import Clip, RawBodies, RawSegment
from mamp_pipeline.datasets.discover import find_sources
from mamp_pipeline.datasets.pku.dataset import make_segment_clip, segment_notes
from mamp_pipeline.ingest.read_files import find_changing_fields, read_file
from mamp_schemas.errors import RawFileError
from mamp_schemas.models.dataset import dataset_spec, fixed_specs
from mamp_schemas.models.policy import (
    IngestPolicy,
    single_field_deviations,
)
from mamp_schemas.models.skeleton import KINECT_V2
from tests.paths import GOLDEN
from tests.pipeline.cleaning_cases import make_body, make_raw
from tests.pipeline.pku_cases import make_video

PAPER = {dataset: dataset_spec(dataset).paper_policy for dataset in fixed_specs()}
CORRECTED = {dataset: dataset_spec(dataset).policy("corrected") for dataset in fixed_specs()}


def with_gap() -> RawBodies:
    """Return a body seen in frames 0-19 and 30-49 beside one that is always there and moves less."""
    body = make_body(40, swing=0.3)
    return make_raw((7, 0, body[:20]), (8, 0, make_body(50, seed=1)), (7, 30, body[20:]))


def cancelling(frames: int, at: int) -> NDArray[np.float32]:
    """Return a body whose coordinates in frame `at` cancel out."""
    body = make_body(frames)
    body[at] = 0
    body[at, :2] = [[1, 2, 3], [-1, -2, -3]]
    return body


def changed_fields(raw: RawBodies, dataset: str) -> list[str]:
    def make(policy: IngestPolicy) -> Clip:
        return make_clip(raw, policy, KINECT_V2)

    return list(find_changing_fields(make, CORRECTED[dataset], dataset_spec(dataset)))


def make_instance_of(video: NDArray[np.float64], start: int, end: int) -> RawSegment:
    return RawSegment(video.reshape(len(video), 2, 25, 3), start, end, line=4)


@pytest.mark.parametrize(
    ("dataset", "fields"),
    [
        ("ntu60", {"tracking_gaps", "valid_frames"}),
        ("ntu120", {"tracking_gaps", "valid_frames", "empty_slot"}),
        ("pku1", {"valid_frames", "centre", "interval_start"}),
        ("pku2", {"valid_frames", "centre", "interval_start"}),
        ("nwucla", {"tracking_gaps", "valid_frames"}),
    ],
)
def test_deviations__each_changes_paper_in_one_field(dataset: str, fields: set[str]) -> None:
    found = single_field_deviations(CORRECTED[dataset], PAPER[dataset])
    assert set(found) == fields
    for field, policy in found.items():
        assert policy == PAPER[dataset].replaced(**{field: getattr(CORRECTED[dataset], field)})
    assert single_field_deviations(PAPER[dataset], PAPER[dataset]) == {}


@pytest.mark.parametrize("dataset", fixed_specs())
def test_make_policy__by_name_with_hashes_that_differ(dataset: str) -> None:
    assert dataset_spec(dataset).policy("paper") == PAPER[dataset]
    assert dataset_spec(dataset).policy("corrected") == CORRECTED[dataset]
    assert PAPER[dataset].digest() != CORRECTED[dataset].digest()


def test_group_tracks__kept_gaps_leave_the_later_frames_in_place() -> None:
    tracks, frames = group_tracks(with_gap(), keep_gaps=True)
    assert (tracks[0].start, tracks[0].end, len(tracks[0].joints), frames) == (0, 49, 40, 50)
    assert tracks[0].frame_indices is not None
    assert tracks[0].frame_indices.tolist() == [*range(20), *range(30, 50)]
    assert tracks[1].frame_indices is None


def test_group_tracks__kept_gaps_count_frames_without_a_body() -> None:
    raw = make_raw((7, 3, make_body(5)), (8, 3, make_body(8)), (7, 19, make_body(5)), frames=40)
    tracks, frames = group_tracks(raw, keep_gaps=True)
    assert [(track.start, track.end) for track in tracks] == [(0, 20), (0, 7)]
    assert frames == 21


def test_group_tracks__kept_gaps_of_a_single_body() -> None:
    (track,), frames = group_tracks(make_raw((7, 0, make_body(5)), (7, 9, make_body(5))), keep_gaps=True)
    assert track.frame_indices is not None
    assert track.frame_indices.tolist() == [0, 1, 2, 3, 4, 9, 10, 11, 12, 13]
    assert frames == 14


def test_group_tracks__gaps_out_of_proportion() -> None:
    raw = make_raw((7, 0, make_body(1)), (7, 10**7, make_body(1)))
    with pytest.raises(RawFileError, match="10000001 frames from the first body to the last, 2 of them with any"):
        group_tracks(raw, keep_gaps=True)


def test_group_tracks__kept_gaps_refuse_an_id_twice_in_a_frame() -> None:
    raw = make_raw((7, 0, make_body(20)), (7, 10, make_body(2)), (8, 0, make_body(30)))
    with pytest.raises(RawFileError, match="more than once in a frame, in 2 frames"):
        group_tracks(raw, keep_gaps=True)


def test_make_clip__tracking_gap_stays_in_place() -> None:
    paper, corrected = (make_clip(with_gap(), policy["ntu60"], KINECT_V2) for policy in (PAPER, CORRECTED))
    assert corrected.joints.shape == paper.joints.shape == (2, 50, 25, 3)
    assert not corrected.joints[0, 20:30].any()
    np.testing.assert_array_equal(corrected.joints[0, :20], paper.joints[0, :20])
    np.testing.assert_array_equal(corrected.joints[0, 30:], paper.joints[0, 20:40])
    np.testing.assert_array_equal(corrected.joints[1], paper.joints[1])


def test_make_clip__gap_of_a_single_body_stays_in_place() -> None:
    body = make_body(30)
    raw = make_raw((7, 2, body[:10]), (7, 17, body[10:]), frames=60)
    paper, corrected = (make_clip(raw, policy["ntu60"], KINECT_V2) for policy in (PAPER, CORRECTED))
    assert (paper.joints.shape[1], corrected.joints.shape[1], corrected.valid_frames) == (30, 35, 35)
    np.testing.assert_array_equal(np.delete(corrected.joints, np.s_[10:15], axis=1), paper.joints)
    assert not corrected.joints[0, 10:15].any()


def test_make_clip__gap_of_all_bodies_stays_in_place() -> None:
    raw = make_raw(*((body, start, make_body(20, seed=body)) for body in (7, 8) for start in (0, 25)))
    corrected = make_clip(raw, CORRECTED["ntu60"], KINECT_V2)
    assert corrected.joints.shape == (2, 45, 25, 3)
    assert not corrected.joints[:, 20:25].any()


def test_make_clip__frame_whose_sum_cancels_out_is_kept_and_counted() -> None:
    raw = make_raw((7, 0, cancelling(20, at=6)), (8, 0, cancelling(20, at=6)))
    paper, corrected = (make_clip(raw, policy["ntu60"], KINECT_V2) for policy in (PAPER, CORRECTED))
    assert paper.joints.shape[1] == 19
    assert corrected.joints.shape[1] == corrected.valid_frames == 20
    assert corrected.joints[0, 6].any()


def test_make_clip__frames_before_the_only_body_left_are_cut() -> None:
    raw = make_raw((8, 0, make_body(5)), (7, 5, make_body(20)))
    assert make_clip(raw, CORRECTED["ntu60"], KINECT_V2).joints.shape == (1, 20, 25, 3)


@pytest.mark.parametrize(
    ("raw", "ntu60", "ntu120"),
    [
        (make_raw((7, 0, make_body(20))), [], ["empty_slot"]),
        (make_raw((7, 0, make_body(20)), (8, 0, make_body(20))), [], []),
        (with_gap(), ["tracking_gaps"], ["tracking_gaps"]),
        (make_raw((7, 0, make_body(9)), (7, 12, make_body(9))), ["tracking_gaps"], ["empty_slot", "tracking_gaps"]),
        (make_raw((7, 0, cancelling(20, 6)), (8, 0, make_body(20))), ["valid_frames"], ["valid_frames"]),
        (
            make_raw((7, 0, cancelling(20, 6)), (8, 0, make_body(60)), (7, 30, make_body(20))),
            ["tracking_gaps", "valid_frames"],
            ["tracking_gaps", "valid_frames"],
        ),
    ],
    ids=["one body", "two bodies", "gap", "gap of one body", "cancelling sum", "both"],
)
def test_find_touched__by_each_deviation_alone(raw: RawBodies, ntu60: list[str], ntu120: list[str]) -> None:
    assert sorted(changed_fields(raw, "ntu60")) == ntu60
    assert sorted(changed_fields(raw, "ntu120")) == sorted(ntu120)


def test_find_touched__gap_of_a_body_that_is_dropped_touches_nothing() -> None:
    raw = make_raw((7, 0, make_body(5)), (8, 0, make_body(30)), (7, 10, make_body(5)))
    assert changed_fields(raw, "ntu60") == []


def test_find_touched__clip_that_paper_does_not_have() -> None:
    raw = make_raw((7, 0, np.tile(cancelling(1, 0), (20, 1, 1))), (8, 0, np.tile(cancelling(1, 0), (20, 1, 1))))
    with pytest.raises(RawFileError):
        make_clip(raw, PAPER["ntu60"], KINECT_V2)
    assert changed_fields(raw, "ntu60") == ["valid_frames"]


def test_find_touched__nothing_under_paper() -> None:
    def make(policy: IngestPolicy) -> Clip:
        raise RawFileError("not to be called")

    assert list(find_changing_fields(make, PAPER["ntu120"], dataset_spec("ntu120"))) == []


@pytest.mark.parametrize("dataset", ["ntu60", "ntu120"])
def test_read_file__golden_clips_touched(dataset: str) -> None:
    reader = find_reader(dataset)
    sources = find_sources([GOLDEN / dataset / "raw.zip"], reader).sources
    files = [read_file(source, reader.open, reader, CORRECTED[dataset]) for source in sources]
    counts = sum((file.counts for file in files), Counter())
    kinds = json.loads((GOLDEN / dataset / "kinds.json").read_text())
    assert counts["tracking_gaps"] == sum(kind in ("single_gap", "body_gap", "reid") for kind in kinds.values())
    single = sum(len(clip.joints) == 1 for file in files for _, clip in file.clips)
    assert counts["empty_slot"] == (single if dataset == "ntu120" else 0)


def test_make_instance__paper_takes_frames_as_they_are() -> None:
    video = make_video(40, bodies=2)
    clip = make_segment_clip(make_instance_of(video, 10, 20), PAPER["pku1"], KINECT_V2)
    assert clip is not None
    expected = video[10:20].astype(np.float32).reshape(10, 2, 25, 3).transpose(1, 0, 2, 3)
    assert clip.joints.tobytes() == expected.tobytes()


def test_make_instance__one_based_starts_a_frame_earlier() -> None:
    policy = PAPER["pku1"].replaced(interval_start="one_based")
    video = make_video(40)
    clip = make_segment_clip(make_instance_of(video, 10, 20), policy, KINECT_V2)
    assert clip is not None
    np.testing.assert_array_equal(clip.joints[0].reshape(11, 75), video[9:20, :75].astype(np.float32))


def test_make_instance__one_based_start_0_takes_the_first_frame() -> None:
    clip = make_segment_clip(make_instance_of(make_video(40), 0, 20), CORRECTED["pku1"], KINECT_V2)
    assert clip is not None
    assert clip.joints.shape[1] == 20


def test_make_instance__corrected_is_centred_on_actor_1() -> None:
    video = make_video(40, bodies=2)
    video[12, 75:] = 0
    clip = make_segment_clip(make_instance_of(video, 11, 20), CORRECTED["pku1"], KINECT_V2)
    assert clip is not None
    joints = video[10:20].astype(np.float32).reshape(10, 2, 25, 3)
    np.testing.assert_array_equal(clip.joints[0], joints[:, 0] - joints[0, 0, KINECT_V2.centre])
    np.testing.assert_array_equal(clip.joints[1, 3], joints[3, 1] - joints[0, 0, KINECT_V2.centre])
    assert not clip.joints[1, 2].any()


def test_make_instance__empty_second_slot_is_not_stored() -> None:
    video = make_video(40, bodies=2)
    video[10:20, 75:] = 0
    clip = make_segment_clip(make_instance_of(video, 10, 20), PAPER["pku1"], KINECT_V2)
    assert clip is not None
    assert clip.joints.shape == (1, 10, 25, 3)


def test_make_instance__frames_without_a_body_stay() -> None:
    video = make_video(40)
    video[12:15] = 0
    for policy, valid in ((PAPER["pku1"], 7), (CORRECTED["pku1"].replaced(interval_start="zero_based"), 10)):
        clip = make_segment_clip(make_instance_of(video, 10, 20), policy, KINECT_V2)
        assert clip is not None
        assert (clip.joints.shape[1], clip.valid_frames) == (10, valid)


def test_make_instance__all_zero_is_none() -> None:
    video = make_video(40)
    video[10:20] = 0
    assert make_segment_clip(make_instance_of(video, 10, 20), PAPER["pku1"], KINECT_V2) is None


def test_make_instance__sum_of_zero_counts_as_empty_in_paper_only() -> None:
    video = make_video(40)
    video[10:20] = 0
    video[12, :6], video[13, :6] = 0.5, -0.5
    instance = make_instance_of(video, 10, 20)
    assert make_segment_clip(instance, PAPER["pku1"], KINECT_V2) is None
    assert make_segment_clip(instance, PAPER["pku1"].replaced(valid_frames="true_count"), KINECT_V2) is not None


def test_make_instance__interval_beyond_the_end_is_cut_and_noted() -> None:
    instance = make_instance_of(make_video(40), 35, 60)
    clip = make_segment_clip(instance, PAPER["pku1"], KINECT_V2)
    assert clip is not None
    assert clip.joints.shape[1] == 5
    assert list(segment_notes(instance, PAPER["pku1"])) == ["interval_cut"]


@pytest.mark.parametrize(("frames", "notes"), [(300, []), (301, ["frames_cut"])])
def test_make_instance__cut_at_300_frames_and_noted(frames: int, notes: list[str]) -> None:
    instance = make_instance_of(make_video(400), 10, 10 + frames)
    clip = make_segment_clip(instance, PAPER["pku2"], KINECT_V2)
    assert clip is not None
    assert clip.joints.shape[1] == 300
    assert list(segment_notes(instance, PAPER["pku2"])) == notes


@pytest.mark.parametrize(("start", "end"), [(40, 50), (900, 950), (20, 20), (20, 10)])
def test_make_instance__interval_without_a_frame_names_the_line(start: int, end: int) -> None:
    with pytest.raises(RawFileError, match=f"interval {start} to {end} holds no frame of the video's 40") as caught:
        make_segment_clip(make_instance_of(make_video(40), start, end), PAPER["pku1"], KINECT_V2)
    assert caught.value.line == 4
