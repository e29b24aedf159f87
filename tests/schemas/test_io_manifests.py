"""Split manifests: what was edited is refused, and by what fact it is known."""

import json
import os
import shlex
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from mamp_schemas.errors import ManifestError
from mamp_schemas.io.manifests import read_manifest
from mamp_schemas.io.store_reader import Store, open_store
from mamp_schemas.models.splits import Subset
from tests.trainer.stores import make_clips, write_manifest, write_store, write_subset

IDS = [f"clip{number:03d}" for number in range(6)]
HALF = Subset(fraction=0.5)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return open_store(write_store(tmp_path_factory.mktemp("data") / "ntu60.zarr", make_clips([(1, 9)] * 6)))


@pytest.fixture
def manifest(store: Store) -> Path:
    return write_manifest(store.path, IDS[:3], IDS[3:5])


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_read_manifest__what_is_no_file_is_refused(store: Store, manifest: Path, make: Callable[[Path], None]) -> None:
    manifest.unlink()
    make(manifest)
    with pytest.raises(ManifestError, match=f"{manifest.name}: cannot be read: is a") as caught:
        read_manifest(store, "xsub")
    manifest.rmdir() if manifest.is_dir() else manifest.unlink()  # other tests write there
    assert "remove it" in caught.value.remedy
    assert "mampctl build-splits" in caught.value.remedy


def test_read_manifest__as_it_was_written(store: Store, manifest: Path) -> None:
    assert read_manifest(store, "xsub").train == tuple(IDS[:3])
    assert json.loads(manifest.read_text())["digest"] == read_manifest(store, "xsub").digest()


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        (lambda content: content["counts"].update(train=4), "counts.train is 4, but train lists 3 clips"),
        (lambda content: content["counts"].update(test=1), "counts.test is 1, but test lists 2 clips"),
        (lambda content: content["counts"].update(unlisted=0), "counts.unlisted is 0, expected 1"),
        (lambda content: content["counts"].update(official_test=7), "official counts are 40091 and 7, expected 40091"),
        (lambda content: content.update(protocol="xview"), "protocol is xview, expected xsub"),
        (lambda content: content.update(dataset="ntu120"), "dataset is ntu120, expected ntu60"),
        (lambda content: content.update(content_hash="d" * 64), "belongs to another store"),
        (lambda content: content.update(valid=["clip005"]), "valid lists clips that train does not"),
        (lambda content: content["train"].__setitem__(0, "clip003"), "no clip may be in both splits"),
        (lambda content: content["train"].__setitem__(0, "clip900"), "1 clips are not in the store"),
        (lambda content: content["train"].__setitem__(0, "clip005"), "does not match its digest"),
        (lambda content: content["train"].reverse(), "does not match its digest"),
        (lambda content: content.update(digest="0" * 64), "does not match its digest"),
        (lambda content: content.pop("digest"), "does not match its digest"),
        (lambda content: content.update(format_version=1), "format_version"),
        (lambda content: content.update(subset={"fraction": 0.5}), "subset and parent must be given together"),
    ],
)
def test_read_manifest__an_edited_one_is_refused_by_the_fact_that_is_wrong(
    store: Store, manifest: Path, change: Callable[[dict[str, Any]], object], fact: str
) -> None:
    edit(manifest, change)
    with pytest.raises(ManifestError) as caught:
        read_manifest(store, "xsub")
    assert str(manifest) in caught.value.message
    assert fact in caught.value.message
    remedy, _, command = caught.value.remedy.partition(": ")
    assert remedy == "Build it again"
    assert shlex.split(command) == ["mampctl", "build-splits", "--protocol", "xsub", "--store", str(store.path)]


@pytest.mark.usefixtures("manifest")
def test_read_manifest__an_edited_subset_is_refused(store: Store) -> None:
    write_subset(store.path, IDS[:1], HALF)
    drawn = next(store.path.parent.glob("ntu60.xsub.0.5*.json"))
    edit(drawn, lambda content: content["train"].__setitem__(0, "clip001"))
    with pytest.raises(ManifestError, match="does not match its digest") as caught:
        read_manifest(store, "xsub", HALF)
    assert "--fraction 0.5 --sampling uniform --seed 0" in caught.value.remedy


def test_read_manifest__any_flipped_bit_is_refused(store: Store, manifest: Path) -> None:
    whole = manifest.read_bytes()
    parsed = read_manifest(store, "xsub")
    for at in range(0, len(whole) * 8, 13):
        damaged = bytearray(whole)
        damaged[at // 8] ^= 1 << at % 8
        manifest.write_bytes(damaged)
        with suppress(ManifestError):
            assert read_manifest(store, "xsub") == parsed  # white space may change
