"""Export to the npz file that the authors' and related code reads, streamed: memory stays at one block."""

import os
import zipfile
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from mamp_pipeline.convert.padded import PADDED_FRAMES, check_fits, one_hot, pad_clips, padded_width
from mamp_pipeline.store.read import Store
from mamp_schemas.errors import OutputError
from mamp_schemas.output import output_errors
from mamp_schemas.progress import Progress
from mamp_schemas.splits import SplitManifest


def export_npz(store: Store, manifest: SplitManifest, out: Path, progress: Progress) -> None:
    """Write x_train, y_train, names_train, x_test, y_test and names_test of a protocol.

    x is (clips, 300, M·V·3) float32, y (clips, classes) float32 one-hot, names the clip ids.

    Raises:
        OutputError: `out` is there already or cannot be written.
        StoreError: a clip does not fit the layout.
    """
    if out.exists():
        raise OutputError(f"{out}: is there already", remedy="Remove it or name another --out.")
    index = {name: place for place, name in enumerate(store.ids)}
    sides = {
        side: np.sort(np.array([index[name] for name in names], dtype=np.int64))
        for side, names in (("train", manifest.train), ("test", manifest.test))
    }
    check_fits(store, np.concatenate(list(sides.values())))
    progress.start("export", sum(len(clips) for clips in sides.values()), "clips")
    temporary = out.with_name(f"{out.name}.{os.getpid()}.part")
    with output_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            with zipfile.ZipFile(temporary, "w", allowZip64=True) as archive:
                for side, clips in sides.items():
                    _write_side(archive, store, side, clips, progress)
            temporary.replace(out)
        finally:
            temporary.unlink(missing_ok=True)


def _write_side(
    archive: zipfile.ZipFile, store: Store, side: str, clips: NDArray[np.int64], progress: Progress
) -> None:
    with archive.open(f"x_{side}.npy", "w", force_zip64=True) as member:
        _write_header(member, (len(clips), PADDED_FRAMES, padded_width(store)))
        for block in pad_clips(store, clips):
            member.write(block.data.cast("B"))
            progress.advance(len(block))
    labels = one_hot(store.columns["label"][clips].astype(np.int64), store.metadata.spec().classes)
    _write_array(archive, f"y_{side}", labels)
    _write_array(archive, f"names_{side}", np.array([store.ids[clip] for clip in clips], dtype=np.str_))


def _write_header(member: IO[bytes], shape: tuple[int, ...]) -> None:
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    npy.write_array_header_2_0(member, header)


def _write_array(archive: zipfile.ZipFile, name: str, array: NDArray[np.generic]) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        npy.write_array(member, array, allow_pickle=False)
