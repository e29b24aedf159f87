"""A store in a bucket, opened by the trainer: the same clips as on disk, and errors that say what is the matter."""

import sys
from pathlib import Path

import numpy as np
import pytest

from mamp_schemas.errors import DamagedStoreError, ManifestError, MissingExtraError, ObjectStoreError, StoreError
from mamp_schemas.io.manifests import read_manifest
from mamp_schemas.io.storage_path import ObjectUrl
from mamp_schemas.io.store_reader import open_store
from tests.s3_server import Bucket
from tests.trainer.runs import open_source, pretrain_recipe, write_toy_store


def put_store(bucket: Bucket, folder: Path) -> tuple[Path, ObjectUrl]:
    path = write_toy_store(folder)
    for file in folder.rglob("*"):
        if file.is_file():
            bucket.put(file.relative_to(folder).as_posix(), file)
    return path, bucket.url / path.name


def test_open_store__in_a_bucket(bucket: Bucket, tmp_path: Path) -> None:
    path, url = put_store(bucket, tmp_path)
    local, remote = open_store(path), open_store(url)
    assert (remote.ids, remote.metadata) == (local.ids, local.metadata)
    for name in ("joints", "motion", "intensity"):
        np.testing.assert_array_equal(remote.read_rows(name, 3, 90), local.read_rows(name, 3, 90))
    assert read_manifest(remote, "xsub") == read_manifest(local, "xsub")


@pytest.mark.parametrize("residency", ["host", "stream"])
def test_run_data__batches_from_a_bucket_are_those_from_disk(bucket: Bucket, tmp_path: Path, residency: str) -> None:
    path, url = put_store(bucket, tmp_path)
    recipe = pretrain_recipe(residency=residency)
    found = []
    for place in (path, url):
        source = open_source(place, recipe)
        batches = source.train_batches(source.load("train"))
        found.append([batches.batch(0, step) for step in range(batches.steps)])
    assert len(found[0]) > 1
    for one, other in zip(*found, strict=True):
        for name in ("x", "label", "clip", "real"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_open_store__nothing_there(bucket: Bucket) -> None:
    with pytest.raises(StoreError, match="there is no store"):
        open_store(bucket.url / "toy.zarr")


def test_open_store__no_such_bucket(bucket: Bucket) -> None:
    with pytest.raises(ObjectStoreError, match="s3://no-such-bucket: there is no such bucket"):
        open_store(ObjectUrl("no-such-bucket", "toy.zarr"))


def test_open_store__denied(bucket: Bucket) -> None:
    with bucket.server.closed(), pytest.raises(ObjectStoreError, match="access denied"):
        open_store(bucket.url / "toy.zarr")


def test_open_store__without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.setitem(sys.modules, "obstore.exceptions", None)
    with pytest.raises(MissingExtraError, match=r"obstore, which is not installed"):
        open_store(ObjectUrl("a-bucket", "toy.zarr"))


def test_read_manifest__missing_in_the_bucket(bucket: Bucket, tmp_path: Path) -> None:
    _, url = put_store(bucket, tmp_path)
    with pytest.raises(ManifestError, match=r"toy\.xview\.json: there is no split manifest"):
        read_manifest(open_store(url), "xview")


def test_read_rows__a_shard_that_is_gone_and_a_door_that_is_closed(bucket: Bucket, tmp_path: Path) -> None:
    _, url = put_store(bucket, tmp_path)
    store = open_store(url)
    with bucket.server.closed(), pytest.raises(ObjectStoreError, match="access denied"):
        store.read_rows("joints", 0, 5)
    bucket.remove("toy.zarr/joints/c/0/0/0")
    with pytest.raises(DamagedStoreError, match="was never written in full or is gone"):
        store.read_rows("joints", 0, 5)
