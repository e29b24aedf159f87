"""A sample of a run's test clips, loaded into memory and batched."""

from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray

from mamp_schemas.errors import CheckpointError
from mamp_schemas.io.manifests import read_manifest
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.io.store_reader import Store, open_store
from mamp_schemas.models.recipe import Recipe
from mamp_trainer.checkpoints.files import read_meta
from mamp_trainer.data.batches import Clips, TestBatches
from mamp_trainer.data.clips import store_clip_table
from mamp_trainer.data.dataset import check_recipe, split_clips
from mamp_trainer.data.streaming import load_all_rows


class TestSubset(NamedTuple):
    """The test clips of a run's protocol.

    Attributes:
        store: the store that the run was trained on.
        recipe: of the run.
        clips: (N,) indices into the store's clips, ascending.
    """

    store: Store
    recipe: Recipe
    clips: NDArray[np.int64]

    @classmethod
    def open(cls, checkpoint: Path, recipe: Recipe, store_path: StoragePath) -> Self:
        """Open the store that the run of a checkpoint was trained on.

        Raises:
            CheckpointError: the run was trained on another store.
            StoreError: the store cannot be read.
            RecipeError: the recipe is not for this store.
            ManifestError: the protocol's manifest is missing or does not fit.
        """
        store = open_store(store_path)
        check_recipe(recipe, store)
        if read_meta(checkpoint).identity.store_hash != store.metadata.content_hash:
            raise CheckpointError(
                f"{checkpoint}: trained on another store than {store_path}", remedy="Name that store with --store."
            )
        return cls(store, recipe, split_clips(store, read_manifest(store, recipe.protocol), "test"))

    def sample(self, count: int) -> NDArray[np.int64]:
        """Return `count` clips drawn by the recipe's seed, in the store's order; all clips if there are fewer."""
        if count >= len(self.clips):
            return self.clips
        return np.sort(np.random.default_rng(self.recipe.seed).choice(self.clips, count, replace=False))

    def sample_by_motion(self, count: int) -> NDArray[np.int64]:
        """Return one clip, drawn by the seed, of each of `count` equal groups by mean intensity, the slowest first."""
        ranked = self.clips[np.argsort(self.store.columns["mean_intensity"][self.clips], kind="stable")]
        generator = np.random.default_rng(self.recipe.seed)
        return np.array([generator.choice(part) for part in np.array_split(ranked, min(count, len(ranked)))])

    def batches(self, clips: NDArray[np.int64], device: torch.device, batch_size: int) -> TestBatches:
        """Return test batches of some clips; all their rows are loaded into the device's memory.

        Raises:
            DamagedStoreError: rows are missing or unreadable.
        """
        recipe, table = self.recipe, store_clip_table(self.store, clips)
        with_motion = recipe.stored_motion is not None
        return TestBatches(
            Clips(table, load_all_rows(self.store, table, device, with_motion), None, device),
            sampling=recipe.sampling,
            frames=recipe.model.frames,
            batch_size=batch_size,
            slots=self.store.metadata.dataset_spec().bodies,
            empty_slot=self.store.metadata.policy.empty_slot,
        )
