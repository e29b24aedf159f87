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
        ("S001C001P001R001A001", True, True),
        ("S017C003P040R002A060", True, True),
        ("S017C003P040R002A061", False, True),
        ("S018C003P040R002A060", False, True),
        ("S032C003P106R002A120", False, True),
        ("S033C003P106R002A120", False, False),
        ("S032C003P106R002A121", False, False),
        ("S000C001P001R001A001", False, False),
        ("S001C001P001R001A000", False, False),
    ],
)
def test_belongs__setups_and_actions(name: str, ntu60: bool, ntu120: bool) -> None:
    info = find_reader("ntu60").parse_path(f"{name}.skeleton")
    assert info is not None
    assert (find_reader("ntu60").belongs(info), find_reader("ntu120").belongs(info)) == (ntu60, ntu120)


@pytest.mark.skipif(not NAMES.exists(), reason="the official names are not there")
def test_belongs__official_counts() -> None:
    names = lzma.decompress(NAMES.read_bytes()).decode().split()
    infos = [info for name in names if (info := find_reader("ntu120").parse_path(f"{name}.skeleton"))]
    assert sum(find_reader("ntu60").belongs(info) for info in infos) == 56_578
    assert sum(find_reader("ntu120").belongs(info) for info in infos) == 113_945
