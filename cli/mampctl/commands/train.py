"""`mampctl train`: pre-training, and one command for each evaluation protocol that trains."""

import inspect
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from mamp_schemas.errors import CheckpointError, UsageError
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.models.recipe import (
    PRETRAIN,
    EvaluationRecipe,
    PretrainRecipe,
    protocol_recipe_class,
    trained_protocols,
)
from mamp_schemas.models.results import EvaluationResult, Spread
from mamp_schemas.registry import PROTOCOLS
from mampctl.defaults import default_recipe, default_run_dir, select_encoder, store_of_recipe
from mampctl.options import (
    CheckpointOption,
    DeviceOption,
    DevicesOption,
    FromOption,
    JsonOption,
    ProfileOption,
    RecipeOption,
    ResumeOption,
    RunDirOption,
    SetOption,
    StoreOption,
)
from mampctl.output.console import count, print_json, print_line, print_summary, print_table
from mampctl.output.hints import print_hint, suggest_evaluation
from mampctl.runtime.distributed import distributed_run

RecipeAndFolder = tuple[EvaluationRecipe, Path]
"""One run: its recipe and its folder."""

Prepared = tuple[StoragePath, Path | None, list[RecipeAndFolder]]
"""The store, the encoder, and the runs of a command."""

DrawsOption = Annotated[
    int | None,
    typer.Option(
        min=1, max=1000, help="Train on draws 1 to N of the training clips, a run each. [default: the recipe's one]"
    ),
]

logger = logging.getLogger(__name__)


def print_recipes(task: str, as_json: bool) -> None:
    """Print the built-in recipes of a task, one line each."""
    from mamp_trainer.recipes import list_recipes

    recipes = list_recipes(task)
    if as_json:
        print_json([recipe.model_dump(mode="json") for recipe in recipes])
        return
    if not recipes:
        logger.info(f"no recipe of train {task} is built in: write one to a YAML file, and name it with --recipe")
        return
    width = max(len(recipe.name) for recipe in recipes)
    for recipe in recipes:
        print_line(f"{recipe.name:<{width}}  {recipe.summary}")


app = typer.Typer(help="Train on a store.", no_args_is_help=True)


@app.command(PRETRAIN)
def pretrain(
    recipe: RecipeOption = None,
    store: StoreOption = None,
    set_: SetOption = None,
    out: RunDirOption = None,
    resume: ResumeOption = False,
    device: DeviceOption = "auto",
    devices: DevicesOption = None,
    profile: ProfileOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Pre-train by masked motion prediction (section 3 of the paper)."""
    from mamp_trainer.recipes import load_recipe

    if recipe == "list":
        print_recipes(PRETRAIN, as_json)
        return

    def prepare() -> tuple[PretrainRecipe, StoragePath, Path]:
        loaded = load_recipe(PRETRAIN, recipe or default_recipe(PRETRAIN, store), set_ or [])
        return loaded, store_of_recipe(store, loaded), out or default_run_dir(loaded)

    with distributed_run(prepare, device, devices) as ((loaded, store_path, run), context):
        from mamp_trainer.analysis.run_analysis import analyse_finished_run
        from mamp_trainer.objectives.pretrain import pretrain as train

        logger.info(f"recipe {loaded.name}, store {store_path}, run {run}")
        result = train(loaded, store_path, context.for_run(run, resume, profile))
        analyse_finished_run(run, store_path, context)
    if not context.dist_context.is_main:
        return
    if as_json:
        print_json(result.model_dump(mode="json"))
        return
    print_summary(run, f"{count(result.epochs, 'epoch')}, {count(result.steps, 'step')}")
    if result.first_loss is not None and result.last_loss is not None:
        print_line(f"mean loss of the first epoch {result.first_loss:.4f}, of the last {result.last_loss:.4f}")
    print_hint(*suggest_evaluation(loaded, run, store_path))


class ProtocolCommand(TyperCommand):
    """The command of a protocol. Its help and its options may need the protocol to be imported."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters; --draws is one where the protocol's recipes train on draws."""
        has_draws = protocol_recipe_class(self.name or "").has_draws
        return [parameter for parameter in super().get_params(ctx) if has_draws or parameter.name != "draws"]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        self.help = PROTOCOLS.summary(self.name or "")
        super().format_help(ctx, formatter)


def add_protocol_commands(app: typer.Typer) -> None:
    """Add a command for each evaluation protocol that trains; what differs between them is in their recipes.

    Protocols of other distributions are not imported for it: `ProtocolCommand` hides --draws where they have none.
    """
    for name in trained_protocols():
        entry = PROTOCOLS.entry(name)
        summary = entry.summary or f"Evaluate by the protocol '{name}' of {entry.distribution}."
        has_draws = entry.distribution is not None or protocol_recipe_class(name).has_draws
        app.command(name, cls=ProtocolCommand, help=summary)(_protocol_command(name, has_draws))


def _protocol_command(task: str, has_draws: bool) -> Callable[..., None]:
    """Return the function of a protocol's command; without draws of the training clips it has no option --draws."""

    def command(
        recipe: RecipeOption = None,
        store: StoreOption = None,
        from_: FromOption = None,
        at: CheckpointOption = None,
        draws: DrawsOption = None,
        set_: SetOption = None,
        out: RunDirOption = None,
        resume: ResumeOption = False,
        device: DeviceOption = "auto",
        devices: DevicesOption = None,
        profile: ProfileOption = 0,
        as_json: JsonOption = False,
    ) -> None:
        if recipe == "list":
            print_recipes(task, as_json)
            return

        def prepare() -> Prepared:
            check_encoder_option(task, from_)
            loaded = _load_recipe(task, recipe, store, set_)
            run_dir = out or default_run_dir(loaded, _run_dir_suffix(loaded, from_))
            runs = _runs_of_draws(loaded, run_dir, draws)
            return store_of_recipe(store, loaded), select_encoder(from_, at), runs

        results = _train_runs(prepare, resume, device, devices, profile)
        if not results:
            return
        if as_json:
            print_json(_results_json([result for _, result in results]))
        elif len(results) == 1:
            _print_result(*results[0], store, from_)
        else:
            _print_draws(results)

    if not has_draws:
        signature = inspect.signature(command)
        parameters = [parameter for name, parameter in signature.parameters.items() if name != "draws"]
        command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return command


def check_encoder_option(task: str, from_: Path | None) -> None:
    """Check, before torch is imported, that the path of `--from` exists, and that it is given where it must be.

    Raises:
        UsageError: the protocol needs an encoder, and none is named.
        CheckpointError: the path does not exist.
    """
    if from_ is None and protocol_recipe_class(task).requires_encoder:
        raise UsageError(f"train {task} needs an encoder", remedy="Name a pre-training run, say, with --from.")
    if from_ is not None and not from_.exists():
        raise CheckpointError(
            f"--from: no such run or checkpoint: {from_}", remedy="`mampctl runs list` shows what was trained."
        )


def _load_recipe(task: str, recipe: str | None, store: str | None, set_: list[str] | None) -> EvaluationRecipe:
    from mamp_trainer.recipes import load_evaluation_recipe

    return load_evaluation_recipe(task, recipe or default_recipe(task, store), set_ or [])


def _run_dir_suffix(recipe: EvaluationRecipe, from_: Path | None) -> str:
    """Return what marks a run without an encoder in its folder's name."""
    return "" if from_ is not None or recipe.name.endswith(recipe.untrained_suffix) else recipe.untrained_suffix


def _runs_of_draws(recipe: EvaluationRecipe, run_dir: Path, draws: int | None) -> list[RecipeAndFolder]:
    subset = recipe.training_subset
    if draws is None or subset is None:
        return [(recipe, run_dir)]
    return [
        (recipe.replaced(subset=subset.replaced(draw=draw)), run_dir / f"draw-{draw}") for draw in range(1, draws + 1)
    ]


def _train_runs(
    prepare: Callable[[], Prepared],
    resume: bool,
    device: str,
    devices: int | None,
    profile: int,
) -> list[tuple[Path, EvaluationResult]]:
    """Train one run after another; only rank 0 returns their results."""
    with distributed_run(prepare, device, devices) as ((store, encoder, runs), context):
        from mamp_schemas.io.manifests import read_manifest
        from mamp_schemas.io.store_reader import open_store
        from mamp_trainer.analysis.run_analysis import analyse_finished_run
        from mamp_trainer.data.dataset import check_recipe
        from mamp_trainer.protocols.classification import train_classifier
        from mamp_trainer.training.run_dir import refuse_existing

        if len(runs) > 1:  # what the last draw lacks is said before the first one is trained
            opened = open_store(store)
            for recipe, run_dir in runs:
                if context.dist_context.is_main:
                    refuse_existing(run_dir, resume)
                check_recipe(recipe, opened)
                read_manifest(opened, recipe.protocol, recipe.training_subset)
        results = []
        for recipe, run_dir in runs:
            logger.info(f"recipe {recipe.name}, store {store}, run {run_dir}")
            of_run = context.for_run(run_dir, resume, profile)
            results.append((run_dir, train_classifier(recipe, store, encoder, of_run)))
            analyse_finished_run(run_dir, store, context)
    return results if context.dist_context.is_main else []


def _print_result(run: Path, result: EvaluationResult, store: str | None, encoder: Path | None) -> None:
    print_summary(run, f"{count(result.epochs, 'epoch')}, {count(result.clips, 'test clip')}")
    rows = [
        ("last", result.epochs, f"{result.last_top1:.2f}", f"{result.last_top5:.2f}"),
        ("best", result.best_epoch, f"{result.best_top1:.2f}", ""),
    ]
    print_table(rows, ("epoch", "number", "top-1 %", "top-5 %"))
    if encoder is None:
        print_line("the encoder began with initial weights: name a pre-training with --from to evaluate one")
    if result.metrics:
        print_line("last epoch: " + ", ".join(f"{name} {value:.4g}" for name, value in result.metrics.items()))
    print_hint("evaluate", run, *(("--store", store) if store else ()))


def _print_draws(results: Sequence[tuple[Path, EvaluationResult]]) -> None:
    rows = [
        (run, f"{result.last_top1:.2f}", f"{result.last_top5:.2f}", f"{result.best_top1:.2f}", result.best_epoch)
        for run, result in results
    ]
    print_table(rows, ("run", "last, top-1 %", "top-5 %", "best, top-1 %", "of epoch"))
    last, best = (Spread.of([getattr(result, name) for _, result in results]) for name in ("last_top1", "best_top1"))
    print_line(f"top-1 over {last.runs} draws: last epoch {last}, best epoch {best}")
    print_hint("runs", "compare", *(run for run, _ in results))


def _results_json(results: Sequence[EvaluationResult]) -> object:
    """Return one result as it is, several with their spread."""
    if len(results) == 1:
        return results[0].model_dump(mode="json")
    spread = {name: Spread.of([getattr(result, name) for result in results]) for name in ("last_top1", "best_top1")}
    return {
        "draws": [result.model_dump(mode="json") for result in results],
        **{name: value.model_dump(mode="json") for name, value in spread.items()},
    }


add_protocol_commands(app)
