"""Finds the runs of a plan that are done already, wherever they are and whatever they are called."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from mamp_schemas.errors import MampctlError
from mamp_schemas.io.run_files import UNTRAINED, Run, read_run
from mamp_schemas.models.recipe import ModelSpec
from mamp_schemas.models.reproduction import PlannedRun, ReproductionPlan
from mamp_trainer.checkpoints.load import load_encoder, weights_digest
from mamp_trainer.data.residency import DEFAULT_SHUFFLE_WINDOW
from mamp_trainer.reproduce.catalog import DataCatalog
from mamp_trainer.runs.index import find_finished


def match_run(
    planned: PlannedRun, parent: Path | None, runs: Iterable[Run], own_folder: Path, shelf: DataCatalog
) -> Run | None:
    """Return the finished run that is a planned one: same recipe, store, manifest and encoder; None if there is none.

    A recipe that is streamed is the same: its run has the shuffle window that the stream set.

    Args:
        planned: what is looked for.
        parent: the run of its pre-training, if it has one.
        runs: where to look; the one that was finished first is taken, so that later ones displace nothing.
        own_folder: the folder that the planned run would have; it is looked at first.
        shelf: the data.

    Raises:
        MampctlError: the data is missing, or the parent's checkpoint cannot be read.
    """
    split = shelf.split(planned.recipe)
    encoder = UNTRAINED if parent is None else encoder_digest(parent, planned.recipe.model)
    places = [read_run(own_folder)] if own_folder.exists() else []
    places += sorted((run for run in runs if run.record), key=_finished_at)
    for recipe in (planned.recipe, planned.recipe.replaced(shuffle_window=DEFAULT_SHUFFLE_WINDOW)):
        found = find_finished(places, recipe.digest(), split.store_hash, split.manifest_hash, encoder)
        if found is not None:
            return found
    return None


def match_all_runs(plan: ReproductionPlan, runs: list[Run], folder: Path, shelf: DataCatalog) -> dict[str, Path]:
    """Return the folders of all of a plan's runs that are done, by name; those whose data is missing count as not."""
    done: dict[str, Path] = {}
    for planned in plan.runs:
        if planned.parent is not None and planned.parent not in done:
            continue
        parent = None if planned.parent is None else done[planned.parent]
        try:
            found = match_run(planned, parent, runs, folder / planned.name, shelf)
        except MampctlError:
            continue
        if found is not None:
            done[planned.name] = found.folder
    return done


def _finished_at(run: Run) -> datetime:
    """Return when a run was finished; records of format 1 do not know, and are older than all that do."""
    return (run.record.finished if run.record else None) or datetime.min.replace(tzinfo=UTC)


def encoder_digest(run: Path, spec: ModelSpec) -> str:
    """Return the digest of the encoder that a pre-training has left.

    Raises:
        CheckpointError: it cannot be read, or has another shape.
    """
    return weights_digest(load_encoder(run, spec))
