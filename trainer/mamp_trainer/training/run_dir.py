"""A run's folder: its lock, the recipe written at the start, and what the record written at the end says."""

import logging
import os
import platform
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from shlex import quote

import torch
import yaml

from mamp_schemas.errors import OutputError
from mamp_schemas.io.atomic import output_errors, remove_partials, write_file
from mamp_schemas.io.locks import exclusive_lock
from mamp_schemas.io.regular_files import SETTINGS_BYTES, read_regular
from mamp_schemas.io.run_files import (
    CHECKPOINTS_FOLDER,
    METRICS_FILE,
    RECIPE_FILE,
    RECORD_FILE,
    read_run,
    unused_run_dir,
)
from mamp_schemas.models.recipe import Recipe
from mamp_schemas.models.results import Hardware, RunRecord
from mamp_schemas.models.sealed import dump_sealed_json
from mamp_schemas.system import count_cores, cpu_name, total_memory
from mamp_trainer.checkpoints.files import RunIdentity
from mamp_trainer.data.dataset import RunData
from mamp_trainer.distributed.context import DistContext

logger = logging.getLogger(__name__)

LOCK_FILE = ".lock"
"""In a run's folder while a training writes there."""

_RUN_ENTRIES = {RECIPE_FILE, METRICS_FILE, CHECKPOINTS_FOLDER, RECORD_FILE}
"""What a folder holds of a run, complete or not."""


def refuse_existing(run: Path, resume: bool) -> None:
    """Refuse a folder that already holds something, unless its run is to be resumed.

    Raises:
        OutputError: the folder is not empty, or is a file, or its path is not text.
    """
    try:
        os.fspath(run).encode()
    except UnicodeEncodeError:
        raise OutputError(
            f"{os.fspath(run)!a}: a path with bytes that are no UTF-8, which a run's files cannot hold",
            remedy="Name another folder with --out.",
        ) from None
    if run.exists() and not run.is_dir():
        raise OutputError(f"{run} is a file, not a run's folder", remedy="Name another folder.")
    if not resume and (entries := _entries(run)):
        another = f"ame another folder, such as --out {quote(str(unused_run_dir(run)))}"
        if {entry.name for entry in entries}.isdisjoint(_RUN_ENTRIES):
            raise OutputError(f"{run} is not empty, and holds no run", remedy=f"N{another}")
        raise OutputError(
            f"{run} already holds a run",
            remedy=f"Continue it with --resume if it is of this recipe and this store, or n{another}",
        )


@contextmanager
def lock_run_dir(run: Path, resume: bool, dist_context: DistContext) -> Iterator[None]:
    """Lock a run's folder for this training, until it ends or is killed; remove what a killed one left unfinished.

    Two trainings in one folder would remove each other's checkpoints.

    Args:
        run: the folder.
        resume: whether its run is resumed; then it may hold something.
        dist_context: the processes that train together; the first one holds the lock for all.

    Raises:
        OutputError: another training holds it, it is not empty, or nothing can be written there.
    """
    if not dist_context.is_main:
        yield
        return
    refuse_existing(run, resume)
    with output_errors(run):
        run.mkdir(parents=True, exist_ok=True)

    def held(holder: str) -> OutputError:
        return OutputError(
            f"{run}: another training is writing there ({holder})",
            remedy="Wait for it to end, or name another folder with --out.",
        )

    try:
        with exclusive_lock(run / LOCK_FILE, held, required=False):
            refuse_existing(run, resume)  # again, now that nobody else can write there
            remove_partials(run)
            yield
    finally:
        with suppress(OSError):  # removes a folder that nothing was written into
            run.rmdir()


def _entries(run: Path) -> list[Path]:
    return [entry for entry in run.iterdir() if entry.name != LOCK_FILE] if run.exists() else []


def run_identity(data: RunData, encoder: str) -> RunIdentity:
    """Return the identity of a run, which its checkpoints carry.

    Args:
        data: the store and split that the run trains on.
        encoder: `untrained`, or the digest of the encoder's weights at the start.
    """
    return RunIdentity(
        task=data.recipe.kind,
        store_hash=data.store.metadata.content_hash,
        manifest_hash=data.manifest.digest(),
        encoder=encoder,
        policy=data.store.metadata.policy.name,
    )


def init_run_dir(run: Path, recipe: Recipe, resume: bool) -> None:
    """Write the recipe of a run that has no checkpoint yet into its folder.

    Args:
        run: the folder.
        recipe: what is trained.
        resume: whether the run was to be resumed; then the folder may hold what a run of this recipe left.

    Raises:
        OutputError: it holds other things, or cannot be written.
    """
    settings = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False)
    if resume:
        _refuse_other_run(run, settings)
        logger.info(f"{run} has no checkpoint yet: beginning at the first step")
    with output_errors(run):
        run.mkdir(parents=True, exist_ok=True)
    write_file(run / RECIPE_FILE, settings.encode())


def write_record(run: Path, record: RunRecord) -> None:
    """Write a run's record, which marks the run as complete.

    A complete run that is resumed has nothing to do and keeps its first record.
    """
    earlier = read_run(run).record
    if earlier is not None and earlier.result == record.result:
        return
    write_file(run / RECORD_FILE, dump_sealed_json(record))


def _refuse_other_run(run: Path, settings: str) -> None:
    """Refuse to begin in a folder of other things, or of another recipe's run."""
    recipe = run / RECIPE_FILE
    try:
        same = recipe.exists() and read_regular(recipe, SETTINGS_BYTES) == settings.encode()
    except OSError:
        same = False
    if _entries(run) and not same:
        raise OutputError(
            f"{run}: there is no checkpoint to resume from, and the folder holds something else than a run of this "
            "recipe",
            remedy="Name another folder with --out.",
        )


def describe_hardware(ranks: int) -> Hardware:
    """Return the hardware of this process; nothing in it names the machine or its user.

    Args:
        ranks: the number of processes that train together.
    """
    present = os.cpu_count() or 1
    return Hardware(
        cpu=cpu_name(),
        cores=count_cores(),
        cores_present=present,
        memory_gb=round(total_memory() / 1e9, 1),
        gpus=dict(Counter(torch.cuda.get_device_name(gpu) for gpu in range(torch.cuda.device_count()))),
        ranks=ranks,
    )


_RECORDED_PACKAGES = ("mampctl", "torch", "numpy", "zarr", "pydantic", "safetensors")


def utc_now() -> datetime:
    """Return the current time, UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results may depend on."""
    return {"python": platform.python_version(), **{name: version(name) for name in _RECORDED_PACKAGES}}
