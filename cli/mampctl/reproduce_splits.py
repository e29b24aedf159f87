"""Split manifests that a plan needs and the pipeline can make, where their stores are there."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mamp_schemas.errors import MampctlError
from mamp_schemas.recipes import Recipe
from mampctl.extras import needed_extras

if TYPE_CHECKING:
    from mamp_trainer.reproduce.shelf import DataCatalog


def make_manifests(recipes: Sequence[Recipe], catalog: "DataCatalog", message: Callable[[str], None]) -> None:
    """Make the manifests that recipes lack, as `mampctl build-splits` does; what is there stays as it is.

    One that cannot be made is told, and the runs that need it fail with what is missing.

    Args:
        recipes: the recipes.
        shelf: the data.
        say: is told what is made.
    """
    for recipe in recipes:
        if not catalog.has_store(recipe):
            continue
        try:
            catalog.split(recipe)
        except MampctlError:
            try:
                _make_manifest(recipe, catalog, message)
            except MampctlError as problem:
                message(f"no manifest for {recipe.dataset} {recipe.protocol}: {problem}")


def _make_manifest(recipe: Recipe, shelf: "DataCatalog", say: Callable[[str], None]) -> None:
    with needed_extras():
        from mamp_pipeline.places import exists
        from mamp_pipeline.splits import build_manifest, manifest_path, read_manifest, write_manifest
        from mamp_pipeline.store.read import open_store
        from mamp_pipeline.subsets import write_subsets
    from mamp_trainer.reproduce.shelf import subset_of

    store, subset = open_store(shelf.store_path(recipe).resolve()), subset_of(recipe)
    whole = manifest_path(store.path, recipe.protocol)
    if not exists(whole):
        write_manifest(whole, build_manifest(store, recipe.protocol))
        say(f"split manifest {whole}")
    if subset is not None and not exists(manifest_path(store.path, recipe.protocol, subset)):
        write_subsets(store, read_manifest(store, recipe.protocol), [subset])
        say(f"draw {manifest_path(store.path, recipe.protocol, subset)}")
