"""The metadata of a new store: a digest for each clip, and a content hash, however the work is divided."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.datasets.clips import ClipInfo
from mamp_schemas.io.store_reader import Columns
from mamp_schemas.models.base import canonical_json
from mamp_schemas.models.body_sizes import BodySizes
from mamp_schemas.models.dataset import dataset_identity, dataset_spec
from mamp_schemas.models.layout import Layout
from mamp_schemas.models.policy import StorePolicy
from mamp_schemas.models.splits import UNLISTED
from mamp_schemas.models.store import (
    DIGEST_BYTES,
    FORMAT_VERSION,
    LeftOutFiles,
    MotionSpec,
    QuarantinedFile,
    StoreCounts,
    StoreMetadata,
)
from mamp_schemas.registry import DATASETS

CONTENT_VERSION = 1
"""Version of what the content hash is made of; a new form of the same content leaves it as it is."""

CLIP_NUMBERS = ("label", "subject", "camera", "setup", "replication", "xsub", "xview")


def clip_digest(info: ClipInfo, joints: NDArray[np.float32], valid_frames: int) -> bytes:
    """Return the blake2b digest (16 bytes) of a clip: its columns and the bytes of its joints.

    Motion and intensity are not part of it: they follow from the joints and the motion spec.

    Args:
        info: id, label and numbers.
        joints: (M, T, V, 3) float32.
        valid_frames: Tv.
    """
    numbers = {
        "id": info.id, "label": info.label, "subject": info.subject, "camera": info.camera,
        "setup": info.setup, "replication": info.replication, "valid_frames": valid_frames,
        "shape": list(joints.shape),
    }  # fmt: skip
    splits = {"xsub": info.xsub, "xview": info.xview}
    numbers.update({name: split for name, split in splits.items() if split != UNLISTED})
    state = hashlib.blake2b(canonical_json(numbers), digest_size=DIGEST_BYTES)
    state.update(np.ascontiguousarray(joints, dtype="<f4").data)
    return state.digest()


def content_hash(dataset: str, policy: StorePolicy, motion: MotionSpec, clips: Iterable[tuple[str, bytes]]) -> str:
    """Return the sha256 of a store's content.

    Args:
        dataset: its identity (`dataset_identity`).
        policy: how clips were made.
        motion: how motion and intensity were made.
        clips: (id, digest) of every clip, in any order.
    """
    head = {
        "format_version": CONTENT_VERSION,
        "dataset": dataset,
        "policy": policy.canonical_data(),
        "motion": motion.canonical_data(),
    }
    state = hashlib.sha256(canonical_json(head))
    for name, digest in sorted(clips):
        state.update(name.encode("ascii") + b"\0" + digest)
    return state.hexdigest()


@dataclass(frozen=True)
class IngestSummary:
    """Where a store's clips come from, and what was left out.

    Attributes:
        source: fingerprint of the input.
        ingests: as in `StoreMetadata`.
        excluded: files left out by a list.
        foreign: files of another dataset, left out.
        other: files that do not look like raw files.
        quarantined: files that gave no clip.
        left_out, policy_diff, noted: as in `StoreMetadata`.
        sizes, policy_diff, noted: as in `StoreMetadata`.
    """

    source: str
    ingests: tuple[str, ...] = ()
    excluded: int = 0
    foreign: int = 0
    other: int = 0
    quarantined: tuple[QuarantinedFile, ...] = ()
    left_out: tuple[LeftOutFiles, ...] = ()
    sizes: BodySizes | None = None
    policy_diff: Mapping[str, int] = field(default_factory=dict)
    noted: Mapping[str, int] = field(default_factory=dict)


def make_store_metadata(
    *,
    dataset: str,
    layout: Layout | None = None,
    policy: StorePolicy,
    motion: MotionSpec,
    ids: Sequence[str],
    columns: Columns,
    summary: IngestSummary,
) -> StoreMetadata:
    """Return the metadata of a store.

    Args:
        dataset: its name.
        layout: the layout file of own recordings.
        policy: how clips were made.
        motion: how motion and intensity were made.
        ids: clip ids, in the order of the columns.
        columns: frames, bodies and digest at least.
        summary: where the clips come from.
    """
    spec = dataset_spec(dataset, layout)
    frames, bodies = (columns[name].astype("int64") for name in ("frames", "bodies"))
    digests = (digest.tobytes() for digest in columns["digest"])
    return StoreMetadata(
        complete=True,
        format_version=FORMAT_VERSION,
        dataset=dataset,
        skeleton=spec.skeleton,
        policy=policy,
        policy_hash=policy.digest(),
        motion=motion,
        source=summary.source,
        ingests=summary.ingests,
        versions={name: version(name) for name in ("mampctl", "numpy", "zarr")},
        counts=StoreCounts(
            clips=len(ids),
            rows=int((frames * bodies).sum()),
            bodies=int(bodies.sum()),
            frames=int(frames.sum()),
            excluded=summary.excluded,
            foreign=summary.foreign,
            left_out=sum(len(group.files) for group in summary.left_out),
            other=summary.other,
            quarantined=len(summary.quarantined),
        ),
        content_hash=content_hash(dataset_identity(dataset, layout), policy, motion, zip(ids, digests, strict=True)),
        sizes=summary.sizes,
        policy_diff=dict(summary.policy_diff),
        noted=dict(summary.noted),
        quarantined=summary.quarantined,
        left_out=summary.left_out,
        layout=layout,
        spec=spec if DATASETS.entry(dataset).distribution else None,
    )
