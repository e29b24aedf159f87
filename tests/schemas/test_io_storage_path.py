"""Places: what a user may name, and names made from names."""

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from mamp_schemas.errors import UsageError
from mamp_schemas.io.storage_path import ObjectUrl, parse_local_path, parse_storage_path

STORE = ObjectUrl("bucket", "data/ntu60.zarr")


@pytest.mark.parametrize("text", ["data/ntu60.zarr", "/data/s3.zip", "a:b", "s3:/bucket/x"])
def test_parse_storage_path__a_path(text: str) -> None:
    assert parse_storage_path(text) == Path(text)


@pytest.mark.parametrize("text", ["s3://bucket/data/ntu60.zarr", "s3://bucket//data/ntu60.zarr/"])
def test_parse_storage_path__a_url(text: str) -> None:
    assert parse_storage_path(text) == STORE


def test_parse_storage_path__is_printed_as_it_was_written() -> None:
    assert str(parse_storage_path("s3://bucket/data/ntu60.zarr")) == "s3://bucket/data/ntu60.zarr"
    assert str(parse_storage_path("s3://bucket")) == "s3://bucket"


@pytest.mark.parametrize("text", ["gs://bucket/x", "https://host/x", "file:///data", "S3://bucket/x"])
def test_parse_storage_path__refuses_other_urls(text: str) -> None:
    with pytest.raises(UsageError, match="are not supported") as caught:
        parse_storage_path(text)
    assert "s3://BUCKET/KEY" in caught.value.remedy


@pytest.mark.parametrize("text", ["s3://key:secret@bucket/x", "s3://", "s3:///x", "s3://b?x=secret/y"])
def test_parse_storage_path__refuses_more_than_a_bucket_without_repeating_it(text: str) -> None:
    with pytest.raises(UsageError, match="not the name of a bucket") as caught:
        parse_storage_path(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("text", ["s3://bucket/../x", "s3://bucket/a/./x"])
def test_parse_storage_path__refuses_a_path_s_ways_up(text: str) -> None:
    with pytest.raises(UsageError, match="are not allowed in the key"):
        parse_storage_path(text)


def test_parse_local_path__refuses_urls() -> None:
    assert parse_local_path("x.npz") == Path("x.npz")
    with pytest.raises(UsageError, match="only a local path is possible"):
        parse_local_path("s3://bucket/x.npz")


@pytest.mark.parametrize("parse", [parse_storage_path, parse_local_path])
def test_parse_storage_path__refuses_names_that_no_file_system_holds(parse: Callable[[str], object]) -> None:
    assert parse("a/" + 255 * "b") == Path("a") / (255 * "b")
    with pytest.raises(UsageError, match="a name of 256 bytes"):
        parse("a/" + 128 * "é")
    with pytest.raises(UsageError, match="a name of 5,000 bytes"):
        parse(5_000 * "a")
    with pytest.raises(UsageError, match="a path of 4,200 bytes"):
        parse(42 * ("b" * 99 + "/"))


def test_object_url__makes_names_as_a_path_does() -> None:
    path = Path("/bucket") / STORE.key
    assert (STORE.name, STORE.suffix) == (path.name, path.suffix)
    assert f"/bucket/{STORE.with_name('other').key}" == str(path.with_name("other"))
    assert f"/bucket/{(STORE.parent / 'a' / 'b').key}" == str(path.parent / "a" / "b")
    assert (STORE.absolute(), STORE.resolve()) == (STORE, STORE)


def test_object_url__of_a_whole_bucket() -> None:
    whole = ObjectUrl("my.bucket", "")
    assert (whole.name, whole.suffix, str(whole / "a")) == ("my.bucket", "", "s3://my.bucket/a")
    with pytest.raises(UsageError, match="needs a name in it"):
        whole.with_name("x")


def test_object_url__travels_to_other_processes() -> None:
    assert pickle.loads(pickle.dumps(STORE)) == STORE
