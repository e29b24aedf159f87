"""The padded layout, written: clips as (clips, 300, M·V·3) blocks and their labels, in a manifest's order."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.store.read import BLOCK_ROWS, Store, clip_ends
from mamp_schemas.errors import ManifestError, StoreError
from mamp_schemas.policy import ImportedPolicy

PADDED_FRAMES = 300
BLOCK_CLIPS = 256
"""Padded clips held at a time: 46 MB of NTU's."""


def padded_width(store: Store) -> int:
    """Return M·V·3, the numbers of a padded frame."""
    return store.metadata.dataset_spec().bodies * len(store.metadata.skeleton.joints) * 3


def clip_indices(store: Store, ids: Sequence[str]) -> NDArray[np.int64]:
    """Return the places of ids among a store's clips.

    Raises:
        ManifestError: the store does not have one of them.
    """
    index = {name: place for place, name in enumerate(store.ids)}
    missing = [name for name in ids if name not in index]
    if missing:
        raise ManifestError(
            f"{store.path}: {len(missing)} clips of the split manifest are not in the store, the first is {missing[0]}",
            remedy="Make the manifest again with mampctl build-splits.",
        )
    return np.array([index[name] for name in ids], dtype=np.int64)


def check_labelled(store: Store, clips: NDArray[np.int64]) -> None:
    """Make sure that every clip has a label.

    Raises:
        StoreError: one has none.
    """
    unlabelled = clips[store.columns["label"][clips] < 0]
    if len(unlabelled):
        raise StoreError(
            f"clip {store.ids[unlabelled[0]]} has no label, which the exported formats need",
            remedy="Read these clips from the store itself; see docs/store-format.md.",
        )


def check_exportable(store: Store, clips: NDArray[np.int64]) -> None:
    """Make sure that no clip is cut and that every clip has a label.

    Raises:
        StoreError: a clip is longer than the padded layout holds, or has no label.
    """
    frames = store.columns["frames"][clips]
    long = clips[frames > PADDED_FRAMES]
    if len(long):
        raise StoreError(
            f"{len(long)} clips have more than {PADDED_FRAMES} frames, the first is {store.ids[long[0]]} with "
            f"{store.columns['frames'][long[0]]}; the padded layout would cut them",
            remedy="Export them with mampctl export pyskl, or read them from the store: see docs/store-format.md.",
        )
    check_labelled(store, clips)


def pad_clips(store: Store, clips: NDArray[np.int64]) -> Iterator[NDArray[np.float32]]:
    """Yield (n, 300, M·V·3) blocks of clips, in the order in which they are wanted.

    A frame is body after body, joint after joint, x y z; the empty slot of a one-body clip is zeros or a copy
    of the body, as the store's policy says; frames after the last are zeros.

    Args:
        store: the store.
        wanted: clip indices.
    """
    ends = clip_ends(store.columns)
    for run in _contiguous_runs(store, clips, ends):
        start = int(store.columns["first_row"][run[0]])
        joints = store.read_rows("joints", start, int(ends[run[-1]]))
        block = np.zeros((len(run), PADDED_FRAMES, padded_width(store)), dtype=np.float32)
        for place, clip in enumerate(run):
            _pad_clip(store, clip, joints, start, block[place])
        yield block


def _contiguous_runs(store: Store, wanted: NDArray[np.int64], ends: NDArray[np.int64]) -> Iterator[list[int]]:
    """Divide clips into runs that one contiguous read of bounded size can serve."""
    run: list[int] = []
    for clip in wanted.tolist():
        fits = run and clip > run[-1] and ends[clip] - store.columns["first_row"][run[0]] <= BLOCK_ROWS
        if run and not (fits and len(run) < BLOCK_CLIPS):
            yield run
            run = []
        run.append(clip)
    if run:
        yield run


def _pad_clip(store: Store, clip: int, joints: NDArray[np.float32], start: int, out: NDArray[np.float32]) -> None:
    frames, bodies = int(store.columns["frames"][clip]), int(store.columns["bodies"][clip])
    row = int(store.columns["first_row"][clip]) - start
    tracks = joints[row : row + frames * bodies].reshape(bodies, frames, -1)
    slots = out[:frames].reshape(frames, store.metadata.dataset_spec().bodies, -1)
    slots[:, :bodies] = tracks.transpose(1, 0, 2)
    if store.metadata.policy.empty_slot == "copy" and bodies < slots.shape[1]:
        slots[:, bodies:] = tracks[:1].transpose(1, 0, 2)


def padded_labels(store: Store, clips: NDArray[np.int64]) -> NDArray[np.float32] | NDArray[np.int64]:
    """Return one-hot rows (clips, classes), or class numbers (clips,) where the store came with such."""
    labels = store.columns["label"][clips].astype(np.int64)
    policy = store.metadata.policy
    if isinstance(policy, ImportedPolicy) and policy.origin != "pyskl" and policy.labels == "index":
        return labels
    return np.asarray(np.eye(store.metadata.dataset_spec().classes, dtype=np.float32)[labels])


def padded_names(store: Store, clips: NDArray[np.int64]) -> NDArray[np.str_] | None:
    """Return the clips' ids, or None where an import made them up."""
    policy = store.metadata.policy
    if isinstance(policy, ImportedPolicy) and policy.ids == "made":
        return None
    return np.array([store.ids[clip] for clip in clips], dtype=np.str_)
