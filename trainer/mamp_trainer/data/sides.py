"""Which clips of a store a run uses: its split manifest, and whether its recipe fits the store."""

import numpy as np
from numpy.typing import NDArray

from mamp_schemas.base import parse_model_json
from mamp_schemas.errors import ManifestError, RecipeError
from mamp_schemas.protocols import Split
from mamp_schemas.recipes import PretrainRecipe, RunRecipe
from mamp_schemas.splits import SplitManifest, Subset, check_manifest_of_store, check_manifest_of_subset, manifest_name
from mamp_trainer.data.places import read_bytes
from mamp_trainer.data.store import Store


def read_manifest(store: Store, protocol: str, subset: Subset | None = None) -> SplitManifest:
    """Read a protocol's split manifest, or that of a draw from it, from beside the store.

    Raises:
        ManifestError: it is missing or unreadable, belongs to another store, names clips that the store does not
            have, or is of a draw from another manifest than the protocol's.
    """
    place = store.path.resolve()
    path = place.with_name(manifest_name(place.name, protocol, subset))
    remedy = f"Make it: mampctl build-splits --protocol {protocol} --store {store.path}{_subset_options(subset)}"
    try:
        text = read_bytes(path)
    except FileNotFoundError:
        what = f"a part of '{protocol}'" if subset else f"'{protocol}'"
        raise ManifestError(f"{path}: there is no split manifest for {what}", remedy=remedy) from None
    manifest = parse_model_json(SplitManifest, text, str(path), ManifestError)
    check_manifest_of_store(manifest, path, store.metadata.content_hash, store.ids, remedy)
    if subset is not None:
        check_manifest_of_subset(manifest, path, subset, read_manifest(store, protocol), remedy)
    return manifest


def _subset_options(subset: Subset | None) -> str:
    if subset is None:
        return ""
    return (
        f" --fraction {subset.fraction} --sampling {subset.sampling} --seed {subset.seed} --draws {max(5, subset.draw)}"
    )


def split_clips(store: Store, manifest: SplitManifest, split: Split) -> NDArray[np.int64]:
    """Return the clips of one side as ascending indices into the store's clips.

    A clip's place in this list is its global index: what order and random draws go by.

    Raises:
        ManifestError: the side has no clip.
    """
    ids = set(manifest.train if split == "train" else manifest.test)
    chosen = np.array([at for at, name in enumerate(store.ids) if name in ids], dtype=np.int64)
    if not chosen.size:
        raise ManifestError(
            f"{store.path}: the {split} side of '{manifest.protocol}' has no clips",
            remedy="Ingest the files of that side as well, or choose another protocol.",
        )
    return chosen


def check_recipe(recipe: RunRecipe, store: Store) -> None:
    """Check that a recipe fits a store.

    Raises:
        RecipeError: it is for another dataset or number of joints, or asks for stored motion that the store
            does not have.
    """
    dataset, joints = store.metadata.dataset, store.arrays["joints"].shape[1]
    if recipe.dataset != dataset:
        raise RecipeError(
            f"recipe '{recipe.name}' is for {recipe.dataset}, {store.path} holds {dataset}",
            remedy="Choose a recipe of that dataset; `--recipe list` shows them.",
        )
    if recipe.model.joints != joints:
        raise RecipeError(
            f"model.joints is {recipe.model.joints}, {store.path} has {joints} joints",
            remedy=f"Set model.joints={joints}.",
        )
    if isinstance(recipe, PretrainRecipe) and recipe.motion_source == "stored":
        _check_stored_motion(recipe, store)


def _check_stored_motion(recipe: PretrainRecipe, store: Store) -> None:
    motion = store.metadata.motion
    wanted = {"segment": recipe.model.segment}
    if recipe.target.kind == "motion":
        wanted["stride"] = recipe.target.stride
    differing = [
        f"{name} {getattr(motion, name)}, the recipe needs {value}"
        for name, value in wanted.items()
        if getattr(motion, name) != value
    ]
    # Longer strides form interleaved chains, which do not say how far they lie apart.
    if motion.stride != 1:
        differing.append(f"stride {motion.stride}, and only stride 1 adds up to a trajectory")
    if differing:
        raise RecipeError(
            f"recipe '{recipe.name}' asks for stored motion; {store.path} has {' and '.join(differing)}",
            remedy="Set motion_source=online.",
        )
