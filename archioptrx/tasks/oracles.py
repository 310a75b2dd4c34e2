"""Models that know the answer, or nothing: they bound every score and make plumbing exact."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from archioptrx.hitgraph import HitGraph


class PerfectOracle(nn.Module):
    """Answers with the truth: an AUC of exactly 1.

    Parameters
    ----------
    logit
        Size of the logits.
    """

    def __init__(self, logit: float = 10.0) -> None:
        super().__init__()
        self.logit = logit

    def forward(self, data: HitGraph) -> Tensor:
        """Shapes: -> [E]."""
        truth: Tensor = data.y
        return self.logit * (2 * truth - 1)


class ConstantOracle(nn.Module):
    """Answers the same for every edge: an AUC of exactly 0.5.

    Parameters
    ----------
    logit
        The answer; 0 is a probability of 0.5.
    """

    def __init__(self, logit: float = 0.0) -> None:
        super().__init__()
        self.logit = logit

    def forward(self, data: HitGraph) -> Tensor:
        """Shapes: -> [E]."""
        return torch.full((data.num_edges,), self.logit, device=data.x.device)
