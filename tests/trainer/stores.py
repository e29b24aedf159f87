"""Tiny stores and manifests, written with plain zarr straight from the format in `mamp_schemas.models.store`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from mamp_schemas.io.manifests import read_manifest
from mamp_schemas.io.store_reader import open_store
from mamp_schemas.io.store_root import (
    NODE_METADATA,
    StoreRoot,
    checksum_column,
    checksum_rows,
    decode_root,
    encode_root,
)
from mamp_schemas.models.dataset import dataset_spec
from mamp_schemas.models.sealed import dump_sealed_json
from mamp_schemas.models.splits import SplitCounts, SplitManifest, Subset, manifest_name
from mamp_schemas.models.store import (
    CLIP_COLUMNS,
    DIGEST_BYTES,
    FORMAT_VERSION,
    ROW_ARRAYS,
    MotionSpec,
    StoreChecksums,
    StoreCounts,
    StoreMetadata,
)

SHARD_ROWS = 32
CONTENT_HASH = "c" * 64


@dataclass(frozen=True)
class Clip:
    """A clip to be stored; joints are (M, T, V, 3). All frames are valid where `valid_frames` is 0."""

    id: str
    joints: NDArray[np.float32]
    label: int = 0
    valid_frames: int = 0
    subject: int = 1
    camera: int = 2


def make_clips(shapes: Sequence[tuple[int, int]], joints: int = 25, seed: int = 0) -> list[Clip]:
    """Return random clips of (bodies, frames), with coordinates of a few metres and ids in ascending order."""
    generator = np.random.default_rng(seed)
    return [
        Clip(
            id=f"clip{number:03d}",
            joints=generator.normal(size=(bodies, frames, joints, 3)).astype(np.float32),
            label=number % 5,
            subject=1 + number % 3,
        )
        for number, (bodies, frames) in enumerate(shapes)
    ]


def write_store(
    path: Path,
    clips: Sequence[Clip],
    dataset: str = "ntu60",
    motion: MotionSpec | None = None,
    complete: bool = True,
    shard_rows: int = SHARD_ROWS,
) -> Path:
    """Write a store in shards of four chunks; `complete=False` leaves it without its root object."""
    motion = motion or MotionSpec()
    clips = sorted(clips, key=lambda clip: clip.id)
    rows = [body for clip in clips for body in clip.joints]
    group = zarr.create_group(path, zarr_format=3)
    _write_rows(group, "joints", np.concatenate(rows), shard_rows)
    _write_rows(group, "motion", np.concatenate([_motion(body, motion.stride) for body in rows]), shard_rows)
    still = np.concatenate([np.zeros(body.shape[:2], np.float32) for body in rows])
    _write_rows(group, "intensity", still, shard_rows)
    table = group.create_group("clips")
    columns = columns_of(clips)
    for name, dtype in CLIP_COLUMNS.items():
        table.create_array(name, data=columns[name].astype(dtype), fill_value=np.array(99).astype(dtype))
    if complete:
        seal_store(path, metadata_of(clips, dataset, motion))
    return path


def seal_store(path: Path, metadata: StoreMetadata) -> None:
    """Write the root object of a store for what its arrays hold."""
    names = [*ROW_ARRAYS, "clips", *(f"clips/{name}" for name in CLIP_COLUMNS)]
    nodes = {name: json.loads((path / name / NODE_METADATA).read_text()) for name in names}
    group = zarr.open_group(path, mode="r", use_consolidated=False)
    arrays = {name: group[name] for name in (*ROW_ARRAYS, *(f"clips/{name}" for name in CLIP_COLUMNS))}
    checksums = StoreChecksums(
        columns={
            name: checksum_column(arrays[f"clips/{name}"][...], arrays[f"clips/{name}"].chunks[0])
            for name in CLIP_COLUMNS
        },
        rows={name: checksum_rows(arrays[name][...], arrays[name].chunks[0]) for name in ROW_ARRAYS},
    )
    (path / NODE_METADATA).write_bytes(encode_root(StoreRoot(metadata, checksums, nodes)))


def change_store(path: Path, columns: Mapping[str, Sequence[float]] | None = None, **metadata: Any) -> None:
    """Write other values into columns and metadata of a store, and seal it again."""
    group = zarr.open_group(path, mode="r+", use_consolidated=False)
    before = decode_root((path / NODE_METADATA).read_bytes(), path).metadata
    for name, values in (columns or {}).items():
        group.create_array(f"clips/{name}", data=np.array(values).astype(CLIP_COLUMNS[name]), overwrite=True)
    seal_store(path, before.replaced(**metadata))


def write_manifest(
    store: Path,
    train: Sequence[str],
    test: Sequence[str],
    protocol: str = "xsub",
    dataset: str = "ntu60",
    content_hash: str = CONTENT_HASH,
) -> Path:
    """Write a split manifest beside a store."""
    official = dataset_spec(dataset).protocol(protocol)
    manifest = SplitManifest(
        format_version=2,
        dataset=dataset,
        protocol=protocol,
        content_hash=content_hash,
        counts=SplitCounts(
            train=len(train),
            test=len(test),
            unlisted=len(open_store(store).ids) - len(train) - len(test),
            official_train=official.official_train,
            official_test=official.official_test,
        ),
        train=tuple(sorted(train)),
        test=tuple(sorted(test)),
    )
    path = store.with_name(f"{store.name.removesuffix('.zarr')}.{protocol}.json")
    path.write_bytes(dump_sealed_json(manifest))
    return path


def write_subset(store: Path, train: Sequence[str], subset: Subset) -> SplitManifest:
    """Write the manifest of a draw beside the protocol's, as `build-splits --fraction` does."""
    opened = open_store(store)
    whole = read_manifest(opened, "xsub")
    unlisted = len(opened.ids) - len(train) - len(whole.test)
    counts = SplitCounts(train=len(train), test=len(whole.test), unlisted=unlisted)
    drawn = whole.replaced(train=tuple(train), counts=counts, subset=subset, parent=whole.digest())
    store.with_name(manifest_name(store.name, "xsub", subset)).write_bytes(dump_sealed_json(drawn))
    return drawn


def _write_rows(group: zarr.Group, name: str, values: NDArray[np.float32], shard_rows: int) -> None:
    array = group.create_array(
        name,
        shape=values.shape,
        chunks=(shard_rows // 4, *values.shape[1:]),
        shards=(shard_rows, *values.shape[1:]),
        dtype="float32",
        fill_value=float("nan"),
    )
    array[...] = values


def _motion(body: NDArray[np.float32], stride: int) -> NDArray[np.float32]:
    motion = np.zeros_like(body)
    motion[:-stride] = body[stride:] - body[:-stride]
    return motion


def columns_of(clips: Sequence[Clip]) -> dict[str, NDArray[np.generic]]:
    bodies = np.array([clip.joints.shape[0] for clip in clips])
    frames = np.array([clip.joints.shape[1] for clip in clips])
    names = np.array([clip.id.encode() for clip in clips])
    unknown = np.full(len(clips), -1)
    return {
        "id": names.view(np.uint8).reshape(len(clips), -1),
        "label": np.array([clip.label for clip in clips]),
        "first_row": np.cumsum(bodies * frames) - bodies * frames,
        "frames": frames,
        "bodies": bodies,
        "valid_frames": np.array([clip.valid_frames or clip.joints.shape[1] for clip in clips]),
        "subject": np.array([clip.subject for clip in clips]),
        "camera": np.array([clip.camera for clip in clips]),
        "setup": unknown,
        "replication": unknown,
        "xsub": unknown,
        "xview": unknown,
        "mean_intensity": np.zeros(len(clips)),
        "digest": np.zeros((len(clips), DIGEST_BYTES)),
    }


def metadata_of(clips: Sequence[Clip], dataset: str, motion: MotionSpec) -> StoreMetadata:
    policy = dataset_spec(dataset).paper_policy
    return StoreMetadata(
        complete=True,
        format_version=FORMAT_VERSION,
        dataset=dataset,
        skeleton=dataset_spec(dataset).skeleton,
        policy=policy,
        policy_hash=policy.digest(),
        motion=motion,
        source="0" * 64,
        ingests=("0" * 64,),
        versions={},
        counts=StoreCounts(
            clips=len(clips),
            rows=sum(clip.joints.shape[0] * clip.joints.shape[1] for clip in clips),
            bodies=sum(clip.joints.shape[0] for clip in clips),
            frames=sum(clip.joints.shape[1] for clip in clips),
            excluded=0,
            foreign=0,
            left_out=0,
            other=0,
            quarantined=0,
        ),
        content_hash=CONTENT_HASH,
        quarantined=(),
    )
