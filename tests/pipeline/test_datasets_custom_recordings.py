"""Own recordings in each format: what was written is read, bit for bit, and damage gives a reason."""

import pickle
import random
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mamp_pipeline.datasets.clips import ClipInfo, RawBodies
from mamp_pipeline.datasets.custom.recordings import RecordingReader, parse_recording, parse_recording_name
from mamp_pipeline.datasets.io.source import RawSource
from mamp_pipeline.ingest.plan import Part
from mamp_pipeline.ingest.tasks import ParseJob
from mamp_schemas.errors import RawFileError
from mamp_schemas.models.policy import PAPER_POLICY
from mamp_schemas.models.store import MotionSpec
from tests.pipeline.custom_cases import FILES, NPY, Track, npy_bytes, parse, stick_layout, walk, write

COORDINATES = st.floats(-90, 90, width=32)
POSES = st.lists(COORDINATES, min_size=8, max_size=8)
TRACKS = st.dictionaries(st.integers(0, 5), POSES, min_size=1).map(
    # A body that stands at 0 throughout would not be there.
    lambda track: {k: np.array([1, *pose], dtype=np.float32).reshape(3, 3) for k, pose in sorted(track.items())}
)


def read(form: str, tracks: dict[int, Track], frames: int) -> RawBodies:
    return parse_recording(write(form, tracks, frames), stick_layout(FILES[form]))


@pytest.mark.parametrize("form", FILES)
@settings(deadline=None)
@given(tracks=st.lists(TRACKS, min_size=1, max_size=2))
def test_read__round_trip(form: str, tracks: list[Track]) -> None:
    ids = (72057594037944738, 72057594037944739)  # equal as floats
    bodies = dict(zip(ids, tracks, strict=False))
    raw = read(form, bodies, frames=6)
    frames = range(6) if form in ("npy", "json") else sorted({frame for track in tracks for frame in track})
    numbers = {frame: number for number, frame in enumerate(frames)}  # a CSV has no lines for frames without bodies
    order = list(range(len(tracks)))
    if form in ("wide", "json"):  # these go frame by frame, and bodies are numbered as they come up
        order.sort(key=lambda body: min(tracks[body]))
    written = {
        (numbers[frame], order.index(body)): pose for body, track in enumerate(tracks) for frame, pose in track.items()
    }
    found = zip(raw.frame.tolist(), raw.body_id.tolist(), raw.joints, strict=True)
    assert raw.frames == len(frames)
    assert raw.frame.tolist() == sorted(raw.frame.tolist())
    assert {(frame, body): pose.tobytes() for frame, body, pose in found} == {
        place: pose.tobytes() for place, pose in written.items()
    }


@pytest.mark.parametrize("form", FILES)
def test_read__the_same_bodies_in_every_format(form: str) -> None:
    raw = read(form, {7: walk(4), 9: walk(3, start=1, seed=1)}, frames=4)
    assert raw.frame.tolist() == [0, 1, 1, 2, 2, 3, 3]
    assert raw.body_id.tolist() == [0, 0, 1, 0, 1, 0, 1]
    assert raw.joints.tobytes() == b"".join(
        pose.tobytes() for k in range(4) for pose in (walk(4)[k], walk(3, start=1, seed=1).get(k, np.empty(0)))
    )


@pytest.mark.parametrize("form", FILES)
def test_read__mutations_give_bodies_or_a_reason(form: str) -> None:
    layout = stick_layout(FILES[form], missing="hold")
    whole = write(form, {7: walk(5), 9: walk(5, seed=1)}, frames=5)
    draw = random.Random(0)
    outcomes = {"clip": 0, "reason": 0}
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(draw.randint(1, 3)):
            _mutate(data, draw)
        try:
            raw = parse_recording(bytes(data), layout)
        except RawFileError:
            outcomes["reason"] += 1
        else:
            assert np.isfinite(raw.joints).all()
            outcomes["clip"] += 1
    assert min(outcomes.values()) > 10


def _mutate(data: bytearray, draw: random.Random) -> None:
    at = draw.randrange(len(data) + 1)
    kind = draw.choice(["flip", "cut", "drop", "repeat", "insert"])
    if kind == "flip" and at < len(data):
        data[at] ^= 1 << draw.randrange(8)
    elif kind == "cut" and at > len(data) // 2:
        del data[at:]
    elif kind == "drop":
        del data[at : at + draw.randint(1, 20)]
    elif kind == "repeat":
        data[at:at] = data[at : at + draw.randint(1, 40)]
    else:
        data[at:at] = draw.choice([b"\0", b"1e999", b"-", b'"', b"\n", b"nan", b"[", b"}", b"9" * 30, b"\xff", b","])


def test_layout__travels_with_a_parse_job(tmp_path: Path) -> None:
    layout = stick_layout(FILES["wide"])
    job = ParseJob(Part(0, ()), "custom", PAPER_POLICY, MotionSpec(), "plan", tmp_path / "piece", layout)
    assert pickle.loads(pickle.dumps(job)) == job


def test_read__nobody_there() -> None:
    assert len(parse(NPY, npy_bytes(np.zeros((2, 5, 3, 3)))).frame) == 0
    assert len(parse({"format": "json"}, b"[null, null]").frame) == 0


def test_parse_recording_name__accents_in_either_form() -> None:
    layout = stick_layout(NPY, labels="folder", classes=["rückwärts", "vor"])
    for name in ("rückwärts", unicodedata.normalize("NFD", "rückwärts")):
        assert parse_recording_name(f"{name}/a.npy", layout).label == 0


def test_read__an_id_that_every_clip_would_have_room_for(tmp_path: Path) -> None:
    reader = RecordingReader(stick_layout(NPY))
    source = RawSource("x" * 1_001, tmp_path, "x.npy", 0, None)
    with pytest.raises(RawFileError, match="an id of 1,001 characters"):
        reader.read(source, ClipInfo(source.id, -1))
