"""Zero-cost proxies: numbers from an untrained network and one batch that correlate with the score after training.

`score(name, model, batch, task)` gives a number, larger is better, None where there is none. It works on a copy:
weights, buffers and gradients of the model stay as they are. All run on a CPU without drawing a random number, so that
they depend on weights and batches alone, and the order of the nodes and edges of a batch does not matter.

================  ====================================================================================================
`naswot`          log-determinant of the kernel of activation patterns: large where they differ between rows
`jacob_cov`       large where the gradients of the outputs by the inputs correlate little between rows
`parameters`      trained numbers
================  ====================================================================================================
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from archioptrx.core.errors import InputError, did_you_mean
from archioptrx.data.batches import batched, graphs_for, pieces_of
from archioptrx.data.hitgraph import HitGraph
from archioptrx.networks.blocks import Topology
from archioptrx.networks.blocks.matmul import BLOCK
from archioptrx.networks.blocks.topology import BELOW
from archioptrx.networks.compile import Model
from archioptrx.tasks.task import Task, as_columns

EDGES = 4000
"""Approximate number of edges of a batch."""
ROWS = 128
"""Rows of the target that `naswot` and `jacob_cov` look at."""
INPUTS = {"x": "node", "edge_attr": "edge"}
"""Fields that networks read, with the domain of their rows."""
ACTIVATIONS = frozenset({"relu", "tanh", "sigmoid", "gelu", "silu", "elu", "leaky_relu"})
"""Operations of torch that `naswot` watches."""
TINY = 1e-5
"""Addend that keeps logarithms of eigenvalues finite, as in Mellor et al."""


def proxy_batch(train: Sequence[HitGraph], task: Task, edges: int = EDGES) -> HitGraph:
    """First batch of about so many edges."""
    few: list[HitGraph] = []
    for graph in train:
        few.append(graph)
        if sum(member.num_edges for member in few) >= edges:
            break
    if task.divisible:
        few = [piece for graph in few for piece in pieces_of(graph, edges)]
    return batched(few, graphs_for(few, edges))[0]


def score(name: str, model: Model, batch: HitGraph, task: Task) -> float | None:
    """Score an untrained network.

    Parameters
    ----------
    name
        Name of the proxy.
    model
        The network, which isn't changed.
    batch
        Graphs of training, see `proxy_batch`.
    task
        Task, for the rows of the target.

    Returns
    -------
    Larger is better. None: not a finite number.

    Raises
    ------
    InputError
        There is no such proxy.
    """
    if name not in MEASURES:
        raise InputError(f"screen.proxy: is {name!r}; {did_you_mean(name, MEASURES)}")
    value = MEASURES[name](copy.deepcopy(model).eval(), batch, task)
    return value if value is not None and math.isfinite(value) else None


def unfit(name: str, task: Task) -> str | None:
    """Reason why a proxy can't judge networks of a task; None: it can."""
    if not isinstance(task.target_width, int) and name != "parameters":
        return f"screen.proxy: {name} judges networks of one target; allowed for {task.name}: parameters"
    if name == "jacob_cov" and task.domain == "graph":
        return f"screen.proxy: {name} compares rows by their inputs, an event has none; allowed: naswot, parameters"
    return None


def parameters(model: Model, batch: HitGraph, task: Task) -> float:
    """Count the trained numbers."""
    return float(sum(p.numel() for p in model.parameters() if p.requires_grad))


def joined(outputs: Any) -> Tensor:
    """The targets of a network side by side: [rows, channels]."""
    parts = outputs if isinstance(outputs, tuple) else (outputs,)
    return torch.cat([as_columns(part) for part in parts], dim=1)


def inputs_of(batch: HitGraph) -> list[str]:
    """Fields of `INPUTS` that a batch has."""
    return [name for name in INPUTS if batch.get(name) is not None]


# --- rows of the target, and what belongs to them --------------------------------------------------------------------

Places = dict[str, list[Tensor]]
"""Rows, by domain, that belong to some rows of the target, in the same order. For an edge: its start and its end."""


def places_of(rows: Tensor, domain: str, topology: Topology) -> Places:
    """Places of rows, by their numbers, in their own domain, in those below it and among the graphs."""
    places: Places = {domain: [rows]}
    if domain != "graph":
        places["graph"] = [topology.batch(domain).index[rows]]
    while domain in BELOW:
        ends = topology.ends(domain).index
        places[BELOW[domain]] = [ends[side][rows_there] for rows_there in places[domain] for side in (0, 1)]
        domain = BELOW[domain]
    return places


def sampled(batch: HitGraph, domain: str, topology: Topology) -> Places:
    """Some rows of the target: evenly spaced in the order of their features, which the order of rows can't change."""
    rows = torch.arange(topology.rows(domain))
    whole = places_of(rows, domain, topology)
    if len(rows) <= ROWS or domain == "graph":
        return whole
    columns = [batch[name][at] for name in inputs_of(batch) for at in whole.get(INPUTS[name], ())]
    order = np.lexsort(torch.cat(columns, dim=1).numpy().T)
    chosen = order[np.linspace(0, len(order) - 1, ROWS).round().astype(int)]
    return places_of(torch.from_numpy(chosen), domain, topology)


# --- naswot and jacob_cov --------------------------------------------------------------------------------------------


class Signs(TorchDispatchMode):
    """Mode that notes the signs of all inputs of activation functions, in any block.

    Fused kernels work block by block of rows; their parts are put together again.

    Attributes
    ----------
    noted : list of (domain, bool Tensor [rows, units])
    """

    def __init__(self, sizes: dict[int, str]) -> None:
        super().__init__()
        self.sizes = sizes
        self.noted: list[tuple[str, Tensor]] = []
        self._parts: list[Tensor] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.removeprefix("aten::").rstrip("_")
        if name in ACTIVATIONS and args[0].dim() == 2:
            self._note(args[0] > 0)
        return func(*args, **(kwargs or {}))

    def _note(self, signs: Tensor) -> None:
        full = len(signs) == BLOCK * torch.get_num_threads()
        if not self._parts and len(signs) in self.sizes:
            self.noted.append((self.sizes[len(signs)], signs))
        elif self._parts or full:
            self._parts.append(signs)
            rows = sum(len(part) for part in self._parts)
            if rows in self.sizes:
                self.noted.append((self.sizes[rows], torch.cat(self._parts)))
            if rows in self.sizes or not full:
                self._parts = []


def naswot(model: Model, batch: HitGraph, task: Task) -> float | None:
    """Mellor et al. 2021 (arXiv:2006.04647): log|K|, K the number of units on which two rows agree.

    A row is one of the target; its units are those of its own domain, of its end points and of its graph. The sign of
    what goes into an activation counts, for tanh and silu too. A unit of its own is added to each row, so that K is
    regular where a small network has fewer units than there are rows.
    """
    topology = Topology(batch)
    places = sampled(batch, task.domain, topology)
    sizes = {topology.rows(domain): domain for domain in reversed(places)}
    with torch.no_grad(), Signs(sizes) as signs:
        output = joined(model(batch))
    if not torch.isfinite(output).all():
        return None
    kernel = torch.eye(len(places[task.domain][0]), dtype=torch.float64)
    for domain, units in signs.noted:
        for at in places[domain]:
            code = 2.0 * units[at].double() - 1
            kernel += (code @ code.T + code.shape[1]) / 2
    return float(torch.linalg.slogdet(kernel)[1])


def jacob_cov(model: Model, batch: HitGraph, task: Task) -> float | None:
    """First version of Mellor et al. (arXiv:2006.04647v1): -Σ [log(λ + ε) + 1 / (λ + ε)].

    λ are eigenvalues of the correlation of the rows' gradients: those of the sum of all outputs by the inputs of a row,
    its end points included. There are fewer inputs than rows here: only the eigenvalues that can differ from zero
    count, as many as there are inputs, less the one that is lost by subtracting the mean.
    """
    model.double()
    batch = copy.copy(batch)
    topology = Topology(batch)
    places = sampled(batch, task.domain, topology)
    names = [name for name in inputs_of(batch) if INPUTS[name] in places]
    for name in names:
        batch[name] = batch[name].double().requires_grad_()
    total = joined(model(batch)).sum()
    if not names or not total.requires_grad:
        return None
    gradients = torch.autograd.grad(total, [batch[name] for name in names], materialize_grads=True)
    rows = torch.cat([g[at] for name, g in zip(names, gradients, strict=True) for at in places[INPUTS[name]]], dim=1)
    if not torch.isfinite(rows).all():
        return None
    rows = rows - rows.mean(1, keepdim=True)
    length = rows.norm(dim=1, keepdim=True)
    values = torch.linalg.svdvals(torch.where(length > 0, rows / length, rows)).square()
    nonzero = values[: min(rows.shape[1] - 1, len(rows))]
    return -float((torch.log(nonzero + TINY) + 1 / (nonzero + TINY)).sum())


MEASURES: dict[str, Callable[[Model, HitGraph, Task], float | None]] = {
    "naswot": naswot,
    "jacob_cov": jacob_cov,
    "parameters": parameters,
}
"""Each proxy by name; see `archioptrx.runs.experiment_sections.PROXIES`."""
