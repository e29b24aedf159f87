"""Names of files and folders: local paths, and objects in buckets (s3://BUCKET/KEY). No input or output."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from mamp_schemas.errors import UsageError

if TYPE_CHECKING:
    from typing_extensions import TypeIs

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
MAX_NAME_BYTES = 255
"""The longest name of a file or folder that file systems hold."""

_MAX_PATH_BYTES = 4_096
"""The longest path that the operating system takes, with the byte that ends it."""

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True, order=True)
class ObjectUrl:
    """The URL `s3://BUCKET/KEY` of an object in a bucket, or of all objects under that prefix, like a folder.

    Its methods are those of `Path` that only make other names, so that code which only makes names works on both.

    Attributes:
        bucket: the bucket.
        key: name in the bucket, without a slash at either end; empty for the whole bucket.
    """

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}" if self.key else f"s3://{self.bucket}"

    def __truediv__(self, name: str) -> "ObjectUrl":
        return ObjectUrl(self.bucket, f"{self.key}/{name}" if self.key else name)

    @property
    def name(self) -> str:
        """The last component of the key, or the bucket's name."""
        return self.key.rpartition("/")[2] or self.bucket

    @property
    def suffix(self) -> str:
        """The extension of the name, with its dot."""
        stem, dot, ending = self.name.rpartition(".")
        return dot + ending if self.key and stem and ending else ""

    @property
    def parent(self) -> "ObjectUrl":
        """The folder it is in."""
        return ObjectUrl(self.bucket, self.key.rpartition("/")[0])

    def with_name(self, name: str) -> "ObjectUrl":
        """Return another name in the same folder.

        Raises:
            UsageError: this is a whole bucket.
        """
        if not self.key:
            raise UsageError(f"{self}: a whole bucket; a store needs a name in it", remedy=f"Say, {self}/ntu60.zarr")
        return self.parent / name

    def absolute(self) -> "ObjectUrl":
        """Return itself: a URL means the same everywhere."""
        return self

    def resolve(self) -> "ObjectUrl":
        """Return itself: there are no links in a bucket."""
        return self


StoragePath: TypeAlias = Path | ObjectUrl

StoragePathT = TypeVar("StoragePathT", Path, Path | ObjectUrl)
"""For functions that return the kind of path that they get."""


def is_remote(path: StoragePath) -> "TypeIs[ObjectUrl]":
    """Return whether a path is in a bucket."""
    return isinstance(path, ObjectUrl)


def parse_storage_path(text: str) -> StoragePath:
    """Read a path, or a URL `s3://BUCKET/KEY`, that a user gave.

    Raises:
        UsageError: a URL of another scheme, or with more than bucket and key; the message does not repeat it, as it may
            contain a password. Or a path that is too long.
    """
    match = _SCHEME.match(text)
    if match is None:
        _check_length(text)
        return Path(text)
    scheme, rest = match.groups()
    if scheme != "s3":
        raise UsageError(f"URLs of {scheme}:// are not supported", remedy="Name a path, or s3://BUCKET/KEY.")
    bucket, _, key = rest.partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise UsageError(
            "what follows s3:// is not the name of a bucket",
            remedy="Name s3://BUCKET/KEY; endpoint and credentials come from the environment (AWS_...).",
        )
    names = [name for name in key.split("/") if name]
    if {".", ".."}.intersection(names):
        raise UsageError(f"s3://{bucket}/{key}: . and .. are not allowed in the key", remedy="Name s3://BUCKET/KEY.")
    return ObjectUrl(bucket, "/".join(names))


def parse_local_path(text: str) -> Path:
    """Read a local path that a user gave.

    Raises:
        UsageError: it is a URL, or too long.
    """
    if _SCHEME.match(text):
        raise UsageError(
            "a URL where only a local path is possible",
            remedy="Object stores hold raw files (--raw) and stores; anything else is a local file or folder.",
        )
    _check_length(text)
    return Path(text)


def _check_length(text: str) -> None:
    """Refuse a path that no file system can hold, before any work is done for it.

    Raises:
        UsageError: a name in it, or the whole, is too long.
    """
    longest = max(text.split("/"), key=lambda name: len(os.fsencode(name)))
    if len(os.fsencode(longest)) > MAX_NAME_BYTES:
        raise UsageError(
            f"a path with a name of {len(os.fsencode(longest)):,} bytes, {longest[:40]!r}…: "
            f"names have at most {MAX_NAME_BYTES}",
            remedy="Name a shorter path.",
        )
    if len(os.fsencode(text)) >= _MAX_PATH_BYTES:
        raise UsageError(
            f"a path of {len(os.fsencode(text)):,} bytes, {text[:40]!r}…: paths have at most {_MAX_PATH_BYTES - 1:,}",
            remedy="Name a shorter path, say one that is relative to the working directory.",
        )
