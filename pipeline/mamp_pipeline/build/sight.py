"""Sight: whether a worker elsewhere sees the same raw files and the same staging folder, and runs the same code."""

import platform
import uuid
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version

from mamp_pipeline.build.staging import read_mark
from mamp_pipeline.places import remove
from mamp_pipeline.raw.entries import RawSource
from mamp_pipeline.raw.reading import read_source
from mamp_pipeline.store.files import write_whole
from mamp_schemas.errors import MampctlError, RawFileError
from mamp_schemas.places import Place

_PACKAGES = ("mampctl", "numpy", "zarr", "dask", "distributed")


@dataclass(frozen=True, slots=True)
class Sight:
    """What to look at.

    Attributes:
        staging: the staging folder; a worker must read its mark and write beside it.
        samples: one raw file of each folder and archive.
    """

    staging: Place
    samples: tuple[RawSource, ...]


@dataclass(frozen=True, slots=True)
class View:
    """What one process saw: the state of each path, and the versions of the packages that make the content."""

    host: str
    paths: dict[str, str]
    versions: dict[str, str]


def choose_sight(staging: Place, sources: Iterable[RawSource]) -> Sight:
    """Choose what to look at: the first file of each container."""
    first: dict[Place, RawSource] = {}
    for source in sources:
        for file in source.files:
            first.setdefault(file.container, file)
    return Sight(staging, tuple(first.values()))


def look(sight: Sight) -> View:
    """Look from the process this runs in."""
    paths = {str(source.container): _read(source) for source in sight.samples}
    paths[str(sight.staging)] = _mark(sight.staging)
    return View(platform.node(), paths, {name: version(name) for name in _PACKAGES})


def list_differences(own: View, other: View) -> list[str]:
    """Say in which respect another process sees or is something else; nothing when it is fit to work."""
    versions = [
        f"has {name} {other.versions.get(name, '(none)')}, here is {found}"
        for name, found in own.versions.items()
        if other.versions.get(name) != found
    ]
    paths = [
        f"{path}: {other.paths.get(path, 'not looked at')}; here it is: {state}"
        for path, state in own.paths.items()
        if other.paths.get(path) != state
    ]
    return versions + paths


def _read(source: RawSource) -> str:
    try:
        data = read_source(source)
    except RawFileError as problem:
        return f"{source.file_name} {problem.reason}"
    except MampctlError as problem:  # the bucket as a whole
        return problem.what
    return f"{source.file_name} has {len(data)} bytes with CRC {zlib.crc32(data):08x}"


def _mark(staging: Place) -> str:
    try:
        mark = read_mark(staging)
    except MampctlError as problem:
        return problem.what
    if mark is None:
        return "not there"
    trial = staging / f"trial-{uuid.uuid4().hex}"
    try:
        write_whole(trial, b"")
        remove(trial)
    except OSError as problem:
        return f"cannot be written ({problem.strerror})"
    except MampctlError as problem:
        return f"cannot be written ({problem.what})"
    return f"there and writable, plan {mark[:12]}"
