"""What a pre-trained network predicts of masked tokens of test clips, in metres."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from mamp_schemas.errors import CheckpointError
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.models.analysis import ArrayData, MaskedReconstruction, ReconstructionAnalysis
from mamp_schemas.models.recipe import PretrainRecipe, parse_recipe
from mamp_trainer.analysis.test_subset import TestSubset
from mamp_trainer.checkpoints.files import read_checkpoint
from mamp_trainer.checkpoints.load import load_exact, resolve_checkpoint
from mamp_trainer.data.collate import Batch
from mamp_trainer.data.rng import Draws
from mamp_trainer.models.precision import matmul_precision
from mamp_trainer.objectives.base import Reconstruction
from mamp_trainer.objectives.pretrain import make_objective
from mamp_trainer.training.runtime import choose_device


def reconstruct_masked(
    source: Path, store_path: StoragePath, count: int, device: str = "auto"
) -> ReconstructionAnalysis:
    """Mask tokens of some test clips as in training, and predict them.

    The test clips are sorted by mean intensity and divided into `count` equal parts; the recipe's seed draws one clip
    of each part. Clips are cropped as in testing and not rotated. Of each clip, the body that moves most is returned.
    Where the network predicts tokens without their mean and variance, those of the true token are put back: what can
    be compared is the course of a token's frames, not its level.

    Args:
        source: the folder of a pre-training run, or of one of its checkpoints.
        store_path: the store that it was trained on, with its manifest.
        count: how many clips; all, if there are fewer.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        CheckpointError: there is none, it is damaged, of no pre-training, or of another store.
        StoreError: the store cannot be read.
        ManifestError: the manifest is missing or does not fit.
    """
    saved = read_checkpoint(resolve_checkpoint(source))
    recipe = parse_recipe(saved.recipe, f"the recipe of {saved.path}")
    if not isinstance(recipe, PretrainRecipe):
        raise CheckpointError(f"{source}: no pre-training with masked tokens, whose predictions could be shown")
    objective = make_objective(recipe)
    subset, torch_device = TestSubset.open(saved.path, recipe, store_path), choose_device(device)
    clips = subset.sample_by_motion(count)
    batch = subset.batches(clips, torch_device, len(clips)).batch(0)
    network = objective.build()
    load_exact(network, saved.weights, str(saved.path))
    draws = Draws(recipe.seed, 0, batch.clip, recipe.objective)
    with torch.no_grad(), matmul_precision(recipe.precision):
        reconstruction = objective.reconstruct(network.eval().to(torch_device), batch, draws)
    if reconstruction is None:
        raise CheckpointError(f"{source}: the objective '{recipe.objective}' predicts no coordinates to be shown")
    ids = [subset.store.ids[clip] for clip in clips]
    return ReconstructionAnalysis(
        target=reconstruction.target,
        normalised=reconstruction.normalised,
        masking=reconstruction.masking,
        skeleton=subset.store.metadata.skeleton,
        examples=tuple(_fastest_bodies(reconstruction, batch, ids)),
    )


def _fastest_bodies(reconstruction: Reconstruction, batch: Batch, ids: list[str]) -> Iterator[MaskedReconstruction]:
    """Yield what is predicted of the fastest body of each clip of a batch, in the order of `ids`."""
    slots, x_BTVC = batch.x.shape[1], batch.x.flatten(0, 1)
    motion = x_BTVC.diff(dim=1).abs().mean(dim=(1, 2, 3)).view(-1, slots)
    fastest = torch.where(batch.real, motion, -1).argmax(dim=1)
    for row in batch.clip.argsort().tolist():
        body = int(fastest[row])
        sequence = row * slots + body
        yield MaskedReconstruction(
            clip=ids[int(batch.clip[row])],
            label=int(batch.label[row]),
            body=body,
            joints=_array(x_BTVC[sequence]),
            truth=_array(reconstruction.truth[sequence]),
            predicted=_array(reconstruction.predicted[sequence]),
            masked=ArrayData.of(reconstruction.masked[sequence].cpu().numpy()),
            loss=float(reconstruction.loss[sequence]),
        )


def _array(x_TVC: Tensor) -> ArrayData:
    return ArrayData.of(x_TVC.float().cpu().numpy())
