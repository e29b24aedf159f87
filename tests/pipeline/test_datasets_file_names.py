import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mamp_pipeline.datasets.base import find_reader
from mamp_pipeline.datasets.file_names import (
    COPY_REASON,
    PACKED_REASON,
    ZIP_REASON,
    explain_left_out,
    printable,
    strip_suffix,
)
from mamp_pipeline.datasets.io.source import RawSource
from mamp_schemas.errors import RawInputError
from tests.pipeline.custom_cases import WIDE, stick_layout

LIKENESS = re.compile(r"take\d+", re.IGNORECASE)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a/b.csv", "a/b"),
        ("b.CSV", "b"),
        ("b.Csv.gZ", "b"),
        (".csv", ""),
        ("b.csv.txt", None),
        ("b.csv.bz2", None),
        ("b", None),
        ("bcsv", None),
        ("\u0130.csv", "\u0130"),
        ("\udcff.csv", "\udcff"),
    ],
)
def test_strip_suffix__any_case_and_gzipped(name: str, stem: str | None) -> None:
    assert strip_suffix(name, ".csv") == stem


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a b/ü 日本.csv", "a b/ü 日本.csv"),
        ("a\udcff.csv", r"a\xff.csv"),
        ("a\x00\x1b[31m\n", r"a\x00\x1b[31m\n"),
        ("a\ud800", r"a\ud800"),
        ("a\u3000b", "a\u3000b"),
    ],
)
def test_printable__what_cannot_be_printed_is_escaped(name: str, text: str) -> None:
    assert printable(name) == text
    assert printable(name).encode()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("take1 (1).stick", COPY_REASON),
        ("take1(2).stick.gz", COPY_REASON),
        ("take1.stick (1)", COPY_REASON),
        ("take1 - Copy.stick", COPY_REASON),
        ("take1 copy 2.stick", COPY_REASON),
        ("Copy of take1.stick", COPY_REASON),
        ("in/take1.zip", ZIP_REASON),
        ("take1.stick.zip", ZIP_REASON),
        ("rest.TAR.GZ", PACKED_REASON),
        ("take1.stick.xz", PACKED_REASON),
        ("take1.stick.part", "its name ends in '.stick.part', expected takeN.stick: rename it if it is a raw file"),
        ("take1.stick~", "its name ends in '.stick~', expected takeN.stick: rename it if it is a raw file"),
        ("walk.STICK", "its name is not of the form takeN.stick: rename it if it is a raw file"),
        ("take1.txt", "its name ends in '.txt', expected takeN.stick"),
        ("take1", "its name ends without a suffix, expected takeN.stick"),
        (".take1.stick.icloud", "a file that has not been downloaded yet: open its folder and download it"),
    ],
)
def test_explain_left_out__looks_like_a_raw_file(name: str, reason: str) -> None:
    assert explain_left_out(name, ".stick", "takeN.stick", LIKENESS) == reason


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "README.stick",
        "license.txt",
        ".DS_Store",
        "Thumbs.db",
        "._take1.stick",
        "__MACOSX/in/take1.stick",
        "~$take1.stick",
        "take1.avi",
        "take1.PNG",
        "walk.csv",
        "",
    ],
)
def test_explain_left_out__does_not_look_like_one(name: str) -> None:
    assert explain_left_out(name, ".stick", "takeN.stick", LIKENESS) is None


FRAGMENTS = (
    "S001C001P001R001A001", "s1c1p1r1a1", "a01_s01_e00_v01", ".skeleton", ".SKELETON", ".json", ".csv", ".Csv", ".gz",
    ".zip", ".tar", ".txt", ".icloud", " (1)", "copy of ", " - Copy", "README", "__MACOSX/", "._", "/", ".", "..", " ",
    "\n", "\x00", "\udcff", "\u0130", "\u017f", "\u0660", "%", "~", "take",
)  # fmt: skip
NAMES = st.lists(st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=6).map("".join), max_size=6, unique=True)


@pytest.mark.parametrize("dataset", ["ntu60", "ntu120", "nwucla", "custom"])
@settings(deadline=None, max_examples=50)
@given(names=NAMES)
def test_collect__every_file_is_a_source_or_unused(dataset: str, names: list[str]) -> None:
    reader = find_reader(dataset, stick_layout(WIDE) if dataset == "custom" else None)
    files = [RawSource("", Path("raw"), name, number, None) for number, name in enumerate(names)]
    try:
        sources, unused = reader.collect(files)
    except RawInputError:
        return  # two names of one clip
    assert sorted([*(file.size for file in sources), *(file.size for file, _ in unused)]) == list(range(len(names)))
    assert all(source.id.isascii() and source.portable_path.encode() for source in sources)
    for file, _ in unused:
        texts = (reader.explain_left_out(file.member), reader.unnamed_id(file.member), file.location)
        assert "".join(text for text in texts if text).encode()  # fails for text that cannot be written
