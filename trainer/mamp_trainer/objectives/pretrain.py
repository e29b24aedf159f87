"""Pre-training, from a recipe and a store to a run folder with trained weights (section 3)."""

import logging
from pathlib import Path

import torch
from torch import Tensor

from mamp_schemas.errors import RecipeError
from mamp_schemas.io.run_files import UNTRAINED
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.models.objectives import MaskedRecipe
from mamp_schemas.models.recipe import PretrainRecipe
from mamp_schemas.models.results import PretrainResult
from mamp_schemas.progress import NullProgress, Progress
from mamp_trainer.data.clips import ClipTable
from mamp_trainer.data.collate import Batch
from mamp_trainer.data.dataset import RunData
from mamp_trainer.data.rng import MASK, uniform
from mamp_trainer.distributed.context import SINGLE_PROCESS, DistContext
from mamp_trainer.models.mamp import MAMP, MAMPOutput
from mamp_trainer.models.precision import autocast, compile_network, matmul_precision
from mamp_trainer.telemetry.flops import loss_term_flops
from mamp_trainer.training.memory import choose_activation_checkpointing, free_memory, measure_budget
from mamp_trainer.training.microbatch import MicrobatchSampler
from mamp_trainer.training.optim import make_optimiser
from mamp_trainer.training.run_dir import lock_run_dir
from mamp_trainer.training.runtime import choose_device, describe_device, seeded
from mamp_trainer.training.state import TrainState
from mamp_trainer.training.trainer import LossFn, Trainer, TrainStep

logger = logging.getLogger(__name__)


def pretrain(
    recipe: PretrainRecipe,
    store_path: StoragePath,
    run: Path,
    *,
    resume: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
    dist_context: DistContext = SINGLE_PROCESS,
    profile: int = 0,
    run_id: str | None = None,
) -> PretrainResult:
    """Pre-train a network.

    The same recipe, store and device kind give the same weights, whether or not the run was interrupted and
    resumed: on the CPU bit for bit. Another number of ranks, or parts of a batch, change the order of sums, and so
    the last bits.

    Args:
        recipe: what to train, and how.
        store_path: a finished store, its split manifest beside it.
        run: the folder to be made: recipe.yaml, metrics.jsonl, tensorboard/, checkpoints/, and run.json at the end.
        resume: go on from the run's latest checkpoint.
        device: `auto`, `cpu` or `cuda`.
        progress: who watches.
        dist_context: who trains together; this process is one of them.
        profile: steps to be profiled, into the run's folder.
        run_id: what the user calls it in his logs.

    Raises:
        MampctlError: any of the store's, manifest's, recipe's, checkpoint's, output's and training's errors.
        KeyboardInterrupt: SIGINT or SIGTERM came; a checkpoint has been written.
    """
    with lock_run_dir(run, resume, dist_context):
        chosen, watcher = choose_device(device, dist_context.device_index), progress or NullProgress()
        source = RunData.open(store_path, recipe, chosen, measure_budget(chosen, dist_context))
        recipe = recipe.replaced(shuffle_window=source.residency.window)
        if not isinstance(recipe, MaskedRecipe):
            raise RecipeError(f"the objective '{recipe.objective}' cannot be trained", remedy="Choose another one.")
        clips = source.load("train")
        with seeded(recipe.seed):
            model = MAMP(recipe.model, recipe.masking, recipe.target)
        model.to(chosen)
        terms = loss_terms(clips.table, source.slots, recipe)
        shares = MicrobatchSampler(
            source.train_batches(clips, terms), dist_context, recipe.micro_batch, source.ids["train"]
        )
        recompute, reason = choose_activation_checkpointing(
            recipe, shares.microbatch_size * source.slots, free_memory(chosen, dist_context)
        )
        logger.info(f"activations: {reason}")
        model.set_activation_checkpointing(recompute)
        if recipe.compile:
            compile_network(model, chosen)
        flops = loss_term_flops(recipe)
        belonging = source.run_identity(UNTRAINED)
        session = Trainer(run, recipe, belonging, chosen, watcher, dist_context, profile, flops, run_id)
        step = TrainStep(masked_loss(model, recipe), make_optimiser(model, recipe.optimiser), dist_context)
        with matmul_precision(recipe.precision):
            tally = session.train(model, step, shares, lambda _pause: {}, resume)
        result = _pretrain_result(tally, shares.steps)
        session.record(result, tally, UNTRAINED, describe_device(chosen))
        return result


def masked_loss(model: MAMP, recipe: MaskedRecipe) -> LossFn:
    """Return the loss of a batch (eq. 11), the mean over its sequences, or over those of real bodies.

    What is hidden of a body depends on seed, epoch, clip and slot alone.
    """
    tokens, skip = recipe.model.tokens, recipe.empty_bodies == "skip"

    def loss(batch: Batch, epoch: int) -> Tensor:
        u_NML = uniform(recipe.seed, epoch, MASK, batch.clip, batch.x.shape[1] * tokens)
        sequences = [batch.x.flatten(0, 1), u_NML.view(-1, tokens)]
        sequences += [] if batch.trajectory is None else [batch.trajectory.flatten(0, 1)]
        if skip:
            sequences = [each[batch.unique_bodies.bodies] for each in sequences]
        with autocast(recipe.precision, batch.x.device):
            output: MAMPOutput = model(*sequences)
        return output.loss

    return loss


def loss_terms(table: ClipTable, slots: int, recipe: MaskedRecipe) -> Tensor:
    """Return how many sequences each clip adds to the mean that the loss is: (clips,) int64, on the host.

    Args:
        table: the clips.
        slots: M.
        recipe: says whether empty bodies count.
    """
    return table.bodies if recipe.empty_bodies == "skip" else torch.full_like(table.bodies, slots)


def _pretrain_result(state: TrainState, steps: int) -> PretrainResult:
    losses = [epoch["loss"] for epoch in state.history]
    return PretrainResult(
        kind="pretrain",
        steps=steps * len(losses),
        epochs=len(losses),
        first_loss=losses[0] if losses else None,
        last_loss=losses[-1] if losses else None,
        seconds=state.seconds,
    )
