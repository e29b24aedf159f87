import gzip
import lzma
import os
import pickle
import random
import struct
import subprocess
import sys
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from mamp_pipeline.datasets.base import find_reader
from mamp_pipeline.datasets.discover import FoundSources, find_sources, read_exclude_list
from mamp_pipeline.datasets.io import read as reading
from mamp_pipeline.datasets.io.listing import DEEP_REASON
from mamp_pipeline.datasets.io.read import choose_inflater, gunzip, read_head, read_source
from mamp_schemas.errors import RawFileError, RawInputError
from tests.paths import SHARED_DATA
from tests.pipeline.custom_cases import WIDE, stick_layout

FIRST = "S001C001P001R001A001"
SECOND = "S001C001P001R001A002"
THIRD = "S018C003P042R002A120"


def _folder(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"content of {path.name}".encode())
    return root


def _archive(path: Path, *names: str, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name in names:
            archive.writestr(name, f"content of {Path(name).name}")
    return path


def _damage(path: Path, old: bytes, new: bytes, count: int = 1) -> None:
    data = path.read_bytes()
    assert data.count(old) == count
    path.write_bytes(data.replace(old, new))


def test_find_sources__folders_and_archives_sorted_by_clip_id(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "raw", f"deep/er/{THIRD}.skeleton", f"{FIRST}.skeleton", "notes.txt")
    archive = _archive(tmp_path / "raw.zip", f"nturgb+d_skeletons/{SECOND}.skeleton", "readme.md")
    sources = find_sources([folder, archive], find_reader("ntu120")).sources
    assert [(source.id, source.container, source.member) for source in sources] == [
        (FIRST, folder, f"{FIRST}.skeleton"),
        (SECOND, archive, f"nturgb+d_skeletons/{SECOND}.skeleton"),
        (THIRD, folder, f"deep/er/{THIRD}.skeleton"),
    ]
    assert [source.file_name for source in sources] == [f"{name}.skeleton" for name in (FIRST, SECOND, THIRD)]


def test_find_sources__single_files(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "raw", f"{FIRST}.skeleton", f"{SECOND}.skeleton", f"{THIRD}.skeleton")
    sources = find_sources([folder / f"{SECOND}.skeleton", folder / f"{FIRST}.skeleton"], find_reader("ntu120")).sources
    assert [(source.container, source.member) for source in sources] == [
        (folder, f"{FIRST}.skeleton"),
        (folder, f"{SECOND}.skeleton"),
    ]
    assert read_source(sources[0]) == f"content of {FIRST}.skeleton".encode()


def test_find_sources__a_single_file_of_another_name(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "raw", "walk.skeleton")
    with pytest.raises(RawInputError, match=r"looked for SsssCcccPpppRrrrAaaa\.skeleton, found 1 \.skeleton"):
        find_sources([folder / "walk.skeleton"], find_reader("ntu120"))


def test_find_sources__size_and_crc(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "raw", f"{FIRST}.skeleton")
    archive = _archive(tmp_path / "raw.zip", f"{SECOND}.skeleton")
    plain, packed = find_sources([folder, archive], find_reader("ntu120")).sources
    assert (plain.size, plain.crc) == (len(read_source(plain)), None)
    assert packed.size == len(read_source(packed))
    assert packed.crc == zlib.crc32(f"content of {SECOND}.skeleton".encode())


def test_find_sources__resource_forks_are_passed_over(tmp_path: Path) -> None:
    archive = _archive(tmp_path / "raw.zip", f"raw/{FIRST}.skeleton", f"__MACOSX/raw/._{FIRST}.skeleton")
    assert len(find_sources([archive], find_reader("ntu120")).sources) == 1


def test_find_sources__sources_survive_pickling(tmp_path: Path) -> None:
    (source,) = find_sources([_archive(tmp_path / "raw.zip", f"{FIRST}.skeleton")], find_reader("ntu120")).sources
    again = pickle.loads(pickle.dumps(source))
    assert again == source
    assert read_source(again) == f"content of {FIRST}.skeleton".encode()


def test_find_sources__missing_path(tmp_path: Path) -> None:
    with pytest.raises(RawInputError, match=r"nowhere: no such folder"):
        find_sources([tmp_path / "nowhere"], find_reader("ntu120"))


def test_find_sources__nothing_of_the_form(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "raw", "a.txt", "b.txt", "c/d.zip", "README", f"{FIRST}.skeleton.bak")
    with pytest.raises(RawInputError) as caught:
        find_sources([folder], find_reader("ntu120"))
    text = str(caught.value)
    assert str(folder) in text
    assert "SsssCcccPpppRrrrAaaa.skeleton" in text
    for found in ("2 .txt", "1 .zip", "1 .bak", "1 (no suffix)"):
        assert found in text


def test_find_sources__empty_folder(tmp_path: Path) -> None:
    with pytest.raises(RawInputError, match="no files at all"):
        find_sources([tmp_path], find_reader("nwucla"))


def test_find_sources__same_clip_twice_names_both_places(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "raw", f"x/{FIRST}.skeleton")
    archive = _archive(tmp_path / "raw.zip", f"{FIRST}.skeleton")
    with pytest.raises(RawInputError) as caught:
        find_sources([folder, archive], find_reader("ntu120"))
    assert f"{folder}/x/{FIRST}.skeleton" in str(caught.value)
    assert f"{archive}/{FIRST}.skeleton" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x05\x06" + b"\xff" * 18])
def test_find_sources__bad_archive(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "raw.zip"
    path.write_bytes(content)
    with pytest.raises(RawInputError, match=r"raw\.zip"):
        find_sources([path], find_reader("ntu120"))


def test_find_sources__method_that_cannot_be_read(tmp_path: Path) -> None:
    archive = _archive(tmp_path / "raw.zip", f"{FIRST}.skeleton", method=zipfile.ZIP_LZMA)
    with pytest.raises(RawInputError, match="method 14"):
        find_sources([archive], find_reader("ntu120"))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_read_source__archive_member(tmp_path: Path, method: int) -> None:
    archive = _archive(tmp_path / "raw.zip", f"{FIRST}.skeleton", f"{SECOND}.skeleton", method=method)
    contents = [read_source(source) for source in find_sources([archive], find_reader("ntu120")).sources]
    assert contents == [f"content of {name}.skeleton".encode() for name in (FIRST, SECOND)]


def test_read_source__archive_behind_other_bytes(tmp_path: Path) -> None:
    archive = _archive(tmp_path / "raw.zip", f"{FIRST}.skeleton")
    archive.write_bytes(b"#!/bin/sh\n" + archive.read_bytes())
    (source,) = find_sources([archive], find_reader("ntu120")).sources
    assert read_source(source) == f"content of {FIRST}.skeleton".encode()


def test_read_source__member_with_an_extra_field(tmp_path: Path) -> None:
    path = tmp_path / "raw.zip"
    with zipfile.ZipFile(path, "w") as archive, archive.open(f"{FIRST}.skeleton", "w", force_zip64=True) as member:
        member.write(b"content")
    (source,) = find_sources([path], find_reader("ntu120")).sources
    assert read_source(source) == b"content"


def test_read_source__empty_file(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "raw.zip", "w") as archive:
        archive.writestr(f"{FIRST}.skeleton", b"", zipfile.ZIP_DEFLATED)
    (source,) = find_sources([tmp_path / "raw.zip"], find_reader("ntu120")).sources
    assert read_source(source) == b""


def test_read_source__wrong_crc(tmp_path: Path) -> None:
    archive = _archive(tmp_path / "raw.zip", f"{FIRST}.skeleton", method=zipfile.ZIP_STORED)
    _damage(archive, b"content of", b"CONTENT OF")
    (source,) = find_sources([archive], find_reader("ntu120")).sources
    with pytest.raises(RawFileError, match="CRC"):
        read_source(source)


def test_read_source__unpacks_beyond_its_declared_size(tmp_path: Path) -> None:
    archive = tmp_path / "raw.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(f"{FIRST}.skeleton", b"0" * 50_000_000)
    _damage(archive, struct.pack("<I", 50_000_000), struct.pack("<I", 1_000), count=2)
    (source,) = find_sources([archive], find_reader("ntu120")).sources
    tracemalloc.start()
    with pytest.raises(RawFileError, match="1001 bytes"):
        read_source(source)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


@pytest.mark.parametrize(
    "name", [f"../{FIRST}.skeleton", f"raw/../../{FIRST}.skeleton", f"/etc/{FIRST}.skeleton", "C:/x.txt"]
)
def test_find_sources__members_that_point_outside_are_refused(tmp_path: Path, name: str) -> None:
    archive = _archive(tmp_path / "raw.zip", f"{SECOND}.skeleton", name)
    with pytest.raises(RawInputError, match="points outside the archive"):
        find_sources([archive], find_reader("ntu120"))


def test_find_sources__dots_inside_a_name_are_no_path(tmp_path: Path) -> None:
    archive = _archive(tmp_path / "raw.zip", f"raw..v2/{FIRST}.skeleton", "notes..txt")
    assert len(find_sources([archive], find_reader("ntu120")).sources) == 1


@pytest.mark.parametrize("installed", [True, False])
def test_find_inflater__isal_where_it_is_installed(monkeypatch: pytest.MonkeyPatch, installed: bool) -> None:
    stand_in = SimpleNamespace(isal_zlib=object()) if installed else None
    monkeypatch.setitem(sys.modules, "isal", stand_in)
    assert choose_inflater() is (stand_in.isal_zlib if stand_in else zlib)


def test_read_source__inflates_by_what_was_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (source,) = find_sources([_archive(tmp_path / "raw.zip", f"{FIRST}.skeleton")], find_reader("ntu120")).sources
    calls = []

    def decompressobj(bits: int) -> object:
        calls.append(bits)
        return zlib.decompressobj(bits)

    isal = SimpleNamespace(decompressobj=decompressobj, crc32=zlib.crc32, error=zlib.error)
    monkeypatch.setattr(reading, "inflater", isal)
    assert read_source(source) == f"content of {FIRST}.skeleton".encode()
    assert calls == [-15]


def test_read_source__damaged_stream(tmp_path: Path) -> None:
    archive = _archive(tmp_path / "raw.zip", f"{FIRST}.skeleton")
    (source,) = find_sources([archive], find_reader("ntu120")).sources
    data = bytearray(archive.read_bytes())
    start = 30 + len(source.member)
    data[start : start + 5] = b"\xff" * 5
    archive.write_bytes(data)
    with pytest.raises(RawFileError, match="cannot be unpacked"):
        read_source(source)


def test_read_source__archive_changed_since(tmp_path: Path) -> None:
    archive = _archive(tmp_path / "raw.zip", f"{FIRST}.skeleton")
    (source,) = find_sources([archive], find_reader("ntu120")).sources
    archive.write_bytes(b"")
    with pytest.raises(RawFileError, match="no member at byte 0"):
        read_source(source)


@pytest.mark.parametrize("packed", [True, False])
def test_read_source__container_gone(tmp_path: Path, packed: bool) -> None:
    root = _archive(tmp_path / "r.zip", f"{FIRST}.skeleton") if packed else _folder(tmp_path / "r", f"{FIRST}.skeleton")
    (source,) = find_sources([root], find_reader("ntu120")).sources
    root.rename(tmp_path / "elsewhere")
    with pytest.raises(RawFileError, match="cannot be read"):
        read_source(source)


def test_find_sources__broken_link_is_left_to_reading(tmp_path: Path) -> None:
    (tmp_path / f"{FIRST}.skeleton").symlink_to(tmp_path / "nowhere")
    (source,) = find_sources([tmp_path], find_reader("ntu120")).sources
    with pytest.raises(RawFileError, match="cannot be read"):
        read_source(source)


def test_read_exclude_list__names_among_other_lines(tmp_path: Path) -> None:
    path = tmp_path / "missing.txt"
    path.write_bytes(f"\ufeffMissing skeletons:\r\n\r\n{FIRST}\r\n  {THIRD}.skeleton \r\n".encode())
    assert read_exclude_list(path, find_reader("ntu120")) == {FIRST, THIRD}


def test_read_exclude_list__warns_of_lines_without_a_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "list.txt"
    path.write_text(f"{FIRST}\n{FIRST},{THIRD}\n")
    read_exclude_list(path, find_reader("ntu120"))
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"1 line names no clip of NTU RGB+D 120: skipped, the first is '{FIRST},{THIRD}'" in caplog.text


def test_read_exclude_list__nwucla_names(tmp_path: Path) -> None:
    path = tmp_path / "leave-out.txt"
    path.write_text("a01_s01_e00_v01\n")
    assert read_exclude_list(path, find_reader("nwucla")) == {"a01_s01_e00_v01"}


def test_read_exclude_list__no_name(tmp_path: Path) -> None:
    path = tmp_path / "missing.txt"
    path.write_text("nothing\nof use\n")
    with pytest.raises(RawInputError, match="no clip name in its 2 lines"):
        read_exclude_list(path, find_reader("ntu120"))


def test_read_exclude_list__missing_file(tmp_path: Path) -> None:
    with pytest.raises(RawInputError, match="cannot read the exclude list"):
        read_exclude_list(tmp_path / "nowhere.txt", find_reader("ntu120"))


@pytest.mark.parametrize(("dataset", "count"), [("ntu60", 302), ("ntu120", 535)])
def test_read_exclude_list__official(dataset: str, count: int) -> None:
    path = SHARED_DATA / f"{dataset}_missing_skeletons.txt"
    if not path.exists():
        pytest.skip("the official lists are not there")
    assert len(read_exclude_list(path, find_reader(dataset))) == count


def test_find_sources__folders_behind_links_are_followed(tmp_path: Path) -> None:
    _folder(tmp_path / "elsewhere", f"{SECOND}.skeleton")
    raw = _folder(tmp_path / "raw", f"{FIRST}.skeleton")
    (raw / "more").symlink_to(tmp_path / "elsewhere")
    found = find_sources([raw], find_reader("ntu120")).sources
    assert [(source.id, source.member) for source in found] == [
        (FIRST, f"{FIRST}.skeleton"),
        (SECOND, f"more/{SECOND}.skeleton"),
    ]
    assert read_source(found[1]) == f"content of {SECOND}.skeleton".encode()


@pytest.mark.parametrize("target", [".", "..", "inner", "../elsewhere"])
def test_find_sources__links_to_what_is_listed_anyway_add_nothing(tmp_path: Path, target: str) -> None:
    raw = _folder(tmp_path / "raw", f"inner/{FIRST}.skeleton")
    _folder(tmp_path / "elsewhere", f"{SECOND}.skeleton")
    (raw / "first").symlink_to(target)
    (raw / "second").symlink_to(target)
    (tmp_path / "elsewhere" / "back").symlink_to(raw)
    found = [source.id for source in find_sources([raw], find_reader("ntu120")).sources]
    assert found == ([FIRST, SECOND] if "elsewhere" in target else [FIRST])


def _left_out(found: FoundSources) -> dict[str, str]:
    return {Path(file).name: group.reason for group in found.left_out for file in group.files}


@pytest.mark.parametrize("packed", [False, True])
def test_find_sources__every_file_is_read_or_left_out_or_counted(
    tmp_path: Path, packed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    names = {
        f"{FIRST}.skeleton": "",
        f"{SECOND.lower()}.skeleton": "",
        "S001C001P001R001A003.SKELETON.gz": "",
        "S001C001P001R001A004 (1).skeleton": "second copy",
        "Copy of S001C001P001R001A004.skeleton": "second copy",
        "S001C001P001R001A005.skeleton.txt": "ends in '.skeleton.txt'",
        "S1C1P1R1A6.skeleton": "not of the form Ssss",
        "S001C001P001R001A007": "without a suffix",
        "S001C001P001R001A008.csv": "ends in '.csv'",
        "S001C001P001R001A009.skeleton.7z": "unpack it",
        ".S001C001P001R001A010.skeleton.icloud": "not been downloaded",
        "rest.zip": "give its own path",
        "README.txt": "other",
        ".DS_Store": "other",
        f"._{FIRST}.skeleton": "other",
        f"{THIRD}_rgb.avi": "other",
    }
    path = _archive(tmp_path / "raw.zip", *names) if packed else _folder(tmp_path / "raw", *names)
    found = find_sources([path], find_reader("ntu120"))
    assert [source.id for source in found.sources] == [FIRST, SECOND, "S001C001P001R001A003"]
    expected = {name: reason for name, reason in names.items() if reason not in ("", "other")}
    left_out = _left_out(found)
    assert left_out.keys() == expected.keys()
    assert [name for name, reason in expected.items() if reason not in left_out[name]] == []
    assert found.other == 4
    assert f"{len(expected)} files that look like raw files are left out" in caplog.text


def test_find_sources__a_named_file_is_never_dropped(tmp_path: Path) -> None:
    folder = _folder(tmp_path, f"{FIRST}.skeleton", "take.skeleton", "notes.txt", f"{THIRD}.skeleton")
    paths = [*sorted(folder.iterdir()), folder / "take.skeleton"]
    found = find_sources(paths, find_reader("ntu60"))
    assert [source.id for source in found.sources] == [FIRST]
    assert len(found.rejected) == 3
    assert {Path(entry.file).name for entry in found.rejected} == {"take.skeleton", "notes.txt", f"{THIRD}.skeleton"}
    assert (found.foreign, found.other, found.left_out) == (0, 0, ())


@pytest.mark.parametrize("other", [f"{FIRST.lower()}.skeleton", f"{FIRST}.skeleton.gz", f"{FIRST}.Skeleton.GZ"])
def test_find_sources__the_same_clip_by_two_names(tmp_path: Path, other: str) -> None:
    folder = _folder(tmp_path, f"{FIRST}.skeleton", other)
    with pytest.raises(RawInputError, match=f"clip {FIRST} is there twice") as caught:
        find_sources([folder], find_reader("ntu60"))
    assert "move the other out of --raw" in caught.value.remedy
    (folder / other).rename(tmp_path.parent / "moved")
    assert len(find_sources([folder], find_reader("ntu60")).sources) == 1


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("rest.zip", "give its own path"),
        (f"{SECOND} (1).skeleton", "rename it if it is the only one"),
        (f"{SECOND}.skeleton.txt", "rename it if it is a raw file"),
        (f"{SECOND}.skeleton.xz", "unpack it"),
    ],
)
def test_find_sources__what_is_left_out_is_read_once_its_reason_is_followed(
    tmp_path: Path, name: str, remedy: str
) -> None:
    raw = _folder(tmp_path / "raw", f"{FIRST}.skeleton")
    if name.endswith(".zip"):
        _archive(raw / name, f"{SECOND}.skeleton")
    else:
        (raw / name).write_bytes(lzma.compress(b"content") if name.endswith(".xz") else b"content")
    assert remedy in _left_out(find_sources([raw], find_reader("ntu60")))[name]
    paths = [raw]
    if name.endswith(".zip"):
        paths.append(raw / name)
    else:
        content = (raw / name).read_bytes()
        (raw / name).unlink()
        (raw / f"{SECOND}.skeleton").write_bytes(lzma.decompress(content) if name.endswith(".xz") else content)
    assert [source.id for source in find_sources(paths, find_reader("ntu60")).sources] == [FIRST, SECOND]


@pytest.mark.parametrize("packed", [False, True])
def test_find_sources__a_copy_of_a_recording_is_left_out(tmp_path: Path, packed: bool) -> None:
    contents = {
        "a.csv": "1",
        "a (1).csv": "1",
        "a (2).csv": "2",
        "b (1).csv": "1",
        "in/a - Copy.csv": "1",
        "in/a.csv": "1",
    }
    path = tmp_path / "raw"
    if packed:
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in contents.items():
                archive.writestr(name, content)
    else:
        for name, content in contents.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_text(content)
    found = find_sources([path], find_reader("custom", stick_layout(WIDE)))
    assert [source.id for source in found.sources] == ["a", "a (2)", "b (1)", "in/a"]
    assert _left_out(found).keys() == {"a (1).csv", "a - Copy.csv"}


@pytest.mark.parametrize("target", ["loop", ".", "..", "nowhere"])
def test_find_sources__a_link_in_a_circle_is_left_out(tmp_path: Path, target: str) -> None:
    folder = _folder(tmp_path / "raw", f"{FIRST}.skeleton")
    (folder / "loop").symlink_to(target)
    found = find_sources([folder], find_reader("ntu60"))
    assert [source.id for source in found.sources] == [FIRST]
    assert _left_out(found).keys() == {"loop"}


@pytest.mark.parametrize("packed", [False, True])
def test_read_source__gzipped(tmp_path: Path, packed: bool) -> None:
    content = gzip.compress(b"first ") + gzip.compress(b"second")
    path = tmp_path / "raw"
    if packed:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(f"{FIRST}.skeleton.gz", content)
    else:
        path.mkdir()
        (path / f"{FIRST}.skeleton.gz").write_bytes(content)
    (source,) = find_sources([path], find_reader("ntu60")).sources
    assert read_source(source) == b"first second"
    assert read_head(source, 5) == b"first"


def test_read_source__gzipped_without_saying_so(tmp_path: Path) -> None:
    (tmp_path / f"{FIRST}.skeleton").write_bytes(gzip.compress(b"content"))
    (source,) = find_sources([tmp_path], find_reader("ntu60")).sources
    with pytest.raises(RawFileError, match=r"gzipped content .*: add \.gz to the name"):
        read_source(source)
    (tmp_path / f"{FIRST}.skeleton").rename(tmp_path / f"{FIRST}.skeleton.gz")
    (source,) = find_sources([tmp_path], find_reader("ntu60")).sources
    assert read_source(source) == b"content"


def test_read_source__a_mark_of_utf8_before_the_text_is_left_out(tmp_path: Path) -> None:
    (tmp_path / f"{FIRST}.skeleton").write_bytes(b"\xef\xbb\xbf103\n")
    (source,) = find_sources([tmp_path], find_reader("ntu60")).sources
    assert read_source(source) == b"103\n"


GZIPPED = gzip.compress(b"content", mtime=0)
"""Without the time: it is in names of tests, which are to be the same in every process."""


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (GZIPPED[:-3], "cut short"),
        (b"", "cut short"),
        (b"no gzip", "cannot be unpacked"),
        (GZIPPED + b"more", "cannot be unpacked"),
        (GZIPPED[:-8] + bytes(8), "cannot be unpacked"),
    ],
)
def test_gunzip__damaged(content: bytes, reason: str) -> None:
    with pytest.raises(RawFileError, match=reason):
        gunzip(content)


def test_gunzip__mutations_give_the_content_or_a_reason() -> None:
    content = b"".join(number.to_bytes(4, "big") for number in range(2_000))
    whole = gzip.compress(content[:4_000]) + gzip.compress(content[4_000:])
    draw = random.Random(0)
    reasons = 0
    for _ in range(1_000):
        data = bytearray(whole)
        at = draw.randrange(len(data))
        if draw.random() < 0.3:
            del data[at : at + draw.randint(1, 50)]
        elif draw.random() < 0.5:
            data[at:at] = draw.randbytes(draw.randint(1, 50))
        else:
            data[at] ^= 1 << draw.randrange(8)
        try:
            unpacked = gunzip(bytes(data), limit=100_000)
        except RawFileError:
            reasons += 1
        else:  # a byte of the header that says nothing about the content
            assert unpacked == content
    assert reasons > 900


def test_gunzip__stops_at_the_limit() -> None:
    packed = gzip.compress(bytes(50_000_000))
    tracemalloc.start()
    with pytest.raises(RawFileError, match="more than 1,000 bytes"):
        gunzip(packed, limit=1_000)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
    assert gunzip(gzip.compress(bytes(1_000)), limit=1_000) == bytes(1_000)


def test_gunzip__many_members_and_what_packs_too_well() -> None:
    parts = [bytes([number]) for number in range(256)]
    assert gunzip(b"".join(gzip.compress(part) + bytes(3) for part in parts)) == b"".join(parts)
    start = time.process_time()
    with pytest.raises(RawFileError, match="more than 100,000 gzipped members"):
        gunzip(gzip.compress(b"") * 2_000_000)
    assert time.process_time() - start < 30
    packed = gzip.compress(bytes(100_000_000))
    tracemalloc.start()
    with pytest.raises(RawFileError, match="no recording packs so well"):
        gunzip(packed)
    assert tracemalloc.get_traced_memory()[1] < 60_000_000
    tracemalloc.stop()


@pytest.fixture
def deep_folder(tmp_path: Path) -> Iterator[Path]:
    """Return a folder that is removed without recursion; pytest's own removal fails at deep ones."""
    folder = _folder(tmp_path / "raw", f"{FIRST}.skeleton")
    yield folder
    subprocess.run(["rm", "-rf", folder], check=True)


def test_find_sources__folders_deeper_than_calls(deep_folder: Path) -> None:
    folder, here = deep_folder, Path.cwd()
    os.chdir(folder)
    try:
        for depth in range(2_100):
            Path("d").mkdir()
            os.chdir("d")
            if depth in (1_200, 2_050):
                Path(f"{SECOND if depth == 1_200 else THIRD}.skeleton").write_bytes(b"deep")
    finally:
        os.chdir(here)
    found = find_sources([folder], find_reader("ntu120"))
    assert [source.id for source in found.sources] == [FIRST, SECOND]
    assert read_source(found.sources[1]) == b"deep"
    assert [group.reason for group in found.left_out] == [DEEP_REASON]


@pytest.mark.parametrize("sizes", [(7, 2**63 + 5, 0), (2**63 + 7, 5, 0), (7, 5, 2**63 + 5), (7, 5, 2**64 - 1)])
def test_find_sources__sizes_and_places_of_an_archive_that_no_file_has(
    tmp_path: Path, sizes: tuple[int, int, int]
) -> None:
    path = _archive(tmp_path / "raw.zip", f"{FIRST}.skeleton")
    data = path.read_bytes()
    entry, end = data.rfind(b"PK\x01\x02"), data.rfind(b"PK\x05\x06")
    wide = struct.pack("<HH3Q", 1, 24, *sizes)
    head = bytearray(data[entry:end])
    head[20:28] = b"\xff" * 8  # sizes, which the extra field gives
    head[30:32] = len(wide).to_bytes(2, "little")
    head[42:46] = b"\xff" * 4  # and the place
    tail = bytearray(data[end:])
    tail[12:16] = (len(head) + len(wide)).to_bytes(4, "little")
    path.write_bytes(data[:entry] + bytes(head) + wide + bytes(tail))
    with pytest.raises(RawInputError, match="a size or place that no file has"):
        find_sources([path], find_reader("ntu120"))


def test_find_sources__several_archives_at_once(tmp_path: Path) -> None:
    paths = [_archive(tmp_path / f"{name}.zip", f"{name}.skeleton") for name in (THIRD, FIRST, SECOND)]
    found = find_sources(paths, find_reader("ntu120")).sources
    assert [source.id for source in found] == [FIRST, SECOND, THIRD]
    assert [read_source(source) for source in found] == [f"content of {one.id}.skeleton".encode() for one in found]


def test_read_source__a_member_that_would_fill_the_memory_is_refused_before(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{FIRST}.skeleton", b"0\n" * 2**24)
    (source,) = find_sources([path], find_reader("ntu120")).sources
    tracemalloc.start()
    with pytest.raises(RawFileError, match="would unpack to 33,554,432: no recording packs so well"):
        read_source(source)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_read_source__the_same_bytes_by_isal_and_zlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    isal = pytest.importorskip("isal.isal_zlib")
    (source,) = find_sources([_archive(tmp_path / "a.zip", f"{FIRST}.skeleton")], find_reader("ntu120")).sources
    found = []
    for inflater in (isal, zlib):
        monkeypatch.setattr(reading, "inflater", inflater)
        found.append(read_source(source))
    assert found[0] == found[1] == f"content of {FIRST}.skeleton".encode()
