"""`mampctl evaluate`: measure a trained classifier on the test split, class by class."""

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mamp_schemas.io.atomic import require_new_folder
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.models.results import ClassifierEvaluation
from mampctl.defaults import select_checkpoint, store_of_recipe
from mampctl.options import (
    BestOption,
    CheckpointArgument,
    CheckpointOption,
    DeviceOption,
    DevicesOption,
    JsonOption,
    ReleasedRecipeOption,
    SetOption,
    StoreOption,
    path_option,
)
from mampctl.output.console import print_json, print_line, print_table
from mampctl.output.tables import print_measured_network
from mampctl.runtime.distributed import distributed_run

if TYPE_CHECKING:
    from mamp_schemas.models.recipe import EvaluationRecipe
    from mamp_trainer.protocols.predictions import ClipPredictions


def evaluate(
    checkpoint: CheckpointArgument,
    recipe: ReleasedRecipeOption = None,
    at: CheckpointOption = None,
    best: BestOption = False,
    store: StoreOption = None,
    set_: SetOption = None,
    out: Annotated[
        Path | None,
        path_option("Write the report, tables and scores into this new folder."),
    ] = None,
    all_classes: Annotated[
        bool, typer.Option("--all-classes", help="Also write the classes that no test clip has or is taken for.")
    ] = False,
    device: DeviceOption = "auto",
    devices: DevicesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a classifier on the test split.

    Printed are top-1, top-5 and the classes that are confused most; --out writes tables of the classes, and all scores.
    """

    def prepare() -> "tuple[Path, EvaluationRecipe, StoragePath]":
        if out is not None:
            require_new_folder(out)
        network = select_checkpoint(checkpoint, at, best)
        loaded = _load_classifier_recipe(network, recipe, store, set_)
        return network, loaded, store_of_recipe(store, loaded)

    with distributed_run(prepare, device, devices) as ((network, loaded, store_path), context):
        from mamp_trainer.protocols.evaluate import evaluate as measure

        evaluation, predictions = measure(network, loaded, store_path, context)
    if not context.dist_context.is_main:
        return
    if out:
        _write_evaluation(out, evaluation, predictions, all_classes)
    if as_json:
        print_json(evaluation.model_dump(mode="json"))
        return
    _print_evaluation(evaluation)
    if out:
        print_line(f"{out}: evaluation.json, classes.csv, confusion.csv, scores.npz")


def _load_classifier_recipe(
    network: Path, name: str | None, store: str | None, set_: list[str] | None
) -> "EvaluationRecipe":
    from mamp_schemas.models.recipe import EvaluationRecipe
    from mamp_trainer.protocols.networks import trained_recipe
    from mamp_trainer.recipes import with_changes

    trained = trained_recipe(network, name, store)
    changed = with_changes(trained, set_ or [], f"the recipe of {network}")
    return changed if isinstance(changed, EvaluationRecipe) else trained


def _print_evaluation(evaluation: ClassifierEvaluation) -> None:
    print_measured_network(evaluation, f"{evaluation.clips:,} test clips")
    print_line(f"top-1 {evaluation.top1:.2f} %, top-5 {evaluation.top5:.2f} %")
    if evaluation.metrics:
        print_line(", ".join(f"{name} {value:.4g}" for name, value in evaluation.metrics.items()))
    if evaluation.hardest:
        print_line()
        names = [accuracy.name for accuracy in evaluation.classes]
        rows = [
            (names[pair.label], names[pair.taken_for], pair.clips, f"{pair.share:.1f}") for pair in evaluation.hardest
        ]
        print_table(rows, ("class", "taken for", "clips", "% of its clips"))


def _write_evaluation(
    out: Path, evaluation: ClassifierEvaluation, predictions: "ClipPredictions", all_classes: bool
) -> None:
    from mamp_schemas.io.atomic import write_folder
    from mamp_trainer.protocols.predictions import SCORES_FILE

    predicted = [sum(column) for column in zip(*evaluation.matrix, strict=True)]
    shown = [row for row in evaluation.classes if all_classes or row.clips or predicted[row.label]]
    names = [accuracy.name for accuracy in evaluation.classes]
    classes = [
        (row.label, row.name, row.clips, row.top1, "" if row.taken_for is None else names[row.taken_for])
        for row in shown
    ]
    matrix = [(row.name, *(evaluation.matrix[row.label][other.label] for other in shown)) for row in shown]
    files = {
        "evaluation.json": evaluation.model_dump_json(indent=1).encode() + b"\n",
        "classes.csv": _to_csv([("label", "class", "clips", "top1", "most_often_taken_for"), *classes]),
        "confusion.csv": _to_csv([("class", *(row.name for row in shown)), *matrix]),
        SCORES_FILE: predictions.to_bytes(),
    }
    write_folder(out, files)


def _to_csv(rows: "list[tuple[object, ...]]") -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
