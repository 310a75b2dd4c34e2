"""Probabilities for track finders, in the order of their logits."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from archioptrx.tasks.tracks.finding import Floats

CROWDED = 16.0
"""Logit from which probabilities of single precision's logits come close to each other."""
STEP = 2.0**-53
"""Distance of numbers below 1."""


def ordered_probabilities(logits: Tensor, limits: Iterable[float] = ()) -> Floats:
    """Probabilities that differ wherever the logits do, if only by the last bit.

    From a logit of 37 on, all probabilities are 1, and the best edge of a hit would be that of the smallest number.
    Equal ones are lowered by the least steps that keep the order: with a million of them by 1e-10 at most.

    Parameters
    ----------
    logits : [R]
        Logits of edges or triplets.
    limits
        Cuts: probabilities that reach one still do.

    Returns
    -------
    float64 [R]

    >>> ordered_probabilities(torch.tensor([80.0, 40.0, 0.0])) == [1.0, 1 - 2.0**-53, 0.5]
    array([ True,  True,  True])
    """
    values = logits.detach().double().cpu()
    scores: Floats = torch.sigmoid(values).numpy()
    crowded = np.flatnonzero(values.numpy() > CROWDED)
    falling, place = np.unique(-values.numpy()[crowded], return_inverse=True)
    if not len(falling):
        return scores
    # In whole steps: the k-th number is one step or more below the one before, so that number + k never rises.
    steps = np.round(torch.sigmoid(torch.from_numpy(-falling)).numpy() / STEP).astype(np.int64)
    rank = np.arange(len(steps))
    lowered = ((np.minimum.accumulate(steps + rank) - rank) * STEP)[place]
    for limit in limits:
        lowered = np.where(scores[crowded] >= limit, np.maximum(lowered, limit), lowered)
    ordered = scores.copy()
    ordered[crowded] = lowered
    return ordered
