"""Export to the npz file that the authors' and related code reads, streamed: memory stays at one block."""

import zipfile
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from mamp_pipeline.convert.files import atomic_file
from mamp_pipeline.convert.padded import (
    PADDED_FRAMES,
    check_exportable,
    clip_indices,
    pad_clips,
    padded_labels,
    padded_names,
    padded_width,
)
from mamp_pipeline.store.read import Store
from mamp_schemas.progress import Progress
from mamp_schemas.splits import SplitManifest


def export_npz(store: Store, manifest: SplitManifest, out: Path, progress: Progress) -> None:
    """Write x_train, y_train, names_train, x_test, y_test and names_test of a protocol, in the manifest's order.

    x is (clips, 300, M·V·3) float32, y (clips, classes) float32 one-hot, names the clip ids. A store imported
    from a file with class numbers or without names is written back like that file.

    Raises:
        OutputError: `out` is there already or cannot be written.
        ManifestError: the manifest names a clip that the store does not have.
        StoreError: a clip does not fit the layout.
    """
    sides = {"train": clip_indices(store, manifest.train), "test": clip_indices(store, manifest.test)}
    check_exportable(store, np.concatenate(list(sides.values())))
    with atomic_file(out) as temporary, zipfile.ZipFile(temporary, "w", allowZip64=True) as archive:
        progress.start("export", sum(len(clips) for clips in sides.values()), "clips")
        for side, clips in sides.items():
            _write_split(archive, store, side, clips, progress)


def _write_split(
    archive: zipfile.ZipFile, store: Store, side: str, clips: NDArray[np.int64], progress: Progress
) -> None:
    with archive.open(f"x_{side}.npy", "w", force_zip64=True) as member:
        _write_header(member, (len(clips), PADDED_FRAMES, padded_width(store)))
        for block in pad_clips(store, clips):
            member.write(block.data.cast("B"))
            progress.advance(len(block))
    _write_array(archive, f"y_{side}", padded_labels(store, clips))
    names = padded_names(store, clips)
    if names is not None:
        _write_array(archive, f"names_{side}", names)


def _write_header(member: IO[bytes], shape: tuple[int, ...]) -> None:
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    npy.write_array_header_2_0(member, header)


def _write_array(archive: zipfile.ZipFile, name: str, array: NDArray[np.generic]) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        npy.write_array(member, array, allow_pickle=False)
