"""Owns layer-wise learning rates: the nearer a parameter is to the input, the slower it learns (reference.md §5)."""

from collections import defaultdict
from typing import Any

from torch import nn

from mamp_trainer.model.heads import Classifier

LR_SCALE = "lr_scale"
"""The key of a parameter group under which the factor of its learning rate stands."""

_EMBEDDINGS = ("encoder.joints_embed.", "encoder.temp_embed", "encoder.pos_embed")
_BLOCKS = "encoder.blocks."


def layer_groups(model: Classifier, weight_decay: float, decay: float) -> list[dict[str, Any]]:
    """Divide the trainable parameters by layer, and each layer's in two: with weight decay, and without.

    A layer's learning rate is that of the schedule times decay^(depth + 1 - id). One-dimensional parameters are
    spared weight decay, as in pre-training.

    Args:
        model: what is fine-tuned.
        weight_decay: of what is not spared.
        decay: factor from one layer to the next below; 1 where all learn alike.
    """
    depth = model.encoder.spec.depth
    found: dict[tuple[int, bool], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            found[layer_id(name, depth), parameter.ndim > 1].append(parameter)
    return [
        {
            "params": parameters,
            "weight_decay": weight_decay if decayed else 0.0,
            LR_SCALE: decay ** (depth + 1 - layer),
        }
        for (layer, decayed), parameters in sorted(found.items())
    ]


def layer_id(name: str, depth: int) -> int:
    """Return a parameter's layer: 0 for the embeddings, i + 1 for block i, depth + 1 for the final norm and the head.

    Args:
        name: in `Classifier`.
        depth: blocks of its encoder.
    """
    if name.startswith(_EMBEDDINGS):
        return 0
    if name.startswith(_BLOCKS):
        return int(name.removeprefix(_BLOCKS).partition(".")[0]) + 1
    return depth + 1
