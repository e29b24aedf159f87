"""Host memory for rows of clips: beyond a limit they lie in a temporary file, which the kernel keeps in its cache.

The file is mapped, so rows are gathered from it as from memory, and with the same numbers. What was read is given back
after each batch: the process stays as small as its limit, however large the store is.
"""

import logging
import math
import mmap
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

logger = logging.getLogger(__name__)

HOST_BYTES = 100_000_000
"""Rows that take more of host memory lie in a temporary file, unless the recipe states a budget."""

_MEMORY_FILE_SYSTEMS = frozenset({"tmpfs", "ramfs", "devtmpfs"})
_SPARE_DISK = 2**30


class HostRows(NamedTuple):
    """Memory for rows.

    Attributes:
        rows: float32, not initialised.
        release: gives back memory that holds copies of what is in the file; the rows stay as they are.
    """

    rows: Tensor
    release: Callable[[], None]


def keep_in_memory() -> None:
    """Give back nothing: for rows that are in memory only."""


def allocate_rows(shape: Sequence[int], limit: int) -> HostRows:
    """Return memory for float32 rows, or a mapped temporary file where they take more than `limit` bytes.

    Where no disk has room for the file, it is memory all the same.
    """
    size = 4 * math.prod(shape)
    folder = _scratch_folder(size) if size > limit else None
    if folder is None:
        return HostRows(torch.empty(tuple(shape), dtype=torch.float32), keep_in_memory)
    with tempfile.TemporaryFile(dir=folder, prefix="mampctl-rows-") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)  # a full disk is an error here, not a crash later
        except OSError as problem:
            logger.warning(f"{size / 1e9:.2f} GB of rows are held in memory: {folder}: {problem.strerror}")
            return HostRows(torch.empty(tuple(shape), dtype=torch.float32), keep_in_memory)
        mapped = mmap.mmap(file.fileno(), size)
    logger.info(
        f"{size / 1e9:.2f} GB of rows lie in a temporary file in {folder}; residency_budget_gb holds them in memory"
    )
    return HostRows(
        torch.frombuffer(mapped, dtype=torch.float32).view(tuple(shape)), lambda: mapped.madvise(mmap.MADV_DONTNEED)
    )


def _scratch_folder(size: int) -> Path | None:
    """Return a folder for temporary files on a disk with room; None if there is none, or no way to map a file."""
    if not (hasattr(os, "posix_fallocate") and hasattr(mmap, "MADV_DONTNEED")):
        return None
    for folder in (Path(tempfile.gettempdir()), Path("/var/tmp")):  # noqa: S108 - TemporaryFile makes the name
        usable = folder.is_dir() and os.access(folder, os.W_OK) and file_system(folder) not in _MEMORY_FILE_SYSTEMS
        if usable and shutil.disk_usage(folder).free > size + _SPARE_DISK:
            return folder
    return None


def file_system(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """Return the kind of file system that a folder is on: ext4, tmpfs; empty where the kernel does not tell."""
    if not mounts.exists():
        return ""
    resolved, kinds = folder.resolve(), {}
    for line in mounts.read_text(errors="replace").splitlines():
        _, point, kind, *_ = line.split(" ")
        kinds[Path(point.replace("\\040", " "))] = kind
    return next((kinds[parent] for parent in (resolved, *resolved.parents) if parent in kinds), "")
