"""Owns taking up a run again: from a checkpoint, if recipe, data and encoder are the same."""

from pathlib import Path
from typing import Any

from torch import nn
from torch.optim import Optimizer

from mamp_schemas.recipes import EXECUTION_FIELDS, Recipe
from mamp_trainer.belonging import RunIdentity, check_same_run
from mamp_trainer.checkpoint.files import read_checkpoint
from mamp_trainer.loop import Position
from mamp_trainer.tally import TrainState
from mamp_trainer.weights import load_exact


def capture_state(optimiser: Optimizer, position: Position, state: TrainState) -> dict[str, Any]:
    """Return what a checkpoint holds besides weights; random draws need no state, being functions of the step."""
    return {"optimiser": optimiser.state_dict(), "position": list(position), "tally": state.state_dict()}


def restore_state(
    folder: Path, recipe: Recipe, identity: RunIdentity, module: nn.Module, optimiser: Optimizer
) -> tuple[Position, TrainState]:
    """Bring module and optimiser to a checkpoint.

    Returns:
        Where the run has come to.

    Raises:
        CheckpointError: the checkpoint is damaged, or was made with another recipe, store, split or encoder;
            names what differs.
    """
    checkpoint = read_checkpoint(folder)
    then, now = (
        {key: value for key, value in data.items() if key not in EXECUTION_FIELDS}
        for data in (checkpoint.recipe, recipe.model_dump(mode="json"))
    )
    before, after = (made.model_dump(exclude={"policy"}) for made in (checkpoint.identity, identity))
    check_same_run(folder, {**then, **before}, {**now, **after})
    load_exact(module, checkpoint.weights, str(folder))
    optimiser.load_state_dict(checkpoint.state["optimiser"])
    return Position(*checkpoint.state["position"]), TrainState.from_state_dict(checkpoint.state["tally"])
