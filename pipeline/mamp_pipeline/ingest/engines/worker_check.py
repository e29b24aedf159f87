"""Checks that a cluster's worker reads the same raw files and staging folder, and has the same versions."""

import platform
import uuid
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version

from mamp_pipeline.datasets.io.read import read_source
from mamp_pipeline.datasets.io.source import RawSource
from mamp_pipeline.ingest.staging import read_owner_marker
from mamp_schemas.errors import MampctlError, RawFileError
from mamp_schemas.io.atomic import write_atomic
from mamp_schemas.io.storage import remove_file
from mamp_schemas.io.storage_path import StoragePath

_PACKAGES = ("mampctl", "numpy", "zarr", "dask", "distributed")


@dataclass(frozen=True, slots=True)
class ProbeSpec:
    """What a probe reads.

    Attributes:
        staging: the staging folder; a worker must read its owner marker and write beside it.
        samples: one raw file of each folder and archive.
    """

    staging: StoragePath
    samples: tuple[RawSource, ...]


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What one process sees: the state of each path, and the versions of the packages that affect the content."""

    host: str
    paths: dict[str, str]
    versions: dict[str, str]


def choose_probe(staging: StoragePath, sources: Iterable[RawSource]) -> ProbeSpec:
    """Choose what to read: the first file of each container."""
    first: dict[StoragePath, RawSource] = {}
    for source in sources:
        for file in source.files:
            first.setdefault(file.container, file)
    return ProbeSpec(staging, tuple(first.values()))


def probe(spec: ProbeSpec) -> ProbeResult:
    """Read the probe's files in this process."""
    paths = {str(source.container): _probe_source(source) for source in spec.samples}
    paths[str(spec.staging)] = _probe_staging(spec.staging)
    return ProbeResult(platform.node(), paths, {name: version(name) for name in _PACKAGES})


def list_probe_differences(expected: ProbeResult, other: ProbeResult) -> list[str]:
    """Return the differences to another process's result; none if it can do the work."""
    versions = [
        f"has {name} {other.versions.get(name, '(none)')}, here is {here}"
        for name, here in expected.versions.items()
        if other.versions.get(name) != here
    ]
    paths = [
        f"{path}: {other.paths.get(path, 'not looked at')}; here it is: {state}"
        for path, state in expected.paths.items()
        if other.paths.get(path) != state
    ]
    return versions + paths


def _probe_source(source: RawSource) -> str:
    try:
        data = read_source(source)
    except RawFileError as problem:
        return f"{source.file_name} {problem.reason}"
    except MampctlError as problem:  # the bucket as a whole
        return problem.message
    return f"{source.file_name} has {len(data)} bytes with CRC {zlib.crc32(data):08x}"


def _probe_staging(staging: StoragePath) -> str:
    try:
        owner = read_owner_marker(staging)
    except MampctlError as problem:
        return problem.message
    if owner is None:
        return "not there"
    trial = staging / f"trial-{uuid.uuid4().hex}"
    try:
        write_atomic(trial, b"")
        remove_file(trial)
    except OSError as problem:
        return f"cannot be written ({problem.strerror})"
    except MampctlError as problem:
        return f"cannot be written ({problem.message})"
    return f"there and writable, plan {owner[:12]}"
