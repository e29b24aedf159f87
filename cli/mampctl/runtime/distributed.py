"""Runs a training command in one or several processes, started here (--devices), by torchrun or by SLURM."""

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, TypeVar

import typer

from mamp_schemas.errors import Interrupted, TrainingError, UsageError
from mamp_schemas.progress import NullProgress, Progress
from mampctl.output.console import print_interrupted
from mampctl.output.log import run_id, set_log_level
from mampctl.output.progress import show_progress
from mampctl.runtime.errors import needed_extras

if TYPE_CHECKING:
    from mamp_trainer.distributed.context import DistContext
    from mamp_trainer.distributed.env import RankEnv


REPEAT_COMMAND = "nothing unfinished is left under a final name; run the same command again"


def is_first_rank(environment: Mapping[str, str]) -> bool:
    """Return whether this process speaks for all, where it is one of several."""
    return {environment.get(name, "0") for name in ("RANK", "SLURM_PROCID")} == {"0"}


T = TypeVar("T")


@contextmanager
def distributed_run(
    prepare: Callable[[], T], device: str, devices: int | None
) -> "Iterator[tuple[T, DistContext, Progress]]":
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
    from mamp_trainer.distributed.env import read_rank_env

    place = read_rank_env(os.environ)
    try:
        if place is not None:
            with _connected_ranks(place, device, devices) as ranks:
                if not ranks.is_main:
                    set_log_level(logging.CRITICAL)  # the first rank logs for all
                prepared = prepare()
                with show_progress() if ranks.is_main else nullcontext(NullProgress()) as progress:
                    yield prepared, ranks, progress
        elif devices is not None and devices > 1:
            raise typer.Exit(_launch_ranks(device, devices))
        else:
            prepared = prepare()
            with _connected_ranks(None, device, None) as ranks, show_progress() as progress:
                yield prepared, ranks, progress
    except Interrupted as stop:
        if not stop.user_informed and (place is None or place.rank == 0):
            print_interrupted(f"{REPEAT_COMMAND}, a training with --resume")
        raise typer.Exit(stop.exit_code) from None


@contextmanager
def _connected_ranks(place: "RankEnv | None", device: str, devices: int | None) -> "Iterator[DistContext]":
    with needed_extras():
        from mamp_schemas.signals import interrupt_immediately
        from mamp_trainer.distributed.context import SINGLE_PROCESS
        from mamp_trainer.distributed.rendezvous import rendezvous
        from mamp_trainer.training.runtime import choose_device

    with interrupt_immediately():
        if place is None:
            yield SINGLE_PROCESS
            return
        with rendezvous(place) as connect:
            _check_rank_count(place, devices)
            yield connect(choose_device(device, place.local_rank))


def _check_rank_count(place: "RankEnv", devices: int | None) -> None:
    """Refuse `--devices` where others have started the ranks, unless it names their number on this host."""
    if devices not in (None, place.local_world_size):
        raise UsageError(
            f"--devices {devices}, but {place.world_size} ranks have been started, "
            f"{place.local_world_size} of them here",
            remedy="Leave out --devices under torchrun and srun: they say how many ranks there are.",
        )


def _launch_ranks(device: str, devices: int) -> int:
    with needed_extras():
        import torch

        from mamp_schemas.system import count_cores
        from mamp_trainer.distributed.launch import launch
        from mamp_trainer.training.runtime import choose_device

    if choose_device(device).type == "cuda" and devices > torch.cuda.device_count():
        raise TrainingError(
            f"--devices {devices}: torch sees {torch.cuda.device_count()} GPUs",
            remedy="Ask for as many as there are, or choose --device cpu.",
        )
    command = [sys.executable, "-m", "mampctl", *sys.argv[1:], "--run-id", run_id()]
    return launch(command, devices, count_cores())
