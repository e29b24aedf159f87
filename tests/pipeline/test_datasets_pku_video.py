"""PKU-MMD text: names, skeletons, labels."""

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mamp_pipeline.datasets.clips import ClipInfo
from mamp_pipeline.datasets.io.source import RawSource, VideoAnnotations
from mamp_pipeline.datasets.pku.discover import Phase, parse_video_name
from mamp_pipeline.datasets.pku.video import LabelledInterval, parse_labels, parse_video, read_video_clips
from mamp_schemas.errors import RawFileError
from tests.pipeline.pku_cases import label_text, make_video, video_text, write_files


@pytest.mark.parametrize(
    ("phase", "name", "camera"),
    [
        ("pku1", "0002-L.txt", 1),
        ("pku1", "0364-M.txt", 2),
        ("pku2", "A01N01-R.txt", 3),
        ("pku1", "A01N01-R.txt", None),
        ("pku2", "0002-L.txt", None),
        ("pku1", "0002-L", None),
        ("pku1", "0002-X.txt", None),
        ("pku1", "cross-view.txt", None),
    ],
)
def test_video_info__name_and_view(phase: Phase, name: str, camera: int | None) -> None:
    info = parse_video_name(phase, name)
    assert (info and (info.id, info.camera)) == (camera and (name.removesuffix(".txt"), camera))


def test_parse_video__bodies_joints_coordinates() -> None:
    video = make_video(3, bodies=2)
    np.testing.assert_array_equal(parse_video(video_text(video)), video.reshape(3, 2, 25, 3))


@pytest.mark.parametrize("change", [(b"\n", b"\r\n"), (b" ", b"\t"), (b"\n", b"\n\n"), (b"\n", b" \n")])
def test_parse_video__line_ends_and_blanks(change: tuple[bytes, bytes]) -> None:
    video = make_video(3)
    assert parse_video(video_text(video).replace(*change)).tobytes() == video.tobytes()


@given(st.lists(st.floats(width=64, allow_nan=False, min_value=-1e30, max_value=1e30), min_size=150, max_size=150))
@settings(max_examples=30, deadline=None)
def test_parse_video__every_number_is_the_float32_of_its_text(values: list[float]) -> None:
    fields = [repr(value) for value in values]
    expected = np.array([np.float32(float(field)) for field in fields])
    assert parse_video(" ".join(fields).encode()).astype(np.float32).tobytes() == expected.tobytes()


@pytest.mark.parametrize("field", [b"nan", b"inf", b"1_0", b"1e", b"0x1", b"--1", b"1e39", b"1e999", b"\xff"])
def test_parse_video__no_number_names_the_line(field: bytes) -> None:
    lines = video_text(make_video(3)).splitlines()
    lines[1] = field + b" " + lines[1].partition(b" ")[2]
    with pytest.raises(RawFileError) as caught:
        parse_video(b"\n".join(lines))
    assert caught.value.line == 2


@pytest.mark.parametrize("count", [1, 149, 151])
def test_parse_video__not_150_numbers_names_the_line(count: int) -> None:
    text = video_text(make_video(2)) + b"\n" + b" ".join([b"0.5"] * count)
    with pytest.raises(RawFileError, match=f"{count} numbers, expected 150") as caught:
        parse_video(text)
    assert caught.value.line == 4


def test_parse_video__memory_is_bounded_by_the_bytes_not_the_lines() -> None:
    data = b"1\n" * 100_000
    tracemalloc.start()
    try:
        with pytest.raises(RawFileError, match="1 numbers, expected 150"):
            parse_video(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100 * len(data)


@pytest.mark.parametrize("data", [b"", b"\n \r\n"])
def test_parse_video__no_frame(data: bytes) -> None:
    with pytest.raises(RawFileError, match="no frame in the file"):
        parse_video(data)


def test_parse_labels__one_line() -> None:
    assert parse_labels(b"51,0,75,2") == [LabelledInterval(50, 0, 75, 1)]


def test_parse_labels__blank_lines_spaces_and_carriage_returns() -> None:
    assert parse_labels(b"\r\n 1, 2 ,3,1\r\n\r\n2,4,5,2.5\r\n") == [
        LabelledInterval(0, 2, 3, 2),
        LabelledInterval(1, 4, 5, 4),
    ]


def test_parse_labels__out_of_range_spares_the_others() -> None:
    found = parse_labels(label_text((0, 1, 2), (52, 1, 2), (7, 1, 2)))
    assert [getattr(item, "reason", None) for item in found] == [
        "action 0, expected 1 to 51",
        "action 52, expected 1 to 51",
        None,
    ]
    assert [item.line for item in found] == [1, 2, 3]


@pytest.mark.parametrize("line", [b"1,2,3", b"1,-2,3,1", b"1,2.5,3,1", b"a,2,3,1", b"1,2,3,4,5", b"1 2 3 1", b"1,2,3,"])
def test_parse_labels__malformed(line: bytes) -> None:
    (found,) = parse_labels(line)
    assert isinstance(found, RawFileError)
    assert "is not action,start,end,confidence" in found.reason


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_parsers__any_bytes_give_a_result_or_a_reason(data: bytes) -> None:
    assert all(item.line >= 1 for item in parse_labels(data))
    with pytest.raises(RawFileError):
        parse_video(data)


@pytest.mark.parametrize(
    ("parse", "data"),
    [(parse_labels, b"x\n" * 30_000_000), (parse_video, b"1\n" * 30_000_000)],
    ids=["labels", "video"],
)
def test_parsers__lines_that_would_take_the_memory(parse: Callable[[bytes], object], data: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(RawFileError, match=r"more than [0-9,]+ lines"):
        parse(data)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_read_video_clips__labels_that_cover_the_video_again_and_again(tmp_path: Path) -> None:
    write_files(tmp_path, {"video.txt": video_text(make_video(400)), "labels.txt": label_text(*[(1, 0, 399)] * 26)})
    sizes = {path.name: path.stat().st_size for path in sorted(tmp_path.iterdir())}
    labels, video = (RawSource("0002-L", tmp_path, name, size, None) for name, size in sizes.items())
    source = replace(video, video=VideoAnnotations(labels))
    (clip,) = read_video_clips(source, ClipInfo("0002-L", -1))
    assert isinstance(clip.content, RawFileError)
    assert "its labels have 10,374 frames together, the video 400" in clip.content.reason
