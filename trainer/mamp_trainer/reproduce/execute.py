"""Training what is missing of a plan, in order: finished runs are found, and a failed run does not stop the others."""

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from mamp_schemas.errors import CheckpointError, ConfigError, MampctlError, RecordError
from mamp_schemas.io.run_files import UNTRAINED, Run, read_run, read_runs
from mamp_schemas.models.recipe import EvaluationRecipe, PretrainRecipe, Recipe
from mamp_schemas.models.reproduction import PlannedRun, ReproductionPlan
from mamp_trainer.analysis.run_analysis import analyse_finished_run
from mamp_trainer.checkpoints.load import load_encoder, weights_digest
from mamp_trainer.data.residency import DEFAULT_SHUFFLE_WINDOW
from mamp_trainer.distributed.context import DistContext
from mamp_trainer.objectives.pretrain import pretrain
from mamp_trainer.protocols.classification import train_classifier
from mamp_trainer.reproduce.catalog import DataCatalog, error_line
from mamp_trainer.reproduce.plan import Outcome
from mamp_trainer.runs.index import find_finished, read_recipe
from mamp_trainer.training.runtime import RunContext

logger = logging.getLogger(__name__)


def match_run(
    planned: PlannedRun, parent: Path | None, runs: Iterable[Run], own_folder: Path, catalog: DataCatalog
) -> Run | None:
    """Return a finished run with a planned run's recipe, store, manifest and encoder; None if there is none.

    A run whose clips were streamed counts too: its recipe has the shuffle window that streaming sets.

    Args:
        planned: the planned run.
        parent: the run of its pre-training, if it has one.
        runs: the candidates; the one that finished first is taken, so that later ones change nothing.
        own_folder: the folder that the planned run would get; it is looked at first.
        catalog: the data.

    Raises:
        MampctlError: the data is missing, or the parent's checkpoint cannot be read.
    """
    split = catalog.split(planned.recipe)
    encoder = UNTRAINED if parent is None else weights_digest(load_encoder(parent, planned.recipe.model))
    candidates = [read_run(own_folder)] if own_folder.exists() else []
    candidates += sorted((run for run in runs if run.record), key=_finished_at)
    for recipe in (planned.recipe, planned.recipe.replaced(shuffle_window=DEFAULT_SHUFFLE_WINDOW)):
        run = find_finished(candidates, recipe.digest(), split.store_hash, split.manifest_hash, encoder)
        if run is not None:
            return run
    return None


def match_all_runs(plan: ReproductionPlan, runs: list[Run], folder: Path, catalog: DataCatalog) -> dict[str, Path]:
    """Return the folders of a plan's finished runs, by name; a run whose data is missing counts as not finished."""
    done: dict[str, Path] = {}
    for planned in plan.runs:
        if planned.parent is not None and planned.parent not in done:
            continue
        parent = None if planned.parent is None else done[planned.parent]
        try:
            run = match_run(planned, parent, runs, folder / planned.name, catalog)
        except MampctlError:
            continue
        if run is not None:
            done[planned.name] = run.folder
    return done


def _finished_at(run: Run) -> datetime:
    """Return when a run was finished; records of format 1 do not say, and are the oldest."""
    return run.record.finished if run.record else datetime.min.replace(tzinfo=UTC)


def execute(
    plan: ReproductionPlan,
    wanted: frozenset[str],
    catalog: DataCatalog,
    context: RunContext,
    on_change: Callable[[Outcome], None],
) -> Outcome:
    """Find the finished runs of a plan, and train those that are wanted and missing.

    A run that fails is reported, and the next one begins; with several ranks it ends them all, because the others may
    be waiting for the rank that failed.

    Args:
        plan: the runs.
        wanted: the names of those that may be trained.
        catalog: the data.
        context: device, ranks and progress; its `run_dir` is the folder that holds the runs.
        on_change: called by the first rank when something has changed.

    Raises:
        Interrupted: SIGINT or SIGTERM came; a checkpoint of the current run has been written.
        MampctlError: a run failed under several ranks.
    """
    outcome = Outcome()
    for number, planned in enumerate(plan.runs, start=1):
        if planned.parent is not None and planned.parent not in outcome.done:
            if planned.name in wanted:
                cause = outcome.problems.get(planned.parent, "it is not done")
                outcome.problems[planned.name] = f"of its pre-training {planned.parent}: {cause}"
            continue
        parent = None if planned.parent is None else outcome.done[planned.parent]
        run_dir, problem = _find_done(planned, parent, context.run_dir, catalog, context.dist_context)
        if run_dir is not None:
            outcome.done[planned.name] = run_dir
            continue
        if planned.name not in wanted:
            continue
        if context.dist_context.is_main:
            on_change(outcome)
        logger.info(f"run {number} of {len(plan.runs)}: {planned.name}")
        if problem is None:
            problem = _train_planned(planned, parent, outcome, catalog, context)
        if problem is not None:
            outcome.problems[planned.name] = problem
            logger.error(f"{planned.name}: {problem}")
    if context.dist_context.is_main:
        on_change(outcome)
    return outcome


def _find_done(
    planned: PlannedRun, parent: Path | None, folder: Path, catalog: DataCatalog, dist_context: DistContext
) -> tuple[Path | None, str | None]:
    """Return the folder of a run if it is finished, and what prevents it: on all ranks as the first rank sees it."""
    answer: tuple[str | None, str | None] = (None, None)
    if dist_context.is_main:
        try:
            run = match_run(planned, parent, read_runs([folder]), folder / planned.name, catalog)
            answer = (None if run is None else str(run.folder), None)
        except MampctlError as problem:
            if isinstance(problem, CheckpointError):
                problem.remedy = f"Remove {parent} to pre-train anew."
            answer = (None, error_line(problem))
    run_dir, hindrance = json.loads(dist_context.broadcast_str(json.dumps(answer)))
    return None if run_dir is None else Path(run_dir), hindrance


def _train_planned(
    planned: PlannedRun, parent: Path | None, outcome: Outcome, catalog: DataCatalog, context: RunContext
) -> str | None:
    """Train a run, or resume it; return what prevented it, if anything."""
    store = catalog.store_path(planned.recipe)
    of_run = replace(context, run_dir=context.run_dir / planned.name, resume=True)
    recipe = _with_begun_window(planned.recipe, of_run.run_dir)
    try:
        if isinstance(recipe, EvaluationRecipe):
            train_classifier(recipe, store, parent, of_run)
        elif isinstance(recipe, PretrainRecipe):
            pretrain(recipe, store, of_run)
        analyse_finished_run(of_run.run_dir, store, of_run)
    except MampctlError as problem:
        if context.dist_context.world_size > 1:
            raise
        if isinstance(problem, CheckpointError):  # the plan names the run's folder: the user cannot name another one
            problem.remedy = f"Remove {of_run.run_dir} to train it anew, or name another --out."
        return error_line(problem)
    outcome.done[planned.name] = of_run.run_dir
    return None


def _with_begun_window(recipe: Recipe, run_dir: Path) -> Recipe:
    """Return a recipe with the shuffle window of the run that is resumed: streaming may have set one.

    Where clips live depends on the memory that is free now, but a run keeps its order.
    """
    try:
        window = read_recipe(run_dir).shuffle_window
    except (ConfigError, RecordError):
        return recipe  # the run has not begun, or training reports what is wrong
    return recipe.replaced(shuffle_window=window)
