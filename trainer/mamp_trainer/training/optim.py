"""Optimiser, parameter groups with layer-wise decay, and the learning rate of a step (reference.md §5)."""

import math
from collections import defaultdict
from typing import Any

from torch import nn, optim

from mamp_schemas.models.recipe import SGD, AdamW, ScheduleSpec
from mamp_trainer.models.clip_encoder import Classifier


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Divide the trainable parameters in two: with weight decay, and without.

    One-dimensional parameters (biases, norms) are spared. Mask token and embeddings are not, as in the
    authors' code: their shapes have leading ones.
    """
    trainable = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return [
        {"params": [parameter for parameter in trainable if parameter.ndim > 1], "weight_decay": weight_decay},
        {"params": [parameter for parameter in trainable if parameter.ndim <= 1], "weight_decay": 0.0},
    ]


def make_optimiser(groups: list[dict[str, Any]], spec: AdamW | SGD) -> optim.Optimizer:
    """Return the recipe's optimiser over groups of parameters that bring their own weight decay.

    Its learning rate is 0 until a step sets it. AdamW is fused: one pass over the memory of each parameter.
    """
    if isinstance(spec, AdamW):
        return optim.AdamW(groups, lr=0.0, betas=spec.betas, fused=True)
    return optim.SGD(groups, lr=0.0, momentum=spec.momentum)


def learning_rate(step: int, steps_per_epoch: int, schedule: ScheduleSpec) -> float:
    """Return the learning rate of a step: linear warm-up from 0, then half a cosine.

    With e = step / steps_per_epoch, w warm-up epochs and E epochs:
    lr · e / w below w, else final_lr + (lr - final_lr) · (1 + cos(π · (e - w) / (E - w))) / 2.

    Args:
        step: optimiser steps done before this one, over all epochs.
        steps_per_epoch: optimiser steps of an epoch.
        schedule: the recipe's schedule.
    """
    epoch = step / steps_per_epoch
    if epoch < schedule.warmup_epochs:
        return schedule.lr * epoch / schedule.warmup_epochs
    if epoch >= schedule.epochs:
        return schedule.final_lr
    progress = (epoch - schedule.warmup_epochs) / (schedule.epochs - schedule.warmup_epochs)
    return schedule.final_lr + (schedule.lr - schedule.final_lr) * (1 + math.cos(math.pi * progress)) / 2


LR_SCALE = "lr_scale"
"""The key of a parameter group's factor of the learning rate."""

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
    groups: dict[tuple[int, bool], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups[layer_id(name, depth), parameter.ndim > 1].append(parameter)
    return [
        {
            "params": parameters,
            "weight_decay": weight_decay if decayed else 0.0,
            LR_SCALE: decay ** (depth + 1 - layer),
        }
        for (layer, decayed), parameters in sorted(groups.items())
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
