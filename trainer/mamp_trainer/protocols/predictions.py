"""Class logits of clips, from a store or from memory, and the file `scores.npz` that keeps them."""

import io
import lzma
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from mamp_schemas.errors import CheckpointError, RecipeError
from mamp_schemas.io.regular_files import open_regular
from mamp_schemas.models.dataset import DatasetSpec
from mamp_schemas.models.recipe import EvaluationRecipe
from mamp_trainer.data.batches import EmptySlot, TestBatches
from mamp_trainer.data.dataset import Recording, clips_from_memory
from mamp_trainer.distributed.context import SINGLE_PROCESS, DistContext
from mamp_trainer.models.clip_encoder import Classifier, ClipEncoder
from mamp_trainer.models.heartbeat import abandonable
from mamp_trainer.models.precision import matmul_precision
from mamp_trainer.protocols.networks import load_classifier
from mamp_trainer.training.runtime import choose_device

SCORES_FILE = "scores.npz"

_NPZ_ERRORS = (
    OSError, EOFError, KeyError, ValueError, TypeError, SyntaxError, RuntimeError, MemoryError, OverflowError,
    struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error, lzma.LZMAError,
)  # fmt: skip
"""What numpy and zipfile raise for files that are truncated, altered, encrypted, or no npz."""


class ClipPredictions(NamedTuple):
    """The logits of clips.

    Attributes:
        clip: their N names.
        label: (N,) int64, 0-based.
        logits: (N, K) float32; the class of the highest is the prediction.
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
        """Read a file that `to_bytes` made.

        Raises:
            CheckpointError: it is missing or damaged.
        """
        try:
            with open_regular(path) as opened, np.load(opened, allow_pickle=False) as file:
                clip, label, logits = (file[name] for name in ("clip", "label", "logits"))
            shapes = (clip.shape, label.shape, logits.shape[:1], logits.ndim)
            kinds = (clip.dtype.kind, label.dtype, logits.dtype)
            if shapes != (clip.shape[:1],) * 3 + (2,) or kinds != ("U", np.dtype(np.int64), np.dtype(np.float32)):
                raise ValueError(f"arrays of {shapes[:3]} {kinds}")
            return cls(clip.tolist(), torch.from_numpy(label), torch.from_numpy(logits))
        except _NPZ_ERRORS as problem:
            raise CheckpointError(
                f"{path}: scores cannot be read ({type(problem).__name__})",
                remedy="Make them again with `mampctl evaluate`, or resume the run that should have written them.",
            ) from problem


@torch.no_grad()
def predict_logits(
    model: ClipEncoder,
    batches: TestBatches,
    after_batch: Callable[[], None],
    dist_context: DistContext = SINGLE_PROCESS,
) -> Tensor:
    """Return the logits of every clip of `batches`, (clips, K) float32, on every rank.

    Args:
        model: a classifier, or a feature extractor, whose features (clips, D) are returned; set to evaluation mode.
        batches: each clip once.
        after_batch: called after each batch; may raise to stop.
        dist_context: the ranks, which share the clips.
    """
    model.eval()
    logits: Tensor | None = None
    for step in range(batches.steps):
        batch = batches.batch(step, dist_context.rank, dist_context.world_size)
        with abandonable(after_batch):
            if len(batch.clip):
                of_batch = model(batch.x, batch.unique_bodies).float()
                logits = of_batch.new_zeros(len(batches.clips), of_batch.shape[1]) if logits is None else logits
                logits[batch.clip] = of_batch
    return _all_reduce_logits(logits, batches, dist_context)


def _all_reduce_logits(logits: Tensor | None, batches: TestBatches, dist_context: DistContext) -> Tensor:
    """Sum the ranks' logits: each rank has zeros for the other ranks' clips, None where it had no clip at all."""
    columns = dist_context.all_reduce_max(0 if logits is None else logits.shape[1])
    if logits is None:
        logits = torch.zeros(len(batches.clips), columns, device=batches.clips.device)
    return dist_context.all_reduce_sum(logits)


class Predictor(NamedTuple):
    """A trained classifier of clips in memory, which are sampled as in its evaluation.

    Attributes:
        model: on `device`, in evaluation mode.
        recipe: the recipe that it was trained with; gives the test crop, T and the precision.
        slots: M.
        empty_slot: what a slot without a body holds.
        device: the device that computes.
    """

    model: Classifier
    recipe: EvaluationRecipe
    slots: int
    empty_slot: EmptySlot
    device: torch.device

    @classmethod
    def load(
        cls,
        source: Path,
        recipe: EvaluationRecipe,
        spec: DatasetSpec,
        empty_slot: EmptySlot,
        device: str = "auto",
    ) -> Self:
        """Load a classifier for clips of a dataset.

        Args:
            source: the folder of a run or of a checkpoint, or a released `.pth` file.
            recipe: the recipe that it was trained with.
            spec: the dataset.
            empty_slot: what the clips' policy puts into a slot without a body.
            device: `auto`, `cpu` or `cuda`.

        Raises:
            CheckpointError: it cannot be read, has no classifier, or one for another number of classes.
            RecipeError: it is for another number of joints.
            UsageError: there is no such device.
        """
        torch_device = choose_device(device)
        joints = len(spec.skeleton.joints)
        if recipe.model.joints != joints:
            raise RecipeError(
                f"{source} is for {recipe.model.joints} joints, {spec.title} has {joints}",
                remedy="Use the recipe or layout that it was trained with.",
            )
        model = load_classifier(source, recipe).to(torch_device)
        predictor = cls(model, recipe, spec.bodies, empty_slot, torch_device)
        if model.classes != spec.classes:
            raise CheckpointError(
                f"{source}: a classifier of {model.classes} classes, {spec.title} has {spec.classes}",
                remedy="Use the recipe or layout that it was trained with.",
            )
        return predictor

    def logits(self, recordings: Sequence[Recording]) -> Tensor:
        """Return the logits (N, K) of clips, computed as one batch, float32 on the CPU."""
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
        logits: (N, K).
        count: how many classes, at most.
    """
    probability, label = logits.softmax(dim=1).topk(min(count, logits.shape[1]), dim=1)
    return [list(zip(*clip, strict=True)) for clip in zip(label.tolist(), probability.tolist(), strict=True)]
