"""Optimizer and learning rate of a training."""

from __future__ import annotations

import math

import torch
from torch import nn

from archioptrx.core.errors import TrialError
from archioptrx.training.settings import Training

LAST_RATE = 0.01
"""Learning rate after the last epoch, as a share of the highest."""


def rate_factor(training: Training, step: int, steps_per_epoch: float) -> float:
    """Learning rate at a step, as a share of the highest: a linear rise, then a cosine down to 1 %.

    `steps_per_epoch` is a mean where the epochs of a pass have different numbers of steps.
    """
    warmup = training.warmup * steps_per_epoch
    if step + 1 < warmup:
        return (step + 1) / warmup
    if training.schedule == "constant":
        return 1.0
    rest = max(1.0, training.epochs * steps_per_epoch - warmup)
    progress = min(1.0, max(0.0, step + 1 - warmup) / rest)
    return LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * progress))


def make_optimizer(model: nn.Module, training: Training) -> torch.optim.Optimizer:
    """Make the optimizer. Only matrices decay: a bias or the scale of a norm has no reason to be small."""
    weights = [p for p in model.parameters() if p.requires_grad]
    if not weights:
        raise TrialError(f"{type(model).__name__} has no weights to train")
    groups = [
        {"params": [p for p in weights if p.dim() > 1], "weight_decay": training.weight_decay},
        {"params": [p for p in weights if p.dim() < 2], "weight_decay": 0.0},
    ]
    rate = training.learning_rate
    if training.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=0.9)
    if training.optimizer == "adamax":
        return torch.optim.Adamax(groups, lr=rate)
    kind = torch.optim.AdamW if training.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=rate)
