"""Verify a store: read all rows, compare digests, recompute motion and intensity."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pydantic_core import from_json

from mamp_pipeline.datasets.clips import ClipInfo
from mamp_pipeline.ingest.staging import staging_path
from mamp_pipeline.motion import mean_intensity, row_arrays
from mamp_pipeline.store.metadata import CLIP_NUMBERS, clip_digest, content_hash
from mamp_pipeline.store.shards import first_rows
from mamp_schemas.errors import DamagedStoreError
from mamp_schemas.io.storage import exists, read_bytes
from mamp_schemas.io.store_reader import Store
from mamp_schemas.io.store_root import NODE_METADATA
from mamp_schemas.models.base import canonical_json
from mamp_schemas.models.results import VerifyReport
from mamp_schemas.models.store import ROW_ARRAYS
from mamp_schemas.progress import Progress


def verify_store(store: Store, progress: Progress) -> VerifyReport:
    """Read a whole store and compare it with its digests. Reports every problem, not only the first.

    Args:
        store: opened without `check_columns`, whose problems would end the verification.
        progress: shows how far it is.
    """
    problems = list(_check_layout(store))
    progress.start("verify", len(store.ids), "clips")
    if not problems:
        for first, last, start, stop in store.block_bounds():
            problems.extend(_check_block(store, first, last, start, stop))
            progress.advance(last - first)
        problems.extend(_check_hash(store))
    problems.extend(_check_nodes(store))
    counts = store.metadata.counts
    return VerifyReport(clips=len(store.ids), rows=counts.rows, problems=tuple(problems))


def _check_nodes(store: Store) -> Iterator[str]:
    """Compare the arrays' own metadata with the root's copy; those of an unfinished append may have more rows."""
    longer = exists(staging_path(store.path))
    for name, expected in store.root.nodes.items():
        key = f"{name}/{NODE_METADATA}"
        try:
            node = from_json(read_bytes(store.path / key))
        except (OSError, ValueError) as problem:
            yield f"{key} cannot be read: {type(problem).__name__}"
            continue
        if longer and isinstance(node, dict) and "shape" in node:
            node["shape"] = expected["shape"]
        if canonical_json(node) != canonical_json(expected):
            yield f"{key} differs from the root's copy of it"


def _check_layout(store: Store) -> Iterator[str]:
    frames, bodies = store.columns["frames"], store.columns["bodies"]
    rows = store.metadata.counts.rows
    if len(set(store.ids)) != len(store.ids):
        yield "clip ids are not unique"
    if not np.array_equal(store.columns["first_row"], first_rows(frames, bodies)):
        yield "clips/first_row does not follow from frames and bodies"
    if int((frames.astype(np.int64) * bodies.astype(np.int64)).sum()) != rows:
        yield f"the clips' rows do not add up to the metadata's {rows}"
    for name, array in store.arrays.items():
        if array.shape[0] != rows:
            yield f"array '{name}' has {array.shape[0]} rows, the metadata says {rows}"


def _check_block(store: Store, first: int, last: int, start: int, stop: int) -> Iterator[str]:
    """Check the clips [first, last), which have the rows [start, stop)."""
    rows, names = {}, f"clips {store.ids[first]} to {store.ids[last - 1]}"
    for name in ROW_ARRAYS:
        try:
            rows[name] = store.read_rows(name, start, stop)
        except DamagedStoreError as problem:
            yield problem.message
    if "joints" not in rows:
        return
    joints, spec = rows["joints"], store.metadata.motion
    frames = store.columns["frames"][first:last].astype(np.int64)
    bodies = store.columns["bodies"][first:last].astype(np.int64)
    expected = row_arrays(joints, frames, bodies, spec)
    for name in sorted(rows.keys() - {"joints"}):
        if not np.array_equal(rows[name], expected[name]):
            yield f"'{name}' differs from what the joints give, {names}"
    if not np.array_equal(
        mean_intensity(joints, frames, bodies, spec.segment), store.columns["mean_intensity"][first:last]
    ):
        yield f"clips/mean_intensity differs, {names}"
    for clip in range(first, last):
        if _recompute_digest(store, clip, joints, start) != store.columns["digest"][clip].tobytes():
            yield f"clip {store.ids[clip]} does not match its digest"


def _recompute_digest(store: Store, clip: int, joints: NDArray[np.float32], start: int) -> bytes:
    column = {name: int(store.columns[name][clip]) for name in (*CLIP_NUMBERS, "frames", "bodies", "valid_frames")}
    row = int(store.columns["first_row"][clip]) - start
    frames, bodies = column["frames"], column["bodies"]
    rows = joints[row : row + frames * bodies].reshape(bodies, frames, *joints.shape[1:])
    info = ClipInfo(store.ids[clip], **{name: column[name] for name in CLIP_NUMBERS})
    return clip_digest(info, rows, column["valid_frames"])


def _check_hash(store: Store) -> Iterator[str]:
    metadata = store.metadata
    digests = (digest.tobytes() for digest in store.columns["digest"])
    computed = content_hash(
        metadata.dataset_identity(), metadata.policy, metadata.motion, zip(store.ids, digests, strict=True)
    )
    if computed != metadata.content_hash:
        yield f"the content hash is {computed[:12]}…, the metadata says {metadata.content_hash[:12]}…"
    if metadata.policy.digest() != metadata.policy_hash:
        yield "the policy does not match its hash"
