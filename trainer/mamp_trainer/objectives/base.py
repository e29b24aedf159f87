"""What a pre-training objective is. Write a plug-in against this page.

An objective is a class, registered under its name: those of this package in `mamp_schemas.builtin`, those of other
distributions as entry points of the group `mampctl.objectives` that name the class. `mampctl train pretrain` makes one
instance a run, from the run's recipe. Everything else (data, optimiser, checkpoints, several ranks, metrics, reports)
works for every objective.

Recipe and objective are two halves of one thing. The recipe class (`options`) is light: it holds the options, is
checked before torch is imported, and says which stored motion the run reads (`stored_motion`). The objective is the
half with tensors. A plug-in whose encoder predicts the features of its own moving average:

    class DistilRecipe(PretrainRecipe):
        objective: Literal["distil"] = "distil"
        momentum: float = Field(default=0.99, ge=0, le=1)

    class Pair(nn.Module):
        def __init__(self, spec):
            super().__init__()
            self.encoder = Encoder(spec)
            self.teacher = copy.deepcopy(self.encoder).requires_grad_(False)

    class DistilObjective(Objective[DistilRecipe]):
        options = DistilRecipe
        summary = "The encoder predicts the features of its own moving average."
        encoder_prefix = "teacher."

        def build(self):
            return Pair(self.recipe.model)

        def loss(self, module, batch, draws):
            x = batch.x.flatten(0, 1)
            noise = draws.uniform("noise", batch.x[0].numel()).view(x.shape) - 0.5
            error = (module.encoder(x + 0.1 * noise) - module.teacher(x)).square().mean()
            return Loss(error, {"error": error})

        @torch.no_grad()
        def after_step(self, module, step, steps):
            for teacher, student in zip(module.teacher.parameters(), module.encoder.parameters()):
                teacher.lerp_(student, 1 - self.recipe.momentum)

with the entry point `distil = "my_package.distil:DistilObjective"`, and a recipe file with `objective: distil`.
Recipes in the class variable `recipes` (YAML text by name) are found by `--recipe NAME`, as the built-in ones are.

Shapes: N clips, M body slots of each, T frames, V joints, C = 3 coordinates, l frames of a token, Te = T/l segments,
L = Te·V tokens, B = N·M sequences.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from mamp_schemas.models.recipe import PretrainRecipe
from mamp_trainer.data.collate import Batch
from mamp_trainer.data.rng import Draws
from mamp_trainer.training.hooks import Hooks, Loss
from mamp_trainer.training.optim import parameter_groups

__all__ = ["Batch", "Draws", "Loss", "Objective", "Reconstruction"]

R = TypeVar("R", bound=PretrainRecipe)


class Reconstruction(NamedTuple):
    """What a network predicts of the B sequences of a batch, in metres, for reports.

    Attributes:
        truth: (B, T, V, C) float32, what it is to predict.
        predicted: (B, T, V, C) float32, what it predicts of every token, masked or not.
        masked: (B, Te, V) bool, true where the encoder did not see the token.
        loss: (B,) float32, of each sequence.
        target: what kind of coordinates these are.
        normalised: whether each token's mean and variance are the true ones, because none are predicted.
        masking: how tokens were masked, in words.
    """

    truth: Tensor
    predicted: Tensor
    masked: Tensor
    loss: Tensor
    target: str
    normalised: bool
    masking: str


class Objective(Hooks, ABC, Generic[R]):
    """A pre-training objective, one instance a run.

    Besides what is below, it may have the hooks of a training: `clip_gradients`; `after_step` to move teachers and
    queues; `state_dict` and `load_state_dict` for what checkpoints are to keep besides the module's tensors.

    Attributes:
        options: the recipe class, with the objective's own fields.
        summary: one line for lists and help.
        encoder_prefix: prefix of the encoder's names in the module's state dict; evaluations load what has it.
        recipe: the run's.
    """

    options: ClassVar[type[PretrainRecipe]]
    summary: ClassVar[str] = ""
    encoder_prefix: ClassVar[str] = "encoder."

    def __init__(self, recipe: R) -> None:
        self.recipe = recipe

    @abstractmethod
    def build(self) -> nn.Module:
        """Return the network with initial weights; called under the recipe's seed.

        Its state dict goes into checkpoints. Parameters that no gradient trains (a teacher's) have
        `requires_grad=False`.
        """

    @abstractmethod
    def loss(self, module: nn.Module, batch: Batch, draws: Draws) -> Loss:
        """Return the loss of a batch, the mean over its loss terms, and named parts of it for the metrics.

        Args:
            module: the network, in training mode.
            batch: clips `x` (N, M, T, V, C), metres, cropped, resized and rotated.
            draws: random numbers that depend on seed, epoch and clip alone. Take all randomness from here: then
                resumed and distributed runs draw the same.
        """

    def num_loss_terms(self, bodies: Tensor, slots: int) -> Tensor:
        """Return how many terms each clip adds to the loss, (clips,) int64 on the host; by default its body slots.

        Microbatches and ranks count by their terms, so that together they give the mean over the whole batch.

        Args:
            bodies: (clips,) int64, real bodies of each clip.
            slots: M.
        """
        return torch.full_like(bodies, slots)

    def optimiser_groups(self, module: nn.Module) -> list[dict[str, Any]]:
        """Return the groups of trainable parameters; by default two, with and without weight decay."""
        return parameter_groups(module, self.recipe.optimiser.weight_decay)

    def flops(self) -> int:
        """Return the floating-point operations that training takes for one loss term; 0 where it is not known."""
        return 0

    def activation_bytes(self) -> int:
        """Return the bytes that one sequence's forward pass keeps for the backward pass; 0 where it is not known."""
        return 0

    def reconstruct(self, module: nn.Module, batch: Batch, draws: Draws) -> Reconstruction | None:
        """Return what the network predicts of a batch, for reports; None where it predicts no coordinates."""
