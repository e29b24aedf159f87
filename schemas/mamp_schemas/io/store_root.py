"""The root object of a store, `zarr.json`: metadata, the arrays' own metadata and checksums, under one digest.

A reader opens a store by its root alone. The digest is part of the attributes and covers all the rest of the object, so
that a root which was changed by one bit is known before anything in it is used.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from shlex import quote
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray
from pydantic_core import from_json

from mamp_schemas.errors import DamagedStoreError, IncompleteStoreError, StoreError
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.models.base import canonical_json, parse_model_json
from mamp_schemas.models.plain_data import check_json_memory
from mamp_schemas.models.store import DIGEST_BYTES, FORMAT_VERSION, StoreChecksums, StoreMetadata

NODE_METADATA = "zarr.json"
"""Name of the object that describes a group or an array."""

CHECKSUM_DIGITS = 8
"""Hex digits of a chunk's checksum."""

_KEYS = {"zarr_format", "node_type", "attributes", "consolidated_metadata"}
_CHECKSUMS, _DIGEST = "checksums", "digest"


@dataclass(frozen=True)
class StoreRoot:
    """What the root object of a finished store says.

    Attributes:
        metadata: the store's metadata.
        checksums: of what the arrays hold.
        nodes: the zarr metadata of every array and group below the root, by path.
    """

    metadata: StoreMetadata
    checksums: StoreChecksums
    nodes: Mapping[str, Mapping[str, Any]]


def encode_root(root: StoreRoot) -> bytes:
    """Return the root object's bytes."""
    attributes = {**root.metadata.model_dump(mode="json"), _CHECKSUMS: root.checksums.model_dump(mode="json")}
    nodes = {name: dict(root.nodes[name]) for name in sorted(root.nodes)}
    content = {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": attributes,
        "consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": nodes},
    }
    return seal_root(content)


def seal_root(content: Mapping[str, Any]) -> bytes:
    """Return a root object's bytes: its data with their digest."""
    return canonical_json({**content, "attributes": {**content["attributes"], _DIGEST: _digest(content)}})


def decode_root(content: bytes, path: StoragePath) -> StoreRoot:
    """Return what the root object of a store says.

    Args:
        content: its bytes.
        path: the store, for errors.

    Raises:
        DamagedStoreError: it is not as it was written.
        IncompleteStoreError: it has no completion mark.
        StoreError: it is not a store's, or of another format version.
    """
    data = _parse_group(content, path)
    attributes = data["attributes"]
    if not attributes:
        raise IncompleteStoreError(
            f"{path}: the store has no completion mark in {NODE_METADATA}: its ingest or import did not finish",
            remedy="Run the same `mampctl ingest` command again; it continues where it stopped. Or the same import.",
        )
    version = attributes.get("format_version")
    if _DIGEST not in attributes and isinstance(version, int) and version < FORMAT_VERSION:
        raise _version_error(path, version)
    digest = attributes.pop(_DIGEST, None)
    if digest != _digest(data):
        raise damaged_store_error(path, f"{NODE_METADATA} does not match its digest: it is not as it was written")
    if version != FORMAT_VERSION:
        raise _version_error(path, version)
    checksums = parse_model_json(
        StoreChecksums, canonical_json(attributes.pop(_CHECKSUMS, {})), f"{path}/{NODE_METADATA}", StoreError
    )
    metadata = parse_model_json(StoreMetadata, canonical_json(attributes), f"{path}/{NODE_METADATA}", StoreError)
    return StoreRoot(metadata, checksums, data["consolidated_metadata"]["metadata"])


def checksum_column(values: NDArray[Any], chunk: int) -> tuple[str, ...]:
    """Return the digests of a clip column, one for each chunk of `chunk` clips."""
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    parts = (little[start : start + chunk] for start in range(0, len(little), chunk))
    return tuple(hashlib.blake2b(part.data, digest_size=DIGEST_BYTES).hexdigest() for part in parts)


def checksum_rows(rows: NDArray[np.float32], chunk: int) -> str:
    """Return the checksums of rows as `StoreChecksums` has them; the first row begins a chunk of `chunk` rows."""
    little = np.ascontiguousarray(rows, dtype="<f4")
    parts = (little[start : start + chunk] for start in range(0, len(little), chunk))
    return "".join(f"{google_crc32c.value(part.reshape(-1).view(np.uint8)):08x}" for part in parts)


def damaged_store_error(path: StoragePath, problem: str) -> DamagedStoreError:
    """Return the error for a store whose content is not what its metadata promises."""
    remedy = f"`mampctl verify {quote(str(path))}` checks all of it. Remove the store and ingest again."
    return DamagedStoreError(f"{path}: {problem}", remedy=remedy)


def _parse_group(content: bytes, path: StoragePath) -> dict[str, Any]:
    """Parse the metadata of a zarr group."""
    try:
        check_json_memory(content)
        data = from_json(content)
    except ValueError as problem:
        raise damaged_store_error(path, f"not a store of clips: {NODE_METADATA} is no JSON ({problem})") from None
    if not isinstance(data, dict) or data.get("node_type") == "array":
        raise StoreError(
            f"{path}: not a store of clips: its {NODE_METADATA} is not that of a group",
            remedy="Name a folder that `mampctl ingest` has written.",
        )
    data.setdefault("attributes", {})
    if set(data) - _KEYS or data.get("node_type") != "group" or not isinstance(data["attributes"], dict):
        raise damaged_store_error(path, f"not a store of clips: {NODE_METADATA} is not the metadata of a group")
    return data


def _version_error(path: StoragePath, version: object) -> StoreError:
    return StoreError(
        f"{path}: the store has format version {version!r}, this mampctl reads version {FORMAT_VERSION}",
        remedy="Remove the store and make it again by the same `mampctl ingest` or `mampctl import` command. "
        "A store of a later version needs the mampctl that made it.",
    )


def _digest(content: Mapping[str, Any]) -> str:
    """Return the sha256 of the root's data without its digest."""
    return hashlib.sha256(canonical_json(content)).hexdigest()
