"""pyskl pickles: annotations and splits in and out, 3D only."""

import io
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mamp_pipeline.convert.pyskl import read_pyskl
from mamp_schemas.errors import RawInputError, UsageError
from mamp_schemas.io.manifests import read_manifest
from tests.pipeline.convert_cases import annotation, import_pyskl, pyskl_content, round_trip_pyskl, write_pickle


def test_import__annotations_and_splits_come_back(tmp_path: Path) -> None:
    content = pyskl_content()
    again = round_trip_pyskl(tmp_path / "f.pkl", content)
    assert again["split"] == content["split"]
    for found, expected in zip(again["annotations"], content["annotations"], strict=True):
        assert found["keypoint"].dtype == np.float32
        assert found["keypoint"].tobytes() == expected["keypoint"].tobytes()
        assert found["keypoint"].flags.writeable
        assert {**found, "keypoint": 0} == {**expected, "keypoint": 0}


@pytest.mark.parametrize("protocol", range(6))
def test_import__every_pickle_protocol(tmp_path: Path, protocol: int) -> None:
    content = pyskl_content()
    for entry in content["annotations"]:
        entry["label"], entry["keypoint"] = np.int64(entry["label"]), np.asfortranarray(entry["keypoint"])
    content["split"]["xsub_train"] = np.array(content["split"]["xsub_train"])
    store = import_pyskl(write_pickle(tmp_path / "f.pkl", content, protocol))
    assert store.columns["label"].tolist() == [0, 1, 59]
    assert store.columns["bodies"].tolist() == [1, 2, 1]
    assert store.columns["frames"].tolist() == [5, 7, 400]
    expected = np.concatenate([entry["keypoint"].reshape(-1, 25, 3) for entry in content["annotations"]])
    np.testing.assert_array_equal(store.read_rows("joints", 0, len(expected)), expected)


def test_import__the_store_is_the_one_exported(tmp_path: Path) -> None:
    first = import_pyskl(write_pickle(tmp_path / "f.pkl", pyskl_content()))
    (tmp_path / "second").mkdir()
    again = round_trip_pyskl(tmp_path / "f2.pkl", pyskl_content())
    second = import_pyskl(write_pickle(tmp_path / "second" / "f.pkl", again))
    assert second.metadata.content_hash == first.metadata.content_hash


def test_import__half_floats_widen(tmp_path: Path) -> None:
    content = pyskl_content()
    half = content["annotations"][0]["keypoint"].astype(np.float16)
    content["annotations"][0]["keypoint"] = half
    found = round_trip_pyskl(tmp_path / "f.pkl", content)["annotations"][0]["keypoint"]
    np.testing.assert_array_equal(found, half.astype(np.float32))


def test_export__names_no_module_that_numpy_1_lacks(tmp_path: Path) -> None:
    round_trip_pyskl(tmp_path / "f.pkl", pyskl_content())
    strings = {arg for _, arg, _ in pickletools.genops((tmp_path / "again.pkl").read_bytes()) if isinstance(arg, str)}
    assert "numpy" in strings
    assert not any(text.startswith("numpy.") for text in strings)


def test_export__is_one_sound_pickle(tmp_path: Path) -> None:
    again = round_trip_pyskl(tmp_path / "f.pkl", pyskl_content())
    with (tmp_path / "again.pkl").open("rb") as file:
        pickletools.dis(
            file, out=io.StringIO()
        )  # refuses what leaves something on the stack or takes what is not there
        assert file.read() == b""
    assert [entry["frame_dir"] for entry in again["annotations"]] == sorted(
        entry["frame_dir"] for entry in pyskl_content()["annotations"]
    )


def test_read__tells_what_is_not_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = pyskl_content()
    content["annotations"][1]["keypoint_score"] = np.ones((2, 7, 25), dtype=np.float16)
    content["split"]["train_1pct"] = ["S001C001P001R001A001"]
    content["label_names"] = ["drink"]
    existing = read_pyskl(write_pickle(tmp_path / "f.pkl", content), "ntu60")
    assert [split.protocol.name for split in existing.splits] == ["xsub", "xview"]
    assert any("keypoint_score" in text for text in caplog.messages)
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert any("train_1pct" in text for text in warnings)
    assert any("label_names" in text for text in warnings)


def test_read__splits_say_which_dataset_it_is(tmp_path: Path) -> None:
    path = write_pickle(tmp_path / "f.pkl", pyskl_content())
    assert read_pyskl(path, None).dataset.name == "ntu60"
    content = {**pyskl_content(), "split": {}}
    with pytest.raises(UsageError, match="could be of ntu60, ntu120"):
        read_pyskl(write_pickle(tmp_path / "g.pkl", content), None)


def change(place: int, **values: object) -> Callable[[Any], None]:
    return lambda content: content["annotations"][place].update(values)


def split(**lists: object) -> Callable[[Any], None]:
    return lambda content: content["split"].update(lists)


REFUSED: list[tuple[Callable[[Any], object], str]] = [
    (lambda content: content.pop("split"), "expected a dictionary of 'split' and 'annotations', got a dictionary of"),
    (lambda content: content.update(annotations={}), "'annotations' is a dictionary of nothing, expected a list"),
    (lambda content: content.update(annotations=[]), "without an annotation"),
    (lambda content: content["annotations"][1].pop("label"), "annotation 1: got a dictionary of frame_dir, total_fr"),
    (lambda content: content["annotations"].append(annotation("S001C001P001R001A001", 1, 2)), "is there 2 times"),
    (change(1, keypoint=np.zeros((2, 7, 17, 2), dtype=np.float16)), "2D keypoints .*2D input cannot be used yet"),
    (change(1, keypoint=np.zeros((2, 7, 17, 3), dtype=np.float16)), "2 bodies of 17 joints, expected 1 to 2 of 25"),
    (change(1, keypoint=np.zeros((3, 7, 25, 3), dtype=np.float32)), "3 bodies of 25 joints"),
    (change(1, keypoint=np.zeros((0, 7, 25, 3), dtype=np.float32)), "0 bodies of 25 joints"),
    (change(1, keypoint=np.zeros((7, 25, 3), dtype=np.float32)), r"keypoint has shape \(7, 25, 3\)"),
    (change(1, keypoint=[1.0]), "keypoint list; expected a string, two whole numbers and an array"),
    (change(1, total_frames=8), "total_frames is 8, keypoint has 7 frames"),
    (change(1, total_frames=0, keypoint=np.zeros((1, 0, 25, 3), dtype=np.float32)), "total_frames is 0"),
    (change(1, label=60), "has label 60, expected 0 to 59"),
    (change(1, label=-1), "has label -1"),
    (change(1, label=2), "has label 2, its name says 1"),
    (change(1, label=True), "label bool"),
    (split(xsub_val=["nobody"]), "'xsub_val' lists 1 clips without an annotation: nobody"),
    (split(xsub_val=[1]), "'xsub_val' is a list, expected a list of names"),
    (split(xsub_val=["S001C001P001R001A001"]), "is there 2 times"),
    (split(xsub_train=[], xsub_val=["S001C001P001R001A001"]), "in the other split of xsub"),
]


@pytest.mark.parametrize(("damage", "message"), REFUSED, ids=[message[:30] for _, message in REFUSED])
def test_import__refuses(tmp_path: Path, damage: Callable[[Any], object], message: str) -> None:
    content = pyskl_content()
    damage(content)
    with pytest.raises(RawInputError, match=message) as error:
        import_pyskl(write_pickle(tmp_path / "f.pkl", content))
    assert error.value.remedy
    assert [path.name for path in tmp_path.iterdir()] == ["f.pkl"]


def test_import__refuses_nan_with_its_place(tmp_path: Path) -> None:
    content = pyskl_content()
    content["annotations"][1]["keypoint"][1, 2, 3, 0] = np.nan
    with pytest.raises(RawInputError, match=r"keypoint\[1, 2, 3, 0\] of clip S001C002P003R001A002: got nan"):
        import_pyskl(write_pickle(tmp_path / "f.pkl", content))


def test_import__refuses_one_array_in_many_clips(tmp_path: Path) -> None:
    shared = np.zeros((1, 1000, 25, 3), dtype=np.float32)
    entries = [{"frame_dir": f"c{k}", "label": 0, "total_frames": 1000, "keypoint": shared} for k in range(9)]
    with pytest.raises(RawInputError, match="share arrays"):
        import_pyskl(write_pickle(tmp_path / "f.pkl", {"split": {}, "annotations": entries}))


def test_import__manifests_follow_the_splits(tmp_path: Path) -> None:
    content = pyskl_content()
    store = import_pyskl(write_pickle(tmp_path / "f.pkl", content))
    for protocol in ("xsub", "xview"):
        manifest = read_manifest(store, protocol)
        assert list(manifest.train) == content["split"][f"{protocol}_train"]
        assert list(manifest.test) == content["split"][f"{protocol}_val"]


def test_read_pyskl__an_empty_split_and_clips_in_none_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = pyskl_content()
    content["split"]["xsub_train"] = []
    source = read_pyskl(write_pickle(tmp_path / "f.pkl", content), "ntu60")
    assert [split.protocol.name for split in source.splits] == ["xsub", "xview"]
    assert "f.pkl: the train split of xsub is empty" in caplog.text
    assert "f.pkl: 2 of 3 clips are in neither split of xsub" in caplog.text
    assert "xview" not in caplog.text


def test_read_pyskl__half_a_split_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = pyskl_content()
    del content["split"]["xsub_val"]
    source = read_pyskl(write_pickle(tmp_path / "f.pkl", content), "ntu60")
    assert [split.protocol.name for split in source.splits] == ["xview"]
    assert "f.pkl: has only one of _train and _val of the splits xsub_train: left out" in caplog.text


def test_read_pyskl__refuses_to_lose_all_splits(tmp_path: Path) -> None:
    content = pyskl_content()
    names = {entry["frame_dir"]: f"clip{number}" for number, entry in enumerate(content["annotations"])}
    for entry in content["annotations"]:
        entry["frame_dir"] = names[entry["frame_dir"]]
    lists = [[names[name] for name in content["split"][key]] for key in ("xsub_train", "xsub_val")]
    path = write_pickle(tmp_path / "f.pkl", {**content, "split": dict(zip(("train", "val"), lists, strict=True))})
    with pytest.raises(RawInputError, match="has no protocol for the splits train, val, and the clips' names") as error:
        read_pyskl(path, "ntu60")
    assert "xsub_train and xsub_val" in (error.value.remedy or "")
    write_pickle(path, {**content, "split": dict(zip(("xsub_train", "xsub_val"), lists, strict=True))})  # as it says
    assert [split.protocol.name for split in read_pyskl(path, "ntu60").splits] == ["xsub"]


def test_read_pyskl__names_and_labels_of_st_gcn_are_sent_to_npz(tmp_path: Path) -> None:
    with pytest.raises(RawInputError, match="got a tuple") as error:
        read_pyskl(write_pickle(tmp_path / "label.pkl", (["a"], [0])), None)
    assert "mampctl import npz" in (error.value.remedy or "")
