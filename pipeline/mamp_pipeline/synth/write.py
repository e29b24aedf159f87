"""Writing synthetic raw files: into a folder or a zip archive, whole or not at all."""

import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path

from mamp_pipeline.raw.bodies import ClipInfo
from mamp_pipeline.synth.names import SynthDataset, plan_clips
from mamp_pipeline.synth.text import make_clip_text
from mamp_schemas.errors import OutputError
from mamp_schemas.output import output_errors
from mamp_schemas.progress import Progress, NullProgress

_NamedFiles = Iterable[tuple[str, bytes]]


def synthesise(
    dataset: SynthDataset,
    out: Path,
    progress: Progress | None = None,
    *,
    clips: int,
    classes: int,
    setups: int,
    subjects: int,
    seed: int,
) -> None:
    """Write synthetic raw files in the NTU format; the same arguments give the same bytes.

    Args:
        dataset: whose names and classes to use.
        out: a folder that does not exist or is empty, or, ending in `.zip`, an archive that does not exist.
        progress: is told of every file.
        clips: number of files.
        classes: number of classes, spread evenly over the dataset's.
        setups: number of setups.
        subjects: number of subjects, alternately of the train and the test side.
        seed: fixes every random draw.

    Raises:
        UsageError: a number is out of the dataset's range.
        OutputError: the output is there already, or the output cannot be written.
    """
    infos = plan_clips(dataset, clips=clips, classes=classes, setups=setups, subjects=subjects)
    out = out.resolve()
    archive = out.suffix == ".zip"
    _check_output_free(out, archive)
    partial = out.with_name(out.name + ".partial")
    try:
        with output_errors(out):
            out.parent.mkdir(parents=True, exist_ok=True)
            _remove(partial)
            (_write_archive if archive else _write_folder)(partial, _make_files(infos, seed, progress or NullProgress()))
            partial.replace(out)
    finally:
        _remove(partial)


def _check_output_free(out: Path, archive: bool) -> None:
    if out.parent.exists() and not out.parent.is_dir():
        raise OutputError(f"{out.parent}: is a file, expected a folder", remedy="Choose another place.")
    if archive and out.exists():
        raise OutputError(f"{out}: is there already", remedy="Remove it or choose another name.")
    if not archive and out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise OutputError(f"{out}: exists and is not an empty folder", remedy="Remove it or choose another name.")


def _make_files(infos: list[ClipInfo], seed: int, progress: Progress) -> _NamedFiles:
    progress.start("synth", len(infos), "files")
    for info in infos:
        yield f"{info.id}.skeleton", make_clip_text(info, seed)
        progress.advance(1)


def _write_folder(folder: Path, files: _NamedFiles) -> None:
    folder.mkdir()
    for name, data in files:
        (folder / name).write_bytes(data)


def _write_archive(path: Path, files: _NamedFiles) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in files:
            # ZipInfo's own date, a constant: the time of day would make equal archives differ.
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED, compresslevel=1)


def _remove(partial: Path) -> None:
    if partial.is_dir():
        shutil.rmtree(partial, ignore_errors=True)
    elif partial.exists():
        partial.unlink()
