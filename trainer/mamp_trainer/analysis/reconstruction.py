"""What a pre-trained network predicts of masked tokens of test clips, in metres."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from mamp_schemas.errors import CheckpointError
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.models.analysis import ArrayData, MaskedReconstruction, ReconstructionAnalysis
from mamp_schemas.models.objectives import MaskedRecipe
from mamp_schemas.models.recipe import parse_recipe
from mamp_trainer.analysis.test_subset import TestSubset
from mamp_trainer.checkpoints.files import read_checkpoint
from mamp_trainer.checkpoints.load import load_exact, resolve_checkpoint
from mamp_trainer.data.collate import Batch
from mamp_trainer.data.rng import MASK, uniform
from mamp_trainer.models.mamp import MAMP
from mamp_trainer.models.precision import autocast, matmul_precision
from mamp_trainer.models.tokens import from_tokens
from mamp_trainer.objectives.targets import denormalise_tokens, masked_error, normalise_tokens, target_tokens
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
    if not isinstance(recipe, MaskedRecipe):
        raise CheckpointError(f"{source}: no pre-training with masked tokens, whose predictions could be shown")
    subset, torch_device = TestSubset.open(saved.path, recipe, store_path), choose_device(device)
    clips = subset.sample_by_motion(count)
    batch = subset.batches(clips, torch_device, len(clips)).batch(0)
    model = MAMP(recipe.model, recipe.masking, recipe.target)
    load_exact(model, saved.weights, str(saved.path))
    ids = [subset.store.ids[clip] for clip in clips]
    return ReconstructionAnalysis(
        target=recipe.target.kind,
        normalised=recipe.target.normalise,
        masking=_describe_masking(recipe),
        skeleton=subset.store.metadata.skeleton,
        examples=tuple(_reconstruct_batch(model.eval().to(torch_device), recipe, batch, ids)),
    )


def _describe_masking(recipe: MaskedRecipe) -> str:
    masking = recipe.masking
    temperature = f", τ {masking.temperature:g}" if masking.strategy == "motion" else ""
    return f"{masking.strategy}, ratio {masking.ratio:g}{temperature}"


@torch.no_grad()
def _reconstruct_batch(
    model: MAMP, recipe: MaskedRecipe, batch: Batch, ids: list[str]
) -> Iterator[MaskedReconstruction]:
    """Yield what is predicted of the fastest body of each clip of a batch, in the order of `ids`."""
    slots, spec = batch.x.shape[1], recipe.model
    x_BTVC = batch.x.flatten(0, 1)
    trajectory = x_BTVC if batch.trajectory is None else batch.trajectory.flatten(0, 1)
    u_BL = uniform(recipe.seed, 0, MASK, batch.clip, slots * spec.tokens).view(-1, spec.tokens)
    with matmul_precision(recipe.precision), autocast(recipe.precision, x_BTVC.device):
        output = model(x_BTVC, u_BL, trajectory)
    pred = output.pred.float()
    truth = target_tokens(x_BTVC, trajectory, spec.segment, recipe.target)
    target = normalise_tokens(truth) if recipe.target.normalise else truth
    in_metres = denormalise_tokens(pred, truth) if recipe.target.normalise else pred
    motion = x_BTVC.diff(dim=1).abs().mean(dim=(1, 2, 3)).view(-1, slots)
    fastest = torch.where(batch.real, motion, -1).argmax(dim=1)
    for row in batch.clip.argsort().tolist():
        body = int(fastest[row])
        sequence = slice(row * slots + body, row * slots + body + 1)
        mask = output.mask[sequence]
        yield MaskedReconstruction(
            clip=ids[int(batch.clip[row])],
            label=int(batch.label[row]),
            body=body,
            joints=_array(x_BTVC[sequence]),
            truth=_array(from_tokens(truth[sequence], spec.joints)),
            predicted=_array(from_tokens(in_metres[sequence], spec.joints)),
            masked=ArrayData.of(mask.view(spec.segments, spec.joints).bool().cpu().numpy()),
            loss=float(masked_error(pred[sequence], target[sequence], mask)),
        )


def _array(x_1TVC: Tensor) -> ArrayData:
    return ArrayData.of(x_1TVC[0].float().cpu().numpy())
