"""Owns a run's data: an open store, its split manifest, and the batches a recipe makes of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from mamp_schemas.errors import ManifestError
from mamp_schemas.places import Place
from mamp_schemas.progress import Progress
from mamp_schemas.protocols import Side
from mamp_schemas.recipes import FinetuneRecipe, PretrainRecipe, Recipe
from mamp_schemas.splits import SplitManifest
from mamp_trainer.belonging import Belonging
from mamp_trainer.data.batches import Clips, TestBatches, TrainBatches
from mamp_trainer.data.clips import ClipTable, make_table
from mamp_trainer.data.open import open_store
from mamp_trainer.data.reading import load_rows
from mamp_trainer.data.residency import Placement, Size, place
from mamp_trainer.data.sides import check_recipe, read_manifest, side_clips
from mamp_trainer.data.store import Store
from mamp_trainer.data.stream import StreamedRows
from mamp_trainer.memory import Budget

TEST_WINDOW = 1
"""Shards of a window of streamed test clips, which are not shuffled."""


@dataclass(frozen=True)
class Source:
    """A store and a manifest that fit a recipe, and where the clips of the recipe's sides are to live.

    Attributes:
        tables: the clips of each side that the recipe uses.
        ids: what they are called.
        device: the one that trains.
    """

    store: Store
    manifest: SplitManifest
    recipe: Recipe
    tables: Mapping[Side, ClipTable]
    ids: Mapping[Side, list[str]]
    placement: Placement
    device: torch.device

    @classmethod
    def open(
        cls,
        path: Place,
        recipe: Recipe,
        device: torch.device,
        budget: Budget,
        progress: Progress,
        sides: Sequence[Side] | None = None,
    ) -> Self:
        """Open a store for a recipe, and choose where its clips live.

        Args:
            path: the store.
            recipe: what is to be trained.
            device: the one that trains.
            budget: memory for clips, where the recipe does not say.
            progress: is told the choice and its reason.
            sides: those to be opened; by default those that the recipe's training needs.

        Raises:
            StoreError: the store cannot be read.
            RecipeError: the recipe is not for this store.
            ManifestError: the protocol's manifest is missing, not this store's, or without clips on a side.
        """
        store = open_store(path)
        check_recipe(recipe, store)
        manifest = read_manifest(store, recipe.protocol, recipe.subset if isinstance(recipe, FinetuneRecipe) else None)
        wanted: Sequence[Side] = sides or (("train",) if isinstance(recipe, PretrainRecipe) else ("train", "test"))
        clips = {side: side_clips(store, manifest, side) for side in wanted}
        tables = {side: make_table(store, clips[side]) for side in wanted}
        ids = {side: [store.ids[clip] for clip in clips[side]] for side in wanted}
        placement = place(recipe, _measure(store, recipe, tables), budget, str(device))
        progress.message(f"clips: {placement.residency}, {placement.reason}")
        return cls(store, manifest, recipe, tables, ids, placement, device)

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
            policy=self.store.metadata.policy.name,
        )

    def load(self, side: Side) -> Clips:
        """Return the clips of a side: loaded, or ready to be streamed.

        Raises:
            DamagedStoreError: rows are missing or unreadable.
        """
        table, with_motion = self.tables[side], _with_motion(self.recipe)
        if self.placement.residency == "stream":
            window = self.placement.window if side == "train" else TEST_WINDOW
            return Clips(table, StreamedRows(self.store, table, window, with_motion), window, self.device)
        home = self.device if self.placement.residency == "device" else torch.device("cpu")
        return Clips(table, load_rows(self.store, table, home, with_motion), self.placement.window, self.device)

    def load_labelled(self, side: Side) -> Clips:
        """Return the clips of a side, all of which must have a label.

        Raises:
            ManifestError: a label is not one of the dataset's classes.
            DamagedStoreError: rows are missing or unreadable.
        """
        label, classes = self.tables[side].label, self.store.metadata.spec().classes
        wrong = int(((label < 0) | (label >= classes)).sum())
        if wrong:
            raise ManifestError(
                f"{self.store.path}: {wrong} of {len(label)} {side} clips have no label from 0 to {classes - 1}",
                remedy="Take them out of the store with `mampctl ingest --exclude`, then split again.",
            )
        return self.load(side)

    def train_batches(self, clips: Clips, loss_terms: Tensor | None = None) -> TrainBatches:
        """Return training batches of clips, each of which gives `loss_terms` equal terms of the loss."""
        recipe, empty_slot = self.recipe, self.store.metadata.policy.empty_slot
        return TrainBatches(
            clips,
            sampling=recipe.sampling,
            frames=recipe.model.frames,
            seed=recipe.seed,
            batch_size=recipe.batch_size,
            slots=self.slots,
            empty_slot=empty_slot,
            loss_terms=loss_terms,
        )

    def test_batches(self, clips: Clips) -> TestBatches:
        """Return test batches of clips: every clip once."""
        recipe, empty_slot = self.recipe, self.store.metadata.policy.empty_slot
        return TestBatches(
            clips,
            sampling=recipe.sampling,
            frames=recipe.model.frames,
            batch_size=recipe.batch_size,
            slots=self.slots,
            empty_slot=empty_slot,
        )


def _measure(store: Store, recipe: Recipe, tables: Mapping[Side, ClipTable]) -> Size:
    values = store.arrays["joints"].shape[1] * store.arrays["joints"].shape[2]
    row_bytes = values * 4 * (2 if _with_motion(recipe) else 1)
    first = tables["train" if "train" in tables else "test"].rows
    rows = sum(int(table.rows.sum()) for table in tables.values())
    return Size(total=rows * row_bytes, shards=len(first), largest=int(first.max()) * row_bytes)


def _with_motion(recipe: Recipe) -> bool:
    return isinstance(recipe, PretrainRecipe) and recipe.motion_source == "stored"
