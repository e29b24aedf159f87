"""Pre-training, from a recipe and a store to a run's folder with trained weights (section 3)."""

import logging

from torch import nn

from mamp_schemas.io.run_files import UNTRAINED
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.models.recipe import PRETRAIN, PretrainRecipe
from mamp_schemas.models.results import PretrainResult
from mamp_schemas.registry import OBJECTIVES
from mamp_trainer.data.collate import Batch
from mamp_trainer.data.dataset import RunData
from mamp_trainer.data.rng import Draws
from mamp_trainer.models.precision import compile_network, matmul_precision
from mamp_trainer.models.transformer import set_activation_checkpointing
from mamp_trainer.objectives.base import Objective
from mamp_trainer.training.hooks import Loss, LossFn
from mamp_trainer.training.microbatch import MicrobatchSampler
from mamp_trainer.training.optim import make_optimiser
from mamp_trainer.training.run_dir import lock_run_dir, run_identity
from mamp_trainer.training.runtime import (
    RunContext,
    choose_activation_checkpointing,
    choose_micro_batch,
    free_memory,
    measure_budget,
    require_network_memory,
    seeded,
)
from mamp_trainer.training.state import TrainState
from mamp_trainer.training.trainer import Trainer

logger = logging.getLogger(__name__)


def pretrain(recipe: PretrainRecipe, store_path: StoragePath, context: RunContext) -> PretrainResult:
    """Pre-train a network by the objective of a recipe.

    The same recipe, store and device kind give the same weights, whether or not the run was interrupted and
    resumed: on the CPU bit for bit. Other numbers of ranks or microbatches change the order of sums, and so the last
    bits.

    Args:
        recipe: what to train, and how.
        store_path: a finished store, its split manifest beside it.
        context: the run's folder, device, ranks and progress.

    Raises:
        MampctlError: any of the store's, manifest's, recipe's, checkpoint's, output's and training's errors.
        KeyboardInterrupt: SIGINT or SIGTERM came; a checkpoint has been written.
    """
    ranks = context.dist_context
    with lock_run_dir(context.run_dir, context.resume, ranks):
        device = context.torch_device()
        require_network_memory(recipe.model, device)
        data = RunData.open(store_path, recipe, device, measure_budget(device, ranks))
        recipe = recipe.replaced(shuffle_window=data.residency.window)
        objective = make_objective(recipe)
        clips = data.load("train")
        with seeded(recipe.seed):
            network = objective.build()
        network.to(device)
        terms = objective.num_loss_terms(clips.table.bodies, data.slots)
        batches = data.train_batches(clips, terms)
        clip_bytes = objective.activation_bytes() * data.slots
        micro_batch = choose_micro_batch(recipe.micro_batch, device, clip_bytes)
        microbatches = MicrobatchSampler(batches, ranks, micro_batch, data.ids["train"])
        needed = clip_bytes * microbatches.microbatch_size
        recompute, reason = choose_activation_checkpointing(recipe.recompute, needed, free_memory(device, ranks))
        logger.info(f"activations: {reason}")
        set_activation_checkpointing(network, recompute)
        if recipe.compile:
            compile_network(network, device)
        trainer = Trainer(
            recipe=recipe,
            identity=run_identity(data, UNTRAINED),
            module=network,
            loss_fn=loss_function(objective, network),
            optimiser=make_optimiser(objective.optimiser_groups(network), recipe.optimiser),
            microbatches=microbatches,
            device=device,
            context=context,
            hooks=objective,
            flops_per_term=objective.flops(),
            test_clips=0,
        )
        with matmul_precision(recipe.precision):
            state = trainer.fit()
        result = _pretrain_result(state, microbatches.steps)
        trainer.record(result, UNTRAINED)
        return result


def make_objective(recipe: PretrainRecipe) -> Objective[PretrainRecipe]:
    """Return the objective of a recipe.

    Raises:
        UsageError: no installed distribution brings it.
    """
    objective: Objective[PretrainRecipe] = OBJECTIVES.get(recipe.objective)(recipe)
    return objective


def loss_function(objective: Objective[PretrainRecipe], network: nn.Module) -> LossFn:
    """Return the loss of a batch in an epoch, for the trainer; random draws depend on seed, epoch and clip alone."""
    recipe = objective.recipe

    def loss(batch: Batch, epoch: int) -> Loss:
        return objective.loss(network, batch, Draws(recipe.seed, epoch, batch.clip, recipe.objective))

    return loss


def _pretrain_result(state: TrainState, steps_per_epoch: int) -> PretrainResult:
    losses = [epoch["loss"] for epoch in state.history]
    return PretrainResult(
        kind=PRETRAIN,
        steps=steps_per_epoch * len(losses),
        epochs=len(losses),
        first_loss=losses[0] if losses else None,
        last_loss=losses[-1] if losses else None,
        seconds=state.seconds,
    )
