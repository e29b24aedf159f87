"""Raw files of any name, as `predict` reads them, in every format."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mamp_pipeline.datasets.base import DatasetReader, find_reader
from mamp_pipeline.datasets.discover import find_unnamed
from mamp_pipeline.ingest.read_files import read_files
from mamp_schemas.errors import RawInputError
from tests.factories import random_ntu_text
from tests.pipeline.custom_cases import JSON, WIDE, stick_layout, walk, write_json, write_wide
from tests.pipeline.pku_cases import label_text, list_text, make_video, video_text, write_archive, write_files

TAKE = write_wide({0: {frame: np.full((3, 3), 0.1 + frame, np.float32) for frame in range(3)}}, 3)


def _read(paths: Sequence[Path], reader: DatasetReader) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Return the clips of each file by its name, and the errors of files."""
    found = find_unnamed(paths, reader)
    clips: dict[str, list[str]] = {}
    errors = {Path(problem.file).name: problem.reason for problem in found.problems}
    for file in read_files(found.sources, reader, reader.options.paper_policy):
        if file.clips:
            clips[file.source.file_name] = [info.id for info, _ in file.clips]
        errors.update((Path(problem.file).name, problem.reason) for problem in file.problems())
    return clips, errors


def test_read_files__ntu_files_of_any_name(tmp_path: Path) -> None:
    text = random_ntu_text(0, frames=3)
    names = ("walk.skeleton", "S1C1P1R1A1.skeleton", "S001C001P001R001A099.skeleton", "S001C009P001R001A001.SKELETON")
    write_files(tmp_path, dict.fromkeys(names, text))
    clips, errors = _read([tmp_path], find_reader("ntu60"))
    assert clips == {name: [Path(name).stem] for name in names}
    assert not errors


@pytest.mark.parametrize("extra", [{}, {"label": 99, "file_name": "a01_s01_e00_v01"}, {"label": "walk"}])
def test_read_files__nwucla_files_of_any_name_and_label(tmp_path: Path, extra: dict[str, object]) -> None:
    skeletons = np.random.default_rng(0).normal(size=(4, 20, 3)).tolist()
    write_files(tmp_path, {"my_take.json": json.dumps({"skeletons": skeletons, **extra})})
    clips, errors = _read([tmp_path / "my_take.json"], find_reader("nwucla"))
    assert clips == {"my_take.json": ["my_take"]}
    assert not errors


def test_read_files__nwucla_files_with_what_is_not_read_are_refused(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.json": '{"skeletons": [], "other": 1}', "b.json": '{"skeletons": [], "skeletons": []}'})
    clips, errors = _read([tmp_path], find_reader("nwucla"))
    assert not clips
    assert errors.keys() == {"a.json", "b.json"}


def test_read_files__pku_videos_of_any_name_and_action(tmp_path: Path) -> None:
    files = {
        "video/mine.txt": video_text(make_video(20)),
        "label/mine.txt": label_text((99, 1, 9), (0, 9, 19)),
        "video/alone.txt": video_text(make_video(5)),
        "cross-subject.txt": list_text(["0002-L"], ["0003-L"]),
        "README.txt": "Videos of a day",
    }
    clips, errors = _read([write_files(tmp_path, files)], find_reader("pku1"))
    assert clips == {"mine.txt": ["mine_0", "mine_1"]}
    assert errors == {"alone.txt": "no label file of this video was found"}


@pytest.mark.parametrize("labels", ["none", "folder", "name"])
def test_read_files__recordings_of_any_name_and_folder(tmp_path: Path, labels: str) -> None:
    names = {"none": ".*", "folder": r"\d+", "name": r"(?P<label>wave|sit)_\d"}
    classes = [] if labels == "none" else ["sit", "wave"]
    reader = find_reader("custom", stick_layout(WIDE, labels=labels, names=names[labels], classes=classes))
    archive = write_archive(tmp_path / "more.zip", {"fall/UPPER.CSV": TAKE})
    clips, errors = _read([write_files(tmp_path / "raw", {"jump/my take.csv": TAKE, "a.csv": TAKE}), archive], reader)
    assert clips == {"my take.csv": ["jump/my take"], "a.csv": ["a"], "UPPER.CSV": ["fall/UPPER"]}
    assert not errors


def test_read_files__recordings_with_and_without_a_label_column(tmp_path: Path) -> None:
    head, *lines = TAKE.decode().splitlines()
    labelled = "\n".join([f"{head},Class", *(f"{line},label {number}" for number, line in enumerate(lines))])
    reader = find_reader("custom", stick_layout({**WIDE, "label": "class"}, labels="file", classes=["sit", "wave"]))
    write_files(tmp_path, {"a.csv": TAKE, "b.csv": labelled})
    clips, errors = _read([tmp_path], reader)
    assert (clips, errors) == ({"a.csv": ["a"], "b.csv": ["b"]}, {})


@pytest.mark.parametrize("meta", [{}, {"meta": {"label": "fall"}}])
def test_read_files__recordings_with_and_without_a_label_key(tmp_path: Path, meta: dict[str, object]) -> None:
    layout = stick_layout({**JSON, "label": "meta.label"}, labels="file", classes=["sit", "wave"])
    content = json.loads(write_json({7: walk(3)}, 3)) | meta
    write_files(tmp_path, {"a.json": json.dumps(content)})
    assert _read([tmp_path], find_reader("custom", layout)) == ({"a.json": ["a"]}, {})


def test_read_files__named_files_are_read_whatever_their_suffix(tmp_path: Path) -> None:
    write_files(tmp_path, {"take": TAKE, "take.dat": TAKE, "notes.md": b"no recording"})
    clips, errors = _read(sorted(tmp_path.iterdir()), find_reader("custom", stick_layout(WIDE)))
    assert clips == {"take": ["take"], "take.dat": ["take.dat"]}
    write_files(tmp_path, {"take.csv": TAKE})
    twice = find_unnamed(
        [tmp_path, tmp_path / "take.csv", tmp_path / "take.csv"], find_reader("custom", stick_layout(WIDE))
    )
    assert [source.file_name for source in twice.sources] == ["take.csv"]
    assert errors.keys() == {"notes.md"}


def test_find_unnamed__nothing_that_looks_like_a_raw_file(tmp_path: Path) -> None:
    with pytest.raises(RawInputError, match="no raw file of NTU RGB"):
        find_unnamed([write_files(tmp_path, {"README.txt": "empty"})], find_reader("ntu60"))


def test_find_unnamed__a_path_that_is_not_there_costs_its_line_only(tmp_path: Path) -> None:
    raw = write_files(tmp_path / "raw", {"walk.skeleton": random_ntu_text(0, frames=3)})
    _, errors = _read([raw, tmp_path / "nowhere", tmp_path / ("n" * 300)], find_reader("ntu60"))
    assert sorted(errors) == ["n" * 300, "nowhere"]
    with pytest.raises(RawInputError, match="nowhere"):
        find_unnamed([tmp_path / "nowhere"], find_reader("ntu60"))
