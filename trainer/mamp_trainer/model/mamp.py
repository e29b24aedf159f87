"""Owns masked motion prediction as a whole: hide tokens, encode, decode, compare (section 3).

Shapes, here and in the modules around:

    N  clips                     T   frames (120)
    M  bodies of a clip (2)      V   joints (25)
    B  sequences, N·M            C   coordinates (3)
    D  width (256)               l   frames of a token (4)
    K  kept tokens (74)          Te  segments, T/l (30)
                                 L   tokens, Te·V (750)

Every body is a sequence of its own, empty ones included. Lengths are metres.
"""

from typing import NamedTuple

from torch import Tensor, nn

from mamp_schemas.recipe_specs import MaskingSpec, ModelSpec, TargetSpec
from mamp_trainer.model.decoder import Decoder
from mamp_trainer.model.embed import to_tokens
from mamp_trainer.model.encoder import Encoder
from mamp_trainer.model.masking import keep_smallest, masking_score, motion_intensity
from mamp_trainer.model.targets import prediction_target


class MAMPOutput(NamedTuple):
    """What a forward pass gives.

    Attributes:
        loss: scalar (eq. 11).
        pred: (B, L, l·C), the prediction for every token, hidden or not.
        mask: (B, L) bool, true where hidden.
    """

    loss: Tensor
    pred: Tensor
    mask: Tensor


class MAMP(nn.Module):
    """The pre-training network: 10,368,524 parameters at the default shape.

    Initial weights are drawn from torch's global generator: seed it with `torch.manual_seed`.
    """

    def __init__(self, spec: ModelSpec, masking: MaskingSpec, target: TargetSpec) -> None:
        super().__init__()
        self.spec = spec
        self.masking = masking
        self.target = target
        self.encoder = Encoder(spec)
        self.decoder = Decoder(spec)

    def set_activation_checkpointing(self, enabled: bool) -> None:
        """Choose whether the backward pass computes the blocks again; the numbers are the same."""
        self.encoder.blocks.activation_checkpointing = self.decoder.blocks.activation_checkpointing = enabled

    def forward(self, x_BTVC: Tensor, u_BL: Tensor, trajectory_BTVC: Tensor | None = None) -> MAMPOutput:
        """Predict hidden tokens and measure the error.

        Args:
            x_BTVC: (B, T, V, C), metres.
            u_BL: (B, L), drawn from U(0, 1): which tokens are hidden depends on nothing else that is random.
            trajectory_BTVC: (B, T, V, C), what motion intensity and motion target are taken from; `x_BTVC`
                by default.
        """
        trajectory = x_BTVC if trajectory_BTVC is None else trajectory_BTVC
        keep, mask = keep_smallest(self._masking_score(trajectory, u_BL), self.masking.ratio)
        pred: Tensor = self.decoder(self.encoder(x_BTVC, keep), keep)
        target = prediction_target(x_BTVC, trajectory, self.spec.segment, self.target)
        return MAMPOutput(masked_error(pred, target, mask), pred, mask)

    def _masking_score(self, trajectory: Tensor, u: Tensor) -> Tensor:
        if self.masking.strategy == "uniform":
            return u
        tokens = to_tokens(trajectory, self.spec.segment)
        return masking_score(motion_intensity(tokens, self.spec.joints, self.masking.temperature), u)


def masked_error(pred: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return the squared error, mean within a token, then over the hidden tokens of all sequences (eq. 11).

    Args:
        pred: (B, L, l·C).
        target: (B, L, l·C).
        mask: (B, L) bool, true where hidden.
    """
    error = (pred - target).square().mean(dim=-1)
    return (error * mask).sum() / mask.sum()
