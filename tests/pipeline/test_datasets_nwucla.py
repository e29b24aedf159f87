import json
import zipfile
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamp_pipeline.cleaning.clip import make_clip
from mamp_pipeline.datasets.nwucla import parse_nwucla, parse_nwucla_name
from mamp_schemas.errors import RawFileError
from mamp_schemas.models.dataset import dataset_spec
from mamp_schemas.models.skeleton import KINECT_V1
from tests.paths import SHARED_DATA

REAL = SHARED_DATA / "nw_ucla.zip"
NAME = "a12_s03_e07_v02"


def _file(**changes: Any) -> bytes:
    frames = [[[0.5, joint, frame] for joint in range(20)] for frame in range(3)]
    return json.dumps({"file_name": NAME, "skeletons": frames, "label": 10, **changes}).encode()


def test_nwucla_info__numbers_of_the_name() -> None:
    info = parse_nwucla_name(f"{NAME}.json")
    assert info is not None
    assert (info.id, info.label, info.subject, info.camera, info.setup, info.replication) == (NAME, -1, 3, 2, -1, 7)


@pytest.mark.parametrize("name", [NAME, f"{NAME}.json.bak", f"x/{NAME}.json", "a1_s03_e07_v02.json", f"._{NAME}.json"])
def test_nwucla_info__other_names(name: str) -> None:
    assert parse_nwucla_name(name) is None


def test_parse_nwucla__bodies_and_label() -> None:
    label, raw = parse_nwucla(_file(), NAME)
    assert label == 9
    assert raw.frames == 3
    assert raw.frame.tolist() == [0, 1, 2]
    assert raw.body_id.tolist() == [0, 0, 0]
    assert raw.joints.shape == (3, 20, 3)
    assert raw.joints.dtype == np.float32
    assert raw.joints[2, 7].tolist() == [0.5, 7, 2]


@pytest.mark.parametrize(("lists", "reason"), [(1_000_000, "skeletons.0"), (20_000_000, "would take 1.9 GB of memory")])
def test_parse_nwucla__lists_that_would_take_the_memory(lists: int, reason: str) -> None:
    with pytest.raises(RawFileError, match=reason):
        parse_nwucla(b'{"skeletons":[' + b"[]," * lists + b"[]]}", "a01_s01_e00_v01")


def test_parse_nwucla__no_frame() -> None:
    assert parse_nwucla(_file(skeletons=[]), NAME)[1].joints.shape == (0, 20, 3)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "EOF"),
        (b"\xff\xfe", "JSON"),
        (_file()[:-40], "EOF"),
        (b"[" * 100_000, "JSON"),
        (b"[]", "object"),
        (b'{"label": 1, "file_name": "a"}', "skeletons: Field required"),
        (_file(label=0), "label"),
        (_file(label=3), "label is 3, which is not that of action 12 in its name"),
        (_file(confidence=[1]), "unknown key 'confidence', besides file_name, skeletons and label"),
        (_file().replace(b'"label": 10', b'"label": 1, "label": 10'), "a key is there twice"),
        (_file(label=11), "label"),
        (_file(label="3"), "label"),
        (_file(file_name="a01_s01_e00_v01"), "file_name is 'a01_s01_e00_v01', expected 'a12_s03_e07_v02'"),
        (_file(skeletons=[[[0, 0, 0]] * 20, [[0, 0, 0]] * 19]), "skeletons.1: .* at least 20"),
        (_file(skeletons=[[[0, 0, 0]] * 21]), "skeletons.0: .* at most 20"),
        (_file(skeletons=[[[0, 0]] * 20]), "skeletons.0.0.2"),
        (_file(skeletons=[[[0, 0, float("nan")]] * 20]), "skeletons.0.0.2: .* finite"),
        (_file(skeletons=[[[0, 0, float("inf")]] * 20]), "skeletons.0.0.2: .* finite"),
        (_file(skeletons=[[[0, 0, 1e39]] * 20]), "beyond the range of float32"),
        (_file(skeletons=[[[0, 0, "1"]] * 20]), "skeletons.0.0.2"),
        (_file(skeletons=[[[0, 0, None]] * 20]), "skeletons.0.0.2"),
        (_file(skeletons=[[[0, 0, True]] * 20]), "skeletons.0.0.2"),
        (_file(skeletons=[[[0, 0, 10**400]] * 20]), "skeletons.0.0.2"),
    ],
)
def test_parse_nwucla__damaged(data: bytes, reason: str) -> None:
    with pytest.raises(RawFileError, match=reason):
        parse_nwucla(data, NAME)


@given(st.integers(0, len(_file())), st.binary(max_size=8))
def test_parse_nwucla__any_damage_is_a_raw_file_error_or_harmless(at: int, patch: bytes) -> None:
    data = _file()
    try:
        _, raw = parse_nwucla(data[:at] + patch + data[at + len(patch) :], NAME)
    except RawFileError:
        return
    assert np.isfinite(raw.joints).all()


@pytest.mark.skipif(not REAL.exists(), reason="the real dataset is not there")
def test_parse_nwucla__the_whole_dataset() -> None:
    views: Counter[int] = Counter()
    labels = set()
    with zipfile.ZipFile(REAL) as archive:
        for name in archive.namelist():
            info = parse_nwucla_name(name)
            assert info is not None
            label, raw = parse_nwucla(archive.read(name), info.id)
            clip = make_clip(raw, dataset_spec("nwucla").paper_policy, KINECT_V1)
            assert clip.joints.shape == (1, raw.frames, 20, 3)
            views[info.camera] += 1
            labels.add(label)
    assert views[1] + views[2] == 1020
    assert views[3] == 464
    assert labels == set(range(10))
