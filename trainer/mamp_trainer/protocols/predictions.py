"""Class logits of clips, from a store or in memory, and the file that they are kept in."""

import io
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from mamp_schemas.errors import CheckpointError, RecipeError
from mamp_schemas.models.dataset import DatasetSpec
from mamp_trainer.data.batches import EmptySlot, TestBatches
from mamp_trainer.data.dataset import Recording, clips_from_memory
from mamp_trainer.distributed.context import SINGLE_PROCESS, DistContext
from mamp_trainer.models.heads import Classifier, ClipEncoder
from mamp_trainer.models.precision import matmul_precision
from mamp_trainer.protocols.classifier import ClassifierRecipe, load_classifier
from mamp_trainer.training.runtime import choose_device

SCORES_FILE = "scores.npz"


_NPZ_ERRORS = (
    OSError, EOFError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What numpy and zipfile raise of files cut off, altered, encrypted, or never an npz."""


class ClipPredictions(NamedTuple):
    """What was said of clips.

    Attributes:
        clip: their N names.
        label: (N,) int64, 0-based.
        logits: (N, classes) float32, the highest is the prediction.
    """

    clip: Sequence[str]
    label: Tensor
    logits: Tensor

    def to_bytes(self) -> bytes:
        """Return them as an npz file of the three arrays."""
        buffer = io.BytesIO()
        np.savez(buffer, clip=np.array(self.clip), label=self.label.cpu().numpy(), logits=self.logits.cpu().numpy())
        return buffer.getvalue()

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file of what `to_bytes` made.

        Raises:
            CheckpointError: it is missing or damaged.
        """
        try:
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                label, logits = (torch.from_numpy(file[name]) for name in ("label", "logits"))
                return cls(file["clip"].tolist(), label, logits)
        except _NPZ_ERRORS as problem:
            raise CheckpointError(
                f"{path}: scores cannot be read ({type(problem).__name__})",
                remedy="Make them again: mampctl evaluate, or resume the run that was to leave them.",
            ) from problem


@torch.no_grad()
def predict_logits(
    model: ClipEncoder,
    batches: TestBatches,
    after_batch: Callable[[], None],
    dist_context: DistContext = SINGLE_PROCESS,
) -> Tensor:
    """Return the scores of every clip of `batches`, each counted once, (clips, classes) float32 on every rank.

    Args:
        model: a classifier, or what makes other numbers of a clip; set to evaluation mode.
        batches: each clip once.
        after_batch: called between batches; may raise to stop.
        dist_context: among whom the clips are divided.
    """
    model.eval()
    found: Tensor | None = None
    for step in range(batches.steps):
        batch = batches.batch(step, dist_context.rank, dist_context.world_size)
        if len(batch.clip):
            logits = model(batch.x, batch.unique_bodies).float()
            found = logits.new_zeros(len(batches.clips), logits.shape[1]) if found is None else found
            found[batch.clip] = logits
        after_batch()
    return _all_reduce_logits(found, batches, dist_context)


def _all_reduce_logits(found: Tensor | None, batches: TestBatches, dist_context: DistContext) -> Tensor:
    """Add up what ranks found, each of other clips; a rank without a clip has found zeros."""
    classes = dist_context.all_reduce_max(0 if found is None else found.shape[1])
    if found is None:
        found = torch.zeros(len(batches.clips), classes, device=batches.clips.device)
    return dist_context.all_reduce_sum(found)


class Predictor(NamedTuple):
    """A trained classifier, and how its clips become samples: as in the evaluation that it was measured by.

    Attributes:
        model: on `device`, set to evaluation.
        recipe: what it was trained by; says the test crop, T and the precision.
        slots: M.
        empty_slot: what a slot without a body holds.
        device: where it computes.
    """

    model: Classifier
    recipe: ClassifierRecipe
    slots: int
    empty_slot: EmptySlot
    device: torch.device

    @classmethod
    def load(
        cls,
        source: Path,
        recipe: ClassifierRecipe,
        spec: DatasetSpec,
        empty_slot: EmptySlot,
        device: str = "auto",
    ) -> Self:
        """Load a classifier for clips of a dataset.

        Args:
            source: the folder of a run or of a checkpoint, or a released `.pth` file.
            recipe: what it was trained by.
            spec: the dataset.
            empty_slot: what the clips' policy puts into a slot without a body.
            device: `auto`, `cpu` or `cuda`.

        Raises:
            CheckpointError: it cannot be read, has no classifier, or one for another number of classes.
            RecipeError: it is for another number of joints.
            UsageError: there is no such device.
        """
        where = choose_device(device)
        joints = len(spec.skeleton.joints)
        if recipe.model.joints != joints:
            raise RecipeError(
                f"{source} is for {recipe.model.joints} joints, {spec.title} has {joints}",
                remedy="Use the recipe or layout that it was trained with.",
            )
        model = load_classifier(source, recipe).to(where)
        predictor = cls(model, recipe, spec.bodies, empty_slot, where)
        if predictor.classes != spec.classes:
            raise CheckpointError(
                f"{source}: a classifier of {predictor.classes} classes, {spec.title} has {spec.classes}",
                remedy="Use the recipe or layout that it was trained with.",
            )
        return predictor

    @property
    def classes(self) -> int:
        """The number of classes."""
        return self.model.head.classes

    def logits(self, recordings: Sequence[Recording]) -> Tensor:
        """Return the scores of clips: one batch of them, (N, classes) float32 on the CPU."""
        recipe = self.recipe
        batches = TestBatches(
            clips_from_memory(recordings, self.device),
            sampling=recipe.sampling,
            frames=recipe.model.frames,
            batch_size=len(recordings),
            slots=self.slots,
            empty_slot=self.empty_slot,
        )
        with matmul_precision(recipe.precision):
            return predict_logits(self.model, batches, after_batch=lambda: None).cpu()


def top_classes(logits: Tensor, count: int) -> list[list[tuple[int, float]]]:
    """Return the most probable classes of each clip, with their probabilities, the highest first.

    Args:
        logits: (N, classes).
        count: how many, at most.
    """
    probability, label = logits.softmax(dim=1).topk(min(count, logits.shape[1]), dim=1)
    return [list(zip(*each, strict=True)) for each in zip(label.tolist(), probability.tolist(), strict=True)]
