"""A training command as one of several processes: started here, by torchrun or by SLURM, or the only one."""

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr
from typing import TYPE_CHECKING, TypeVar

import typer

from mamp_schemas.errors import Interrupted, TrainingError, UsageError
from mamp_schemas.progress import Progress, Silent
from mampctl.console import print_note, run_id
from mampctl.extras import needed_extras
from mampctl.progress import show_progress
from mampctl.stopping import INTERRUPTED

if TYPE_CHECKING:
    from mamp_trainer.ranks.group import Ranks
    from mamp_trainer.ranks.place import Place

T = TypeVar("T")


@contextmanager
def sit_down(prepare: Callable[[], T], device: str, devices: int | None) -> "Iterator[tuple[T, Ranks, Progress]]":
    """Be a rank, as the environment says; where it says nothing, start `devices` ranks and leave when they end.

    Args:
        prepare: reads the command line, without anything heavy; called by every rank.
        device: as the user named it.
        devices: how many ranks to start; None for one, this process.

    Yields:
        What `prepare` returned, the ranks, and progress that the first of them shows.

    Raises:
        UsageError: the ranks are started by torchrun or SLURM, and others are asked for.
        TrainingError: GPUs are missing.
        typer.Exit: the ranks have ended, or a signal stopped the training; has the exit code.
    """
    from mamp_trainer.ranks.place import find_place

    place = find_place(os.environ)
    try:
        if place is not None:
            with _joined(place, device, devices) as ranks:
                # What the first rank says is said.
                with nullcontext() if ranks.first else redirect_stderr(io.StringIO()):
                    prepared = prepare()
                with show_progress() if ranks.first else nullcontext(Silent()) as progress:
                    yield prepared, ranks, progress
        elif devices is not None and devices > 1:
            raise typer.Exit(_launch(device, devices))
        else:
            prepared = prepare()
            with _joined(None, device, None) as ranks, show_progress() as progress:
                yield prepared, ranks, progress
    except Interrupted as stop:
        if not stop.told and (place is None or place.rank == 0):
            print_note(f"{INTERRUPTED}, a training with --resume")
        raise typer.Exit(stop.code) from None


@contextmanager
def _joined(place: "Place | None", device: str, devices: int | None) -> "Iterator[Ranks]":
    with needed_extras():
        from mamp_trainer.ranks.group import ALONE
        from mamp_trainer.ranks.join import join
        from mamp_trainer.runtime import choose_device, stopped_at_once

    with stopped_at_once():
        if place is None:
            yield ALONE
            return
        with join(place) as connect:
            _check_count(place, devices)
            yield connect(choose_device(device, place.local))


def _check_count(place: "Place", devices: int | None) -> None:
    """Refuse `--devices` where others have started the ranks, unless it names their number on this host."""
    if devices not in (None, place.local_count):
        raise UsageError(
            f"--devices {devices}, but {place.count} ranks have been started, {place.local_count} of them here",
            remedy="Leave out --devices under torchrun and srun: they say how many ranks there are.",
        )


def _launch(device: str, devices: int) -> int:
    with needed_extras():
        import torch

        from mamp_trainer.cgroup import count_cores
        from mamp_trainer.ranks.launch import launch
        from mamp_trainer.runtime import choose_device

    if choose_device(device).type == "cuda" and devices > torch.cuda.device_count():
        raise TrainingError(
            f"--devices {devices}: torch sees {torch.cuda.device_count()} GPUs",
            remedy="Ask for as many as there are, or choose --device cpu.",
        )
    command = [sys.executable, "-m", "mampctl", *sys.argv[1:], "--run-id", run_id()]
    return launch(command, devices, count_cores())
