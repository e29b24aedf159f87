"""What a training is given: its loss, what else happens in a step, and a way to be stopped."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from torch import Tensor, nn

from mamp_trainer.data.collate import Batch
from mamp_trainer.training.microbatch import FlatGradients


class Loss(NamedTuple):
    """The loss of a batch.

    Attributes:
        total: scalar tensor, the mean over the batch's loss terms; what is minimised.
        parts: named scalars to be logged beside it, means over the same terms; the same names in every step.
    """

    total: Tensor
    parts: Mapping[str, Tensor] = MappingProxyType({})


LossFn = Callable[[Batch, int], Loss]
"""The loss of a batch in a 0-based epoch."""

CheckInterrupt = Callable[[], None]
"""Raises `Interrupted` where the run is to stop; called between steps and between test batches."""


def never_interrupt() -> None:
    """Never stop: for work outside `fit`, where nothing is lost."""


class Hooks:
    """What a training may do besides minimising its loss; by default nothing. All ranks must do the same."""

    def clip_gradients(self, gradients: FlatGradients) -> None:
        """Change the gradients of the whole batch before the optimiser's step."""

    def after_step(self, module: nn.Module, step: int, steps: int) -> None:
        """Update teachers, queues or schedules; called after each optimiser step.

        Args:
            module: the network after the step.
            step: optimiser steps done, from 1 on.
            steps: optimiser steps of the whole training.
        """

    def state_dict(self) -> dict[str, Any]:
        """Return what checkpoints are to keep besides the module: plain data and tensors."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what `state_dict` returned."""
