"""`mampctl reproduce`: reproduce a table of the paper and show it beside the published numbers."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mamp_schemas.errors import Interrupted, MampctlError, TrainingError
from mampctl.defaults import data_folder
from mampctl.options import DeviceOption, DevicesOption, JsonOption, path_option
from mampctl.output.console import print_json, print_line
from mampctl.runtime.distributed import distributed_run
from mampctl.runtime.errors import needed_extras

if TYPE_CHECKING:
    from mamp_schemas.models.recipe import Recipe
    from mamp_schemas.models.reproduction import ReproductionPlan
    from mamp_trainer.reproduce.catalog import DataCatalog
    from mamp_trainer.reproduce.plan import Outcome
    from mamp_trainer.training.runtime import ComputeContext

logger = logging.getLogger(__name__)


def make_manifests(recipes: Sequence["Recipe"], catalog: "DataCatalog") -> None:
    """Make the missing manifests of recipes, as `mampctl build-splits` does; existing ones stay as they are.

    If one cannot be made, a warning is logged; the runs that need it fail with what is missing.
    """
    for recipe in recipes:
        if not catalog.has_store(recipe):
            continue
        try:
            catalog.split(recipe)
        except MampctlError:
            try:
                _make_manifest(recipe, catalog)
            except MampctlError as problem:
                logger.warning(f"no manifest for {recipe.dataset} {recipe.protocol}: {problem}")


def _make_manifest(recipe: "Recipe", catalog: "DataCatalog") -> None:
    with needed_extras():
        from mamp_pipeline.splits import build_manifest
        from mamp_pipeline.subsets import write_subsets
        from mamp_schemas.io.manifests import manifest_path, read_manifest, write_manifest
        from mamp_schemas.io.storage import exists
        from mamp_schemas.io.store_reader import open_store

    store, subset = open_store(catalog.store_path(recipe).resolve()), recipe.training_subset
    whole = manifest_path(store.path, recipe.protocol)
    if not exists(whole):
        write_manifest(whole, build_manifest(store, recipe.protocol))
        logger.info(f"split manifest {whole}")
    if subset is not None and not exists(manifest_path(store.path, recipe.protocol, subset)):
        write_subsets(store, read_manifest(store, recipe.protocol), [subset])
        logger.info(f"draw {manifest_path(store.path, recipe.protocol, subset)}")


def reproduce(
    table: Annotated[
        str, typer.Argument(metavar="TABLE", help="1 to 10, 10a, 10b, fig-mask-ratio, fig-schedule or fig-loss.")
    ],
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="DATASET/PROTOCOL", help="Run only what this column needs, say ntu60/xsub. Repeatable."),
    ] = None,
    scale: Annotated[
        Literal["full", "small"], typer.Option(help="full: as published; small: reduced, only to see that it works.")
    ] = "full",
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Number of runs of each setting, with seeds from 0.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan with estimated times and stop.")] = False,
    out: Annotated[
        Path | None,
        path_option("The folder for runs/ and tables/. [default: $MAMPCTL_DATA]"),
    ] = None,
    device: DeviceOption = "auto",
    devices: DevicesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Reproduce a table of the paper.

    Runs that are missing are trained; the table has the results beside the published numbers. The same command again
    continues where it stopped. Stores are $MAMPCTL_DATA/DATASET.zarr.
    """
    with needed_extras():
        from mamp_trainer.reproduce.plan import choose_runs, make_plan

    plan = make_plan(table, scale, seeds)
    wanted, folder = choose_runs(plan, only or []), out or data_folder()
    if dry_run:
        _print_plan(plan, wanted, folder, device, as_json)
        return
    with distributed_run(lambda: None, device, devices) as (_, context):
        from mamp_trainer.reproduce.catalog import DataCatalog

        catalog, ranks = DataCatalog(data_folder()), context.dist_context
        if ranks.is_main:
            make_manifests([run.recipe for run in plan.runs if run.name in wanted], catalog)
            if not as_json:
                _print_plan(plan, wanted, folder, device, as_json)
        ranks.all_reduce_max(0)  # the others read manifests when they are there
        outcome = _train_missing_runs(plan, wanted, catalog, context, folder)
        if ranks.is_main:
            _print_tables(plan, outcome, catalog, folder, as_json)
        ranks.all_reduce_max(0)  # an error of one rank would end the first before it has shown them
        if outcome.problems:
            raise TrainingError(
                f"{len(outcome.problems)} of {len(wanted)} runs are missing: the table says why",
                remedy="Fix the cause and run the same command again: finished runs are not repeated.",
            )


def _train_missing_runs(
    plan: "ReproductionPlan", wanted: frozenset[str], catalog: "DataCatalog", context: "ComputeContext", folder: Path
) -> "Outcome":
    """Train the wanted runs that are missing, and write the tables after each."""
    from mamp_trainer.reproduce.execute import execute

    def on_change(outcome: "Outcome") -> None:
        _write_tables(plan, outcome, catalog, folder)

    try:
        return execute(plan, wanted, catalog, context.for_run(folder / "runs"), on_change)
    except Interrupted:
        logger.info("the table so far is written; the same command, without --resume, continues")
        raise


def _write_tables(plan: "ReproductionPlan", outcome: "Outcome", catalog: "DataCatalog", folder: Path) -> None:
    from mamp_trainer.reproduce.tables import collect, write_table

    for table in collect(plan, outcome, catalog, folder / "tables"):
        write_table(folder / "tables", table)


def _print_plan(plan: "ReproductionPlan", wanted: frozenset[str], folder: Path, device: str, as_json: bool) -> None:
    with needed_extras():
        from mamp_trainer.reproduce.catalog import DataCatalog
        from mamp_trainer.reproduce.dry_run import dry_run
        from mamp_trainer.training.runtime import choose_device
        from mampctl.output.tables import print_dry_run

    estimate = dry_run(plan, wanted, folder / "runs", DataCatalog(data_folder()), choose_device(device))
    if as_json:
        print_json({"plan": plan.model_dump(mode="json"), "preview": estimate.model_dump(mode="json")})
    else:
        print_dry_run(plan, estimate)


def _print_tables(
    plan: "ReproductionPlan", outcome: "Outcome", catalog: "DataCatalog", folder: Path, as_json: bool
) -> None:
    from mamp_trainer.reproduce.tables import collect, table_files
    from mampctl.output.tables import print_tables

    tables = collect(plan, outcome, catalog, folder / "tables")
    if as_json:
        print_json([table.model_dump(mode="json") for table in tables])
        return
    print_tables(tables)
    for table in tables:
        for path in table_files(folder / "tables", table):
            print_line(f"{path}")
