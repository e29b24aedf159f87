"""Owns what a classifier says of clips: a score for each class, and the file they are kept in."""

import io
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from mamp_schemas.errors import CheckpointError
from mamp_trainer.data.batches import TestBatches
from mamp_trainer.ledger.files import TOP1 as TOP1
from mamp_trainer.ledger.files import TOP5 as TOP5
from mamp_trainer.metrics import top_k_hits
from mamp_trainer.model.heads import ClipEncoder
from mamp_trainer.ranks.group import SINGLE_PROCESS, DistContext

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
def predict_logits(model: ClipEncoder, batches: TestBatches, after_batch: Callable[[], None], dist_context: DistContext = SINGLE_PROCESS) -> Tensor:
    """Return the scores of every clip of `batches`, each counted once, (clips, classes) float32 on every rank.

    Args:
        model: a classifier, or what makes other numbers of a clip; set to evaluation mode.
        batches: each clip once.
        pause: called between batches; may raise to stop.
        ranks: among whom the clips are divided.
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


def accuracy(logits: Tensor, label: Tensor) -> dict[str, float]:
    """Return top-1 and top-5 accuracy in percent.

    Args:
        logits: (N, classes).
        label: (N,) int64.
    """
    hits = top_k_hits(logits, label.to(logits.device))
    top1, top5 = (100 * hits.double() / len(label)).tolist()
    return {TOP1: top1, TOP5: top5}


def _all_reduce_logits(found: Tensor | None, batches: TestBatches, dist_context: DistContext) -> Tensor:
    """Add up what ranks found, each of other clips; a rank without a clip has found zeros."""
    classes = dist_context.all_reduce_max(0 if found is None else found.shape[1])
    if found is None:
        found = torch.zeros(len(batches.clips), classes, device=batches.clips.device)
    return dist_context.all_reduce_sum(found)
