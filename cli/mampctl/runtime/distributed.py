"""Run a training command in one or several processes, started by `--devices`, torchrun or SLURM."""

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, TypeVar

import typer

from mamp_schemas.errors import Interrupted, TrainingError, UsageError, exit_code
from mamp_schemas.progress import NullProgress, Progress
from mampctl.output.console import print_interrupted
from mampctl.output.log import run_id, set_log_level
from mampctl.output.progress import show_progress
from mampctl.runtime.errors import needed_extras

if TYPE_CHECKING:
    from mamp_trainer.distributed.context import DistContext
    from mamp_trainer.distributed.env import RankEnv
    from mamp_trainer.training.runtime import ComputeContext


REPEAT_COMMAND = "nothing unfinished is left under a final name; run the same command again"


def is_first_rank(environment: Mapping[str, str]) -> bool:
    """Return whether this is a single process or rank 0 of several, which alone prints messages."""
    return {environment.get(name, "0") for name in ("RANK", "SLURM_PROCID")} == {"0"}


T = TypeVar("T")


@contextmanager
def distributed_run(prepare: Callable[[], T], device: str, devices: int | None) -> "Iterator[tuple[T, ComputeContext]]":
    """Run as the rank that the environment says; if it says none, start `devices` ranks and exit when they end.

    Args:
        prepare: reads the command line without heavy imports; every rank calls it.
        device: the device option of the command.
        devices: the number of ranks to start; None for a single process, this one.

    Yields:
        The result of `prepare`, and the device, the ranks and the progress, which only rank 0 shows.

    Raises:
        UsageError: torchrun or SLURM started a number of ranks other than `devices`.
        TrainingError: there are fewer GPUs than ranks.
        typer.Exit: the ranks have ended, or a signal stopped the training; has the exit code.
    """
    from mamp_trainer.distributed.env import read_rank_env

    rank_env = read_rank_env(os.environ)
    try:
        if rank_env is not None:
            with _connected_ranks(rank_env, device, devices) as dist_context:
                if not dist_context.is_main:
                    set_log_level(logging.CRITICAL)  # rank 0 logs for all
                prepared = prepare()
                with show_progress() if dist_context.is_main else nullcontext(NullProgress()) as progress:
                    yield prepared, _context(device, progress, dist_context)
        elif devices is not None and devices > 1:
            raise typer.Exit(_launch_ranks(device, devices))
        else:
            prepared = prepare()
            with _connected_ranks(None, device, None) as dist_context, show_progress() as progress:
                yield prepared, _context(device, progress, dist_context)
    except KeyboardInterrupt as stop:  # a second SIGINT, too, which knows no signal
        informed = isinstance(stop, Interrupted) and stop.user_informed
        if not informed and (rank_env is None or rank_env.rank == 0):
            print_interrupted(f"{REPEAT_COMMAND}, a training with --resume")
        raise typer.Exit(exit_code(stop)) from None


@contextmanager
def _connected_ranks(rank_env: "RankEnv | None", device: str, devices: int | None) -> "Iterator[DistContext]":
    with needed_extras():
        from mamp_schemas.signals import interrupt_immediately
        from mamp_trainer.distributed.context import SINGLE_PROCESS
        from mamp_trainer.distributed.launch import rendezvous
        from mamp_trainer.training.runtime import choose_device

    with interrupt_immediately():
        if rank_env is None:
            yield SINGLE_PROCESS
            return
        with rendezvous(rank_env) as connect:
            _check_rank_count(rank_env, devices)
            yield connect(choose_device(device, rank_env.local_rank))


def _context(device: str, progress: Progress, dist_context: "DistContext") -> "ComputeContext":
    from mamp_trainer.training.runtime import ComputeContext

    return ComputeContext(device=device, progress=progress, dist_context=dist_context, run_id=run_id())


def _check_rank_count(rank_env: "RankEnv", devices: int | None) -> None:
    """Reject `--devices` under another launcher, unless it equals the number of ranks on this host."""
    if devices not in (None, rank_env.local_world_size):
        raise UsageError(
            f"--devices {devices}, but {rank_env.world_size} ranks have been started, "
            f"{rank_env.local_world_size} of them on this host",
            remedy="Leave out --devices under torchrun and srun, which set the number of ranks themselves.",
        )


def _launch_ranks(device: str, devices: int) -> int:
    with needed_extras():
        import torch

        from mamp_schemas.system import choose_threads
        from mamp_trainer.distributed.launch import launch
        from mamp_trainer.training.runtime import choose_device

    if choose_device(device).type == "cuda" and devices > torch.cuda.device_count():
        raise TrainingError(
            f"--devices {devices}: torch sees {torch.cuda.device_count()} GPUs",
            remedy="Choose a smaller number, or --device cpu.",
        )
    command = [sys.executable, "-m", "mampctl", *sys.argv[1:], "--run-id", run_id()]
    return launch(command, devices, choose_threads().threads)
