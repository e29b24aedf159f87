"""Owns the optimiser: parameter groups and the learning rate as a function of the step (reference.md §5)."""

import math
from typing import Any

from torch import nn, optim

from mamp_schemas.recipe_specs import SGD, AdamW, ScheduleSpec


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Divide the trainable parameters in two: with weight decay, and without.

    One-dimensional parameters (biases, norms) are spared. Mask token and embeddings are not, as in the
    authors' code: their shapes have leading ones.
    """
    trainable = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return [
        {"params": [each for each in trainable if each.ndim > 1], "weight_decay": weight_decay},
        {"params": [each for each in trainable if each.ndim <= 1], "weight_decay": 0.0},
    ]


def make_optimiser(module: nn.Module, spec: AdamW | SGD) -> optim.Optimizer:
    """Return the recipe's optimiser over a module's trainable parameters.

    Its learning rate is 0 until a step sets it. AdamW updates all numbers of a parameter in one pass over memory.
    """
    return optimiser_of_groups(parameter_groups(module, spec.weight_decay), spec)


def optimiser_of_groups(groups: list[dict[str, Any]], spec: AdamW | SGD) -> optim.Optimizer:
    """Return the recipe's optimiser over groups of parameters that bring their own weight decay."""
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
