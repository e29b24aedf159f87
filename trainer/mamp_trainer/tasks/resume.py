"""Owns taking up a run again: from a checkpoint, if recipe, data and encoder are the same."""

from pathlib import Path
from typing import Any

from torch import nn
from torch.optim import Optimizer

from mamp_schemas.recipes import PLACEMENT, Recipe
from mamp_trainer.belonging import Belonging, check_same_run
from mamp_trainer.checkpoint.files import load
from mamp_trainer.loop import Position
from mamp_trainer.tally import Tally
from mamp_trainer.weights import fit_weights


def capture(optimiser: Optimizer, position: Position, tally: Tally) -> dict[str, Any]:
    """Return what a checkpoint holds besides weights; random draws need no state, being functions of the step."""
    return {"optimiser": optimiser.state_dict(), "position": list(position), "tally": tally.state()}


def restore(
    folder: Path, recipe: Recipe, belonging: Belonging, module: nn.Module, optimiser: Optimizer
) -> tuple[Position, Tally]:
    """Bring module and optimiser to a checkpoint.

    Returns:
        Where the run has come to.

    Raises:
        CheckpointError: the checkpoint is damaged, or was made with another recipe, store, split or encoder;
            names what differs.
    """
    checkpoint = load(folder)
    then, now = (
        {key: value for key, value in data.items() if key not in PLACEMENT}
        for data in (checkpoint.recipe, recipe.model_dump(mode="json"))
    )
    before, after = (made.model_dump(exclude={"policy"}) for made in (checkpoint.belonging, belonging))
    check_same_run(folder, {**then, **before}, {**now, **after})
    fit_weights(module, checkpoint.weights, str(folder))
    optimiser.load_state_dict(checkpoint.state["optimiser"])
    return Position(*checkpoint.state["position"]), Tally.restored(checkpoint.state["tally"])
