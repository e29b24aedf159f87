"""A training command as one of several processes: started here, by torchrun or by SLURM, or the only one."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from mamp_schemas.errors import Interrupted, UsageError
from mamp_schemas.progress import Progress, Silent
from mampctl.progress import show_progress

if TYPE_CHECKING:
    from mamp_trainer.ranks.group import Ranks
    from mamp_trainer.ranks.place import Place


@contextmanager
def as_rank(device: str, devices: int | None) -> "Iterator[tuple[Ranks, Progress]]":
    """Be a rank, as the environment says; where it says nothing, start `devices` ranks and leave when they end.

    Args:
        device: as the user named it.
        devices: how many ranks to start; None for one, this process.

    Yields:
        The ranks, and progress that the first of them shows.

    Raises:
        UsageError: the ranks are started by torchrun or SLURM, and others are asked for; or GPUs are missing.
        typer.Exit: the ranks have ended, or a signal stopped the training; has the exit code.
    """
    from mamp_trainer.ranks.join import join
    from mamp_trainer.ranks.place import find_place
    from mamp_trainer.runtime import choose_device, stopped_at_once

    place = find_place(os.environ)
    try:
        if place is None and devices is not None and devices > 1:
            raise typer.Exit(_launch(device, devices))
        _check_count(place, devices)
        with stopped_at_once(), join(place, choose_device(device, place.local if place else None)) as ranks:
            if not ranks.first:
                yield ranks, Silent()
                return
            with show_progress() as progress:
                yield ranks, progress
    except Interrupted as stop:
        raise typer.Exit(stop.code) from None


def _launch(device: str, devices: int) -> int:
    import torch

    from mamp_trainer.ranks.launch import launch
    from mamp_trainer.runtime import choose_device

    if choose_device(device).type == "cuda" and devices > torch.cuda.device_count():
        raise UsageError(
            f"--devices {devices}: torch sees {torch.cuda.device_count()} GPUs",
            remedy="Ask for as many as there are, or choose --device cpu.",
        )
    return launch([sys.executable, "-m", "mampctl", *sys.argv[1:]], devices, os.cpu_count() or 1)


def _check_count(place: "Place | None", devices: int | None) -> None:
    """Refuse `--devices` where others have started the ranks, unless it names their number on this host."""
    if place is not None and devices not in (None, place.local_count):
        raise UsageError(
            f"--devices {devices}, but {place.count} ranks have been started, {place.local_count} of them here",
            remedy="Leave out --devices under torchrun and srun: they say how many ranks there are.",
        )
