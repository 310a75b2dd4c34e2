"""Weights of a trained network put into another one, wherever steps and shapes agree."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.matching import matching, names_of
from archioptrx.networks.compile import Model


@dataclass(frozen=True)
class Inherited:
    """What was copied: number of tensors of the state dict, and share of the network's trained numbers."""

    tensors: int
    share: float


def inherit(model: Model, parent: ComputationGraph, weights: bytes) -> Inherited:
    """Copy what agrees into a model, in place.

    Parameters
    ----------
    parent
        Of which graph the weights are; `archioptrx.graphs.matching.matching` pairs its steps with the model's.
    weights
        A state dict as `torch.save` writes it.
    """
    given = _by_owner(torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True), parent)
    trained = {key: p.numel() for key, p in model.named_parameters() if p.requires_grad}
    pairs, own = matching(model.graph, parent), _by_owner(model.state_dict(), model.graph)
    copied: list[str] = []
    for name, tensors in own.items():
        for rest, tensor in tensors.items():
            source = given.get(pairs.get(name, ""), {}).get(rest)
            if source is not None and source.shape == tensor.shape and source.dtype == tensor.dtype:
                tensor.copy_(source)  # a state dict holds the model's own tensors
                copied.append(f"{name}.{rest}")
    share = sum(trained.get(key, 0) for key in copied) / max(1, sum(trained.values()))
    return Inherited(len(copied), share)


def _by_owner(state: Mapping[str, Tensor], graph: ComputationGraph) -> dict[str, dict[str, Tensor]]:
    """The tensors of a state dict by the name of their weights, then by the rest of their key."""
    known = {name for names in names_of(graph) for name in names}
    found: dict[str, dict[str, Tensor]] = {}
    for key, tensor in state.items():
        levels = key.split(".")
        starts = (".".join(levels[:count]) for count in range(len(levels) - 1, 0, -1))
        owner = next(start for start in starts if start in known)
        found.setdefault(owner, {})[key.removeprefix(f"{owner}.")] = tensor
    return found
