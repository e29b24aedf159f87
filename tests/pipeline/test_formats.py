import lzma

import pytest

from mamp_pipeline.raw.formats import RAW_FORMATS, belongs
from mamp_schemas.datasets import DatasetName
from mamp_schemas.errors import RawFileError
from tests.paths import SHARED_DATA
from tests.pipeline.clean_cases import golden_texts

NAMES = SHARED_DATA / "ntu120_available_names.txt.xz"


@pytest.mark.parametrize("dataset", ["ntu60", "ntu120"])
def test_read__ntu(dataset: DatasetName) -> None:
    clip_id, data = next(iter(golden_texts(dataset).items()))
    info, raw = RAW_FORMATS[dataset].read(f"{clip_id}.skeleton", data)
    assert info.id == clip_id
    assert info.label == int(clip_id[-3:]) - 1
    assert raw.joints.shape[1:] == (25, 3)


def test_read__nwucla_takes_the_label_from_the_file() -> None:
    name = "a12_s01_e02_v03"
    data = f'{{"file_name": "{name}", "label": 10, "skeletons": [[{",".join(["[0, 1, 2]"] * 20)}]]}}'.encode()
    info, raw = RAW_FORMATS["nwucla"].read(f"{name}.json", data)
    assert (info.id, info.label, info.camera) == (name, 9, 3)
    assert raw.frames == 1


@pytest.mark.parametrize("dataset", list(RAW_FORMATS))
def test_read__name_of_another_form(dataset: DatasetName) -> None:
    assert not RAW_FORMATS[dataset].matches("notes.txt")
    with pytest.raises(RawFileError, match=r"'notes\.txt' is not of the form"):
        RAW_FORMATS[dataset].read("notes.txt", b"")


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
    info = RAW_FORMATS["ntu60"].info(f"{name}.skeleton")
    assert info is not None
    assert (belongs("ntu60", info), belongs("ntu120", info)) == (ntu60, ntu120)


@pytest.mark.skipif(not NAMES.exists(), reason="the official names are not there")
def test_belongs__official_counts() -> None:
    names = lzma.decompress(NAMES.read_bytes()).decode().split()
    infos = [info for name in names if (info := RAW_FORMATS["ntu120"].info(f"{name}.skeleton"))]
    assert sum(belongs("ntu60", info) for info in infos) == 56_578
    assert sum(belongs("ntu120", info) for info in infos) == 113_945
