"""The padded layout of existing code: (clips, 300, M·V·3) arrays and one-hot labels, made block by block."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.store.read import Store
from mamp_schemas.errors import StoreError

PADDED_FRAMES = 300


def padded_width(store: Store) -> int:
    """Return M·V·3, the numbers of a padded frame."""
    return store.metadata.spec().bodies * len(store.metadata.skeleton.joints) * 3


def check_fits(store: Store, clips: NDArray[np.int64]) -> None:
    """Make sure that no clip is cut and that every clip has a label.

    Raises:
        StoreError: a clip is longer than the padded layout holds, or has no label.
    """
    frames = store.columns["frames"][clips]
    long = clips[frames > PADDED_FRAMES]
    if len(long):
        raise StoreError(
            f"{len(long)} clips have more than {PADDED_FRAMES} frames, the first is {store.ids[long[0]]} with "
            f"{store.columns['frames'][long[0]]}; the npz layout would cut them",
            remedy="Read these clips from the store itself; see docs/store-format.md.",
        )
    unlabelled = clips[store.columns["label"][clips] < 0]
    if len(unlabelled):
        raise StoreError(
            f"clip {store.ids[unlabelled[0]]} has no label, which the npz layout needs",
            remedy="Read these clips from the store itself; see docs/store-format.md.",
        )


def pad_clips(store: Store, wanted: NDArray[np.int64]) -> Iterator[NDArray[np.float32]]:
    """Yield (n, 300, M·V·3) blocks of the wanted clips, in store order.

    A frame is body after body, joint after joint, x y z; the empty slot of a one-body clip is zeros or a copy
    of the body, as the store's policy says; frames after the last are zeros.

    Args:
        store: the store.
        wanted: clip indices, ascending.
    """
    chosen = np.zeros(len(store.ids), dtype=bool)
    chosen[wanted] = True
    for first, last, joints in store.blocks():
        start = int(store.columns["first_row"][first])
        clips = np.flatnonzero(chosen[first:last]) + first
        block = np.zeros((len(clips), PADDED_FRAMES, padded_width(store)), dtype=np.float32)
        for place, clip in enumerate(clips):
            _pad_clip(store, int(clip), joints, start, block[place])
        if len(clips):
            yield block


def _pad_clip(store: Store, clip: int, joints: NDArray[np.float32], start: int, out: NDArray[np.float32]) -> None:
    frames, bodies = int(store.columns["frames"][clip]), int(store.columns["bodies"][clip])
    row = int(store.columns["first_row"][clip]) - start
    tracks = joints[row : row + frames * bodies].reshape(bodies, frames, -1)
    slots = out[:frames].reshape(frames, store.metadata.spec().bodies, -1)
    slots[:, :bodies] = tracks.transpose(1, 0, 2)
    if store.metadata.policy.empty_slot == "copy" and bodies < slots.shape[1]:
        slots[:, bodies:] = tracks[:1].transpose(1, 0, 2)


def one_hot(labels: NDArray[np.integer], classes: int) -> NDArray[np.float32]:
    """Return (clips, classes) float32 one-hot labels."""
    return np.asarray(np.eye(classes, dtype=np.float32)[labels])
