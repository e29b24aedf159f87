"""Storage paths: the name of a local path or of an object in a bucket (s3://BUCKET/KEY).

Names only, no input or output.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar

from mamp_schemas.errors import UsageError

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True, order=True)
class ObjectUrl:
    """An object in a bucket, or the folder that a prefix of names makes: `s3://BUCKET/KEY`.

    It has those of a path's verbs that only make other names, under the same names, so that code that goes by
    names need not know which of the two it has.

    Attributes:
        bucket: the bucket.
        key: name inside it, without a slash at either end; empty for the bucket as a whole.
    """

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}" if self.key else f"s3://{self.bucket}"

    def __truediv__(self, name: str) -> "ObjectUrl":
        return ObjectUrl(self.bucket, f"{self.key}/{name}" if self.key else name)

    @property
    def name(self) -> str:
        """The last part of the key, or the bucket's name."""
        return self.key.rpartition("/")[2] or self.bucket

    @property
    def suffix(self) -> str:
        """The last part's ending, with its dot."""
        stem, dot, ending = self.name.rpartition(".")
        return dot + ending if self.key and stem and ending else ""

    @property
    def parent(self) -> "ObjectUrl":
        """The folder it is in."""
        return ObjectUrl(self.bucket, self.key.rpartition("/")[0])

    def with_name(self, name: str) -> "ObjectUrl":
        """Return another name in the same folder.

        Raises:
            UsageError: the bucket as a whole has nothing beside it.
        """
        if not self.key:
            raise UsageError(
                f"{self}: a whole bucket; a store needs a name in it", remedy=f"Say, {self}/{'ntu60.zarr'}"
            )
        return self.parent / name

    def absolute(self) -> "ObjectUrl":
        """Return itself: a URL means the same everywhere."""
        return self

    def resolve(self) -> "ObjectUrl":
        """Return itself: there are no links in a bucket."""
        return self


StoragePath: TypeAlias = Path | ObjectUrl

StoragePathT = TypeVar("StoragePathT", Path, Path | ObjectUrl)
"""What is beside a path is a path."""


def parse_storage_path(text: str) -> StoragePath:
    """Read what a user names a place by: a path, or `s3://BUCKET/KEY`.

    Raises:
        UsageError: a URL of another kind, or one with more in it than bucket and key. It is not repeated in the
            message, for what is too much may be a password.
    """
    match = _SCHEME.match(text)
    if match is None:
        return Path(text)
    scheme, rest = match.groups()
    if scheme != "s3":
        raise UsageError(f"no such kind of place: {scheme}://", remedy="Name a path, or s3://BUCKET/KEY.")
    bucket, _, key = rest.partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise UsageError(
            "what follows s3:// is no bucket's name",
            remedy="Name s3://BUCKET/KEY; endpoint and credentials come from the environment (AWS_...).",
        )
    parts = [part for part in key.split("/") if part]
    if {".", ".."}.intersection(parts):
        raise UsageError(f"s3://{bucket}/{key}: no names of a bucket are . and ..", remedy="Name s3://BUCKET/KEY.")
    return ObjectUrl(bucket, "/".join(parts))


def parse_local_path(text: str) -> Path:
    """Read a path where a URL will not do.

    Raises:
        UsageError: it is a URL.
    """
    if _SCHEME.match(text):
        raise UsageError(
            "a URL where only a path will do",
            remedy="Object stores hold raw files (--raw) and stores; anything else is a local file or folder.",
        )
    return Path(text)
