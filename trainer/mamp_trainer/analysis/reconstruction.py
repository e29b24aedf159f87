"""What a pre-trained network predicts of hidden tokens, clip by clip, in metres."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mamp_schemas.errors import CheckpointError
from mamp_schemas.io.storage_path import StoragePath
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


class MaskedReconstruction(NamedTuple):
    """A body of a clip, its true target and the prediction, as arrays on the host.

    Attributes:
        clip: its name.
        label: its class, -1 where unknown.
        body: 0-based.
        joints: (T, V, 3) positions of the sample, metres.
        truth: (T, V, 3) the target, metres: motion or joints.
        predicted: (T, V, 3) the prediction for every token, hidden or not.
        hidden: (Te, V) bool.
        error: the loss on it (eq. 11).
    """

    clip: str
    label: int
    body: int
    joints: NDArray[np.float32]
    truth: NDArray[np.float32]
    predicted: NDArray[np.float32]
    hidden: NDArray[np.bool_]
    error: float


def reconstruct_masked(
    source: Path, store_path: StoragePath, count: int, device: str = "auto"
) -> list[MaskedReconstruction]:
    """Hide tokens of some test clips as in training, and predict them.

    The clips are drawn by the recipe's seed, one of each of `count` equal parts of the test side by mean intensity,
    from slow to fast. They are cropped as in testing and not turned. Of each, the body that
    moves most is returned. Where the network predicts tokens without their mean and variance, it is given the true
    token's: what is to be compared is the course of the token's frames.

    Args:
        source: a pre-training's run, or one of its checkpoints.
        store_path: the store that it was trained on, with its manifest.
        count: how many clips; all, where there are fewer.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        CheckpointError: there is none, it is damaged, of no pre-training, or of another store.
        StoreError: the store cannot be read.
        ManifestError: the manifest is missing or does not fit.
    """
    saved = read_checkpoint(resolve_checkpoint(source))
    recipe = parse_recipe(saved.recipe, f"the recipe of {saved.path}")
    if not isinstance(recipe, MaskedRecipe):
        raise CheckpointError(f"{source}: no pre-training, which is what predicts hidden tokens")
    side, where = TestSubset.open(saved.path, recipe, store_path), choose_device(device)
    chosen = side.sample_by_motion(count)
    batch = side.batches(chosen, where, len(chosen)).batch(0)
    model = MAMP(recipe.model, recipe.masking, recipe.target)
    load_exact(model, saved.weights, str(saved.path))
    names = [side.store.ids[clip] for clip in chosen]
    return _reconstruct_batch(model.eval().to(where), recipe, batch, names)


@torch.no_grad()
def _reconstruct_batch(model: MAMP, recipe: MaskedRecipe, batch: Batch, names: list[str]) -> list[MaskedReconstruction]:
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
    moved = x_BTVC.diff(dim=1).abs().mean(dim=(1, 2, 3)).view(-1, slots)
    bodies = torch.where(batch.real, moved, -1).argmax(dim=1)
    found = []
    for place in batch.clip.argsort().tolist():
        at = slice(place * slots + int(bodies[place]), place * slots + int(bodies[place]) + 1)
        hidden = output.mask[at]
        found.append(
            MaskedReconstruction(
                clip=names[int(batch.clip[place])],
                label=int(batch.label[place]),
                body=int(bodies[place]),
                joints=_to_numpy(x_BTVC[at]),
                truth=_to_numpy(from_tokens(truth[at], spec.joints)),
                predicted=_to_numpy(from_tokens(in_metres[at], spec.joints)),
                hidden=hidden.view(spec.segments, spec.joints).cpu().numpy(),
                error=float(masked_error(pred[at], target[at], hidden)),
            )
        )
    return found


def _to_numpy(x_1TVC: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = x_1TVC[0].contiguous().cpu().numpy()
    return array
