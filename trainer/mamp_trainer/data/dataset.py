"""A run's data: the clips that a recipe selects from a store by a split manifest; or clips in memory."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mamp_schemas.errors import ManifestError, RecipeError
from mamp_schemas.io.manifests import read_manifest
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.io.store_reader import Store, open_store
from mamp_schemas.models.recipe import Recipe
from mamp_schemas.models.splits import Split, SplitManifest
from mamp_trainer.data.batches import Clips, TestBatches, TrainBatches
from mamp_trainer.data.clips import ClipTable, clip_table, store_clip_table
from mamp_trainer.data.host_memory import HOST_BYTES
from mamp_trainer.data.residency import GB, DataSize, MemoryBudget, ResidencyChoice, choose_residency
from mamp_trainer.data.rows import ResidentRows, RowBuffer
from mamp_trainer.data.streaming import StreamedRows, load_all_rows

logger = logging.getLogger(__name__)


def split_clips(store: Store, manifest: SplitManifest, split: Split) -> NDArray[np.int64]:
    """Return the clips of a split as ascending indices into the store's clips.

    A clip's position in this list is its global index, on which order and random draws depend.

    Raises:
        ManifestError: the split has no clip.
    """
    clips = np.sort(store.clip_indices(manifest.train if split == "train" else manifest.test))
    if not clips.size:
        raise ManifestError(
            f"{store.path}: the {split} split of '{manifest.protocol}' has no clips",
            remedy="Ingest the files of that split as well, or choose another protocol.",
        )
    return clips


def check_recipe(recipe: Recipe, store: Store) -> None:
    """Check that a recipe fits a store.

    Raises:
        RecipeError: it is for another dataset or number of joints, or asks for stored motion that the store
            does not have.
    """
    dataset, joints = store.metadata.dataset, store.arrays["joints"].shape[1]
    if recipe.dataset != dataset:
        raise RecipeError(
            f"recipe '{recipe.name}' is for {recipe.dataset}, {store.path} holds {dataset}",
            remedy=_other_dataset_remedy(recipe, store),
        )
    if recipe.model.joints != joints:
        raise RecipeError(
            f"model.joints is {recipe.model.joints}, {store.path} has {joints} joints",
            remedy=f"Set model.joints={joints}.",
        )
    if recipe.stored_motion is not None:
        _check_stored_motion(recipe, recipe.stored_motion, store)


def _other_dataset_remedy(recipe: Recipe, store: Store) -> str:
    metadata = store.metadata
    named = f"Name a store of {recipe.dataset} with --store."
    protocols = [protocol.name for protocol in metadata.dataset_spec().protocols]
    if not protocols:
        return f"{named} This one cannot be trained on: its layout has no protocol (docs/own-data.md)."
    changes = {"dataset": metadata.dataset, "model.joints": len(metadata.skeleton.joints)}
    if recipe.protocol not in protocols:
        changes["protocol"] = protocols[0]
    return f"{named} To train on this one: {' '.join(f'--set {key}={value}' for key, value in changes.items())}"


def _check_stored_motion(recipe: Recipe, wanted: Mapping[str, int], store: Store) -> None:
    motion = store.metadata.motion
    differing = [
        f"{name} {getattr(motion, name)}, the recipe needs {value}"
        for name, value in wanted.items()
        if getattr(motion, name) != value
    ]
    # Longer strides form interleaved chains of frames with an unknown offset between them.
    if motion.stride != 1:
        differing.append(f"stride {motion.stride}, and only stride 1 adds up to a trajectory")
    if differing:
        raise RecipeError(
            f"recipe '{recipe.name}' asks for stored motion; {store.path} has {' and '.join(differing)}",
            remedy="Set motion_source=online.",
        )


TEST_STREAM_WINDOW = 1
"""Shards in a window of streamed test clips, which are not shuffled."""


@dataclass(frozen=True)
class RunData:
    """A store and a manifest that fit a recipe, and where the recipe's clips are kept.

    Attributes:
        store: the open store.
        manifest: the split manifest of the recipe's protocol or subset.
        recipe: what is trained.
        tables: the clips of each split that the recipe uses.
        ids: their ids.
        residency: whether they are kept on the device, on the host or streamed.
        device: the device that trains.
    """

    store: Store
    manifest: SplitManifest
    recipe: Recipe
    tables: Mapping[Split, ClipTable]
    ids: Mapping[Split, list[str]]
    residency: ResidencyChoice
    device: torch.device

    @classmethod
    def open(
        cls,
        path: StoragePath,
        recipe: Recipe,
        device: torch.device,
        budget: MemoryBudget,
        splits: Sequence[Split] | None = None,
        *,
        read_once: bool = False,
    ) -> Self:
        """Open a store for a recipe, and choose where its clips are kept.

        Args:
            path: the store.
            recipe: what is trained.
            device: the device that trains.
            budget: memory for clips, unless the recipe says where they are kept.
            splits: the splits to open; by default those that the recipe's training needs.
            read_once: whether each clip is needed once. Then clips are streamed, unless the recipe says otherwise.

        Raises:
            StoreError: the store cannot be read.
            RecipeError: the recipe is not for this store.
            ManifestError: the protocol's manifest is missing, belongs to another store, or has an empty split.
        """
        store = open_store(path)
        check_recipe(recipe, store)
        manifest = read_manifest(store, recipe.protocol, recipe.training_subset)
        wanted: Sequence[Split] = splits or recipe.splits
        clips = {split: split_clips(store, manifest, split) for split in wanted}
        tables = {split: store_clip_table(store, clips[split]) for split in wanted}
        ids = {split: [store.ids[clip] for clip in clips[split]] for split in wanted}
        if read_once and recipe.residency == "auto":
            residency = ResidencyChoice("stream", TEST_STREAM_WINDOW, "each clip is needed once")
        else:
            residency = choose_residency(recipe, _data_size(store, recipe, tables), budget, str(device))
        logger.info(f"clips: {residency.location}, {residency.reason}")
        return cls(store, manifest, recipe, tables, ids, residency, device)

    @property
    def slots(self) -> int:
        """M, body slots of a sample."""
        return self.store.metadata.dataset_spec().bodies

    def load(self, split: Split) -> Clips:
        """Return the clips of a split: loaded, or ready to be streamed.

        Raises:
            DamagedStoreError: rows are missing or unreadable.
        """
        table, with_motion = self.tables[split], self.recipe.stored_motion is not None
        budget = self.recipe.residency_budget_gb
        limit = HOST_BYTES if budget is None else int(budget * GB)
        if self.residency.location == "stream":
            window = self.residency.window if split == "train" else TEST_STREAM_WINDOW
            return Clips(table, StreamedRows(self.store, table, window, with_motion, limit), window, self.device)
        home = self.device if self.residency.location == "device" else torch.device("cpu")
        return Clips(
            table, load_all_rows(self.store, table, home, with_motion, limit), self.residency.window, self.device
        )

    def load_labelled(self, split: Split) -> Clips:
        """Return the clips of a split, all of which must have a label.

        Raises:
            ManifestError: a label is not one of the dataset's classes.
            DamagedStoreError: rows are missing or unreadable.
        """
        label, classes = self.tables[split].label, self.store.metadata.dataset_spec().classes
        wrong = int(((label < 0) | (label >= classes)).sum())
        if wrong:
            if not classes:
                raise ManifestError(
                    f"{self.store.path}: its clips have no labels, and no classifier can be trained or measured",
                    remedy="Add labels and classes to the layout as docs/own-data.md shows, and ingest again.",
                )
            raise ManifestError(
                f"{self.store.path}: {wrong} of {len(label)} {split} clips have no label from 0 to {classes - 1}",
                remedy="Take them out of the store with `mampctl ingest --exclude`, then split again.",
            )
        return self.load(split)

    def train_batches(self, clips: Clips, loss_terms: Tensor | None = None) -> TrainBatches:
        """Return training batches of clips; `loss_terms` is the number of equal loss terms of each clip."""
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


def _data_size(store: Store, recipe: Recipe, tables: Mapping[Split, ClipTable]) -> DataSize:
    values = store.arrays["joints"].shape[1] * store.arrays["joints"].shape[2]
    row_bytes = values * 4 * (2 if recipe.stored_motion is not None else 1)
    first = tables["train" if "train" in tables else "test"].shard_row_counts
    rows = sum(int(table.shard_row_counts.sum()) for table in tables.values())
    return DataSize(total=rows * row_bytes, shards=len(first), largest=int(first.max()) * row_bytes)


class Recording(NamedTuple):
    """A cleaned clip in memory, as an ingest would store it.

    Attributes:
        joints: (M, T, V, 3) float32, metres; real bodies only.
        valid_frames: Tv, at least 1.
    """

    joints: NDArray[np.float32]
    valid_frames: int


def clips_from_memory(recordings: Sequence[Recording], device: torch.device) -> Clips:
    """Return clips without labels, in one shard on a device.

    Args:
        recordings: at least one, all with V joints; a clip's position among them is its global index.
        device: the device that computes.
    """
    bodies, frames = (torch.tensor([recording.joints.shape[axis] for recording in recordings]) for axis in (0, 1))
    valid = torch.tensor([recording.valid_frames for recording in recordings])
    count = bodies * frames
    total = int(count.sum())
    table = clip_table(count.cumsum(0) - count, frames, bodies, valid, torch.full_like(frames, -1), shard_rows=total)
    rows = np.concatenate([recording.joints.reshape(-1, *recording.joints.shape[2:]) for recording in recordings])
    joints = torch.from_numpy(np.ascontiguousarray(rows.swapaxes(1, 2))).to(device)
    return Clips(table, ResidentRows(RowBuffer(joints, None, torch.zeros(1, dtype=torch.int64))), None, device)
