"""Readers found in the registry: names, ids, and which clips belong to which dataset."""

import lzma
from pathlib import Path

import pytest

from mamp_pipeline.datasets.base import find_reader
from mamp_pipeline.datasets.clips import RawBodies, RawClip
from mamp_pipeline.datasets.io.source import RawSource
from mamp_schemas.errors import RawFileError
from mamp_schemas.models.dataset import fixed_specs
from tests.paths import SHARED_DATA
from tests.pipeline.cleaning_cases import golden_texts

NAMES = SHARED_DATA / "ntu120_available_names.txt.xz"


def open_file(dataset: str, folder: Path, member: str, data: bytes) -> RawClip:
    path = folder / member
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    (clip,) = find_reader(dataset).open(RawSource("", folder, member, len(data), None))
    assert isinstance(clip.content, RawBodies)
    return clip


@pytest.mark.parametrize("dataset", ["ntu60", "ntu120"])
def test_open__ntu(tmp_path: Path, dataset: str) -> None:
    clip_id, data = next(iter(golden_texts(dataset).items()))
    clip = open_file(dataset, tmp_path, f"a/b/{clip_id}.skeleton", data)
    assert clip.info.id == clip_id
    assert clip.info.label == int(clip_id[-3:]) - 1
    assert clip.content.joints.shape[1:] == (25, 3)
    assert clip.source.portable_path == f"{tmp_path.name}/a/b/{clip_id}.skeleton"


def test_open__nwucla_takes_the_label_from_the_file(tmp_path: Path) -> None:
    name = "a12_s01_e02_v03"
    data = f'{{"file_name": "{name}", "label": 10, "skeletons": [[{",".join(["[0, 1, 2]"] * 20)}]]}}'.encode()
    clip = open_file("nwucla", tmp_path, f"{name}.json", data)
    assert (clip.info.id, clip.info.label, clip.info.camera) == (name, 9, 3)
    assert clip.content.frames == 1


@pytest.mark.parametrize("dataset", fixed_specs())
def test_open__name_of_another_form(tmp_path: Path, dataset: str) -> None:
    assert find_reader(dataset).parse_path("notes.txt") is None
    with pytest.raises(RawFileError, match=r"'notes\.txt' is not of the form"):
        open_file(dataset, tmp_path, "notes.txt", b"")


@pytest.mark.parametrize(
    ("dataset", "clip_id", "camera"),
    [
        ("ntu60", "S001C002P001R001A001", 2),
        ("nwucla", "a12_s01_e02_v03", 3),
        ("pku1", "0002-M_11", 2),
        ("pku2", "A01N01-R_0", 3),
        ("pku1", "0002-M", None),
        ("pku1", "0002-M_x", None),
        ("pku2", "0002-M_11", None),
        ("ntu60", "train_000001", None),
    ],
)
def test_read_id__of_files_and_of_videos(dataset: str, clip_id: str, camera: int | None) -> None:
    info = find_reader(dataset).parse_id(clip_id)
    assert (info and (info.id, info.camera)) == (camera and (clip_id, camera))


@pytest.mark.parametrize(
    ("name", "ntu60", "ntu120"),
    [
        ("S001C001P001R001A001", "", ""),
        ("S017C003P040R002A060", "", ""),
        ("S017C003P040R002A061", "action 61, NTU RGB+D 60 has 1 to 60", ""),
        ("S018C003P040R002A060", "setup 18, NTU RGB+D 60 has 1 to 17", ""),
        ("S017C003P041R002A060", "subject 41, NTU RGB+D 60 has 1 to 40", ""),
        ("S032C003P106R002A120", "action 120", ""),
        ("S001C004P001R001A001", "camera 4, NTU RGB+D 60 has 1 to 3", "camera 4, NTU RGB+D 120 has 1 to 3"),
        ("S001C001P001R003A001", "replication 3", "replication 3, NTU RGB+D 120 has 1 to 2"),
        ("S001C001P107R001A001", "subject 107", "subject 107, NTU RGB+D 120 has 1 to 106"),
        ("S033C003P106R002A120", "action 120", "setup 33, NTU RGB+D 120 has 1 to 32"),
        ("S032C003P106R002A121", "action 121", "action 121, NTU RGB+D 120 has 1 to 120"),
        ("S000C001P001R001A001", "setup 0", "setup 0"),
        ("S001C000P001R001A001", "camera 0", "camera 0"),
        ("S001C001P000R001A001", "subject 0", "subject 0"),
        ("S001C001P001R000A001", "replication 0", "replication 0"),
        ("S001C001P001R001A000", "action 0", "action 0"),
    ],
)
def test_why_foreign__ntu_numbers(name: str, ntu60: str, ntu120: str) -> None:
    info = find_reader("ntu60").parse_path(f"{name}.skeleton")
    assert info is not None
    for dataset, reason in (("ntu60", ntu60), ("ntu120", ntu120)):
        found = find_reader(dataset).why_foreign(info)
        assert found.startswith(reason)
        assert bool(found) == bool(reason)


@pytest.mark.parametrize(
    ("dataset", "member", "reason"),
    [
        ("nwucla", "a12_s10_e10_v03.json", ""),
        ("nwucla", "a07_s01_e00_v01.json", "action 7, NW-UCLA has 1 to 12 without 7 and 10"),
        ("nwucla", "a13_s01_e00_v01.json", "action 13"),
        ("nwucla", "a01_s11_e00_v01.json", "subject 11, NW-UCLA has 1 to 10"),
        ("nwucla", "a01_s01_e11_v01.json", "replication 11, NW-UCLA has 0 to 10"),
        ("nwucla", "a01_s01_e00_v04.json", "camera 4, NW-UCLA has 1 to 3"),
        ("pku1", "0364-R.txt", ""),
        ("pku1", "0365-R.txt", "video 0365, expected 0001 to 0364"),
        ("pku1", "0000-L.txt", "video 0000"),
        ("pku2", "A26N13-M.txt", ""),
        ("pku2", "A27N01-M.txt", "video A27N01, expected A01 to A26 and N01 to N13"),
        ("pku2", "A01N14-M.txt", "video A01N14"),
    ],
)
def test_why_foreign__other_datasets(dataset: str, member: str, reason: str) -> None:
    reader = find_reader(dataset)
    info = reader.parse_path(member)
    assert info is not None
    assert reader.why_foreign(info).startswith(reason)
    assert bool(reader.why_foreign(info)) == bool(reason)


@pytest.mark.parametrize(("dataset", "column"), [("ntu60", "subject"), ("ntu60", "camera"), ("ntu120", "setup")])
def test_protocol__a_number_that_the_dataset_does_not_have_is_in_neither_split(dataset: str, column: str) -> None:
    spec = fixed_specs()[dataset]
    (protocol,) = (protocol for protocol in spec.protocols if protocol.column == column)
    least, greatest = spec.ranges[column]
    assert {protocol.split_of(number) for number in range(least, greatest + 1)} == {"train", "test"}
    assert [protocol.split_of(number) for number in (least - 1, greatest + 1)] == [None, None]


@pytest.mark.skipif(not NAMES.exists(), reason="the official names are not there")
def test_why_foreign__official_counts() -> None:
    names = lzma.decompress(NAMES.read_bytes()).decode().split()
    infos = [info for name in names if (info := find_reader("ntu120").parse_path(f"{name}.skeleton"))]
    assert sum(not find_reader("ntu60").why_foreign(info) for info in infos) == 56_578
    assert sum(not find_reader("ntu120").why_foreign(info) for info in infos) == 113_945
