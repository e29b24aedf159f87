"""Runs what is missing of a plan, in order; each run can be resumed, and one that fails does not stop the others."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from mamp_schemas.errors import CheckpointError, ConfigError, MampctlError, RecordError
from mamp_schemas.io.run_files import read_runs
from mamp_schemas.models.recipe import EvaluationRecipe, PretrainRecipe
from mamp_schemas.models.reproduction import PlannedRun, ReproductionPlan
from mamp_schemas.progress import Progress
from mamp_trainer.analysis.run_analysis import analyse_finished_run
from mamp_trainer.distributed.context import SINGLE_PROCESS, DistContext
from mamp_trainer.objectives.pretrain import pretrain
from mamp_trainer.protocols.classification import train_classifier
from mamp_trainer.reproduce.catalog import DataCatalog, error_line
from mamp_trainer.reproduce.match_runs import match_run
from mamp_trainer.reproduce.plan import Outcome
from mamp_trainer.runs.index import read_recipe
from mamp_trainer.training.runtime import RunContext

logger = logging.getLogger(__name__)


class ExecutionContext(NamedTuple):
    """How runs are trained, on which none of their numbers depends; as `Sitting` has it."""

    device: str
    progress: Progress
    dist_context: DistContext = SINGLE_PROCESS
    run_id: str | None = None


def execute(
    plan: ReproductionPlan,
    wanted: frozenset[str],
    folder: Path,
    catalog: DataCatalog,
    context: ExecutionContext,
    on_change: Callable[[Outcome], None],
) -> Outcome:
    """Find what is done of a plan, and run what is wanted and missing.

    A run that fails is told, and the others go on; under several ranks it ends them all, for the others may wait for
    the one that failed.

    Args:
        plan: the runs.
        wanted: the names of those that may be run.
        folder: where runs are, and are made.
        catalog: the data.
        context: who trains, and on what.
        on_change: called by the first rank when something has changed.

    Raises:
        Interrupted: SIGINT or SIGTERM came; a checkpoint of the run under way has been written.
        MampctlError: a run failed under several ranks.
    """
    outcome = Outcome()
    for at, planned in enumerate(plan.runs, start=1):
        if planned.parent is not None and planned.parent not in outcome.done:
            if planned.name in wanted:
                cause = outcome.problems.get(planned.parent, "it is not done")
                outcome.problems[planned.name] = f"of its pre-training {planned.parent}: {cause}"
            continue
        found, problem = _find_done(planned, outcome, folder, catalog, context.dist_context)
        if found is not None:
            outcome.done[planned.name] = found
            continue
        if planned.name not in wanted:
            continue
        if context.dist_context.is_main:
            on_change(outcome)
        logger.info(f"run {at} of {len(plan.runs)}: {planned.name}")
        if problem is None:
            problem = _train_planned(planned, outcome, folder, catalog, context)
        if problem is not None:
            outcome.problems[planned.name] = problem
            logger.error(f"{planned.name}: {problem}")
    if context.dist_context.is_main:
        on_change(outcome)
    return outcome


def _find_done(
    planned: PlannedRun, outcome: Outcome, folder: Path, shelf: DataCatalog, dist_context: DistContext
) -> tuple[Path | None, str | None]:
    """Return the folder of a run if it is done, and what stands in its way: as the first rank sees it."""
    found: tuple[str | None, str | None] = (None, None)
    if dist_context.is_main:
        parent = None if planned.parent is None else outcome.done[planned.parent]
        try:
            run = match_run(planned, parent, read_runs([folder]), folder / planned.name, shelf)
            found = (None if run is None else str(run.folder), None)
        except MampctlError as problem:
            if isinstance(problem, CheckpointError):
                problem.remedy = f"Remove {parent} to pre-train anew."
            found = (None, error_line(problem))
    place, hindrance = json.loads(dist_context.broadcast_str(json.dumps(found)))
    return None if place is None else Path(place), hindrance


def _train_planned(
    planned: PlannedRun, outcome: Outcome, folder: Path, shelf: DataCatalog, seat: ExecutionContext
) -> str | None:
    """Train a run, or go on with it; return what stood in its way, if anything."""
    run, store = folder / planned.name, shelf.store_path(planned.recipe)
    recipe = _with_begun_window(planned, run).recipe
    context = RunContext(run, True, seat.device, seat.progress, seat.dist_context, 0, seat.run_id)
    try:
        if isinstance(recipe, EvaluationRecipe):
            parent = None if planned.parent is None else outcome.done[planned.parent]
            train_classifier(recipe, store, parent, context)
        elif isinstance(recipe, PretrainRecipe):
            pretrain(recipe, store, context)
        analyse_finished_run(run, store, seat.device, seat.dist_context)
    except MampctlError as problem:
        if seat.dist_context.world_size > 1:
            raise
        if isinstance(problem, CheckpointError):  # a run's folder is named by its plan: there is no other one to name
            problem.remedy = f"Remove {run} to train it anew, or name another --out."
        return error_line(problem)
    outcome.done[planned.name] = run
    return None


def _with_begun_window(planned: PlannedRun, run: Path) -> PlannedRun:
    """Return a planned run with the shuffle window of what is to be gone on with: a stream may have set one.

    Where clips live depends on the memory that is free at the moment, and a run keeps its order.
    """
    try:
        window = read_recipe(run).shuffle_window
    except (ConfigError, RecordError):
        return planned  # it has not begun, or training says what is wrong
    return planned.replaced(recipe=planned.recipe.replaced(shuffle_window=window))
