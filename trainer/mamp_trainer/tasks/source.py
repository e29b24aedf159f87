"""Owns a run's data: an open store, its split manifest, and the batches a recipe makes of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch

from mamp_schemas.errors import ManifestError
from mamp_schemas.protocols import Side
from mamp_schemas.recipes import Recipe
from mamp_schemas.splits import SplitManifest
from mamp_trainer.belonging import Belonging
from mamp_trainer.data.batches import TestBatches, TrainBatches
from mamp_trainer.data.open import open_store
from mamp_trainer.data.resident import ResidentClips, load
from mamp_trainer.data.sides import check_recipe, read_manifest, side_clips
from mamp_trainer.data.store import Store


@dataclass(frozen=True)
class Source:
    """A store and a manifest that fit a recipe."""

    store: Store
    manifest: SplitManifest
    recipe: Recipe

    @classmethod
    def open(cls, path: Path, recipe: Recipe) -> Self:
        """Open a store for a recipe.

        Raises:
            StoreError: the store cannot be read.
            RecipeError: the recipe is not for this store.
            ManifestError: the protocol's manifest is missing or not this store's.
        """
        store = open_store(path)
        check_recipe(recipe, store)
        return cls(store, read_manifest(store, recipe.protocol), recipe)

    @property
    def slots(self) -> int:
        """M, body slots of a sample."""
        return self.store.metadata.spec().bodies

    def belonging(self, encoder: str) -> Belonging:
        """Return what the checkpoints of a run on this data belong to."""
        return Belonging(
            task=self.recipe.kind,
            store_hash=self.store.metadata.content_hash,
            manifest_hash=self.manifest.digest(),
            encoder=encoder,
        )

    def load(self, side: Side, device: torch.device, with_motion: bool = False) -> ResidentClips:
        """Load the clips of a side.

        Raises:
            ManifestError: the side is empty.
            DamagedStoreError: rows are missing or unreadable.
        """
        return load(self.store, side_clips(self.store, self.manifest, side), device, with_motion)

    def load_labelled(self, side: Side, device: torch.device) -> ResidentClips:
        """Load the clips of a side, all of which must have a label.

        Raises:
            ManifestError: the side is empty, or a label is not one of the dataset's classes.
            DamagedStoreError: rows are missing or unreadable.
        """
        clips = self.load(side, device)
        classes = self.store.metadata.spec().classes
        wrong = int(((clips.label < 0) | (clips.label >= classes)).sum())
        if wrong:
            raise ManifestError(
                f"{self.store.path}: {wrong} of {len(clips)} {side} clips have no label from 0 to {classes - 1}",
                remedy="Take them out of the store with `mampctl ingest --exclude`, then split again.",
            )
        return clips

    def train_batches(self, clips: ResidentClips) -> TrainBatches:
        """Return training batches of loaded clips."""
        recipe, empty_slot = self.recipe, self.store.metadata.policy.empty_slot
        return TrainBatches(
            clips,
            sampling=recipe.sampling,
            frames=recipe.model.frames,
            seed=recipe.seed,
            batch_size=recipe.batch_size,
            slots=self.slots,
            empty_slot=empty_slot,
        )

    def test_batches(self, clips: ResidentClips) -> TestBatches:
        """Return test batches of loaded clips: every clip once."""
        recipe, empty_slot = self.recipe, self.store.metadata.policy.empty_slot
        return TestBatches(
            clips,
            sampling=recipe.sampling,
            frames=recipe.model.frames,
            batch_size=recipe.batch_size,
            slots=self.slots,
            empty_slot=empty_slot,
        )
