"""What the last hidden layer of an untrained network is worth to a linear read-out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from archioptrx.data.hitgraph import HitGraph
from archioptrx.networks.blocks import ForwardPass, Topology, Value
from archioptrx.networks.blocks.mlp import MLP
from archioptrx.networks.blocks.segments import take
from archioptrx.networks.blocks.topology import BELOW
from archioptrx.networks.compile import Model
from archioptrx.tasks.task import Task

ITERATIONS = 50
"""Of L-BFGS."""
SHRINK = 1e-4
"""Weight of the squared coefficients in the loss of the read-out."""
THROUGH = ("add", "mean", "identity", "concat", "norm")
"""Blocks that a target may come through: the layers before them are looked for."""


def fitted_readout(model: Model, batches: tuple[HitGraph, HitGraph], task: Task) -> float | None:
    """Fit a linear layer on the hidden activations of one batch; the task's objective on the other batch.

    The fit minimises the task's own loss (for edge classification it is a logistic regression), so that it works for
    any task. None: an activation isn't a finite number, or the objective can't be computed.
    """
    first, second = (hidden_activations(model, batch) for batch in batches)
    if not (torch.isfinite(first).all() and torch.isfinite(second).all()):
        return None
    shift, scale = first.mean(0), first.std(0)
    scale = torch.where(scale > 1e-6, scale, torch.ones_like(scale))
    layer = nn.utils.skip_init(nn.Linear, first.shape[1], task.target_width)
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.zero_()
    _fit(layer, (first - shift) / scale, batches[0], task)
    with torch.no_grad():
        output = _outputs(layer, (second - shift) / scale)
    return task.objective.value(task.metrics([output], [batches[1]]))


def _outputs(layer: nn.Module, rows: Tensor) -> Tensor:
    found: Tensor = layer(rows)
    return found.squeeze(1) if found.shape[1] == 1 else found


def _fit(layer: nn.Linear, rows: Tensor, batch: HitGraph, task: Task) -> None:
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = task.loss(_outputs(layer, rows), batch) + SHRINK * layer.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)


def hidden_activations(model: Model, batch: HitGraph) -> Tensor:
    """What the last linear layers before the target read: [rows of the target, channels].

    Where several branches are added to the target, those of all of them; where a function runs several times, those of
    its last time.
    """
    calls: dict[nn.Module, tuple[Any, Any]] = {}

    def note(module: nn.Module, inputs: Any, output: Any) -> None:
        calls[module] = inputs, output

    heads = [(call, module) for call in _heads(model) for module in call.modules]
    handles = [module.register_forward_hook(note) for _, module in heads]
    try:
        with torch.no_grad():
            model(batch)
    finally:
        for handle in handles:
            handle.remove()
    topology = Topology(batch)
    parts: list[Tensor] = []
    for call, module in heads:
        if module in calls:
            domains = [model._shapes[value].domain for value in call.inputs]
            parts += _before(module, *calls.pop(module), domains, model._shapes[call.output].domain, topology)
    return torch.cat(parts, dim=1).detach()


def _heads(model: Model) -> list[Any]:
    """The calls whose layers make the targets."""
    sources, calls = len(model.graph.sources), {call.output: call for call in model._calls}
    waiting, found = list(model.graph.targets), []
    for value in waiting:  # grows on the way
        if value < sources:
            continue
        if model.graph.steps[calls[value].step].block in THROUGH:
            waiting += [one for one in calls[value].inputs if one not in waiting]
        else:
            found.append(calls[value])
    return found


@torch.no_grad()
def _before(
    module: nn.Module, inputs: Any, output: Any, domains: list[str], domain: str, topology: Topology
) -> list[Tensor]:
    """What the last layer of a block reads; of a block that isn't a plain network, its inputs and its output."""
    values = [one if isinstance(one, Tensor) else one.tensor() for one in inputs[0]]
    if isinstance(module, MLP) and len(module.layers) > 1:
        run: ForwardPass = inputs[1]
        hidden: Value = module(inputs[0], run, pending=True)
        return [hidden.pieces[0].rows]
    lifted = [_lifted(rows, at, domain, topology) for rows, at in zip(values, domains, strict=True)]
    found = [rows for rows in lifted if rows is not None]
    if type(module) is not MLP or not found:
        found.append(output if isinstance(output, Tensor) else output.tensor())
    return found


def _lifted(rows: Tensor, at: str, domain: str, topology: Topology) -> Tensor | None:
    """Rows of one domain for those of another: both end points, the graph's. None: from above."""
    if at == domain:
        return rows
    if at == "graph":
        return take(rows, topology.batch(domain))
    if domain not in BELOW:
        return None
    below = _lifted(rows, at, BELOW[domain], topology)
    ends = topology.ends(domain)
    return None if below is None else torch.cat([take(below, ends.start), take(below, ends.end)], dim=1)
