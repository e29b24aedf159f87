"""Export to the pickle that pyskl and related code reads: splits by name, and an annotation a clip."""

import pickle
from collections.abc import Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.convert.files import atomic_file
from mamp_pipeline.convert.padded import check_labelled
from mamp_pipeline.store.read import Store
from mamp_schemas.progress import Progress
from mamp_schemas.splits import SplitManifest

PICKLE_PROTOCOL = 4


def export_pyskl(store: Store, manifests: Sequence[SplitManifest], out: Path, progress: Progress) -> None:
    """Write `split` (xsub_train, xsub_val, ... of the manifests) and `annotations` of all clips, sorted by name.

    `keypoint` is (M, T, V, 3) float32 with the real bodies only. The whole of it is held in memory: that is how
    pickles are written and read.

    Raises:
        OutputError: `out` is there already or cannot be written.
        StoreError: a clip has no label.
    """
    check_labelled(store, np.arange(len(store.ids)))
    with atomic_file(out) as temporary:
        progress.start("export", len(store.ids), "clips")
        split: dict[str, list[str]] = {}
        for manifest in manifests:
            split[f"{manifest.protocol}_train"] = list(manifest.train)
            split[f"{manifest.protocol}_val"] = list(manifest.test)
        # An append leaves a store's clips unsorted.
        annotations = sorted(_make_annotations(store, progress), key=itemgetter("frame_dir"))
        content = {"split": split, "annotations": annotations}
        with temporary.open("wb") as file:
            _Numpy1Pickler(file, PICKLE_PROTOCOL).dump(content)


def _make_annotations(store: Store, progress: Progress) -> Iterator[dict[str, Any]]:
    columns = store.columns
    for first, last, joints in store.blocks():
        start = int(columns["first_row"][first])
        for clip in range(first, last):
            bodies, frames = int(columns["bodies"][clip]), int(columns["frames"][clip])
            row = int(columns["first_row"][clip]) - start
            yield {
                "frame_dir": store.ids[clip],
                "label": int(columns["label"][clip]),
                "total_frames": frames,
                "keypoint": joints[row : row + bodies * frames].reshape(bodies, frames, *joints.shape[1:]),
            }
        progress.advance(last - first)


class _Numpy1Pickler(pickle.Pickler):
    """Writes arrays as `numpy.ndarray(shape, dtype, bytes)`.

    numpy's own pickling names a module that numpy 1 does not have, and pyskl needs numpy 1.
    """

    def reducer_override(self, value: object) -> Any:
        if isinstance(value, np.ndarray):
            return np.ndarray, (value.shape, "<f4", bytearray(_float32_bytes(value)))
        return NotImplemented


def _float32_bytes(values: NDArray[Any]) -> bytes:
    return values.astype("<f4", copy=False).tobytes()
