"""PKU-MMD's files brought together, and a video read into its clips."""

import gzip
import zlib
from pathlib import Path

import pytest

from mamp_pipeline.datasets.base import find_reader
from mamp_pipeline.datasets.clips import ClipInfo, RawSegment
from mamp_pipeline.datasets.discover import find_sources
from mamp_pipeline.datasets.io.read import read_head
from mamp_pipeline.datasets.io.source import RawSource
from mamp_pipeline.datasets.pku.discover import describe_split_lists
from mamp_pipeline.datasets.pku.video import read_video_clips
from mamp_schemas.errors import RawFileError, RawInputError
from tests.pipeline.pku_cases import label_text, list_text, make_video, video_text, write_archive, write_files

VIDEO = video_text(make_video(10))
LABELS = label_text((3, 0, 5), (7, 5, 10))
XSUB = list_text(["0002-L", "0002-M"], ["0003-L", "0003-M"])
XVIEW = list_text(["0002-M", "0003-M"], ["0002-L", "0003-L"])


def only(*paths: Path) -> RawSource:
    (source,) = find_sources(paths, find_reader("pku1")).sources
    return source


@pytest.mark.parametrize("skeletons", ["folder", "archive"])
@pytest.mark.parametrize("labels", ["folder", "archive"])
def test_find_videos__folders_and_archives_in_any_combination(tmp_path: Path, skeletons: str, labels: str) -> None:
    files = {"a": ({"x/0002-L.txt": VIDEO}, skeletons), "b": ({"0002-L.txt": LABELS, "lists/s.txt": XSUB}, labels)}
    paths = [
        write_folder(tmp_path / name, content) if kind == "folder" else write_archive(tmp_path / f"{name}.zip", content)
        for name, (content, kind) in files.items()
    ]
    source = only(*reversed(paths))
    assert source.size == len(VIDEO)
    assert source.video is not None
    assert (source.video.xsub, source.video.xview) == (0, -1)
    assert source.video.labels_crc == zlib.crc32(LABELS)
    assert len(read_video_clips(source, ClipInfo("0002-L", -1))) == 2


def write_folder(folder: Path, files: dict[str, bytes | str]) -> Path:
    return write_files(folder, files)


def test_find_videos__identity_is_that_of_the_content(tmp_path: Path) -> None:
    files = {"skeleton/0002-L.txt": VIDEO, "label/0002-L.txt": LABELS, "cross-view.txt": XVIEW}
    first = only(write_archive(tmp_path / "raw.zip", files))
    skeletons = write_archive(tmp_path / "skeletons.zip", {"0002-L.txt": VIDEO})
    rest = write_files(tmp_path / "rest", {"l/0002-L.txt": LABELS, "v.txt": XVIEW})
    assert first.identity == only(skeletons, rest).identity
    other = files | {"label/0002-L.txt": LABELS.replace(b"3", b"4")}
    assert first.identity != only(write_archive(tmp_path / "labels.zip", other)).identity
    other = files | {"cross-view.txt": list_text(["0002-L", "0003-L"], ["0002-M", "0003-M"])}
    assert first.identity != only(write_archive(tmp_path / "sides.zip", other)).identity


def test_find_videos__a_list_named_by_itself(tmp_path: Path) -> None:
    write_files(tmp_path / "raw", {"0002-L.txt": VIDEO})
    write_files(tmp_path, {"labels/0002-L.txt": LABELS, "0002/splits.txt": XVIEW})
    source = only(tmp_path / "raw", tmp_path / "labels", tmp_path / "0002" / "splits.txt")
    assert source.video is not None
    assert (source.video.xsub, source.video.xview) == (-1, 1)


def test_find_videos__files_of_the_other_phase_do_not_count(tmp_path: Path) -> None:
    files = {"0002-L.txt": VIDEO, "A01N01-L.txt": VIDEO, "label/0002-L.txt": LABELS}
    assert only(write_files(tmp_path, files)).id == "0002-L"


def test_find_videos__other_files_are_left_out_with_the_reason(tmp_path: Path) -> None:
    files = {
        "0002-l.TXT": VIDEO,
        "label/0002-L.txt.gz": gzip.compress(LABELS),
        "A01N01-L.txt": VIDEO,
        "0003-L (1).txt": VIDEO,
        "0004-L.skeleton": VIDEO,
        "0005_L.txt": VIDEO,
        "0006-L.txt.bak": VIDEO,
        "cross_subject.txt": XSUB,
        "README.txt": b"videos",
        "Actions.xlsx": b"",
    }
    found = find_sources([write_files(tmp_path, files)], find_reader("pku1"))
    (source,) = found.sources
    assert len(read_video_clips(source, ClipInfo("0002-L", -1))) == 2
    assert {Path(file).name: group.reason.split(",")[0] for group in found.left_out for file in group.files} == {
        "A01N01-L.txt": "its name is that of a video of the other phase",
        "0003-L (1).txt": "its name is that of a second copy",
        "0004-L.skeleton": "its name ends in '.skeleton'",
        "0005_L.txt": "its name is not of the form NNNN-V.txt: rename it if it is a raw file",
        "0006-L.txt.bak": "its name ends in '.txt.bak'",
    }
    assert found.other == 2


def test_find_videos__a_named_list_of_the_other_phase_is_rejected(tmp_path: Path) -> None:
    files = {"0002-L.txt": VIDEO, "cross_subject.txt": list_text(["A01N01-L"], ["A01N02-L"])}
    found = find_sources(sorted(write_files(tmp_path, files).iterdir()), find_reader("pku1"))
    assert [Path(entry.file).name for entry in found.rejected] == ["cross_subject.txt"]
    assert found.rejected[0].reason == "a split list of videos of the other phase"
    (group,) = find_sources([tmp_path], find_reader("pku1")).left_out
    assert (group.reason, len(group.files)) == ("a split list of videos of the other phase", 1)


def test_find_videos__nothing_there(tmp_path: Path) -> None:
    write_files(tmp_path, {"A01N01-L.txt": VIDEO})
    with pytest.raises(RawInputError, match=r"looked for NNNN-V\.txt, found 1 \.txt"):
        find_sources([tmp_path], find_reader("pku1"))


@pytest.mark.parametrize("content", [VIDEO, LABELS])
def test_find_videos__twice(tmp_path: Path, content: bytes) -> None:
    write_files(tmp_path, {"a/0002-L.txt": content, "b/0002-L.txt": content})
    with pytest.raises(RawInputError, match="video 0002-L is there twice"):
        find_sources([tmp_path], find_reader("pku1"))


@pytest.mark.parametrize("labels", ["garbage here", "3 0 5 1\n", ""])
def test_find_videos__damaged_labels_are_known_by_their_folder(tmp_path: Path, labels: str) -> None:
    source = only(write_files(tmp_path, {"skeleton/0002-L.txt": VIDEO, "label/0002-L.txt": labels.encode()}))
    assert source.member == "skeleton/0002-L.txt"
    assert source.video is not None
    assert source.video.labels is not None
    assert source.video.labels.member == "label/0002-L.txt"


def test_find_videos__damaged_skeletons_are_known_by_their_folder(tmp_path: Path) -> None:
    source = only(
        write_files(tmp_path, {"skeleton/0002-L.txt": b"0,0,0 damaged\n" + VIDEO, "label/0002-L.txt": LABELS})
    )
    assert source.member == "skeleton/0002-L.txt"
    with pytest.raises(RawFileError) as caught:
        read_video_clips(source, ClipInfo("0002-L", -1))
    assert caught.value.line == 1


def test_find_videos__two_lists_that_differ(tmp_path: Path) -> None:
    files = {"0002-L.txt": VIDEO, "sub1.txt": XSUB, "sub2.txt": list_text(["0002-L", "0002-M"], ["0003-L"])}
    with pytest.raises(RawInputError, match="two cross-subject lists that differ"):
        find_sources([write_files(tmp_path, files)], find_reader("pku1"))


def test_find_videos__two_lists_that_agree(tmp_path: Path) -> None:
    source = only(write_files(tmp_path, {"0002-L.txt": VIDEO, "sub1.txt": XSUB, "sub2.txt": XSUB.upper()}))
    assert source.video is not None
    assert source.video.xsub == 0


def test_open_video__without_labels(tmp_path: Path) -> None:
    source = only(write_files(tmp_path, {"0002-L.txt": VIDEO}))
    with pytest.raises(RawFileError, match="no label file of this video was found"):
        read_video_clips(source, ClipInfo("0002-L", -1))


def test_open_video__without_skeletons(tmp_path: Path) -> None:
    source = only(write_files(tmp_path, {"label/0002-L.txt": LABELS}))
    with pytest.raises(RawFileError, match="no skeleton file of this video was found"):
        read_video_clips(source, ClipInfo("0002-L", -1))
    assert source.portable_path.endswith("label/0002-L.txt")


def test_open_video__empty_label_file(tmp_path: Path) -> None:
    source = only(write_files(tmp_path, {"skeleton/0002-L.txt": VIDEO, "label/0002-L.txt": b"\n"}))
    (clip,) = read_video_clips(source, ClipInfo("0002-L", -1))
    assert isinstance(clip.content, RawFileError)
    assert clip.source.portable_path.endswith("label/0002-L.txt")


def test_open_video__clips_in_order_of_id_with_index_by_line(tmp_path: Path) -> None:
    labels = label_text(*((number, 0, 5) for number in range(1, 13)))
    source = only(write_files(tmp_path, {"0002-L.txt": VIDEO, "label/0002-L.txt": labels, "v.txt": XVIEW}))
    clips = read_video_clips(source, ClipInfo("0002-L", -1, camera=1))
    names = [clip.info.id for clip in clips]
    assert names == sorted(names)
    assert {clip.info.id: clip.info.label for clip in clips} == {f"0002-L_{index}": index for index in range(12)}
    assert {(clip.info.camera, clip.info.xsub, clip.info.xview) for clip in clips} == {(1, -1, 1)}
    assert all(isinstance(clip.content, RawSegment) for clip in clips)


def test_describe_videos__says_which_lists_are_missing_or_short(tmp_path: Path) -> None:
    files = {"0002-L.txt": VIDEO, "0009-L.txt": VIDEO, "cross_view.txt": XVIEW}
    subject, view = describe_split_lists(find_sources([write_files(tmp_path, files)], find_reader("pku1")).sources)
    assert "no cross-subject list" in subject
    assert "1 videos are in no cross-view list" in view


def test_read_head__of_a_member(tmp_path: Path) -> None:
    source = only(write_archive(tmp_path / "a.zip", {"0002-L.txt": VIDEO}))
    assert read_head(source, 50) == VIDEO[:50]
