"""Comparison of an export with its model, before the user gets it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from archioptrx.core.errors import TrialError
from archioptrx.models.export.trained import Take
from archioptrx.models.inference import transform

SIZES = ((60, 300), (7, 40), (2, 1), (1, 0))
"""Hits and edges of the random graphs on which an export is compared with its model."""
EXAMPLE = (12, 30)
"""Hits and edges of the graph with which code is traced: no size of it may stand in a file."""
TOLERANCE = 1e-5
Arrays = NDArray[Any]


def difference(
    take: Take,
    export: Callable[[Arrays, Arrays], tuple[Tensor, ...]],
    seen: Callable[[Arrays], Arrays] = np.asarray,
) -> float:
    """The largest difference between an export and its model on random graphs.

    Parameters
    ----------
    export
        Gives the raw outputs for hits and edges.
    seen
        Gives the hits that it sees, which may have fewer digits.

    Raises
    ------
    TrialError
        The difference is above 1e-5 of the largest value.
    """
    random = np.random.default_rng(0)
    differences: list[float] = []
    for hits, edges in SIZES:
        nodes, index = random_event(random, len(take.trained.metadata.node_features), hits, edges)
        event = seen(nodes), index
        with torch.no_grad():
            expected = tensors(take.trained.model(transform(*event, take.trained.metadata)))
            outputs = export(*event)
        for output, reference in zip(outputs, expected, strict=True):
            if output.shape != reference.shape:
                raise TrialError(f"export: gives {list(output.shape)}, the model {list(reference.shape)}")
            if reference.numel():
                differences.append(float((output - reference).abs().max()) / max(1.0, float(reference.abs().max())))
    wrong = [output for output in differences if not output <= TOLERANCE]  # NaN is wrong too
    if wrong:
        raise TrialError(
            f"export: differs from the model by {wrong[0]:.1e}, more than {TOLERANCE:g}; nothing is written"
        )
    return max(differences)


def random_event(random: np.random.Generator, columns: int, hits: int, edges: int) -> tuple[Arrays, Arrays]:
    """Random hits of a barrel, in mm, rad, mm; half of the edges meet in one of them. Shapes: [N, columns], [2, E]."""
    low = np.array([30.0, -np.pi, -800.0, *[0.0] * (columns - 3)])
    high = np.array([1000.0, np.pi, 800.0, *[1.0] * (columns - 3)])
    index = random.integers(0, hits, (2, edges))
    index[1, ::2] = 0
    return random.uniform(low, high, (hits, columns)), index


def raw(network: Any) -> Callable[..., Any]:
    """The method of an exported network that computes its outputs before any sigmoid."""
    compute: Callable[..., Any] = getattr(network, "logits", None) or getattr(network, "outputs", None) or network
    return compute


def tensors(output: Any) -> tuple[Tensor, ...]:
    """Outputs of a model as a tuple, also where there is one."""
    return output if isinstance(output, tuple) else (output,)
