"""Owns masked pre-training: from a recipe and a store to a run folder with trained weights (section 3)."""

from pathlib import Path

from torch import Tensor

from mamp_schemas.places import Place
from mamp_schemas.progress import Progress, Silent
from mamp_schemas.recipes import PretrainRecipe
from mamp_schemas.results import PretrainResult
from mamp_trainer.belonging import UNTRAINED
from mamp_trainer.data.draws import MASK, uniform
from mamp_trainer.data.samples import Batch
from mamp_trainer.memory import measure_budget
from mamp_trainer.model.mamp import MAMP, MAMPOutput
from mamp_trainer.optim import make_optimiser
from mamp_trainer.runtime import choose_device, describe_device, seeded
from mamp_trainer.step import Objective, Step
from mamp_trainer.tally import Tally
from mamp_trainer.tasks.session import Session, refuse_existing
from mamp_trainer.tasks.source import Source


def pretrain(
    recipe: PretrainRecipe,
    store_path: Place,
    run: Path,
    *,
    resume: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
) -> PretrainResult:
    """Pre-train a network.

    The same recipe, store and device kind give the same weights, whether or not the run was interrupted and
    resumed: on the CPU bit for bit.

    Args:
        recipe: what to train, and how.
        store_path: a finished store, its split manifest beside it.
        run: the folder to be made: recipe.yaml, metrics.jsonl, tensorboard/, checkpoints/, and run.json at the end.
        resume: go on from the run's latest checkpoint.
        device: `auto`, `cpu` or `cuda`.
        progress: who watches.

    Raises:
        MampctlError: any of the store's, manifest's, recipe's, checkpoint's, output's and training's errors.
        KeyboardInterrupt: SIGINT or SIGTERM came; a checkpoint has been written.
    """
    refuse_existing(run, resume)
    chosen, watcher = choose_device(device), progress or Silent()
    source = Source.open(store_path, recipe, chosen, measure_budget(chosen), watcher)
    recipe = recipe.replaced(shuffle_window=source.placement.window)
    clips = source.load("train")
    with seeded(recipe.seed):
        model = MAMP(recipe.model, recipe.masking, recipe.target)
    model.to(chosen)
    session = Session(run, recipe, source.belonging(UNTRAINED), watcher)
    step = Step(masked_loss(model, recipe), make_optimiser(model, recipe.optimiser))
    batches = source.train_batches(clips)
    tally = session.train(model, step, batches, lambda _pause: {}, resume)
    result = _summarise(tally, batches.steps)
    session.record(result, UNTRAINED, describe_device(chosen))
    return result


def masked_loss(model: MAMP, recipe: PretrainRecipe) -> Objective:
    """Return the loss of a batch (eq. 11); what is hidden depends on seed, epoch and clip alone."""
    tokens = recipe.model.tokens

    def loss(batch: Batch, epoch: int) -> Tensor:
        u_NML = uniform(recipe.seed, epoch, MASK, batch.clip, batch.x.shape[1] * tokens)
        trajectory = None if batch.trajectory is None else batch.trajectory.flatten(0, 1)
        output: MAMPOutput = model(batch.x.flatten(0, 1), u_NML.view(-1, tokens), trajectory)
        return output.loss

    return loss


def _summarise(tally: Tally, steps: int) -> PretrainResult:
    losses = [epoch["loss"] for epoch in tally.history]
    return PretrainResult(
        kind="pretrain",
        steps=steps * len(losses),
        epochs=len(losses),
        first_loss=losses[0] if losses else None,
        last_loss=losses[-1] if losses else None,
        seconds=tally.seconds,
    )
