"""`mampctl knn`: measure an encoder's features by nearest neighbours and retrieval, without training."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.models.protocols import KnnOptions
from mampctl.defaults import encoder_recipe, select_encoder, store_of_recipe
from mampctl.options import (
    CheckpointOption,
    DeviceOption,
    DevicesOption,
    EncoderArgument,
    EncoderRecipeOption,
    JsonOption,
    SetOption,
    StoreOption,
)
from mampctl.output.console import print_json, print_line, print_table
from mampctl.output.tables import print_measured_network
from mampctl.runtime.distributed import distributed_run

if TYPE_CHECKING:
    from mamp_schemas.models.recipe import Recipe
    from mamp_schemas.models.results import RetrievalEvaluation


def knn(
    encoder: EncoderArgument = None,
    at: CheckpointOption = None,
    recipe: EncoderRecipeOption = None,
    store: StoreOption = None,
    set_: SetOption = None,
    k: Annotated[
        list[int] | None,
        typer.Option(
            "--k", min=1, max=1_000_000, help="Number of nearest clips that vote. Repeatable. [default: 1 and 20]"
        ),
    ] = None,
    device: DeviceOption = "auto",
    devices: DevicesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure features by nearest neighbours.

    Test clips are classified, and retrieved, by the training clips with the most similar features (cosine).
    """

    def prepare() -> "tuple[Path | None, Recipe, StoragePath]":
        network = select_encoder(encoder, at)
        loaded = encoder_recipe(network, recipe, store, set_)
        return network, loaded, store_of_recipe(store, loaded)

    with distributed_run(prepare, device, devices) as ((network, loaded, store_path), context):
        from mamp_trainer.protocols.evaluate import measure_encoder

        options = KnnOptions(k=tuple(k)) if k else KnnOptions()
        retrieval = cast("RetrievalEvaluation", measure_encoder("knn", network, loaded, options, store_path, context))
    if not context.dist_context.is_main:
        return
    if as_json:
        print_json(retrieval.model_dump(mode="json"))
        return
    print_measured_network(retrieval, f"{retrieval.clips:,} test clips among {retrieval.gallery:,} training clips")
    print_table([(count, f"{share:.2f}") for count, share in retrieval.knn.items()], ("k", "kNN top-1 %"))
    print_line()
    print_table([(count, f"{share:.2f}") for count, share in retrieval.recall.items()], ("k", "recall@k %"))
    print_line(f"mean average precision {retrieval.mean_average_precision:.2f} %")
